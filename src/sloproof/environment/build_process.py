"""A long-running child program that never outlives its purpose: not an interrupt, not an error, not a killed parent."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_TURN_SECONDS = 0.25
_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.01
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
        cwd: Folder it runs in; it marks the child there for `end_leftovers`.
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


def end_leftovers(folder: Path) -> None:
    """End the children that killed runs left at work below a folder, each only if it is that very process."""
    for mark in folder.rglob(_MARK):
        try:
            pid, started = mark.read_text(encoding="ascii").split()
        except (OSError, ValueError):
            continue
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
        deadline = time.monotonic() + _GRACE_SECONDS
        if any(map(_is_alive, members)):
            with suppress(ProcessLookupError):
                os.killpg(group, number)
        while any(map(_is_alive, members)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def _is_alive(process: psutil.Process) -> bool:
    """Tell whether a process still does anything; one that merely was not collected yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None
