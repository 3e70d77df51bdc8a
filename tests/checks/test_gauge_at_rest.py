from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from sloproof.checks.gauge_at_rest import RestEvidence, judge
from tests.checks.facts import BASIS, after, fails, named, passes, seconds, unclear

if TYPE_CHECKING:
    from sloproof.finding import Finding
    from sloproof.model import Series


def judged(*found: Series) -> Finding:
    evidence = RestEvidence("app_active_requests", found, at=after(10), rest_since=after(9), events=100)
    return judge(evidence, BASIS, max_age=seconds(0.5))


def gauge(values: dict[float, float], instance: str = "a:1") -> Series:
    return named("app_active_requests", values, instance=instance)


def test_gauge_at_rest_passes_at_0_in_a_fresh_sample() -> None:
    found = judged(gauge({8: 5, 9.8: 0}), gauge({9.7: 0}, "b:1"))

    assert passes(found)
    assert found.sample_age == seconds(0.3)


@pytest.mark.parametrize("value", [1, -1, 0.5, math.nan], ids=["leaked", "below 0", "fraction", "no number"])
def test_gauge_at_rest_says_so_when_it_is_counted_down_only_on_the_happy_path(value: float) -> None:
    found = judged(gauge({9.8: 0}), gauge({9.8: value}, "b:1"))

    assert fails(found)
    assert 'instance="b:1"' in dict(found.evidence)["not at 0"]


def test_gauge_at_rest_does_not_pass_on_a_stale_0() -> None:
    assert unclear(judged(gauge({9.2: 0})))


def test_gauge_at_rest_does_not_pass_when_one_instance_of_two_is_stale() -> None:
    assert unclear(judged(gauge({9.9: 0}), gauge({9.2: 0}, "b:1")))


def test_gauge_at_rest_does_not_judge_a_sample_taken_under_load() -> None:
    assert unclear(judged(gauge({8.9: 0})))


def test_gauge_at_rest_ignores_samples_after_the_instant() -> None:
    assert fails(judged(gauge({9.9: 2, 10.5: 0})))


def test_gauge_at_rest_is_inconclusive_without_data() -> None:
    assert unclear(judged())
    assert unclear(judged(gauge({})))


def test_gauge_at_rest_does_not_judge_a_sample_taken_at_the_very_end_of_the_load() -> None:
    found = RestEvidence("g", [gauge({9: 0})], at=after(9.1), rest_since=after(9))

    assert unclear(judge(found, BASIS, max_age=seconds(1)))


def test_gauge_at_rest_tells_a_leak_from_counting_down_twice() -> None:
    assert "counted down twice" in judged(gauge({9.8: -1})).hint
    assert "not counted down" in judged(gauge({9.8: 1})).hint
