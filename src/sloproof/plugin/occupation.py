"""Keeps two runs from using one environment at once: each would count the other's requests as its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import BaseFileLock, FileLock, Timeout


def occupy(noted: Path) -> BaseFileLock:
    """Return a lock on the environment of a state file, held until it is released or this process ends.

    Args:
        noted: The state file; the lock and its holder's process id stand beside it.

    Raises:
        UsageError: Another run has it; it names that process.
    """
    noted.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(noted.with_suffix(".run.lock")), noted.with_suffix(".run.pid")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise pytest.UsageError(
            f"the environment is in use by another run, process {_holder(holder)}: each would count the requests of "
            "the other; wait for it to end, or leave out --env-reuse to have an environment of your own"
        ) from None
    holder.write_text(str(os.getpid()), encoding="ascii")
    return lock


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip() or "unknown"
    except OSError:
        return "unknown"
