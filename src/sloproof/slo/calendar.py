"""Periods: which stretch of time an objective's budget is for, at an instant.

Days, weeks, months, quarters and years follow the clock on the wall of their place, so a day there has 23 or 25 hours
when the clocks change, and a month the days it has. Hours and minutes are elapsed time.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sloproof.errors import SettingsError
from sloproof.model import Window
from sloproof.slo.model import Calendar, Period, Rolling

_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_WALL_DAYS = {"d": 1, "w": 7}
_ELAPSED = {"m": timedelta(minutes=1), "h": timedelta(hours=1)}
# What a unit is taken to be where only a length is asked for, as to compute factors.
_NOMINAL = {
    **_ELAPSED,
    "d": timedelta(days=1),
    "w": timedelta(days=7),
    "M": timedelta(days=30),
    "Q": timedelta(days=90),
    "Y": timedelta(days=365),
}


def period_at(period: Period, instant: datetime) -> Window:
    """Return the period that an instant lies in.

    A rolling one ends at the instant. One of the calendar is whole: it may end after the instant, and its end is the
    begin of the next, which that instant belongs to.

    Args:
        period: Rolling or by the calendar.
        instant: Aware, in any zone.

    Raises:
        SettingsError: The instant is before the first period of the calendar, or has no zone.
    """
    if instant.tzinfo is None:
        raise SettingsError(f"expected an instant with a time zone, got {instant.isoformat()}", hint="add Z for UTC")
    instant = instant.astimezone(UTC)
    if isinstance(period, Rolling):
        return Window(instant - period.duration, instant)
    first = boundary(period, 0)
    if instant < first:
        raise SettingsError(
            f"expected an instant in a period of the calendar, got {instant.isoformat()}, before the first begins",
            first=first.isoformat(),
            hint="set calendar.startTime of the SLO to an earlier begin of a period, or ask for a later instant",
        )
    number = _guess(period, first, instant)
    # Months and clock changes make the guess wrong by at most a few periods, in either direction.
    while boundary(period, number) > instant:
        number -= 1
    while boundary(period, number + 1) <= instant:
        number += 1
    return Window(boundary(period, number), boundary(period, number + 1))


def boundary(period: Calendar, number: int) -> datetime:
    """Return when a period begins, in UTC; 0 is the first one.

    Months are counted from the first begin, so that one which began on a 31st begins on the last day of shorter months
    and on the 31st again where there is one. A wall-clock time that is skipped when clocks go forward is the same
    distance after the change; of one that comes twice it is the first.
    """
    count = number * period.count
    if period.unit in _ELAPSED:
        return _instant(period, period.start) + count * _ELAPSED[period.unit]
    if period.unit in _WALL_DAYS:
        return _instant(period, period.start + timedelta(days=count * _WALL_DAYS[period.unit]))
    months = period.start.year * 12 + period.start.month - 1 + count * _MONTHS[period.unit]
    year, month = divmod(months, 12)
    day = min(period.start.day, monthrange(year, month + 1)[1])
    return _instant(period, period.start.replace(year=year, month=month + 1, day=day))


def nominal_length(period: Period) -> timedelta:
    """Return how long a period is taken to be where one length must stand for all: a month 30 days, a year 365."""
    return period.duration if isinstance(period, Rolling) else period.count * _NOMINAL[period.unit]


def unit_length(unit: str) -> timedelta:
    """Return the nominal length of one m, h, d, w, M, Q or Y."""
    return _NOMINAL[unit]


def slice_count(window: Window, length: timedelta) -> int:
    """Return how many slices a period has; a rest that is shorter than a slice counts as one."""
    return -(-window.duration // length)


def slices(window: Window, length: timedelta) -> Iterator[Window]:
    """Yield the slices of a period, oldest first; the last one ends with the period.

    A slice's end is the begin of the next, which that instant belongs to.
    """
    start = window.start
    while start < window.end:
        yield Window(start, min(start + length, window.end))
        start += length


def _instant(period: Calendar, wall: datetime) -> datetime:
    return wall.replace(tzinfo=period.zone, fold=0).astimezone(UTC)


def _guess(period: Calendar, first: datetime, instant: datetime) -> int:
    return (instant - first) // nominal_length(period)
