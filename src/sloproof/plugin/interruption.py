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
    """Somebody asked this process to end; pytest treats it as Ctrl-C: it cleans up and reports what it has."""


class Interruption:
    """What happens on a signal while a run has something to clean up. Does nothing outside the main thread."""

    def __init__(self) -> None:
        self._is_holding = False
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
    def held(self) -> Iterator[list[signal.Signals]]:
        """Hold the first signal back for a block that ends soon by itself; the second one breaks it.

        Yields:
            The signals that were held back, still empty at first.
        """
        noted: list[signal.Signals] = []
        if self._is_holding or threading.current_thread() is not threading.main_thread():
            yield noted
            return

        def note(number: int, frame: FrameType | None) -> None:
            noted.append(signal.Signals(number))
            if len(noted) > 1:
                _raise(number, frame)
            if sys.__stderr__ is not None:
                sys.__stderr__.write("\nsloproof: ending the environment; once more to leave at once\n")

        numbers = [number for number in (signal.SIGINT, *_ENDING) if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, note) for number in numbers}
        self._is_holding = True
        try:
            yield noted
        finally:
            self._is_holding = False
            for number, handler in before.items():
                signal.signal(number, handler)


def _raise(number: int, _: FrameType | None) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(signal.Signals(number).name)
