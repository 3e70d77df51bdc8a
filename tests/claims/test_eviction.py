"""Who goes first when there is no memory left: the hog, unless the stack asks for too little or the kernel differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from sloproof.claims.eviction import PodMemory, eviction_order, hog_goes_first
from tests.checks.facts import T0, fails, passes

MIB = 2**20
SCORES = {"hog": 1000, "api": 990}


def pod(name: str, asked: int, used: int, *, qos: str = "Burstable", priority: int = 0) -> PodMemory:
    return PodMemory(name, qos, priority, asked * MIB, used * MIB, is_asked=asked > 0)


HOG = pod("hog", 0, 64, qos="BestEffort")
API, LOKI = pod("api", 96, 48), pod("loki", 160, 120)


def test_order_is_the_kubelets() -> None:
    above, important = pod("above", 50, 60), pod("important", 0, 500, qos="BestEffort", priority=1000)
    order = eviction_order([API, LOKI, important, above, HOG])
    assert [one.name for one in order] == ["hog", "above", "important", "loki", "api"]


def test_stack_that_asks_for_what_it_uses_outlives_the_hog() -> None:
    asks, goes = hog_goes_first([API, LOKI, HOG], "hog", SCORES, T0)
    assert passes(asks)
    assert passes(goes)


@pytest.mark.parametrize("bare", [pod("loki", 0, 20, qos="BestEffort"), pod("loki", 0, 20), pod("loki", 10, 5, qos="")])
def test_pod_without_a_request_is_named(bare: PodMemory) -> None:
    asks, _ = hog_goes_first([API, bare, HOG], "hog", SCORES, T0)
    assert fails(asks)
    assert "loki" in asks.measured


@pytest.mark.parametrize(
    ("pods", "scores"),
    [
        ([API, pod("loki", 10, 200), HOG], SCORES),  # far above what it asks for
        ([API, LOKI, HOG], {"hog": 1000, "api": 1000}),  # the kernel would as soon end the service
        ([API, LOKI, HOG], {"hog": 500, "api": 990}),
        ([API, LOKI], {"api": 990}),  # there was no hog at all
        ([HOG], SCORES),
    ],
)
def test_stack_that_would_go_before_the_hog_fails(pods: Sequence[PodMemory], scores: Mapping[str, int]) -> None:
    _, goes = hog_goes_first(pods, "hog", scores, T0)
    assert fails(goes)
