"""A lock between processes that many may hold together, or one alone."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_LOOK_SECONDS = 0.005


class Turns:
    """Turns at something that processes share. A process that dies gives its turn up.

    Who waits for a turn alone is let in before whoever comes later, however many come: a wait ends.

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
    def alone(self, unless: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Hold the only turn, and yield True; yield False without a turn once there is no more need for one.

        Args:
            unless: Looked at while this waits: whether someone else has done meanwhile what the turn was for.
        """
        with ExitStack() as held:
            with ExitStack() as door:
                is_in = _enter(door, self._door, unless) and _enter(held, self._room, unless)
            yield is_in

    def is_free(self) -> bool:
        """Return whether nobody holds a turn at this moment."""
        try:
            os.close(_hold(self._room, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True


def _enter(stack: ExitStack, path: Path, unless: Callable[[], bool]) -> bool:
    """Take a lock alone and leave it to a stack to give it up; return False, without it, once there is no need."""
    while not unless():
        with suppress(BlockingIOError):
            stack.callback(os.close, _hold(path, fcntl.LOCK_EX | fcntl.LOCK_NB))
            return True
        time.sleep(_LOOK_SECONDS)
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
