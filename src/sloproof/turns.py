"""A lock between processes that many may hold together, or one alone."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.01


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

    @contextmanager
    def alone_unless(self, find: Callable[[], T | None]) -> Iterator[T | None]:
        """Hold the only turn and give None; or hold none and give what is found, as soon as there is something.

        Who waits for what is there already would only keep those who come later from their turns.

        Args:
            find: Looks for what makes the turn needless; asked again and again.
        """
        with ExitStack() as room:
            with ExitStack() as door:
                found = _enter(self._door, door, find) or _enter(self._room, room, find)
            yield found

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


def _enter(path: Path, held: ExitStack, find: Callable[[], T | None]) -> T | None:
    """Put a lock on what is held, or return what is found before it can be had."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    held.callback(os.close, file)
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if found := find():
                return found
            time.sleep(_LOOK_SECONDS)
        else:
            return None


def _hold(path: Path, how: int) -> int:
    """Return a file that is locked until it is closed, by whoever closes it: a lock ends with its holder."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, how)
    except BaseException:
        os.close(file)
        raise
    return file
