"""Alerting rows: who is told when, at which burn rate over which windows, and the formulas that bound it.

A burn rate is an error ratio by the error budget: at 1 the budget lasts exactly the period. A row holds while the burn
rate exceeds its factor in the long window and in the short one; the short one is what makes it end soon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache
from math import ceil

from sloproof.slo.calendar import nominal_length
from sloproof.slo.model import AlertRow, Period, Severity

MIN_SCRAPES = 4  # a range with fewer may hold a single increment and be extrapolated from it
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_REFERENCE = timedelta(days=30)
# Windows below keep their length down to this period; a shorter one would be used up before a ticket's window is full.
_SHORTEST_UNSCALED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RowWindows:
    """One row of a catalogue: which part of the budget may be spent before someone is told, seen in which windows."""

    name: str
    severity: Severity
    budget_fraction: Fraction
    long: timedelta
    short: timedelta


DEFAULT_WINDOWS = (
    RowWindows("page-quick", Severity.PAGE, Fraction(2, 100), timedelta(hours=1), timedelta(minutes=5)),
    RowWindows("page-slow", Severity.PAGE, Fraction(5, 100), timedelta(hours=6), timedelta(minutes=30)),
    RowWindows("ticket-quick", Severity.TICKET, Fraction(10, 100), timedelta(days=1), timedelta(hours=2)),
    RowWindows("ticket-slow", Severity.TICKET, Fraction(10, 100), timedelta(days=3), timedelta(hours=6)),
)


@lru_cache(maxsize=256)  # a thousand objectives share a handful of periods and targets
def default_rows(period: Period, budget: Fraction, scrape_interval: timedelta) -> tuple[AlertRow, ...]:
    """Return the rows of an objective that names none, most urgent first; those that could never hold are left out.

    For periods of 7 days and more the windows are those of `DEFAULT_WINDOWS`; for shorter ones they shrink with the
    period by 30 days, to the millisecond, but never below four scrapes. Of rows of one severity that come to have the
    same windows, the one with the lowest factor stays: whenever another holds, it holds too.

    Args:
        period: What the budget is for; of a calendar period its nominal length is taken.
        budget: Ratio that may be bad, above 0.
        scrape_interval: Of what the objective is measured by.
    """
    return tuple(row for row in catalogue_rows(period, scrape_interval) if is_reachable(row, budget))


def left_out_rows(period: Period, budget: Fraction, scrape_interval: timedelta) -> tuple[AlertRow, ...]:
    """Return the default rows that could never hold for such a budget, so that one can say they are not there."""
    return tuple(row for row in catalogue_rows(period, scrape_interval) if not is_reachable(row, budget))


def catalogue_rows(
    period: Period, scrape_interval: timedelta, windows: Sequence[RowWindows] = DEFAULT_WINDOWS
) -> tuple[AlertRow, ...]:
    """Return the rows that a catalogue for 30 days makes for a period, whatever the budget; see `default_rows`."""
    length = nominal_length(period)
    scale = (
        Fraction(1) if length >= _SHORTEST_UNSCALED else Fraction(length // _MICROSECOND, _REFERENCE // _MICROSECOND)
    )
    shortest = MIN_SCRAPES * scrape_interval if scale < 1 else timedelta(0)
    rows: dict[tuple[Severity, timedelta, timedelta], AlertRow] = {}
    for one in windows:
        row = row_of(
            RowWindows(
                one.name,
                one.severity,
                one.budget_fraction,
                max(_scaled_window(one.long, scale), shortest),
                max(_scaled_window(one.short, scale), shortest),
            ),
            length,
        )
        key = (row.severity, row.long, row.short)
        if key not in rows or row.factor < rows[key].factor:
            rows[key] = row
    return tuple(rows.values())


def row_of(windows: RowWindows, period: timedelta) -> AlertRow:
    """Return the row of a catalogue's entry, windows as they are: factor = budget fraction * period / long window."""
    factor = windows.budget_fraction * Fraction(period // _MICROSECOND, windows.long // _MICROSECOND)
    return AlertRow(windows.name, windows.severity, windows.long, windows.short, factor)


def detection_time(row: AlertRow, budget: Fraction, error_ratio: Fraction) -> timedelta | None:
    """Return how long a constant error ratio lasts before the row's alert fires; None where it never does.

    It holds for steady traffic that was good for the whole long window before: factor * budget / error ratio * long
    window, and then the row's hold. Rounded up to the microsecond; scrapes and evaluations come on top.
    """
    if error_ratio <= row.factor * budget:
        return None
    return scaled(row.long, row.factor * budget / error_ratio) + row.hold


def reset_time(row: AlertRow, budget: Fraction, error_ratio: Fraction) -> timedelta | None:
    """Return how long after its end a constant error ratio keeps the row's condition up; None where it never was.

    It holds for a fault that lasted at least the short window, with steady traffic after it:
    short window * (1 - factor * budget / error ratio). Rounded up to the microsecond.
    """
    if error_ratio <= row.factor * budget:
        return None
    return scaled(row.short, 1 - row.factor * budget / error_ratio)


def is_reachable(row: AlertRow, budget: Fraction) -> bool:
    """Return whether the row can hold at all: no error ratio exceeds 1, so factor * budget must be below it."""
    return row.factor * budget < 1


def budget_spent(row: AlertRow, period: Period) -> Fraction:
    """Return the part of the budget that is spent when the row begins to hold: factor * long window / period."""
    return row.factor * Fraction(row.long // _MICROSECOND, nominal_length(period) // _MICROSECOND)


def scaled(duration: timedelta, ratio: Fraction) -> timedelta:
    """Return a duration times a ratio, rounded up to the microsecond; a timedelta itself only knows floats."""
    return timedelta(microseconds=ceil(Fraction(duration // _MICROSECOND) * ratio))


def _scaled_window(window: timedelta, scale: Fraction) -> timedelta:
    return max(_MILLISECOND, round(Fraction(window // _MILLISECOND) * scale) * _MILLISECOND)
