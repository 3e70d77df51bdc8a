from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloproof.checks.evidence import Bounds
from sloproof.checks.quantile_bracket import QuantileEvidence, judge
from sloproof.finding import Finding, Verdict
from tests.checks.facts import BASIS, exactly, fails, passes, unclear

if TYPE_CHECKING:
    from collections.abc import Sequence

EDGES = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, math.inf)


def histogram(durations: Sequence[float]) -> dict[float, Bounds]:
    return {edge: exactly(sum(1 for one in durations if one <= edge)) for edge in EDGES}


def judged(
    server: Sequence[float], client: Sequence[float], quantile: float = 0.95, tolerance: float = 0.005
) -> Finding:
    evidence = QuantileEvidence(histogram(server), client)
    return judge(evidence, BASIS, quantile=quantile, tolerance_seconds=tolerance)


QUICK = [0.021] * 1000


def test_quantile_bracket_passes_between_the_same_edges() -> None:
    found = judged([0.06] * 1000, [0.08] * 1000)

    assert passes(found)
    assert "between 0.05 s and 0.1 s" in found.measured


def test_quantile_bracket_says_so_when_clients_queue_before_the_timer_starts() -> None:
    """The measured case: one sync worker, 20 ms handler, 8 clients see 174 ms and the service says 21 ms."""
    found = judged(QUICK, [0.174] * 1000)

    assert fails(found)
    assert "requests queue before the timer starts" in found.hint


def test_quantile_bracket_says_so_when_the_service_claims_more_than_clients_waited() -> None:
    assert fails(judged([0.3] * 1000, [0.02] * 1000))


@pytest.mark.parametrize(("client", "allowed"), [(0.1, True), (0.1049, True), (0.1051, False)])
def test_quantile_bracket_allows_a_neighbour_only_near_the_shared_edge(client: float, *, allowed: bool) -> None:
    assert passes(judged([0.09] * 1000, [client] * 1000)) is allowed


@pytest.mark.parametrize(("client", "allowed"), [(0.0455, True), (0.0445, False)])
def test_quantile_bracket_hardly_lets_the_service_take_longer_than_its_client_waited(
    client: float, *, allowed: bool
) -> None:
    """A timer twice as fast puts 31 ms between 50 and 100 ms, near the edge by a tolerance made for queues."""
    assert passes(judged([0.06] * 1000, [client] * 1000, tolerance=0.02)) is allowed


def test_quantile_bracket_never_allows_two_buckets_off_however_large_the_tolerance() -> None:
    assert fails(judged([0.04] * 1000, [0.3] * 1000, tolerance=10))


def test_quantile_bracket_says_so_when_calls_of_six_seconds_meet_a_top_bucket_of_five() -> None:
    server = [0.02] * 950 + [6.0] * 50

    found = judged(server, server, quantile=0.5)

    assert fails(found)
    assert "5 % of requests are above the top edge 5 s" in found.measured


def test_quantile_bracket_says_so_when_failed_requests_are_not_timed() -> None:
    found = judged([0.02] * 900, [0.02] * 1000)

    assert fails(found)
    assert "timed 900 requests, the client 1000" in found.measured


def test_quantile_bracket_says_so_when_requests_are_timed_twice() -> None:
    assert fails(judged([0.02] * 2000, [0.02] * 1000))


def test_quantile_bracket_lets_the_histogram_hold_requests_of_unknown_outcome() -> None:
    evidence = QuantileEvidence(histogram([0.02] * 1003), QUICK, unknown=3)

    assert passes(judge(evidence, BASIS, quantile=0.95, tolerance_seconds=0))


def test_quantile_bracket_says_so_when_buckets_are_not_cumulative() -> None:
    buckets = {**histogram(QUICK), 0.5: exactly(400)}

    found = judge(QuantileEvidence(buckets, QUICK), BASIS, quantile=0.5, tolerance_seconds=0)

    assert fails(found)
    assert "more than bucket" in found.measured


def test_quantile_bracket_says_so_when_there_is_no_infinite_bucket() -> None:
    buckets = {edge: count for edge, count in histogram(QUICK).items() if math.isfinite(edge)}

    assert fails(judge(QuantileEvidence(buckets, QUICK), BASIS, quantile=0.5, tolerance_seconds=0))


@pytest.mark.parametrize(("quantile", "needed"), [(0.5, 20), (0.95, 200), (0.99, 1000)])
def test_quantile_bracket_is_inconclusive_on_too_few_events(quantile: float, needed: int) -> None:
    enough = [0.02] * needed

    assert passes(judged(enough, enough, quantile))
    few = judged(enough[1:], enough[1:], quantile)
    assert unclear(few)
    assert str(needed) in few.expected


def test_quantile_bracket_is_inconclusive_without_data() -> None:
    assert unclear(judge(QuantileEvidence({}, QUICK), BASIS, quantile=0.5, tolerance_seconds=0))
    assert unclear(judged(QUICK, []))


def test_quantile_bracket_refuses_a_quantile_in_percent() -> None:
    assert judged(QUICK, QUICK, quantile=99).verdict is Verdict.ERROR


def test_quantile_bracket_looks_in_every_bucket_the_bounds_leave_open() -> None:
    buckets = histogram([0.02] * 1000)
    buckets[0.05] = Bounds(940, 1000)

    for client in (0.02, 0.08):
        evidence = QuantileEvidence(buckets, [client] * 1000)
        assert passes(judge(evidence, BASIS, quantile=0.95, tolerance_seconds=0))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.001, 4.9), min_size=200, max_size=260), st.floats(0.1, 0.9))
def test_quantile_bracket_passes_whenever_both_saw_the_same_times(times: list[float], quantile: float) -> None:
    assert passes(judged(times, times, quantile, tolerance=0))


def test_quantile_bracket_shows_both_counts_up_to_each_edge() -> None:
    found = judged([0.02] * 1000, [0.02] * 400 + [0.3] * 600, quantile=0.5)

    rows = [line.split() for line in dict(found.evidence)["buckets"].splitlines()]
    assert ["0.05", "1000", "400"] in rows
    assert ["inf", "1000", "1000"] in rows


@pytest.mark.parametrize("overflow", [10, 11])
def test_quantile_bracket_allows_a_share_above_the_top_edge_up_to_its_bound(overflow: int) -> None:
    times = [0.02] * (1000 - overflow) + [6.0] * overflow

    assert passes(judged(times, times, quantile=0.5)) is (overflow == 10)


def test_quantile_bracket_holds_client_against_the_lower_neighbour_too() -> None:
    for client, verdict in ((0.0951, passes), (0.0949, fails)):
        assert verdict(judged([0.3] * 1000, [client] * 1000))
    for client, verdict in ((0.0099, passes), (0.0049, fails)):
        assert verdict(judged([0.02] * 1000, [client] * 1000))
    assert fails(judged([0.3] * 1000, [0.04] * 1000, tolerance=10))


def test_quantile_bracket_refuses_0_and_1() -> None:
    for quantile in (0, 1):
        assert judged(QUICK, QUICK, quantile=quantile).verdict is Verdict.ERROR


def test_quantile_bracket_needs_as_many_events_below_a_low_quantile() -> None:
    assert unclear(judged([0.02] * 999, [0.02] * 999, quantile=0.01))
    assert passes(judged([0.02] * 1000, [0.02] * 1000, quantile=0.01))
