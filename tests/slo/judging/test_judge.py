"""Verdicts, from counts made by hand: what must never pass, and what must."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from sloproof.finding import Verdict
from sloproof.model import Window
from sloproof.slo.judging.judge import Sources, judge
from sloproof.slo.judging.steps import MOMENTS, plan_of
from sloproof.slo.model import Calendar, NoData, Rolling
from tests.slo.counted import AT, judged, numbers, steps_of
from tests.slo.objectives import objective, sliced

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONTH = objective()
Events = Callable[[Window], tuple[int, int]]


def rate(bad: int, valid: int) -> Events:
    """Return so many events an hour."""
    return lambda one: (int(bad * (one.duration / HOUR)), int(valid * (one.duration / HOUR)))


def test_a_kept_objective_passes_with_its_numbers() -> None:
    found = judged(MONTH, steps_of(MONTH, rate(12, 120_000)))
    assert found.verdict is Verdict.PASS
    assert found.consumed == Fraction(1, 10)
    assert found.sli == Fraction(9999, 10000)
    assert found.remaining == Fraction(9, 10)
    assert found.interval is not None
    assert found.interval.low < 0.9999 < found.interval.high
    assert len(found.moments) == MOMENTS or len(found.moments) < MOMENTS
    assert [one.long for one in found.burn_rates] == [Fraction(1, 10)] * 4


def test_a_breach_fails() -> None:
    found = judged(MONTH, steps_of(MONTH, rate(240, 120_000)))
    assert numbers(found.verdict, found.consumed) == (Verdict.FAIL, 2)


def test_exactly_the_target_passes_and_one_event_more_fails() -> None:
    assert judged(MONTH, steps_of(MONTH, rate(120, 120_000))).consumed == 1
    assert judged(MONTH, steps_of(MONTH, rate(120, 120_000))).verdict is Verdict.PASS
    steps = list(steps_of(MONTH, rate(120, 120_000)))
    steps[7] = replace(steps[7], bad=steps[7].bad + 1)
    assert judged(MONTH, steps).verdict is Verdict.FAIL


@pytest.mark.parametrize(("bad", "verdict"), [(0, "inconclusive"), (1, "inconclusive"), (100, "fail")])
def test_two_hundred_events_do_not_prove_three_nines(bad: int, verdict: str) -> None:
    first = plan_of(MONTH, AT).windows()[0]
    found = judged(MONTH, steps_of(MONTH, lambda one: (bad, 200) if one == first else (0, 0)))
    assert found.verdict == verdict
    assert found.enough == 3838


def test_pitfall_05_nothing_at_all_never_passes() -> None:
    naive = 1 - 0 / max(1, 0)
    assert naive >= MONTH.target
    found = judged(MONTH, steps_of(MONTH, rate(0, 0), covered=lambda _: False))
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "there is no data at all")
    idle = judged(MONTH, steps_of(MONTH, rate(0, 0)))
    assert (idle.verdict, idle.sli) == (Verdict.INCONCLUSIVE, None)


def test_pitfall_08_half_a_window_never_passes_and_burns_in_no_row_it_does_not_cover() -> None:
    steps = steps_of(MONTH, rate(600, 120_000), covered=lambda one: one.start >= AT - 2 * HOUR)
    counts = [one for one in steps if one.covered]
    naive = Fraction(sum(one.bad for one in counts), sum(one.valid for one in counts)) / MONTH.budget
    found = judged(MONTH, steps)
    assert all(naive > row.factor for row in MONTH.rows if row.name == "ticket-slow")
    assert [one.long for one in found.burn_rates] == [5, None, None, None]
    assert found.count.coverage == Fraction(2, 720)
    good = judged(MONTH, steps_of(MONTH, rate(0, 120_000), covered=lambda one: one.start >= AT - 15 * DAY))
    assert good.verdict is Verdict.INCONCLUSIVE
    assert "50 %" in good.reason


def test_a_dead_target_never_passes() -> None:
    steps = steps_of(MONTH, rate(0, 120_000), covered=lambda one: one.end <= AT - 2 * HOUR)
    found = judged(MONTH, steps)
    assert found.count.coverage > Fraction(99, 100)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "there is no data of the last 2h")
    silent = judged(MONTH, steps_of(MONTH, rate(0, 120_000)), silent=('job="shop"',))
    assert silent.verdict is Verdict.INCONCLUSIVE


def test_a_partial_answer_neither_passes_nor_fails() -> None:
    for bad in (0, 1200):
        found = judged(MONTH, steps_of(MONTH, rate(bad, 120_000)), warnings=("a store did not answer",))
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "a store did not answer" in found.reason


def test_pitfall_22_a_contradiction_is_an_error() -> None:
    found = judged(MONTH, steps_of(MONTH, rate(0, 120_000)), contradiction="150 good of 100")
    assert (found.verdict, found.reason) == (Verdict.ERROR, "150 good of 100")


def test_pitfall_06_idle_slices_are_what_was_declared() -> None:
    made = sliced(rows=(), period=Rolling(3 * DAY))
    steps = steps_of(made, lambda one: (0, 0) if one.start.hour < 6 else (0, 100))
    # Naive: no number is not at least 95 %, so an idle slice is bad.
    naive = Fraction(sum(one.valid == 0 for one in steps), len(steps))
    assert naive > made.budget
    unknown = judged(made, steps)
    assert numbers(unknown.verdict, unknown.consumed, unknown.count.valid) == (Verdict.PASS, 0, 864 * 18 // 24)
    bad = judged(replace(made, no_data=NoData.BAD), steps)
    assert numbers(bad.verdict, bad.consumed) == (Verdict.FAIL, 25)
    assert "216 slices without an event count as bad" in bad.reason
    good = judged(replace(made, no_data=NoData.GOOD), steps)
    assert numbers(good.verdict, good.count.valid) == (Verdict.PASS, 864)
    assert "count as good" in good.reason


def test_pitfall_24_slices_without_data_are_not_dropped() -> None:
    # Slices of 20 s, a prober that is looked at each 60 s, and dead for a third of the time.
    made = sliced(rows=(), period=Rolling(6 * HOUR), slice_length=timedelta(seconds=20))

    def is_dead(one: Window) -> bool:
        return one.end <= AT - 4 * HOUR

    steps = steps_of(made, lambda one: (0, 1) if one.end.second == 0 else (0, 0), covered=lambda one: not is_dead(one))
    seen = [one for one in steps if one.valid]
    assert sum(one.bad for one in seen) == 0  # naive: all slices that were seen are good
    found = judged(made, steps)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.count.coverage == Fraction(2, 3)
    declared = judged(replace(made, no_data=NoData.BAD), steps)
    assert declared.verdict is Verdict.FAIL


def test_a_calendar_budget_of_slices_is_that_of_all_its_slices() -> None:
    zone = ZoneInfo("UTC")
    week = Calendar(1, "w", datetime(2026, 3, 9), zone)  # noqa: DTZ001
    made = sliced(rows=(), period=week)
    steps = steps_of(made, lambda one: (50, 100) if one.start.hour == 0 and one.start.minute < 30 else (0, 100))
    found = judged(made, steps)
    assert found.consumed == Fraction(12, 2016) / made.budget
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "of the whole period's budget spent" in found.reason
    many = judged(made, steps_of(made, lambda one: (50, 100) if one.start.hour < 2 else (0, 100)))
    assert many.verdict is Verdict.FAIL


def test_what_cannot_be_asked_is_blocked() -> None:
    found = judge(MONTH, Sources(), AT)
    assert found.verdict is Verdict.BLOCKED
    assert "prometheus" in found.reason


def test_an_instant_before_the_calendar_is_an_error() -> None:
    made = replace(MONTH, period=Calendar(1, "M", datetime(2027, 1, 1), ZoneInfo("UTC")))  # noqa: DTZ001
    assert judge(made, Sources(), AT).verdict is Verdict.ERROR


def test_a_missing_error_series_is_said() -> None:
    found = judged(MONTH, steps_of(MONTH, rate(0, 120_000)), remark="no series of bad events is there")
    assert found.verdict is Verdict.PASS
    assert "no series of bad events" in found.reason
