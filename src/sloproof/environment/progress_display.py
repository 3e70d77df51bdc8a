"""How obtaining is shown: one live line a tool on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from sloproof.environment.obtaining import Progress

_PLAIN_SECONDS = 30.0


@contextmanager
def showing(console: Console) -> Iterator[Progress]:
    """Give a Progress that writes to a console, in the way that suits it, until the block ends."""
    if not console.is_terminal:
        yield PlainProgress(console)
        return
    live = LiveProgress(console)
    try:
        yield live
    finally:
        live.close()


class PlainProgress:
    """A line when something begins, every 30 s while it lasts, and when it ends.

    Args:
        console: Where to.
        clock: Seconds that never go back.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._began: dict[str, float] = {}
        self._spoke: dict[str, float] = {}

    def start(self, subject: str, text: str) -> None:
        """Say that something begins."""
        self._began[subject] = self._spoke[subject] = self._clock()
        self._say(text)

    def advance(self, subject: str, done: int, total: int | None) -> None:
        """Say how many bytes have come, if nothing was said for a while."""
        self.tick(subject, _bytes(done, total))

    def tick(self, subject: str, detail: str) -> None:
        """Say how far it is, if nothing was said for a while."""
        now = self._clock()
        if now - self._spoke.get(subject, now) >= _PLAIN_SECONDS:
            self._spoke[subject] = now
            self._say(f"{subject}: {now - self._began[subject]:.0f} s, {detail}")

    def finish(self, subject: str, text: str) -> None:  # noqa: ARG002 - the text names it
        """Say how it ended."""
        self._say(text)

    def note(self, subject: str, text: str) -> None:  # noqa: ARG002 - the text names it
        """Say what the user should know."""
        self._say(text)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveProgress:
    """A line for each tool that changes in place; notes scroll by above."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: dict[str, TaskID] = {}
        self._display = RichProgress(
            SpinnerColumn(finished_text="·", table_column=Column(width=1)),
            TimeElapsedColumn(table_column=Column(width=7)),
            TextColumn(
                "{task.description}  {task.fields[detail]}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            console=console,
            expand=True,
        )

    def start(self, subject: str, text: str) -> None:
        """Show a line, in the place of the subject's last."""
        self._display.start()
        if subject in self._lines:
            self._display.remove_task(self._lines[subject])
        self._lines[subject] = self._display.add_task(text, total=None, detail="")

    def advance(self, subject: str, done: int, total: int | None) -> None:
        """Show how many bytes have come."""
        self.tick(subject, _bytes(done, total))

    def tick(self, subject: str, detail: str) -> None:
        """Show how far it is."""
        self._display.update(self._lines[subject], detail=detail)

    def finish(self, subject: str, text: str) -> None:
        """Show how it ended, and let the line stand."""
        self._display.update(self._lines[subject], description=text, detail="", total=1, completed=1)

    def note(self, subject: str, text: str) -> None:  # noqa: ARG002 - the text names it
        """Print what the user should know."""
        self._display.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Give the terminal back."""
        self._display.stop()


def _bytes(done: int, total: int | None) -> str:
    return f"{done / 1e6:.1f} MB" if total is None else f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
