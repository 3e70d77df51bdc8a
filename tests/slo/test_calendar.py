"""Periods against the calendar itself: month ends, clock changes, slices."""

# ruff: noqa: DTZ001 - what the clock on a wall shows has no zone

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.errors import SettingsError
from sloproof.model import Window
from sloproof.slo.calendar import boundary, nominal_length, period_at, slice_count, slices
from sloproof.slo.model import Calendar, Rolling

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def calendar(count: int, unit: str, start: datetime, zone: ZoneInfo = BERLIN) -> Calendar:
    return Calendar(count, unit, start, zone)


def test_rolling_period_ends_at_the_instant() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert period_at(Rolling(timedelta(days=30)), at) == Window(at - timedelta(days=30), at)


def test_month_is_the_calendars_and_not_thirty_days() -> None:
    months = calendar(1, "M", datetime(2026, 1, 1))
    found = period_at(months, datetime(2026, 2, 10, tzinfo=UTC))
    assert found == Window(datetime(2026, 1, 31, 23, tzinfo=UTC), datetime(2026, 2, 28, 23, tzinfo=UTC))
    assert found.duration == timedelta(days=28)


def test_month_that_began_on_a_31st_returns_to_it() -> None:
    months = calendar(1, "M", datetime(2027, 12, 31), ZoneInfo("UTC"))
    assert [boundary(months, number).date().isoformat() for number in range(5)] == [
        "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30",
    ]  # fmt: skip


def test_month_end_belongs_to_the_next_period() -> None:
    months = calendar(1, "M", datetime(2026, 1, 1), ZoneInfo("UTC"))
    end = datetime(2026, 2, 1, tzinfo=UTC)
    assert period_at(months, end).start == end
    assert period_at(months, end - timedelta(microseconds=1)).end == end


@pytest.mark.parametrize(
    ("day", "hours"),
    [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 3, 28), 24)],
)
def test_day_of_a_clock_change_is_shorter_or_longer(day: tuple[int, int, int], hours: int) -> None:
    days = calendar(1, "d", datetime(2026, 1, 1))
    found = period_at(days, datetime(*day, 12, tzinfo=BERLIN))
    assert found.duration == timedelta(hours=hours)
    assert slice_count(found, timedelta(minutes=5)) == hours * 12


def test_begin_in_the_skipped_hour_is_after_the_change() -> None:
    days = calendar(1, "d", datetime(2026, 3, 28, 2, 30))
    assert boundary(days, 1) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert boundary(days, 2) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


def test_week_of_five_minute_slices_has_2016() -> None:
    weeks = calendar(1, "w", datetime(2022, 1, 1, 12), NEW_YORK)
    found = period_at(weeks, datetime(2022, 1, 5, tzinfo=UTC))
    assert slice_count(found, timedelta(minutes=5)) == 2016


def test_quarter_and_year_have_their_own_lengths() -> None:
    quarters = calendar(1, "Q", datetime(2024, 1, 1), ZoneInfo("UTC"))
    assert period_at(quarters, datetime(2024, 2, 1, tzinfo=UTC)).duration == timedelta(days=91)
    years = calendar(1, "Y", datetime(2024, 1, 1), ZoneInfo("UTC"))
    assert period_at(years, datetime(2024, 2, 1, tzinfo=UTC)).duration == timedelta(days=366)
    assert nominal_length(years) == timedelta(days=365)


def test_hours_are_elapsed_time_across_a_clock_change() -> None:
    hours = calendar(6, "h", datetime(2026, 3, 29))
    assert boundary(hours, 1) - boundary(hours, 0) == timedelta(hours=6)


def test_instant_before_the_first_period_is_refused() -> None:
    with pytest.raises(SettingsError, match="before the first begins"):
        period_at(calendar(1, "M", datetime(2026, 1, 1)), datetime(2025, 12, 31, tzinfo=UTC))


def test_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(SettingsError, match="time zone"):
        period_at(Rolling(timedelta(days=1)), datetime(2026, 1, 1))


def test_last_slice_ends_with_the_period() -> None:
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 25, tzinfo=UTC))
    found = list(slices(window, timedelta(minutes=10)))
    assert [one.duration for one in found] == [timedelta(minutes=10), timedelta(minutes=10), timedelta(minutes=5)]
    assert len(found) == slice_count(window, timedelta(minutes=10))


@given(
    st.sampled_from(["h", "d", "w", "M", "Q", "Y"]),
    st.integers(1, 5),
    st.datetimes(datetime(2015, 1, 1), datetime(2026, 12, 31)),
    st.sampled_from([BERLIN, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")]),
    st.timedeltas(timedelta(days=1), timedelta(days=4000)),
)
def test_every_instant_lies_in_exactly_one_period(
    unit: str, count: int, start: datetime, zone: ZoneInfo, after: timedelta
) -> None:
    period = Calendar(count, unit, start, zone)
    at = boundary(period, 0) + after
    found = period_at(period, at)
    assert found.start <= at < found.end
    assert period_at(period, found.end).start == found.end
    assert period_at(period, found.start) == found
