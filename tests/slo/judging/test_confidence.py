from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.slo.judging.confidence import clopper_pearson, events_needed, wilson

F = Fraction


@pytest.mark.parametrize(
    ("good", "valid", "low", "high"),
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_as_published(good: int, valid: int, low: float, high: float) -> None:
    found = wilson(F(good), F(valid))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.method == "wilson"


@pytest.mark.parametrize(
    ("good", "valid", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_pearson_is_as_published(good: int, valid: int, low: float, high: float) -> None:
    found = clopper_pearson(good, valid)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_events_needed_for_the_usual_targets() -> None:
    assert [events_needed(F(one)) for one in ("0.9", "0.99", "0.999", "0.9999")] == [35, 381, 3838, 38411]


@given(st.fractions(F(1, 2), F(9999, 10000)))
def test_events_needed_are_just_enough(target: Fraction) -> None:
    enough = events_needed(target)
    assert wilson(F(enough), F(enough)).low >= float(target) - 1e-12
    if enough > 1:
        assert wilson(F(enough - 1), F(enough - 1)).low < float(target) + 1e-12


@given(st.integers(1, 5000), st.data())
def test_intervals_hold_the_ratio(valid: int, data: st.DataObject) -> None:
    good = data.draw(st.integers(0, valid))
    narrow, wide = wilson(F(good), F(valid)), clopper_pearson(good, valid)
    for one in (narrow, wide):
        assert 0 <= one.low <= good / valid <= one.high <= 1
    if good == valid:
        assert wide.low**valid == pytest.approx(0.025, rel=1e-6)


def test_two_hundred_good_requests_do_not_prove_three_nines() -> None:
    assert wilson(F(200), F(200)).low < 0.999
