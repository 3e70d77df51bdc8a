"""Turns the signals that would end pytest at once into an orderly end, and lets an end that has begun be finished."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """Somebody asked this process to end; pytest treats it as Ctrl-C: it clean up and reports what it has."""


class Interruption:
    """What happens on a signal while a run has something to clean up. Does nothing outside the main thread."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, signal._HANDLER] = {}
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                # Whoever handles or ignores it already (nohup does) is left to it.
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._before[number] = signal.signal(number, _raise)

    def restore(self) -> None:
        """Put back what was there before; safe to call twice."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the first signal back until the block is over, since that ends soon by itself; the second breaks it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        noted: list[int] = []

        def note(number: int, frame: FrameType | None) -> None:
            noted.append(number)
            if len(noted) > 1:
                _raise(number, frame)
            sys.__stderr__ and sys.__stderr__.write(
                "\nsloproof: ending the environment; once more to leave it at once\n"
            )

        numbers = [number for number in (signal.SIGINT, *_ENDING) if signal.getsignal(number) is not signal.SIG_IGN]
        handlers = {number: signal.signal(number, note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if noted:
            _raise(noted[0], None)


def _raise(number: int, _: FrameType | None) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(signal.Signals(number).name)
