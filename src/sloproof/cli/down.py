"""`sloproof down`: end the environment that `sloproof up` started."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from sloproof.environment.backends import state_file
from sloproof.environment.leftovers import sweep
from sloproof.environment.local import LocalEnvironment
from sloproof.errors import EnvironmentStartError
from sloproof.settings import find_root, load_settings


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("down", help="end the running environment")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Run the subcommand; ending what does not run is no error."""
    root = find_root(Path.cwd())
    noted = state_file(root, os.environ)
    try:
        environment = LocalEnvironment.attach(noted, load_settings(root))
    except EnvironmentStartError:
        print("no environment of this project is running" if not noted.exists() else "the environment is gone already")
        for folder in sweep(Path(tempfile.gettempdir())):
            print(f"ended and removed what was left of a killed run: {folder}")
    else:
        environment.stop()
        print("ended")
    noted.unlink(missing_ok=True)
    return 0
