"""Cleans up after runs that were killed: their programs, recognised by a mark that they carry, and their folders."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

# Every program of an environment carries its run folder in this variable, so that it is never taken for another's.
MARK = "SLOPROOF_RUN_DIR"
OWNER_FILE = "supervisor.pid"
# Nothing but these is ever removed: the number is the maker's process id.
_NAME = re.compile(r"sloproof-(?P<maker>\d+)-[0-9a-f]{8}")
_KILL_SECONDS = 2.0
_POLL_SECONDS = 0.005


def run_dir_name() -> str:
    """Return a name for a run folder of this process; it has not been used before."""
    return f"sloproof-{os.getpid()}-{secrets.token_hex(4)}"


def dying_with_parent() -> list[str]:
    """Return the words before a command that make it die with who starts it, even a killed one.

    It takes `setpriv` of util-linux, on Linux; elsewhere there are none.
    """
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "KILL", "--"] if found and sys.platform == "linux" else []


def sweep(base_dir: Path) -> list[Path]:
    """End what is left of killed runs of this user under a folder, and return the run folders that were removed.

    A run is left alone while its supervisor lives.
    """
    removed = []
    for folder in sorted(base_dir.glob("sloproof-*")):
        if _is_left_over(folder):
            end_marked(folder)
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed


def end_marked(folder: Path) -> None:
    """Kill every process that carries the mark of a run folder, and wait until they are gone."""
    # Looked for again each time: one may have started another meanwhile. Whoever started it collects its exit status.
    end = time.monotonic() + _KILL_SECONDS
    while (left := list(marked(folder))) and time.monotonic() < end:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_POLL_SECONDS)


def marked(folder: Path) -> Iterator[psutil.Process]:
    """Yield every live process that carries the mark of a run folder."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(folder):
                yield process


def _is_left_over(folder: Path) -> bool:
    name = _NAME.fullmatch(folder.name)
    try:
        if name is None or folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
            return False
        made = folder.stat().st_ctime
    except OSError:  # another run has just removed it
        return False
    try:
        pid, started = (folder / OWNER_FILE).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        # Between making the folder and starting the supervisor its maker stands for it.
        return not _lives(int(name["maker"]), since=(0, made + 1))
    return not _lives(int(pid), since=(float(started) - 1, float(started) + 1))


def _lives(pid: int, *, since: tuple[float, float]) -> bool:
    """Return whether a process lives that was started between two moments, in seconds of the epoch."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and since[0] <= process.create_time() <= since[1]
    return False
