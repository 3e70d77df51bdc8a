"""The arithmetic of budgets, exact: counts of steps added up to windows, and what part of a budget they spend.

All of it is fractions. Nothing here knows where counts come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

from sloproof.finding import Query
from sloproof.model import Window
from sloproof.slo.judging.steps import Plan
from sloproof.slo.model import AlertRow, Budgeting, Calendar, NoData, Objective
from sloproof.slo.verdicts import BurnRate, Count, Moment

COVERED = Fraction(99, 100)
"""How much of a period there must be data for."""

ROW_COVERED = Fraction(9, 10)
"""How much of a row's window: of a short one a single late scrape is a large part."""

_NOTHING = Fraction(0)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a source says of an objective, step by step.

    Attributes:
        steps: Events of each step of the plan, oldest first, as they were seen: slices are not judged yet.
        exact: Whether counts are differences of stored samples, or stored lines.
        queries: What was asked.
        warnings: Why the answer is only a part of what there is; empty where it is whole.
        contradiction: What cannot be true at once; empty where there is nothing.
        silent: Targets that do not answer their scrapes at the instant.
        remark: What is worth knowing beside; empty where there is nothing.
    """

    steps: tuple[Count, ...]
    exact: bool = True
    queries: tuple[Query, ...] = ()
    warnings: tuple[str, ...] = ()
    contradiction: str = ""
    silent: tuple[str, ...] = ()
    remark: str = ""


def merge(counts: Iterable[Count], window: Window) -> Count:
    """Return the sum of counts that do not overlap, over the window that they lie in; in whatever order they come."""
    parts = list(counts)
    return Count(
        window,
        _sum([one.bad for one in parts]),
        _sum([one.valid for one in parts]),
        sum((one.covered for one in parts), timedelta(0)),
    )


def within(steps: Iterable[Count], window: Window) -> Count:
    """Return the sum of the steps that lie in a window."""
    inside = (one for one in steps if one.window.start >= window.start and one.window.end <= window.end)
    return merge(inside, window)


def as_events(objective: Objective, steps: Iterable[Count]) -> tuple[Count, ...]:
    """Return steps as the objective's budget counts them: slices judged, and what is said of missing data applied.

    A slice without an event has no ratio. What it counts as, and what time without data does, is the objective's
    policy: unknown slices are none, good and bad ones are counted as such. Of single events, missing time counts as
    many, good or bad, as the rest of the period had in as much time.
    """
    if objective.budgeting is not Budgeting.OCCURRENCES:
        return tuple(_slice(objective, one) for one in steps)
    found = tuple(steps)
    if objective.no_data is NoData.UNKNOWN:
        return found
    seen = sum((one.covered for one in found), timedelta(0))
    valid = sum((one.valid for one in found), _NOTHING)
    if not seen or not valid:
        return found
    rate = valid / (seen // _MICROSECOND)
    return tuple(_filled(one, rate, objective.no_data) for one in found)


def sli(count: Count) -> Fraction | None:
    """Return the part of valid events that were good; None where there is no event."""
    return (count.valid - count.bad) / count.valid if count.valid > 0 else None


def consumed(objective: Objective, count: Count, whole: Window) -> Fraction | None:
    """Return the part of the budget that is spent; None where there is no event.

    Of slices in a calendar period the budget is that of all its slices, those to come too; of anything else, that of
    the events there were.

    Args:
        objective: Whose budget.
        count: Of the period, up to now.
        whole: The period to its end.
    """
    if count.valid <= 0:
        return None
    return count.bad / (objective.budget * _divisor(objective, count, whole))


def burn_rate(objective: Objective, row: AlertRow, steps: Sequence[Count]) -> BurnRate:
    """Return how fast the budget burns in a row's windows.

    Args:
        objective: Whose row.
        row: With its windows.
        steps: As `as_events` gives them.
    """
    return BurnRate(
        row, _burn(objective, row.long, steps, least=objective.min_events), _burn(objective, row.short, steps)
    )


def moments(objective: Objective, steps: Sequence[Count], plan: Plan, most: int) -> tuple[Moment, ...]:
    """Return the period in slices for charts, at most so many, with the budget that is left at the end of each."""
    inside = [one for one in steps if one.window.start >= plan.period.start]
    total = merge(inside, plan.period)
    group = -(-len(inside) // most) if inside else 1
    found, spent = [], _NOTHING
    for first in range(0, len(inside), group):
        part = inside[first : first + group]
        one = merge(part, Window(part[0].window.start, part[-1].window.end))
        spent += one.bad
        left = None
        if total.valid > 0:
            left = 1 - spent / (objective.budget * _divisor(objective, total, plan.whole))
        if one.covered or one.valid:
            found.append(Moment(one.window.start, one.bad, one.valid, left))
        else:
            found.append(Moment(one.window.start, None, None, left))
    return tuple(found)


def _sum(numbers: Sequence[Fraction]) -> Fraction:
    # Adding whole numbers as such is many times as fast, and most counts are.
    if all(one.denominator == 1 for one in numbers):
        return Fraction(sum(one.numerator for one in numbers))
    return sum(numbers, _NOTHING)


def _burn(objective: Objective, window: timedelta, steps: Sequence[Count], least: int = 0) -> Fraction | None:
    end = steps[-1].window.end
    length = objective.slice_length
    if objective.budgeting is not Budgeting.OCCURRENCES and length:
        window = -(-window // length) * length
    one = within(steps, Window(end - window, end))
    if one.valid <= 0 or one.valid < least or one.coverage < ROW_COVERED:
        return None
    return one.bad / one.valid / objective.budget


def _divisor(objective: Objective, count: Count, whole: Window) -> Fraction:
    if isinstance(objective.period, Calendar) and objective.budgeting is not Budgeting.OCCURRENCES:
        assert objective.slice_length is not None
        return Fraction(max(1, whole.duration // objective.slice_length))
    return count.valid


def _slice(objective: Objective, seen: Count) -> Count:
    if seen.valid > 0:
        good = (seen.valid - seen.bad) / seen.valid
        if objective.slice_target is None:
            return replace(seen, bad=1 - good, valid=Fraction(1))
        return replace(seen, bad=Fraction(good < objective.slice_target), valid=Fraction(1))
    if objective.no_data is NoData.UNKNOWN:
        return replace(seen, bad=_NOTHING, valid=_NOTHING)
    bad = Fraction(objective.no_data is NoData.BAD)
    return Count(seen.window, bad, Fraction(1), seen.window.duration)


def _filled(one: Count, rate: Fraction, policy: NoData) -> Count:
    missing = one.window.duration - one.covered
    events = rate * (missing // _MICROSECOND)
    bad = one.bad + (events if policy is NoData.BAD else 0)
    return Count(one.window, bad, one.valid + events, one.window.duration)
