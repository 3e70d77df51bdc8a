"""What a person sees while a load runs: a line that moves on a terminal, one line at the end elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Line

from sloproof.duration import format_duration
from sloproof.load.profile import Profile
from sloproof.load.running import LoadResult, Progress


class ProgressLine:
    """Shows one load; a context manager, so that the line never outlives it.

    Args:
        console: Where to; whether it is a terminal decides how.
        name: The load's name.
        profile: Its profile, for the time that is left.
    """

    def __init__(self, console: Console, name: str, profile: Profile) -> None:
        self._console = console
        self._name = name
        self._total = profile.length_seconds or (float(profile.requests) if profile.requests else None)
        self._by_time = profile.length_seconds is not None
        self._line: Line | None = None

    def __enter__(self) -> Self:
        """Show the line, on a terminal."""
        if self._console.is_terminal:
            self._line = Line(
                TextColumn("[bold]{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}", markup=False),
                console=self._console, transient=True,
            )  # fmt: skip
            self._line.add_task(self._name, total=self._total, facts="starting")
            self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line away."""
        if self._line is not None:
            self._line.stop()

    def update(self, progress: Progress) -> None:
        """Show how far the load is; fits `RunningLoad.wait(on_progress=...)`. Elsewhere than on a terminal: nothing."""
        if self._line is not None:
            done = progress.elapsed.total_seconds() if self._by_time else float(progress.requests)
            self._line.update(self._line.task_ids[0], completed=done, facts=describe(progress))

    def end(self, result: LoadResult) -> None:
        """Say in one line what the load did, and in one line each why not to trust it."""
        self._console.print(f"{self._name}: {summarise(result)}", markup=False, highlight=False, soft_wrap=True)
        for warning in result.warnings:
            self._console.print(f"{self._name}: warning: {warning}", markup=False, highlight=False, soft_wrap=True)


def describe(progress: Progress) -> str:
    """Return how far a load is, in one line."""
    parts = [f"{progress.requests} requests", f"{progress.failures} failed"]
    if progress.p95 is not None:
        parts.append(f"p95 {format_duration(progress.p95)}")
    if progress.remaining is not None:
        parts.append(f"{progress.remaining.total_seconds():.0f} s left")
    return ", ".join(parts)


def summarise(result: LoadResult) -> str:
    """Return what a load did, in one line."""
    asked = "" if result.asked_rate is None else f" of {result.asked_rate:g} asked"
    failed = ", ".join(f"{count} {kind}" for kind, count in sorted(result.failures.items()) if count) or "no failures"
    parts = [
        f"{result.requests} requests in {format_duration(result.window.duration)}",
        f"{result.achieved_rate:.1f} a second{asked}",
        failed,
    ]
    if result.unsent:
        parts.append(f"{result.unsent} unsent")
    p95 = result.ledger.quantile(0.95)
    if p95 is not None:
        parts.append(f"p95 {p95.total_seconds() * 1000:.1f} ms")
    return ", ".join(parts)
