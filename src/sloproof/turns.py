"""A lock between processes that many may hold together, or one alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turns:
    """Turns at something that processes share. A process that dies gives its turn up.

    Who waits for a turn alone is let in before whoever comes later, however many come: a wait ends. A process holds one
    turn at most: whoever asks for a second one while another process waits to be alone waits for itself.

    Args:
        path: A file that all of them name; made where there is none. A second one is made beside it.
    """

    def __init__(self, path: Path) -> None:
        self._room = path
        # Held by one who waits to be alone, so that nobody else gets in meanwhile.
        self._door = path.with_name(f"{path.name}.door")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold a turn beside others of this kind."""
        with _held(self._door, fcntl.LOCK_SH):
            room = _hold(self._room, fcntl.LOCK_SH)
        try:
            yield
        finally:
            os.close(room)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the only turn."""
        with _held(self._door, fcntl.LOCK_EX):
            room = _hold(self._room, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(room)

    def is_held_alone(self) -> bool:
        """Return whether somebody holds the only turn at this moment; any number may ask at once."""
        try:
            os.close(_hold(self._room, fcntl.LOCK_SH | fcntl.LOCK_NB))
        except BlockingIOError:
            return True
        return False


@contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    file = _hold(path, how)
    try:
        yield
    finally:
        os.close(file)


def _hold(path: Path, how: int) -> int:
    """Return a file that is locked until it is closed, by whoever closes it: a lock ends with its holder."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, how)
    except BaseException:
        os.close(file)
        raise
    return file
