"""Counts made by hand, and judgements of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from sloproof.model import Window
from sloproof.slo.judging.budget import Counted
from sloproof.slo.judging.judge import judge_counts
from sloproof.slo.judging.steps import plan_of
from sloproof.slo.model import Objective
from sloproof.slo.verdicts import Count, Judgement

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def steps_of(
    objective: Objective, events: Callable[[Window], tuple[int, int]], at: datetime = AT,
    covered: Callable[[Window], bool] = lambda _: True,
) -> tuple[Count, ...]:  # fmt: skip
    """Return all steps of an objective's plan, with bad events and all of each."""
    found = []
    for one in plan_of(objective, at).windows():
        bad, valid = events(one) if covered(one) else (0, 0)
        found.append(Count(one, Fraction(bad), Fraction(valid), one.duration if covered(one) else timedelta(0)))
    return tuple(found)


def judged(objective: Objective, steps: Sequence[Count], at: datetime = AT, **more: Any) -> Judgement:
    return judge_counts(objective, Counted(tuple(steps), **more), plan_of(objective, at))


def numbers(*values: object) -> tuple[object, ...]:
    """Return numbers to be compared, whether whole or fractions."""
    return values
