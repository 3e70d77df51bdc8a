"""The fault switch: who may turn it, what it takes, and that every process obeys at once."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from service.faults import Faults, FaultSwitch
from service.shared import Lifecycle, SharedMemory
from tests.service.observed import TOKEN, Observed, fast

AUTH = {"Authorization": f"Bearer {TOKEN}"}


def test_switch_is_no_endpoint_without_a_token(make_observed: type[Observed]) -> None:
    with make_observed(fast(faults_token="")) as observed:
        for method in ("GET", "PUT", "DELETE"):
            assert observed.send(method, "/faults", headers={"Authorization": "Bearer "}).status_code == 404
        assert observed.total("app_request_count_total", endpoint="unmatched") == 3


@pytest.mark.parametrize("given", [None, "", "Bearer wrong", "Bearer", TOKEN, f"bearer {TOKEN}", "Bearer \xff"])
def test_switch_refuses_who_has_not_the_token(observed: Observed, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    answer = observed.send("PUT", "/faults", data=b'{"hang":true}', headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert observed.app.faults.current == Faults()


def test_faults_are_set_shown_replaced_and_ended(observed: Observed) -> None:
    def ask(method: str, **given: object) -> object:
        answer = observed.send(method, "/faults", headers=AUTH, **given)
        assert answer.status_code == 200
        return answer.get_json()

    assert ask("GET") == {}
    wanted = {"error_ratio": 0.0, "added_latency_seconds": 0.5, "dependency_down": True}
    assert ask("PUT", json=wanted) == wanted
    assert ask("GET") == wanted
    assert ask("PUT", json={"hang": True}) == {"hang": True}
    assert observed.app.faults.current == Faults(hang=True)
    assert ask("DELETE") == {}
    assert observed.app.faults.current == Faults()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"eror_ratio":1}', "eror_ratio"), (b'{"error_ratio":1.1}', "from 0 to 1"), (b'{"error_ratio":true}', "true"),
        (b'{"error_ratio":NaN}', "NaN"), (b'{"error_ratio":"1"}', '"1"'), (b'{"added_latency_seconds":-1}', "-1"),
        (b'{"added_latency_seconds":1e999}', "Infinity"), (b'{"hang":1}', "true or false"), (b"[]", "list"),
        (b"{", "line 1"), (b"", "line 1"), (b'{"hang":null}', "null"), (b"[" * 60000, "deep"),
    ],
)  # fmt: skip
def test_switch_refuses_what_is_no_fault(observed: Observed, body: bytes, told: str) -> None:
    observed.faults(log_silence=False, dependency_down=True)
    answer = observed.send("PUT", "/faults", data=body, headers=AUTH)
    assert answer.status_code == 400
    assert told in answer.get_json()["message"]
    assert observed.app.faults.current == Faults(dependency_down=True), "the old faults stay in force"


def test_switch_and_probes_and_scrapes_are_no_traffic(observed: Observed) -> None:
    observed.faults(dependency_down=True)
    for method, path in (("GET", "/health/liveness"), ("GET", "/health/readiness"), ("POST", "/health/liveness"),
                         ("GET", "/metrics"), ("HEAD", "/metrics"), ("OPTIONS", "/metrics")):  # fmt: skip
        observed.send(method, path)
    samples = observed.samples
    traffic = ("app_request_count_total", "app_error_count_total", "app_request_latency_seconds_count")
    assert [value for (name, _), value in samples.items() if name in traffic and value] == []
    assert observed.total("app_probe_count_total", probe="readiness", http_status="503") == 1
    assert observed.total("app_probe_count_total", probe="liveness") == 2
    assert observed.requests == []


@pytest.mark.parametrize(
    ("method", "path", "given", "status", "counted"),
    [
        ("GET", "/faults", {}, 401, 1), ("PUT", "/faults", {"headers": AUTH, "data": b"{"}, 400, 1),
        ("POST", "/faults", {"headers": AUTH}, 405, 1), ("BREW", "/faults", {}, 405, 1),
        ("DELETE", "/metrics", {}, 405, 0), ("DELETE", "/health/liveness", {}, 405, 0),
        ("PATCH", "/health/readiness", {}, 405, 0),
    ],
)  # fmt: skip
def test_what_observers_are_refused_is_told_once_and_guesses_at_the_token_are_counted(
    observed: Observed, method: str, path: str, given: dict[str, Any], status: int, counted: int
) -> None:
    before = observed.samples
    answer = observed.send(method, path, **given)
    assert answer.status_code == status
    told = [(level, request_id) for level, message, request_id in observed.events if f" {path} {status} " in message]
    assert told == [("WARNING", answer.headers["X-Request-ID"])]
    assert observed.total("app_error_count_total") == counted
    assert observed.total("app_error_count_total", endpoint="/faults", error_type="client_error") == counted
    assert observed.total("app_request_count_total") == 0
    assert observed.samples.keys() == before.keys(), "no series is born with what it counts"


def test_dependency_down_turns_readiness_red_and_queries_into_errors(observed: Observed) -> None:
    observed.faults(dependency_down=True)
    readiness = observed.send("GET", "/health/readiness")
    assert (readiness.status_code, readiness.get_json()["reason"]) == (503, "the database is down")
    assert observed.send("GET", "/health/liveness").status_code == 200
    assert observed.send("GET", "/api/users").status_code == 500
    observed.faults()
    assert observed.send("GET", "/health/readiness").status_code == 200


def test_log_silence_silences_the_log_and_nothing_else(observed: Observed) -> None:
    observed.faults(log_silence=True)
    before = len(observed.lines)
    observed.send("GET", "/")
    assert len(observed.lines) == before
    observed.faults()
    observed.send("GET", "/")
    assert len(observed.requests) == 1
    assert observed.total("app_request_count_total") == 2


def test_readiness_is_red_while_starting_and_while_draining(make_observed: type[Observed]) -> None:
    with make_observed(fast(warmup_seconds=60.0)) as observed:
        assert observed.send("GET", "/health/readiness").get_json()["reason"] == "starting"
        assert observed.send("GET", "/health/liveness").status_code == 200
        observed.app.lifecycle.drain()
        assert observed.send("GET", "/health/readiness").get_json()["reason"] == "draining"
        assert observed.send("GET", "/").status_code == 200


def test_life_cycle_begins_once() -> None:
    lifecycle = Lifecycle(SharedMemory())
    assert lifecycle.reason == "starting"
    lifecycle.begin()
    assert lifecycle.reason is None
    lifecycle.begin()
    lifecycle.stop()
    assert (lifecycle.draining, lifecycle.stopping, lifecycle.reason) == (True, True, "draining")


def test_faults_set_in_one_process_are_in_force_in_another() -> None:
    switch = FaultSwitch(SharedMemory())
    child = os.fork()
    if not child:
        switch.set(Faults(error_ratio=0.25, hang=True))
        os._exit(0)
    os.waitpid(child, 0)
    assert switch.current == Faults(error_ratio=0.25, hang=True)


def test_faults_are_never_seen_half_set() -> None:
    """Two writers and a reader: what is read is always one of what was written."""
    switch = FaultSwitch(SharedMemory())
    known = [Faults(), *(Faults(0.1 * n, float(n), bool(n % 2), bool(n % 2), bool(n % 2)) for n in range(1, 9))]
    over = threading.Event()

    def write(half: int) -> None:
        while not over.is_set():
            for faults in known[half::2]:
                switch.set(faults)

    writers = [threading.Thread(target=write, args=(half,)) for half in (0, 1)]
    for writer in writers:
        writer.start()
    try:
        seen = {switch.current for _ in range(5000)}
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert seen <= set(known)
