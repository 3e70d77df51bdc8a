"""The instants at which an objective's events are counted: a period cut into steps, and finer where a row asks for it.

Steps are contiguous and do not overlap, so what they count can be added up in any way. Every window that is judged
begins and ends where steps do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import gcd

from sloproof.model import Window
from sloproof.slo.calendar import period_at
from sloproof.slo.model import Budgeting, Calendar, Objective

MOMENTS = 720
"""At most so many coarse steps a period; as many as a chart shows."""

RECENT = timedelta(minutes=5)
"""How long ago the last sample may be before a target is silent: Prometheus' own lookback."""

_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FINEST = timedelta(minutes=1)
"""Steps are no shorter unless asked for: each has to hold a few scrapes, and few are scraped more often than so."""

_COARSE = tuple(timedelta(seconds=one) for one in (1, 2, 5, 10, 15, 30)) + tuple(
    timedelta(minutes=one) for one in (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)
)
# Finer steps in one question, rather than a question a step.
_MOST_FINE = 60
_MOST_SHORT = 2 * MOMENTS


@dataclass(frozen=True, slots=True)
class Run:
    """Steps of one length: `count` of them from `start` on."""

    start: datetime
    step: timedelta
    count: int

    @property
    def window(self) -> Window:
        """Return all of it."""
        return Window(self.start, self.start + self.count * self.step)

    def windows(self) -> Iterator[Window]:
        """Yield its steps, oldest first; each holds what is after its start, up to its end."""
        for number in range(self.count):
            start = self.start + number * self.step
            yield Window(start, start + self.step)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which steps an objective is counted in at an instant.

    Attributes:
        period: What the budget is spent in, up to the instant; of slices, the whole ones.
        whole: The period to its end, which for one of the calendar is yet to come.
        coarse: Length of most steps.
        runs: Contiguous, oldest first. They may begin before the period, where a row looks back further.
    """

    period: Window
    whole: Window
    coarse: timedelta
    runs: tuple[Run, ...]

    def windows(self) -> tuple[Window, ...]:
        """Return all steps, oldest first."""
        return tuple(window for run in self.runs for window in run.windows())

    @property
    def span(self) -> Window:
        """Return all that is counted."""
        return Window(self.runs[0].start, self.runs[-1].window.end)


def plan_of(objective: Objective, at: datetime, finest: timedelta = FINEST) -> Plan:
    """Return the steps that an objective is counted in at an instant.

    Args:
        objective: Of any budgeting method.
        at: Aware; what is below a millisecond is cut off, for no sample has it.
        finest: Shortest steps of a short period.

    Raises:
        SettingsError: The instant is before the first period of the calendar.
    """
    at = _EPOCH + (at.astimezone(UTC) - _EPOCH) // _MS * _MS
    whole = period_at(objective.period, at)
    if objective.budgeting is not Budgeting.OCCURRENCES and objective.slice_length:
        return _sliced(objective, objective.slice_length, whole, at)
    length = at - whole.start
    back = max((row.long for row in objective.rows), default=timedelta(0))
    coarse = next((one for one in _COARSE if one >= _least(finest, back) and MOMENTS * one >= length), _COARSE[-1])
    # A period of minutes still has steps that hold a few scrapes.
    coarse = min(coarse, max(length, _MS))
    edges = {at - one for row in objective.rows for one in (row.long, row.short)}
    edges |= {at - min(RECENT, max(length, _MS)), whole.start} if length else {at - _MS}
    return Plan(Window(whole.start, at), whole, coarse, tuple(_runs(edges, at, coarse)))


def _least(finest: timedelta, back: timedelta) -> timedelta:
    """Return how short steps may be: those shorter than usual only where no row looks back over too many of them."""
    return max(finest, min(back / _MOST_SHORT, FINEST))


def _sliced(objective: Objective, length: timedelta, whole: Window, at: datetime) -> Plan:
    """Return a plan whose steps are the slices that have ended.

    Of a rolling period they begin at multiples of their length since 1970, so that each is the same slice whenever one
    asks; of the calendar, with the period.
    """
    origin = whole.start if isinstance(objective.period, Calendar) else _EPOCH
    end = origin + (at - origin) // length * length
    first = origin - (origin - whole.start) // length * length
    back = max((-(-row.long // length) for row in objective.rows), default=1)
    start = min(first, end - back * length)
    run = Run(start, length, max(1, (end - start) // length))
    return Plan(Window(min(first, end), end), whole, length, (run,))


def _runs(edges: set[datetime], at: datetime, coarse: timedelta) -> Iterator[Run]:
    first = min(edges)
    number = (at - first) // coarse
    grid = at - number * coarse
    if first < grid:
        yield from _fine([first, *sorted(one for one in edges if first < one < grid), grid])
    plain = grid
    split = sorted({(at - one) // coarse if (at - one) % coarse else -1 for one in edges if one > grid}, reverse=True)
    for back in split:
        if back < 0:
            continue
        start, end = at - (back + 1) * coarse, at - back * coarse
        if plain < start:
            yield Run(plain, coarse, (start - plain) // coarse)
        yield from _fine([start, *sorted(one for one in edges if start < one < end), end])
        plain = end
    if plain < at:
        yield Run(plain, coarse, (at - plain) // coarse)


def _fine(edges: list[datetime]) -> Iterator[Run]:
    lengths = [(later - earlier) // _MS for earlier, later in pairwise(edges)]
    step = gcd(*lengths)
    count = sum(lengths) // step
    if count <= _MOST_FINE:
        yield Run(edges[0], step * _MS, count)
    else:
        for earlier, later in pairwise(edges):
            yield Run(earlier, later - earlier, 1)
