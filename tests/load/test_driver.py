"""The driver against a server that misbehaves: the ledger is what really happened."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from sloproof.errors import LoadError, SettingsError
from sloproof.load.driver import Driver, LoadResult
from sloproof.load.ledger import Ledger
from sloproof.load.profile import Profile, RequestSpec
from sloproof.model import ns_from_instant
from tests.load.server import Server, closed_port

pytestmark = pytest.mark.slow  # real processes and real time

Shared = tuple[Server, Driver, Path]


def spec(path: str = "/ok", **options: object) -> RequestSpec:
    return RequestSpec(path=path, endpoint=path.partition("?")[0], **options)  # type: ignore[arg-type]


def burst(count: int = 5, path: str = "/ok", users: int = 2, timeout: float = 30.0, **options: object) -> Profile:
    return Profile(mix=(spec(path, **options),), users=users, requests=count, timeout_seconds=timeout)


def kinds(result: LoadResult) -> Counter[str]:
    return Counter(one.failure or str(one.status) for one in result.ledger.entries())


def test_driver_sends_exactly_what_is_asked(shared: Shared) -> None:
    """The server's own account of ids is the ledger's, to the last one, none twice."""
    server, driver, _ = shared
    server.ids.clear()
    result = driver.run(burst(137, users=7), "burst")
    assert result.requests == 137
    assert sorted(server.ids) == sorted(result.ledger.request_ids())
    assert len(set(server.ids)) == 137
    assert all(one.startswith("run-") for one in server.ids)
    assert result.ledger.tally().certain == {("/ok", "GET", 200): 137}
    assert result.asked_rate is None
    assert result.name == "burst"


def test_driver_starts_a_load_in_milliseconds(shared: Shared) -> None:
    _, driver, _ = shared
    driver.run(burst(1), "warm")
    spent = []
    for number in range(9):
        begin = time.monotonic()
        result = driver.run(burst(20, users=8), f"burst {number}")
        spent.append(time.monotonic() - begin - result.window.duration.total_seconds())
    assert min(spent) < 0.1, spent


def test_window_holds_every_entry(shared: Shared) -> None:
    _, driver, _ = shared
    result = driver.run(burst(30), "window")
    entries = list(result.ledger.entries())
    assert len(list(result.ledger.entries(result.window))) == 30
    assert ns_from_instant(result.window.end) >= max(one.end_ns for one in entries)
    assert ns_from_instant(result.window.end) - max(one.end_ns for one in entries) < 2000


def test_clock_of_the_ledger_is_the_wall_clock(shared: Shared) -> None:
    _, driver, _ = shared
    before = time.time_ns()
    result = driver.run(burst(3), "clock")
    after = time.time_ns()
    assert all(before - 10**6 <= one.start_ns <= one.end_ns <= after + 10**6 for one in result.ledger.entries())


@pytest.mark.parametrize(
    ("path", "outcome", "size"),
    [
        ("/500", "500", 4),
        ("/redirect", "302", 0),  # not followed: it is the answer
        ("/chunks", "200", 7),
        ("/interim", "200", 2),
        ("/dribble", "200", 2),
        ("/until-close", "200", 3),
        ("/trailing", "200", 2),
        ("/half", "reset", 3),
        ("/reset", "reset", 0),
        ("/nothing", "reset", 0),
        ("/junk", "protocol", 0),
    ],
)
def test_outcomes_are_told_apart_and_nothing_is_repeated(shared: Shared, path: str, outcome: str, size: int) -> None:
    """One user and idempotent requests: a client that repeats on a broken connection would show in the server's ids."""
    server, driver, _ = shared
    server.ids.clear()
    result = driver.run(burst(4, path, users=1), path)
    assert kinds(result) == {outcome: 4}
    assert {one.bytes for one in result.ledger.entries()} == {size}
    assert len(server.ids) == len(set(server.ids)) == 4
    failures = {"500": {"http_5xx": 4}, "reset": {"reset": 4}, "protocol": {"protocol": 4}}
    assert result.failures == failures.get(outcome, {})
    assert sum(result.ledger.tally().unknown.values()) == (4 if outcome in {"reset", "protocol"} else 0)


def test_methods_bodies_and_headers_arrive_as_they_are(shared: Shared) -> None:
    server, driver, _ = shared
    for method, body in (("POST", '{"ü": "€"}'), ("PATCH", None), ("BREW", None), ("HEAD", None), ("DELETE", "x")):
        server.requests.clear()
        path = "/head" if method == "HEAD" else "/ok?a=1%20b"
        mix = spec(path, method=method, body=body, headers={"Content-Type": "application/json", "accept": "a/b"})
        result = driver.run(Profile(mix=(mix,), users=1, requests=2, timeout_seconds=30), method)
        assert kinds(result) == {"200": 2}
        (head, seen), _ = server.requests
        assert seen == (body or "").encode()
        assert head.startswith(f"{method} {path} HTTP/1.1\r\n")
        assert "\r\nContent-Type: application/json\r\n" in head
        assert head.lower().count("\r\naccept:") == 1
        assert ("\r\nContent-Length: 0\r\n" in head) == (method == "PATCH")


def test_timeouts_are_recorded_as_unknown(shared: Shared) -> None:
    server, driver, _ = shared
    server.ids.clear()
    result = driver.run(burst(3, "/silent", users=3, timeout=0.5), "silence")
    assert kinds(result) == {"timeout": 3}
    assert result.ledger.tally().unknown == {("/silent", "GET"): 3}
    assert all(0.5e9 <= one.duration_ns < 10e9 for one in result.ledger.entries())
    assert sorted(server.await_ids(3)) == sorted(result.ledger.request_ids())


def test_refusals_never_arrived(tmp_path: Path) -> None:
    with Driver(base_url=f"http://127.0.0.1:{closed_port()}", ledger_dir=tmp_path, run_id="r") as driver:
        result = driver.run(burst(5), "refused")
        assert kinds(result) == {"refused": 5}
        assert result.ledger.tally().refused == 5
        assert result.failures == {"refused": 5}


def test_connections_are_kept_and_not_trusted_when_idle(shared: Shared) -> None:
    """A connection idle for a second may be one that the server is closing: a new one is taken, nothing fails."""
    server, driver, _ = shared
    server.connections = 0
    driver.run(burst(50, users=1), "kept")
    assert server.connections == 1
    slow = Profile(mix=(spec(),), rate=0.8, requests=2, timeout_seconds=30)
    assert kinds(driver.run(slow, "idle")) == {"200": 2}
    assert server.connections == 3


def test_no_more_connections_are_opened_than_there_are_users(shared: Shared) -> None:
    """Over many turns of the load's housekeeping, which closes connections that nobody uses."""
    server, driver, _ = shared
    server.connections = 0
    driver.run(Profile(mix=(spec("/slow?s=0.03"),), users=4, duration_seconds=1.2, timeout_seconds=30), "kept long")
    assert server.connections <= 4


def test_connections_closed_by_the_server_are_noticed(shared: Shared) -> None:
    """It hangs up after each answer without a word; paced, that is seen before the next request is sent."""
    server, driver, _ = shared
    server.ids.clear()
    profile = Profile(mix=(spec("/hang-up"),), rate=2, requests=4, connections=1, timeout_seconds=30)
    assert kinds(driver.run(profile, "hang-up")) == {"200": 4}
    assert len(server.ids) == 4


def test_open_model_is_even_and_on_time(shared: Shared) -> None:
    _, driver, _ = shared
    result = driver.run(Profile(mix=(spec(),), rate=200, duration_seconds=0.5), "even")
    # The ledger is in order of the ends.
    entries = sorted(result.ledger.entries(), key=lambda one: one.intended_ns)
    assert len(entries) == result.requests == 100
    assert {b.intended_ns - a.intended_ns for a, b in itertools.pairwise(entries)} == {5_000_000}
    assert all(one.start_ns >= one.intended_ns for one in entries)
    assert statistics.median(one.start_ns - one.intended_ns for one in entries) < 100_000_000
    assert result.achieved_rate == pytest.approx(200, rel=0.2)
    assert result.asked_rate == 200


def test_stall_shows_from_the_intended_start(shared: Shared) -> None:
    """Two connections against a server that stalls for 0.8 of 2 seconds: the truth over arrivals is the schedule's."""
    server, driver, _ = shared
    rate, seconds, stall = 100, 2.0, 0.8
    running = driver.begin(Profile(mix=(spec(),), rate=rate, duration_seconds=seconds, connections=2), "stall")
    time.sleep(0.5)
    stalled = time.time_ns()
    server.stall()
    time.sleep(stall)
    server.flow()
    flowing = time.time_ns()
    result = running.wait()
    entries = list(result.ledger.entries())
    truth = sorted(max(flowing - one.intended_ns, 0) if one.intended_ns >= stalled else 0 for one in entries)
    assert result.requests == 200
    assert result.unsent == 0
    # What had piled up by the end of the stall takes its time, on a busy machine a long one.
    drain = (max(one.end_ns for one in entries if one.intended_ns < flowing) - flowing) / 1e9
    for q in (0.9, 0.99):
        expected = truth[int(len(truth) * q) - 1] / 1e9
        seen = result.ledger.quantile(q, from_="intended")
        assert seen is not None
        assert 0.9 * expected <= seen.total_seconds() <= 1.1 * expected + drain, q
    hidden = result.ledger.quantile(0.9)
    assert hidden is not None
    assert hidden < timedelta(seconds=stall / 2), "from the send, a stall hides behind busy connections"


def test_arrivals_that_cannot_be_sent_are_counted(shared: Shared) -> None:
    """One connection, held by a server that never answers in time: what was due is unsent, not forgotten."""
    _, driver, _ = shared
    profile = Profile(mix=(spec("/silent"),), rate=50, duration_seconds=0.4, connections=1, timeout_seconds=0.3)
    result = driver.run(profile, "unsent")
    assert result.requests + result.unsent == 20
    assert result.failures == {"timeout": result.requests}
    assert result.requests <= 4
    assert kinds(result) == {"timeout": result.requests, "unsent": result.unsent}
    assert any("could not be sent" in warning for warning in result.warnings)
    assert len({one.request_id for one in result.ledger.entries()}) == 20


def test_stop_ends_arrivals_and_waits_for_answers(shared: Shared) -> None:
    server, driver, _ = shared
    server.ids.clear()
    running = driver.begin(Profile(mix=(spec("/slow?s=0.2"),), rate=50, duration_seconds=60), "stopped")
    server.await_ids(25)
    begin = time.monotonic()
    result = running.stop()
    assert time.monotonic() - begin < 10
    assert kinds(result) == {"200": result.requests}
    assert 25 <= result.requests < 1000
    assert result.unsent == 0
    assert sorted(server.ids) == sorted(result.ledger.request_ids())
    assert result.achieved_rate == pytest.approx(50, rel=0.3)


def test_stop_counts_what_was_due_and_waiting(shared: Shared) -> None:
    server, driver, _ = shared
    profile = Profile(mix=(spec(),), rate=100, duration_seconds=60, connections=1, timeout_seconds=30)
    server.stall()
    begin = time.monotonic()
    running = driver.begin(profile, "stopped behind")
    time.sleep(0.5)
    stopper = threading.Timer(0.2, server.flow)
    stopper.start()
    result = running.stop()
    assert result.requests == 1
    assert 40 <= result.unsent <= 100 * (time.monotonic() - begin)


def test_closed_model_keeps_its_users_busy(shared: Shared) -> None:
    server, driver, _ = shared
    server.most_at_once = 0
    result = driver.run(Profile(mix=(spec("/slow?s=0.02"),), users=4, duration_seconds=0.3), "closed")
    assert server.most_at_once == 4
    assert 12 <= result.requests <= 64
    assert all(one.intended_ns == one.start_ns for one in result.ledger.entries())


def test_two_loads_run_at_once_and_stay_apart(shared: Shared) -> None:
    server, driver, folder = shared
    server.ids.clear()
    background = driver.begin(Profile(mix=(spec(),), rate=50, duration_seconds=60), "background")
    time.sleep(0.2)
    fast = driver.run(burst(20, "/slow?s=0.02"), "burst")
    time.sleep(0.1)
    slow = background.stop()
    assert fast.ledger.tally().certain == {("/slow", "GET", 200): 20}
    assert set(slow.ledger.tally().certain) == {("/ok", "GET", 200)}
    assert sorted(server.ids) == sorted([*fast.ledger.request_ids(), *slow.ledger.request_ids()])
    assert slow.window.start < fast.window.start < fast.window.end < slow.window.end
    both = Ledger.open(folder)
    assert both.tally(slow.window, load="burst").sent == 20


def test_mix_follows_the_weights_and_the_seed(shared: Shared) -> None:
    _, driver, _ = shared
    mix = (spec("/a", weight=3), spec("/b"))
    orders = [
        [one.endpoint for one in driver.run(
            Profile(mix=mix, users=1, requests=60, seed=seed), f"seed {seed}").ledger.entries()]
        for seed in (1, 1, 2)
    ]  # fmt: skip
    assert orders[0] == orders[1] != orders[2]
    assert 35 <= orders[0].count("/a") <= 55


def test_ledger_can_be_read_while_the_load_runs(shared: Shared) -> None:
    server, driver, _ = shared
    server.ids.clear()
    running = driver.begin(Profile(mix=(spec(),), rate=100, duration_seconds=60), "live")
    arrived = set(server.await_ids(50))
    while not arrived <= set(running.ledger.request_ids()):
        assert not running.is_over
        time.sleep(0.01)
    assert set(running.ledger.request_ids()) <= set(server.ids)
    while running.progress().requests <= 20:
        assert not running.is_over
        time.sleep(0.01)
    assert running.progress().p95 is not None
    assert not running.is_over
    result = running.stop()
    assert running.is_over
    assert running.progress().requests == result.requests


def test_wait_raises_what_check_alive_raises_and_ends_the_load(shared: Shared) -> None:
    server, driver, _ = shared
    running = driver.begin(Profile(mix=(spec(),), rate=100, duration_seconds=60), "component died")

    def check_alive() -> None:
        if len(server.ids) > 5:
            raise LoadError("a component died")

    server.ids.clear()
    with pytest.raises(LoadError, match="a component died"):
        running.wait(check_alive)
    assert running.stop().requests < 3000


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "GET X"}, "not an HTTP method"),
        ({"path": "/a b"}, "blanks are written %20"),
        ({"headers": {"A": "x\r\nB: y"}}, "control characters"),
        ({"headers": {"x-request-id": "mine"}}, "gets an id of its own"),
        ({"headers": {"Content-Length": "1"}}, "length of the body"),
    ],
)
def test_requests_that_cannot_be_sent_are_refused(shared: Shared, given: dict[str, object], message: str) -> None:
    _, driver, _ = shared
    one = RequestSpec(**{"path": "/", "endpoint": "/", **given})  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=message):
        driver.begin(Profile(mix=(one,), users=1, requests=1), "refused")


def test_addresses_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ftp://x"):
        Driver(base_url="ftp://x", ledger_dir=tmp_path, run_id="r")


def test_source_that_is_saturated_says_so(shared: Shared) -> None:
    _, driver, _ = shared
    result = driver.run(Profile(mix=(spec(),), users=4, duration_seconds=0.6), "as fast as it can")
    if result.cpu_share > 0.7:
        assert any("of its core" in warning for warning in result.warnings)
        assert any("of its core" in doubt.text for doubt in result.doubts)
    paced = driver.run(Profile(mix=(spec(),), rate=50, duration_seconds=0.6), "paced")
    assert 0 < paced.cpu_share < 0.5
