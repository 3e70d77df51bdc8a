from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from sloproof.errors import SettingsError
from sloproof.slo.compress import compress
from sloproof.slo.model import Calendar, Rolling
from sloproof.slo.rows import budget_spent, detection_time
from tests.slo.objectives import objective, sliced


def test_compress_divides_windows_and_keeps_factors() -> None:
    before = objective()
    after = compress(before, 300)
    assert after.period == Rolling(timedelta(hours=2.4))
    assert (after.rows[0].long, after.rows[0].short) == (timedelta(seconds=12), timedelta(seconds=1))
    assert [row.factor for row in after.rows] == [row.factor for row in before.rows]
    assert after.missing_after == timedelta(seconds=2)
    assert after.budget == before.budget


def test_compress_keeps_what_a_row_promises() -> None:
    before, after = objective(), compress(objective(), 60)
    for one, other in zip(before.rows, after.rows, strict=True):
        assert budget_spent(one, before.period) == budget_spent(other, after.period)
        whole, part = (detection_time(row, before.budget, Fraction(1, 5)) for row in (one, other))
        assert whole is not None
        assert part is not None
        assert abs(whole - 60 * part) < timedelta(milliseconds=1)


def test_compress_divides_slices_and_holds() -> None:
    after = compress(sliced(), Fraction(5, 2))
    assert after.slice_length == timedelta(minutes=2)


def test_compress_makes_a_month_thirty_days() -> None:
    month = Calendar(1, "M", datetime(2026, 1, 1), ZoneInfo("Europe/Berlin"))  # noqa: DTZ001 - a clock on a wall
    assert compress(objective(period=month), 720).period == Rolling(timedelta(hours=1))


def test_compress_by_one_changes_nothing() -> None:
    assert compress(objective(), 1) == objective()


@pytest.mark.parametrize("factor", [0, -1, 10**12])
def test_compress_refuses_what_leaves_no_window(factor: int) -> None:
    with pytest.raises(SettingsError):
        compress(objective(), factor)
