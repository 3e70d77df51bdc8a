"""The folder in which the workers of one running service keep their counters together."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

# Memory, where the system offers a folder of it: counters are written with every request.
_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder with a drawn name is made in it
_PREFIX = "users-api-"
_OWNER = "owner"


class StateDirInUseError(Exception):
    """Another running service keeps its counters there."""


class StateDir:
    """A folder of one service, from its start to its end; empty at the start.

    A private one is removed at the end. Should the service be killed, its last worker removes it, or else the next
    service to start on this machine.

    Args:
        given: A folder to use; made if need be, and left behind. None for a private one.

    Raises:
        StateDirInUseError: Another service that runs uses the given folder.
    """

    def __init__(self, given: Path | None = None) -> None:
        self._is_private = given is None
        self._maker = os.getpid()
        if given is None:
            parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
            _sweep(parent)
            given = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
        given.mkdir(parents=True, exist_ok=True)
        self.path = given
        # Kept open, and with it the lock, by this process and by every worker that is forked from it.
        self._owner = os.open(given / _OWNER, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._owner)
            raise StateDirInUseError(f"{given}, where another service keeps its counters") from None
        for left in given.glob("*.db"):
            left.unlink()

    def __enter__(self) -> Self:
        """Return the folder, to be left at the service's end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove a private folder."""
        # A forked worker leaves the same block when it ends.
        if os.getpid() == self._maker:
            self.remove()

    def remove(self) -> None:
        """Remove the folder if it is private. Safe to call twice, and by a worker whose master was killed."""
        if self._is_private:
            shutil.rmtree(self.path, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove private folders of services that were killed with all their workers."""
    for folder in parent.glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        # Its maker may be about to take the lock; and whoever is alive looks after its own.
        if not pid.isdigit() or Path("/proc", pid).exists():
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(folder / _OWNER, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
