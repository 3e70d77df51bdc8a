from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.barrier import METRICS, Anchor
from sloproof.errors import UnavailableError
from sloproof.load.ledger import Entry, Ledger, LedgerWriter
from sloproof.model import Series, Window
from sloproof.plugin.run_latency import LatencyViews, edges_by_second, edges_of
from tests.fakes import SETTINGS, T0, FakePrometheus, after, entry, seconds, series

LATENCY = SETTINGS.metrics.latency
JOB = 'job="api"'
BUCKETS = f"sum by (endpoint, le) (latency_seconds_bucket{{{JOB}}})"
RISE = f"sum by (le) (latency_seconds_bucket{{{JOB}}}) - sum by (le) (latency_seconds_bucket{{{JOB}}} offset 1s)"
EDGES = (0.01, 0.05, 0.1, math.inf)


@given(
    st.lists(st.floats(min_value=1e-6, max_value=0.3), min_size=1, max_size=60),
    st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_edges_hold_the_very_latency_that_is_the_quantile(latencies: list[float], quantile: float) -> None:
    rises = {edge: float(sum(1 for one in latencies if one <= edge)) for edge in EDGES}
    truth = sorted(latencies)[max(1, math.ceil(round(quantile * len(latencies), 9))) - 1]

    found = edges_of(rises, quantile)

    assert found is not None
    assert found[0] < truth
    assert truth <= (math.inf if found[1] is None else found[1])
    assert found[0] in (0.0, *EDGES)


@pytest.mark.parametrize(
    "rises",
    [
        {}, {0.1: 0.0, math.inf: 0.0}, {0.1: 3.0}, {0.1: 5.0, math.inf: 3.0}, {0.1: -2.0, math.inf: 3.0},
        {0.1: math.nan, math.inf: math.nan},
    ],
    ids=["no series", "nothing counted", "no whole", "more in a bucket than in all", "began anew", "no numbers"],
)  # fmt: skip
def test_a_histogram_that_cannot_be_read_has_no_edges(rises: Mapping[float, float]) -> None:
    assert edges_of(rises, 0.5) is None


def histogram(endpoint: str, *counts: Mapping[float, float]) -> list[Series]:
    """Return the buckets of an endpoint: of each edge, its value by second."""
    return [series(values, endpoint=endpoint, le=str(edge)) for edge, values in zip(EDGES, counts, strict=True)]


def test_each_second_has_edges_of_its_own_and_one_that_began_anew_none() -> None:
    most: Mapping[float, float] = {1.0: 10, 2.0: 10, 3.0: 1}
    counts: list[Mapping[float, float]] = [{1.0: 9, 2.0: 0, 3.0: -4}, {1.0: 10, 2.0: 1, 3.0: 1}, most, most]
    stored = [series(values, le=str(edge)) for edge, values in zip(EDGES, counts, strict=True)]
    assert LATENCY is not None

    p50, p99 = edges_by_second(
        FakePrometheus({RISE: stored}), LATENCY, JOB, Window(T0, after(9)), (0.5, 0.99)
    )  # fmt: skip

    begin = int(T0.timestamp())
    assert p50 == {begin: (0.0, 0.01), begin + 1: (0.05, 0.1)}
    assert p99 == {begin: (0.01, 0.05), begin + 1: (0.05, 0.1)}


def anchor(at: float, **changes: object) -> Anchor:
    return Anchor(after(at), after(at), seconds(0), **changes)  # type: ignore[arg-type]


def late(one: Entry, by: float) -> Entry:
    """Return a request that the schedule wanted sent earlier than it was."""
    return msgspec.structs.replace(one, intended_ns=one.start_ns - round(by * 1e9))


def views(folder: Path, entries: Sequence[Entry], prometheus: FakePrometheus, *anchors: Anchor) -> LatencyViews:
    with LedgerWriter(folder / "load.jsonl", run_id="run") as writer:
        for one in entries:
            writer.write(one)
    return LatencyViews(prometheus, LATENCY, JOB, Ledger.open(folder), anchors or (anchor(0), anchor(2)))


def test_both_sides_are_told_of_the_stretch_between_the_anchors(tmp_path: Path) -> None:
    """Ten requests of 20 ms by the service's clock; the clients waited up to 200 ms, and were up to 1 s late."""
    entries = [late(entry(0.5 + place / 100, took=0.02 * (place + 1)), by=place / 9) for place in range(10)]
    stored = histogram("/", {0: 7}, {0: 9, 2: 19}, {0: 9, 2: 19}, {0: 9, 2: 19})
    prometheus = FakePrometheus({BUCKETS: stored})

    (found,) = views(tmp_path, [entry(-1), *entries, entry(3)], prometheus).of(Window(after(0.4), after(1.9)))

    assert (found.endpoint, found.timed, found.told) == ("/", 10, 10)
    p50, _, p99 = found.quantiles
    assert (p50.sent_seconds, p99.sent_seconds) == pytest.approx((0.1, 0.2))
    assert (p50.waited_seconds, p99.waited_seconds) == pytest.approx((4 / 9, 1.0))
    assert p99.intended_seconds == pytest.approx(1.2)
    assert {(one.told_above_seconds, one.told_up_to_seconds) for one in found.quantiles} == {(0.01, 0.05)}


def test_a_quantile_above_the_highest_edge_has_no_upper_one(tmp_path: Path) -> None:
    prometheus = FakePrometheus({BUCKETS: histogram("/", {2: 0}, {2: 0}, {2: 0}, {2: 1})})

    (found,) = views(tmp_path, [entry(1, took=0.2)], prometheus).of(Window(after(0.9), after(1.5)))

    assert (found.quantiles[0].told_above_seconds, found.quantiles[0].told_up_to_seconds) == (0.1, None)


def test_the_two_counts_stand_side_by_side_where_they_differ(tmp_path: Path) -> None:
    prometheus = FakePrometheus({BUCKETS: histogram("/", {2: 1}, {2: 1}, {2: 1}, {2: 1})})
    timed_out = entry(1.1, failure="timeout", status=0, took=0.3)

    (found,) = views(
        tmp_path, [entry(1), timed_out, entry(1.2, failure="refused", status=0)], prometheus
    ).of(Window(after(0.9), after(1.5)))  # fmt: skip

    assert (found.timed, found.told) == (2, 1)
    assert found.quantiles[-1].sent_seconds == pytest.approx(0.3), "what timed out was waited for"


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ([], None), (histogram("/other", {2: 1}, {2: 1}, {2: 1}, {2: 1}), None),
        (histogram("/", {0: 5, 2: 1}, {0: 5, 2: 1}, {0: 5, 2: 1}, {0: 5, 2: 1}), None),
        (histogram("/", {0: 5}, {0: 5}, {0: 5}, {0: 5}), 0.0),
    ],
    ids=["none", "another endpoint", "began anew", "timed nothing"],
)  # fmt: skip
def test_of_a_histogram_that_does_not_tell_there_are_no_edges(
    tmp_path: Path, stored: list[Series], told: float | None
) -> None:
    (found,) = views(tmp_path, [entry(1)], FakePrometheus({BUCKETS: stored})).of(Window(after(0.9), after(1.5)))

    assert found.told == told
    assert {one.told_above_seconds for one in found.quantiles} == {None}


def test_a_prometheus_that_does_not_answer_leaves_the_clients_side(tmp_path: Path) -> None:
    prometheus = FakePrometheus()
    prometheus.silence = UnavailableError("refused", kind="refused")

    (found,) = views(tmp_path, [entry(1)], prometheus).of(Window(after(0.9), after(1.5)))

    assert (found.timed, found.told) == (1, None)


@pytest.mark.parametrize(
    "anchors",
    [(anchor(0),), (anchor(2),), (anchor(0, dead={METRICS: "stopped"}), anchor(2))],
    ids=["none after", "none before", "dead"],
)
def test_a_load_without_an_anchor_on_each_side_is_not_compared(tmp_path: Path, anchors: tuple[Anchor, ...]) -> None:
    assert views(tmp_path, [entry(1)], FakePrometheus(), *anchors).of(Window(after(0.9), after(1.5))) == ()


def test_an_endpoint_that_only_the_barrier_asked_for_is_left_out(tmp_path: Path) -> None:
    entries = [entry(1, endpoint="/api"), entry(1.1, endpoint="/", request_id="run-sentinel-1")]

    found = views(tmp_path, entries, FakePrometheus()).of(Window(after(0.9), after(1.5)))

    assert [one.endpoint for one in found] == ["/api"]


def test_loads_between_the_same_anchors_are_asked_for_once(tmp_path: Path) -> None:
    prometheus = FakePrometheus()
    made = views(tmp_path, [entry(1)], prometheus)

    assert made.of(Window(after(0.5), after(0.6))) is made.of(Window(after(0.9), after(1.5)))
    assert prometheus.asked == [BUCKETS, BUCKETS]
