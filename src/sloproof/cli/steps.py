"""`sloproof steps`: the catalogue of sentences that a scenario can be written with."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import msgspec

from sloproof.catalogue import StepEntry, catalogue_text, select
from sloproof.errors import FeatureError
from sloproof.settings import find_root, load_settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "steps",
        help="list the sentences that scenarios can use",
        description="List the steps: sentence, what it does, an example, where it is defined, how often it is used.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="feature files or folders (default: the project's)")
    parser.add_argument("--grep", metavar="TEXT", default="", help="only those that mention TEXT, in any case")
    parser.add_argument("--unused", action="store_true", help="only those that no feature uses")
    parser.add_argument("--json", action="store_true", help="as a JSON list")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue; nothing is started for it.

    Returns:
        0, or 1 when nothing fits what was asked for.

    Raises:
        FeatureError: pytest could not collect the features; it tells what pytest said.
        SettingsError: No path is given, and the project does not say where its features are.
    """
    if arguments.paths:
        catalogue = collect_catalogue(arguments.paths)
    else:
        root = find_root(Path.cwd())
        catalogue = collect_catalogue([load_settings(root).features_dir], root)
    entries = select(catalogue, text=arguments.grep, unused=arguments.unused)
    if arguments.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(entries)).decode() + "\n")
    else:
        sys.stdout.write(catalogue_text(entries) + "\n")
    return 0 if entries else 1


def collect_catalogue(paths: list[str], folder: Path | None = None) -> tuple[StepEntry, ...]:
    """Return the catalogue of feature files and folders, as pytest sees it from a folder, the current one by default.

    Raises:
        FeatureError: pytest could not collect them.
    """
    with tempfile.TemporaryDirectory(prefix="sloproof-steps-") as made:
        file = Path(made) / "catalogue.json"
        command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--no-report"]
        # A project may run its tests on several workers by default; then nobody here would collect anything.
        command += ["-n0"] if find_spec("xdist") else []
        command += ["--step-catalogue", str(file), *paths]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        if not file.exists():
            said = (result.stdout + result.stderr).strip().splitlines()
            raise FeatureError(
                f"expected pytest to collect {' '.join(paths)}, but it ended with status {result.returncode}",
                last_lines="\n".join(said[-20:]),
                hint="see the whole of it with: " + " ".join(["pytest", "--collect-only", *paths]),
            )
        return msgspec.json.decode(file.read_bytes(), type=tuple[StepEntry, ...])
