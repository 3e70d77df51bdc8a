"""Each claim about pods where the cluster tells the truth, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from sloproof.checks.evidence import Bounds
from sloproof.claims import pods
from sloproof.claims.pods import GateSighting
from sloproof.environment.kube.objects import Event, Meta
from sloproof.environment.kube.pod_wish import Bound
from sloproof.errors import ComponentExitedError
from sloproof.finding import Finding
from sloproof.log_lines import LineParser
from sloproof.model import LogEntry, Stream, ns_from_instant
from sloproof.settings import LogSettings
from tests.checks.facts import T0, Request, after, exactly, fails, passes, request, seconds, unclear

BOUND = Bound(seconds(5), "2 x period 1 s + timeout 1 s + slack 2 s = 5 s")
IN, OUT = frozenset({"a", "b"}), frozenset({"b"})


def looks(*seen: tuple[float, frozenset[str]]) -> list[GateSighting]:
    return [GateSighting(after(at), pods) for at, pods in seen]


def left(*seen: tuple[float, frozenset[str]]) -> Finding:
    return pods.gate_follows("a", T0, looks(*seen), BOUND, is_behind=False)


def test_pod_that_leaves_the_endpoints_in_time_passes_with_its_bound_as_a_sum() -> None:
    found = left((0.1, IN), (2.0, OUT), (3.0, OUT))
    assert passes(found)
    assert BOUND.text in found.expected
    assert "2.000 s" in found.measured


@pytest.mark.parametrize(
    "seen",
    [
        [(0.1, IN), (4.0, IN), (6.0, IN)],  # it stays ready
        [(0.1, IN), (5.5, OUT)],  # too late
        [(0.1, IN), (2.0, OUT), (2.5, IN), (3.0, OUT)],  # it comes back for a moment
    ],
)
def test_pod_that_says_no_and_is_led_to_fails(seen: Sequence[tuple[float, frozenset[str]]]) -> None:
    assert fails(left(*seen))


def test_pod_that_is_never_led_to_again_fails() -> None:
    assert fails(pods.gate_follows("a", T0, looks((0.1, OUT), (6.0, OUT)), BOUND, is_behind=True))
    assert passes(pods.gate_follows("a", T0, looks((0.1, OUT), (1.0, IN)), BOUND, is_behind=True))


def test_endpoints_that_nobody_looked_at_prove_nothing() -> None:
    assert unclear(left())
    assert unclear(left((-1.0, OUT)))


def in_flight(*requests: Request) -> Finding:
    return pods.in_flight_finish(requests, ns_from_instant(after(3)), after(10))


def test_requests_in_flight_that_are_cut_off_fail() -> None:
    good = request(1, at=0, took=8)
    assert passes(in_flight(good))
    assert fails(in_flight(good, request(2, at=0, took=4, status=0, failure="reset")))
    assert "1 x status 500" in in_flight(good, request(2, at=0, took=4, status=500)).measured


def test_requests_that_were_over_before_prove_nothing() -> None:
    assert unclear(in_flight(request(1, at=0, took=8), request(2, at=0, took=1)))
    assert unclear(in_flight())


def test_request_that_reaches_a_pod_that_is_out_fails() -> None:
    refused, no_way = request(1, status=0, failure="refused"), request(2, status=0, failure="connect")
    assert passes(pods.none_arrived([refused, no_way], T0))
    assert fails(pods.none_arrived([refused, request(3)], T0))
    assert fails(pods.none_arrived([refused, request(3, status=0, failure="timeout")], T0))
    assert unclear(pods.none_arrived([], T0))


SHARES: Mapping[str, Sequence[str]] = {"old pods": ["a"], "new pods": ["b", "c"]}


def test_pods_that_count_all_between_them_pass() -> None:
    assert passes(pods.shared_by({"a": exactly(3), "b": Bounds(5, 7)}, SHARES, 10, T0))


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ({"a": exactly(3), "b": exactly(6)}, "9 counted of 10"),  # one is lost
        ({"a": exactly(6), "b": exactly(14)}, "20 counted of 10"),  # each target is read twice
        ({"a": exactly(10)}, "none counted by new pods"),  # a pod that nobody scrapes, or leads to
        ({"a": exactly(3), "b": exactly(6), "x": exactly(1)}, "counted by x"),
        ({}, "none counted by old pods, new pods"),
    ],
)
def test_pods_that_lose_or_double_counts_fail(counted: Mapping[str, Bounds], said: str) -> None:
    found = pods.shared_by(counted, SHARES, 10, T0)
    assert fails(found)
    assert said in found.measured


KILLING = Event(Meta(), reason="Killing", message="Container api failed liveness probe, will be restarted")


def test_restart_in_time_with_its_reason_passes() -> None:
    assert passes(pods.restarted_in_time(T0, after(4), BOUND, [KILLING]))


def test_restart_that_is_late_or_unexplained_or_does_not_come_fails() -> None:
    assert fails(pods.restarted_in_time(T0, after(6), BOUND, [KILLING]))
    assert fails(pods.restarted_in_time(T0, None, BOUND, [KILLING]))
    # It ended by itself, or somebody deleted it.
    other = Event(Meta(), reason="Killing", message="Stopping container api")
    assert "no event says" in pods.restarted_in_time(T0, after(4), BOUND, [other]).measured


def report(exit_code: int = 3, why: str = "CrashLoopBackOff", *lines: str) -> ComponentExitedError:
    return ComponentExitedError("service", exit_code, lines or ("starting", "no database"), pods=f"a: {why}")


def reported(given: ComponentExitedError | None) -> Finding:
    return pods.end_is_reported(given, T0, reason="CrashLoopBackOff", exit_code=3, line="no database")


def test_report_that_names_reason_exit_code_and_line_passes() -> None:
    assert passes(reported(report()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "nothing is reported"),
        (report(1), "exit code 1"),
        (report(3, "Error"), "CrashLoopBackOff is not named"),
        (report(3, "CrashLoopBackOff", "starting"), "'no database' is not in its lines"),
    ],
)
def test_report_that_leaves_something_out_fails(given: ComponentExitedError | None, said: str) -> None:
    found = reported(given)
    assert fails(found)
    assert said in found.measured


PARSER = LineParser(
    LogSettings(
        pattern=r"(?P<level>[A-Z]+) (?P<message>.*) id=(?P<request_id>\S+)",
        request=r"(?P<method>[A-Z]+) (?P<endpoint>\S+) (?P<status>\d+) (?P<duration_seconds>[0-9.]+)s",
    )
)


def lines(pod: str, *ids: str) -> Stream:
    entries = tuple(LogEntry(number, f"INFO GET / 200 0.1s id={one}") for number, one in enumerate(ids, 1))
    return Stream({"app": "api", "pod": pod}, entries)


def kept(*streams: Stream) -> Finding:
    return pods.lines_are_of(streams, PARSER, ["r1", "r2"], "a", T0)


def test_lines_of_a_pod_that_is_gone_pass_when_each_is_there_once() -> None:
    assert passes(kept(lines("a", "r1", "r2"), lines("b", "other")))


@pytest.mark.parametrize(
    ("streams", "said"),
    [
        ([lines("a", "r1")], "1 line lost"),
        ([], "2 lines lost"),
        ([lines("a", "r1", "r2", "r2")], "1 line there more than once"),
        ([lines("a", "r1", "r2"), lines("b", "r2")], "lines of b"),
    ],
)
def test_lines_that_are_missing_or_doubled_or_anothers_fail(streams: Sequence[Stream], said: str) -> None:
    found = kept(*streams)
    assert fails(found)
    assert said in found.measured


def test_pod_that_answered_nothing_proves_nothing_about_its_lines() -> None:
    assert unclear(pods.lines_are_of([], PARSER, [], "a", T0))
