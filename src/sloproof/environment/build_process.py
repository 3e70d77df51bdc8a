"""A long-running child program that never outlives its purpose: not an interrupt, not an error, not a killed parent."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_TURN_SECONDS = 0.25
_GRACE_SECONDS = 2.0
_MARK = ".child"


def run_watched(
    command: Sequence[str],
    *,
    cwd: Path,
    overrides: Mapping[str, str],
    output: Path,
    errors: Path,
    on_turn: Callable[[], None],
) -> int:
    """Run a program to its end in a process group of its own, and return its exit status.

    Args:
        command: Program and arguments.
        cwd: Folder it runs in; it marks the child there for `end_leftover`.
        overrides: Environment variables set for it on top of those it inherits.
        output: File its standard output replaces.
        errors: File its standard error is added to.
        on_turn: Called several times a second while it runs.
    """
    assignments = [f"{name}={value}" for name, value in overrides.items()]
    with output.open("wb") as stdout, errors.open("ab") as stderr:
        child = subprocess.Popen(
            ["env", *assignments, *command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            (cwd / _MARK).write_text(f"{child.pid} {_started(child.pid)}", encoding="ascii")
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return child.wait(_TURN_SECONDS)
                on_turn()
        finally:
            _end_group(child.pid)
            child.wait()
            (cwd / _MARK).unlink(missing_ok=True)


def end_leftover(folder: Path) -> None:
    """End the child that a killed run left at work in a folder, if there is one and it is that very process."""
    try:
        pid, started = (folder / _MARK).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return
    if _started(int(pid)) == started:
        _end_group(int(pid))


def _started(pid: int) -> str:
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""


def _end_group(group: int) -> None:
    """Ask every process of a group to end, then make it."""
    members = [process for process in psutil.process_iter() if _group_of(process) == group]
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not members:
            return
        with suppress(ProcessLookupError):
            os.killpg(group, number)
        _, members = psutil.wait_procs(members, timeout=_GRACE_SECONDS)


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None
