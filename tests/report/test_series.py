from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sloproof.report.series import MAX_POINTS, bins_over, log_ticks, thinned, ticks, time_ticks


def test_a_short_run_keeps_every_second() -> None:
    points = [(100.25 + second, float(second)) for second in range(300)]

    folded = bins_over([at for at, _ in points]).fold(points, "mean")

    assert [value for _, value in folded] == [float(second) for second in range(300)]


def test_the_mean_keeps_the_total_and_the_maximum_keeps_the_peak() -> None:
    points = [(float(second), 900.0 if second == 4321 else 10.0) for second in range(6000)]
    bins = bins_over([at for at, _ in points])

    mean, peak = bins.fold(points, "mean"), bins.fold(points, "max")

    assert bins.width == 20
    assert len(mean) == MAX_POINTS
    assert sum(value or 0 for _, value in mean) * bins.width == pytest.approx(5999 * 10 + 900)
    assert max(value or 0 for _, value in peak) == 900.0


def test_a_stretch_without_a_value_stays_empty() -> None:
    bins = bins_over([0.0, 9.0])

    folded = bins.fold([(0.0, 1.0), (3.0, None), (4.0, math.nan), (9.0, 2.0)], "max")

    assert [value for _, value in folded] == [1.0, *[None] * 8, 2.0]


@given(st.lists(st.floats(0, 2_000_000_000), min_size=1, max_size=50))
def test_bins_cover_every_instant_and_are_never_too_many(times: list[float]) -> None:
    bins = bins_over(times)
    folded = bins.fold([(at, 1.0) for at in times], "max")

    assert len(folded) <= MAX_POINTS
    assert folded[0][1] is not None
    assert folded[-1][1] is not None


def test_odd_instants_are_kept_until_there_are_too_many() -> None:
    few = [(3.5, 1.0), (1.25, 2.0)]
    many = [(at / 2, float(at == 777)) for at in range(2000)]

    assert thinned(few) == ((1.25, 2.0), (3.5, 1.0))
    assert len(thinned(many)) <= MAX_POINTS
    assert max(value or 0 for _, value in thinned(many)) == 1.0


@example(0.0, 5e-324)
@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_ticks_cover_what_they_are_for(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high)

    assert found[0] <= low + 1e-6 * max(high, 1)
    assert found[-1] >= high - 1e-6 * max(high, 1)
    assert 2 <= len(found) <= 9


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_log_ticks_cover_what_they_are_for(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = log_ticks(low, high)

    assert found[0] <= low
    assert found[-1] >= high
    assert 2 <= len(found) <= 14


def test_log_ticks_refuse_zero() -> None:
    with pytest.raises(ValueError, match="0 < low"):
        log_ticks(0.0, 1.0)


@pytest.mark.parametrize("span", [1, 7, 60, 299, 3600, 86_400, 900_000])
def test_time_ticks_are_few_and_within(span: int) -> None:
    start = 1_773_460_931.25
    found = time_ticks(start, start + span)

    assert 1 <= len(found) <= 6
    assert all(start <= at <= start + span for at in found)
