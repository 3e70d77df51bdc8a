"""What judging an objective at an instant gives: numbers, evidence and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from sloproof.finding import Query, Verdict
from sloproof.model import Window
from sloproof.slo.model import AlertRow, Objective


@dataclass(frozen=True, slots=True)
class Count:
    """Events of a window: those that were bad, and all that were valid. Fractions where slices or ratios are weighed.

    Attributes:
        covered: How much of the window there is data for, idle time included.
    """

    window: Window
    bad: Fraction
    valid: Fraction
    covered: timedelta

    @property
    def coverage(self) -> Fraction:
        """Return the part of the window that is covered, from 0 to 1."""
        return Fraction(self.covered / timedelta(microseconds=1)) / Fraction(
            max(self.window.duration, timedelta(microseconds=1)) / timedelta(microseconds=1)
        )


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a ratio, ends included."""

    low: float
    high: float
    confidence: float
    method: Literal["wilson", "clopper-pearson"]


@dataclass(frozen=True, slots=True)
class BurnRate:
    """How fast the budget burns in one row's windows; None where a window holds no event or is not covered."""

    row: AlertRow
    long: Fraction | None
    short: Fraction | None

    @property
    def is_burning(self) -> bool:
        """Return whether the row's condition holds."""
        return (
            self.long is not None
            and self.short is not None
            and self.long > self.row.factor
            and self.short > self.row.factor
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """A slice of the period, for charts: its begin, events, and the budget left at its end (1 is all of it)."""

    start: datetime
    bad: Fraction | None  # None where there is no data
    valid: Fraction | None
    budget_left: Fraction | None


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One alert through its life, each instant None while it has not come.

    Attributes:
        bound: The latest instant at which it may be told, by the row's formula; None where the fault's begin is not
            known.
        clear_bound: The same for its end.
    """

    row: str
    severity: str
    pending: datetime | None = None
    firing: datetime | None = None
    delivered: datetime | None = None
    cleared: datetime | None = None
    bound: datetime | None = None
    clear_bound: datetime | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """An objective, judged at one instant; asking again for the same instant gives the same.

    Attributes:
        at: The instant.
        count: Events of the period up to the instant.
        sli: Good by valid events; None where there is no event.
        consumed: Part of the budget that is spent: 1 is all of it, more is a breach; None where there is no event.
        interval: Of the SLI.
        enough: Fewest events that could prove the target at all.
        moments: The period in slices, oldest first; as many as charts need, not more.
        reason: Why the verdict is what it is, one sentence.
        exact: Whether counts are differences of raw samples; False where an expression with its own window had to be
            taken at its word.
        alerts: Of its rows, where somebody watched them.
        drill: Whether a fault was planted to see its alerts; the verdict is then that of the alerts, and what was
            spent of the budget was spent on purpose.
    """

    objective: Objective
    at: datetime
    verdict: Verdict
    reason: str
    count: Count
    sli: Fraction | None
    consumed: Fraction | None
    interval: Interval | None
    enough: int
    burn_rates: tuple[BurnRate, ...] = ()
    moments: tuple[Moment, ...] = ()
    alerts: tuple[AlertEvent, ...] = ()
    queries: tuple[Query, ...] = ()
    exact: bool = True
    drill: bool = False

    @property
    def remaining(self) -> Fraction | None:
        """Return the part of the budget that is left; below 0 after a breach."""
        return None if self.consumed is None else 1 - self.consumed
