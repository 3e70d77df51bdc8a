"""The catalogue of rows, and the formulas against the numbers of the SRE literature."""

# ruff: noqa: DTZ001 - what the clock on a wall shows has no zone

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.slo.model import AlertRow, Calendar, Rolling, Severity
from sloproof.slo.rows import (
    MIN_SCRAPES,
    budget_spent,
    catalogue_rows,
    default_rows,
    detection_time,
    is_reachable,
    left_out_rows,
    reset_time,
)

MONTH = Rolling(timedelta(days=30))
BUDGET = Fraction(1, 1000)
SCRAPE = timedelta(seconds=15)


def row(name: str) -> AlertRow:
    return next(one for one in default_rows(MONTH, BUDGET, SCRAPE) if one.name == name)


def test_thirty_days_give_the_known_factors() -> None:
    rows = default_rows(MONTH, BUDGET, SCRAPE)
    assert [(one.severity, one.long, one.short, one.factor) for one in rows] == [
        (Severity.PAGE, timedelta(hours=1), timedelta(minutes=5), Fraction("14.4")),
        (Severity.PAGE, timedelta(hours=6), timedelta(minutes=30), Fraction(6)),
        (Severity.TICKET, timedelta(days=1), timedelta(hours=2), Fraction(3)),
        (Severity.TICKET, timedelta(days=3), timedelta(hours=6), Fraction(1)),
    ]


def test_twenty_eight_days_keep_the_windows_and_follow_with_factors() -> None:
    assert [one.factor for one in catalogue_rows(Rolling(timedelta(days=28)), SCRAPE)] == [
        Fraction("13.44"), Fraction("5.6"), Fraction("2.8"), Fraction(14, 15),
    ]  # fmt: skip


def test_calendar_month_has_the_factors_of_thirty_days() -> None:
    month = Calendar(1, "M", datetime(2026, 1, 1), ZoneInfo("UTC"))
    assert catalogue_rows(month, SCRAPE) == catalogue_rows(MONTH, SCRAPE)


def test_twelve_hours_shrink_the_windows_by_sixty_and_keep_the_factors() -> None:
    rows = default_rows(Rolling(timedelta(hours=12)), BUDGET, timedelta(seconds=1))
    assert [(one.long, one.short, one.factor) for one in rows] == [
        (timedelta(minutes=1), timedelta(seconds=5), Fraction("14.4")),
        (timedelta(minutes=6), timedelta(seconds=30), Fraction(6)),
        (timedelta(minutes=24), timedelta(minutes=2), Fraction(3)),
        (timedelta(minutes=72), timedelta(minutes=6), Fraction(1)),
    ]


def test_one_hour_never_goes_below_four_scrapes_and_merges_equal_rows() -> None:
    rows = default_rows(Rolling(timedelta(hours=1)), BUDGET, SCRAPE)
    assert all(one.short >= 4 * SCRAPE for one in rows)
    assert [one.name for one in rows] == ["page-quick", "ticket-quick", "ticket-slow"]
    assert [one.factor for one in rows] == [Fraction("1.2"), Fraction(3), Fraction(1)]


def test_unreachable_rows_are_left_out_and_named() -> None:
    budget = Fraction(1, 10)
    assert [one.name for one in default_rows(MONTH, budget, SCRAPE)] == ["page-slow", "ticket-quick", "ticket-slow"]
    assert [one.name for one in left_out_rows(MONTH, budget, SCRAPE)] == ["page-quick"]


@pytest.mark.parametrize(
    ("name", "highest"),
    [("page-quick", "0.9305"), ("page-slow", "0.8333"), ("ticket-quick", "0.6666")],
)
def test_rows_are_unreachable_up_to_the_known_objectives(name: str, highest: str) -> None:
    assert not is_reachable(row(name), 1 - Fraction(highest))
    assert is_reachable(row(name), 1 - Fraction(highest) - Fraction(1, 1000))


def test_threshold_of_exactly_one_is_unreachable_because_nothing_exceeds_it() -> None:
    assert not is_reachable(row("page-slow"), Fraction(1, 6))


@pytest.mark.parametrize(
    ("name", "ratio", "minutes"),
    [
        ("page-quick", "1", "0.864"), ("page-quick", "0.1", "8.64"), ("page-quick", "0.02", "43.2"),
        ("page-slow", "0.01", "216"), ("ticket-quick", "0.1", "43.2"), ("ticket-slow", "0.002", "2160"),
    ],
)  # fmt: skip
def test_detection_time_is_the_formulas(name: str, ratio: str, minutes: str) -> None:
    found = detection_time(row(name), BUDGET, Fraction(ratio))
    assert found == timedelta(seconds=float(Fraction(minutes) * 60))


def test_ratio_at_the_threshold_is_never_detected() -> None:
    at = Fraction("14.4") * BUDGET
    assert detection_time(row("page-quick"), BUDGET, at) is None
    assert reset_time(row("page-quick"), BUDGET, at) is None
    assert detection_time(row("page-quick"), BUDGET, at * Fraction(101, 100)) is not None


def test_reset_time_of_a_full_outage_is_nearly_the_short_window() -> None:
    assert reset_time(row("page-slow"), BUDGET, Fraction(1)) == timedelta(minutes=30) * 0.994


def test_row_that_fires_has_spent_its_budget_fraction() -> None:
    assert [budget_spent(one, MONTH) for one in default_rows(MONTH, BUDGET, SCRAPE)] == [
        Fraction("0.02"), Fraction("0.05"), Fraction("0.1"), Fraction("0.1"),
    ]  # fmt: skip


@given(st.integers(3600, 90 * 86_400), st.fractions("0.0001", "0.9999"), st.integers(1, 60))
def test_every_period_has_rows_whose_windows_and_budget_hold(seconds: int, budget: Fraction, scrape: int) -> None:
    period, interval = Rolling(timedelta(seconds=seconds)), timedelta(seconds=scrape)
    rows = catalogue_rows(period, interval)
    assert len({(one.severity, one.long, one.short) for one in rows}) == len(rows)
    for one in rows:
        assert one.short <= one.long
        assert one.short >= MIN_SCRAPES * interval or seconds >= 7 * 86_400
        assert budget_spent(one, period) in {Fraction(2, 100), Fraction(5, 100), Fraction(10, 100)}
        found = detection_time(one, budget, Fraction(1))
        assert (found is not None) == is_reachable(one, budget)
        assert found is None or found <= one.long
