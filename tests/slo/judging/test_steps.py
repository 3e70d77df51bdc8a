from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.slo.judging.steps import MOMENTS, plan_of
from sloproof.slo.model import AlertRow, Calendar, Rolling, Severity
from tests.slo.counted import AT
from tests.slo.objectives import objective, sliced

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


@given(
    st.datetimes(datetime(2026, 1, 2), datetime(2026, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - given a zone
    st.sampled_from([HOUR, 12 * HOUR, 7 * DAY, 28 * DAY, 30 * DAY, 90 * DAY, None]),
)
def test_steps_are_contiguous_and_begin_every_window(at: datetime, length: timedelta | None) -> None:
    period = Rolling(length) if length else Calendar(1, "M", datetime(2026, 1, 1), BERLIN)  # noqa: DTZ001
    made = replace(objective(), period=period)
    plan = plan_of(made, at)
    windows = plan.windows()
    assert all(one.end == other.start for one, other in pairwise(windows))
    assert at - windows[-1].end < timedelta(milliseconds=1)
    starts = {one.start for one in windows}
    assert plan.period.start in starts
    for row in made.rows:
        assert {plan.span.end - row.long, plan.span.end - row.short} <= starts
    inside = [one for one in windows if one.start >= plan.period.start]
    assert len(inside) <= MOMENTS + 80


def test_a_month_is_asked_in_two_questions() -> None:
    assert [(run.step, run.count) for run in plan_of(objective(), AT).runs] == [(HOUR, 719), (HOUR / 12, 12)]


@given(st.integers(0, 3600))
def test_slices_are_the_same_whenever_one_asks(seconds: int) -> None:
    made = sliced(rows=(), period=Rolling(6 * HOUR))
    one, other = plan_of(made, AT), plan_of(made, AT + timedelta(seconds=seconds))
    assert set(one.windows()) - {w for w in one.windows() if w.start < other.period.start} <= set(other.windows())
    assert all(w.start.minute % 5 == 0 and w.start.second == 0 for w in other.windows())
    assert other.period.end <= AT + timedelta(seconds=seconds)


def test_slices_of_a_month_begin_with_it() -> None:
    made = sliced(rows=(), period=Calendar(1, "M", datetime(2026, 1, 1), BERLIN))  # noqa: DTZ001
    plan = plan_of(made, AT)
    assert plan.period.start == datetime(2026, 2, 28, 23, tzinfo=UTC)
    # A month with a clock change is an hour shorter.
    assert plan.whole.duration == 31 * DAY - HOUR


@pytest.mark.parametrize("at", [datetime(2026, 3, 31, 21, 59, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)])
def test_pitfall_23_a_month_is_no_thirty_days(at: datetime) -> None:
    made = replace(objective(), period=Calendar(1, "M", datetime(2026, 1, 1), BERLIN))  # noqa: DTZ001
    naive = at - 30 * DAY
    plan = plan_of(made, at)
    assert plan.period.start != naive
    assert plan.period.start.astimezone(BERLIN).day == 1
    assert plan.period.start.astimezone(BERLIN).hour == 0
    local = at.astimezone(BERLIN)
    assert (plan.period.duration < HOUR) == (local.day == 1)


@pytest.mark.parametrize(
    ("period", "back", "step"),
    [(10, 720, 1), (900, 720, 2), (10, 1500, 2), (10, 86_400, 60), (7200, 720, 10)],
)
def test_moments_of_a_load_are_as_short_as_asked_for_unless_a_row_looks_back_too_far(
    period: int, back: int, step: int
) -> None:
    row = AlertRow("page", Severity.PAGE, timedelta(seconds=back), timedelta(seconds=1), Fraction(14))
    made = objective(period=Rolling(timedelta(seconds=period)), rows=(row,))
    plan = plan_of(made, AT, timedelta(seconds=1))
    assert plan.coarse == min(timedelta(seconds=step), timedelta(seconds=period))
    assert plan_of(made, AT).coarse == min(timedelta(minutes=1), timedelta(seconds=period))
