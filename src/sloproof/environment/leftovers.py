"""Cleans up after runs that were killed: their programs, recognised by a mark that they carry, and their folders."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

PREFIX = "sloproof-"
# Every program of an environment carries its run folder in this variable, so that it is never taken for another's.
MARK = "SLOPROOF_RUN_DIR"
OWNER_FILE = "supervisor.pid"


def sweep(base_dir: Path) -> list[Path]:
    """End what is left of killed runs of this user under a folder, and return the run folders that were removed.

    A run is left alone while its supervisor lives.
    """
    removed = []
    for folder in sorted(base_dir.glob(f"{PREFIX}*")):
        if not folder.is_dir() or folder.stat().st_uid != os.getuid() or _is_owned(folder):
            continue
        for process in marked(folder):
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(folder)
    return removed


def marked(folder: Path) -> Iterator[psutil.Process]:
    """Yield every live process that carries the mark of a run folder."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(folder):
                yield process


def _is_owned(folder: Path) -> bool:
    """Return whether a run folder's supervisor lives, or is just about to."""
    try:
        pid, started = (folder / OWNER_FILE).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        # Between making the folder and starting the supervisor its maker stands for it.
        return _maker_lives(folder)
    with contextlib.suppress(psutil.Error):
        return abs(psutil.Process(int(pid)).create_time() - float(started)) < 1
    return False


def _maker_lives(folder: Path) -> bool:
    maker = folder.name.removeprefix(PREFIX).partition("-")[0]
    return maker.isdigit() and psutil.pid_exists(int(maker))
