"""A virtual environment of the benchmarks' own, with what other people's instrumentation needs; kept in the user cache.

The project depends on none of it. Flask, gunicorn and the metrics client have the versions that the project is tested
with, so that every variant stands on the same ground.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

_GROUND = ("flask", "werkzeug", "gunicorn", "prometheus-client")
# By the name of the variant that needs them.
_PEERS = {
    "exporter": ("prometheus-flask-exporter==0.23.2",),
    "otel": ("opentelemetry-instrumentation-flask==0.66b1", "opentelemetry-sdk==1.45.1"),
}
_INSTALL_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Peers:
    """The environment.

    Attributes:
        python: Its interpreter.
        missing: Peers that could not be had, by name, with the reason.
        versions: What is installed, for the record.
    """

    python: Path
    missing: dict[str, str]
    versions: str


def peers() -> Peers:
    """Return the environment, made first if there is none for these versions.

    Raises:
        SystemExit: Not even Flask could be installed.
    """
    ground = [f"{name}=={version(name)}" for name in _GROUND]
    wanted = "\n".join((sys.version, *ground, *(one for group in _PEERS.values() for one in group)))
    folder = user_cache_path("sloproof") / "bench" / f"peers-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "whole").exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            reason = _install(python, ground)
            if reason:
                raise SystemExit(f"expected to install {', '.join(ground)} into {folder}, saw: {reason}")
            (folder / "whole").touch()
        missing = {}
        for name, requirements in _PEERS.items():
            if (folder / name).exists():
                continue
            reason = _install(python, requirements)
            if reason:
                missing[name] = reason
            else:
                (folder / name).touch()
    installed = [requirement for name, group in _PEERS.items() if name not in missing for requirement in group]
    return Peers(python, missing, ", ".join((*ground, *installed)).replace("==", " "))


def _install(python: Path, requirements: list[str] | tuple[str, ...]) -> str:
    """Install; return why it failed, or an empty text."""
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
        capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS,
    )  # fmt: skip
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"pip ended with {done.returncode}")
