"""Every request is accounted for once, whatever becomes of it: one line, one count, one latency, nothing in flight."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import EnvironBuilder

from service.admission import Admission
from service.application import fixed_paths
from service.metrics import expected_answers
from service.observers import Scrapes
from service.telemetry import LATENCY_BUCKETS
from tests.service.observed import Observed, fast, label_values, total

if TYPE_CHECKING:
    from collections.abc import Iterator

ACTIVE, COUNT, ERRORS = "app_active_requests", "app_request_count_total", "app_error_count_total"
LATENCY = "app_request_latency_seconds"
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/", {}), ("HEAD", "/", {}), ("OPTIONS", "/api/echo", {}), ("GET", "/api/users", {}),
    ("POST", "/api/users", {}), ("BREW", "/api/users", {}), ("GET", "/nope", {}), ("TRACE", "/nope", {}),
    ("POST", "/api/echo", {"data": b"{}", "content_type": "application/json"}),
    ("POST", "/api/echo", {"data": b"{", "content_type": "application/json"}), ("POST", "/api/echo", {"data": b"{}"}),
    ("POST", "/api/echo", {"data": b" " * 70, "content_type": "application/json"}),
    ("GET", "/api/error", {}), ("GET", "/api/error?type=client", {}), ("GET", "/api/error?type=exception", {}),
    ("HEAD", "/api/error?type=exception", {}),
]  # fmt: skip


def books(observed: Observed) -> dict[str, float]:
    """Return the totals that must agree with each other."""
    samples = observed.samples
    return {
        "requests": total(samples, COUNT),
        "timed": total(samples, f"{LATENCY}_count"),
        "failed": sum(value for (name, labels), value in samples.items()
                      if name == COUNT and int(dict(labels)["http_status"]) >= 400),
        "errors": total(samples, ERRORS),
        "active": total(samples, ACTIVE),
        "lines": len(observed.requests),
        "error lines": sum(level in ("WARNING", "ERROR") for level, _, request_id in observed.events
                           if request_id != "-" and "Faults in force" not in _),
    }  # fmt: skip


def test_lines_counts_latencies_and_errors_agree(make_observed: type[Observed]) -> None:
    """The number of errors is the number of answers with 400 or more; each has one line beside the request's own."""
    with make_observed(fast(max_body_bytes=64)) as observed:
        statuses = [observed.send(method, path, **given).status_code for method, path, given in CASES]
        failed = sum(status >= 400 for status in statuses)
        assert books(observed) == {"requests": len(CASES), "timed": len(CASES), "lines": len(CASES), "active": 0,
                                   "failed": failed, "errors": failed, "error lines": failed}  # fmt: skip
        assert [int(line["status"]) for line in observed.requests] == statuses
        for line in observed.requests:
            labels = {"endpoint": line["endpoint"], "method": line["method"], "http_status": line["status"]}
            assert observed.total(COUNT, **labels) >= 1


def test_an_unhandled_exception_shows_in_all_three_places(observed: Observed) -> None:
    observed.send("GET", "/api/error?type=exception", headers={"X-Request-ID": "boom"})
    assert observed.total(COUNT, endpoint="/api/error", http_status="500") == 1
    assert observed.total(ERRORS, endpoint="/api/error", error_type="unhandled_exception") == 1
    lines = [message for level, message, request_id in observed.events if (level, request_id) == ("ERROR", "boom")]
    assert len(lines) == 1
    assert "Traceback (most recent call last):\\n" in lines[0]
    assert "DeliberateError" in lines[0]


class Body:
    """A response's body that does as told."""

    def __init__(self, *parts: bytes | Exception, on_close: Exception | None = None) -> None:
        self.parts, self.on_close, self.closed = iter(parts), on_close, 0

    def __iter__(self) -> Iterator[bytes]:
        """Return this."""
        return self

    def __next__(self) -> bytes:
        """Do what comes next."""
        part = next(self.parts)
        if isinstance(part, Exception):
            raise part
        return part

    def close(self) -> None:
        self.closed += 1
        if self.on_close:
            raise self.on_close


def answering(observed: Observed, body: Any, *, starts: bool = True) -> Any:
    """Let the application inside answer with a body, and return what the server gets."""

    def app(_environ: Any, respond: Any) -> Any:
        if starts:
            respond("200 OK", [])
        if isinstance(body, BaseException):
            raise body
        return body

    observed.app.instrumentation._app = app
    return observed.app(EnvironBuilder(path="/").get_environ(), lambda *_: lambda _part: None)


def test_a_request_is_in_flight_until_its_body_is_closed(observed: Observed) -> None:
    inner, gauge = Body(b"a", b"b"), observed.app.metrics._active._value
    response = answering(observed, inner)
    assert list(response) == [b"a", b"b"]
    assert gauge.get() == 1
    assert observed.requests == []
    response.close()
    response.close()
    assert (gauge.get(), inner.closed, len(observed.requests)) == (0, 1, 1)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (Body(RuntimeError("first")), "500"), (Body(b"a", RuntimeError("later")), "500"),
        (Body(b"a", on_close=RuntimeError("closing")), "500"), (RuntimeError("before"), "500"), (Body(b"a"), "200"),
        (Body(), "200"), (7, "500"),
    ],
)  # fmt: skip
def test_whatever_a_body_does_it_is_counted_once(observed: Observed, body: Any, expected: str) -> None:
    response = answering(observed, body)
    try:
        list(response)
    except RuntimeError as error:
        assert str(error) == "later"  # noqa: PT017 - only this one is the server's business, as bytes are on their way
    response.close()
    assert [line["status"] for line in observed.requests] == [expected]
    assert observed.app.metrics._active._value.get() == 0
    failed = expected == "500"
    assert sum("Traceback" in message for _, message, _ in observed.events) == failed
    assert sum(child._value.get() for child in observed.app.metrics._error_children.values()) == failed


def test_a_client_that_hangs_up_is_counted(observed: Observed) -> None:
    """The server stops asking for parts and closes."""
    response = answering(observed, Body(b"a", b"b"))
    next(iter(response))
    response.close()
    assert [line["status"] for line in observed.requests] == ["200"]
    assert observed.app.metrics._active._value.get() == 0


def test_a_thread_that_is_told_to_exit_leaves_nothing_in_flight(observed: Observed) -> None:
    with pytest.raises(SystemExit):
        answering(observed, SystemExit(1))
    assert observed.app.metrics._active._value.get() == 0
    assert len(observed.requests) == 1


def test_the_gauge_falls_last_and_is_read_first(observed: Observed) -> None:
    """So that 0 in flight proves that all that ended before has been told, counted and timed."""
    order: list[str] = []
    metrics, log = observed.app.metrics, observed.log
    for owner, name in ((log, "event"), (log, "request"), (metrics, "count_error"), (metrics, "count_request"),
                        (metrics, "request_ended")):  # fmt: skip
        setattr(owner, name, lambda *_, name=name, **__: order.append(name))
    observed.send("GET", "/api/error")
    assert order == ["event", "request", "count_error", "count_request", "request_ended"]
    text = observed.app.metrics.expose("").body.decode()
    first = next(line for line in text.splitlines() if not line.startswith("#"))
    assert first.startswith(f"{ACTIVE} ")


def test_everything_expected_exists_at_0_from_the_start(observed: Observed) -> None:
    """A series born with its first event loses that event to every rate."""
    before = observed.samples
    assert all(value == 0 for (name, _), value in before.items() if name in (COUNT, ERRORS, ACTIVE))
    for method, path, given in CASES:
        observed.send(method, path, **given)
    observed.faults(error_ratio=1)
    observed.send("GET", "/api/users")
    born = {key for key in observed.samples.keys() - before.keys() if key[0] in (COUNT, ERRORS, ACTIVE)}
    assert born == set()
    assert label_values(observed.samples) == label_values(before)


def test_what_is_expected_covers_every_rule_and_every_method(observed: Observed) -> None:
    rules = {rule for rule in fixed_paths(observed.app.flask) if rule == "/" or rule.startswith("/api/")}
    expected = set(expected_answers())
    assert {endpoint for endpoint, _, _ in expected} == rules | {"unmatched"}
    methods = {method for _, method, _ in expected}
    for endpoint in rules:
        assert {method for known, method, _ in expected if known == endpoint} == methods


def test_buckets_and_names_are_those_that_dashboards_are_written_against(observed: Observed) -> None:
    observed.send("GET", "/")
    edges = [
        dict(labels)["le"]
        for name, labels in observed.samples
        if name == f"{LATENCY}_bucket" and ("method", "GET") in labels and ("endpoint", "/") in labels
    ]
    assert [float(edge) for edge in edges[:-1]] == list(LATENCY_BUCKETS) == [0.01, 0.05, 0.1, 0.5, 1, 2, 5]
    assert "_created" not in " ".join(name for name, _ in observed.samples)


def test_exposition_is_openmetrics_when_asked(observed: Observed) -> None:
    plain = observed.send("GET", "/metrics")
    assert plain.content_type.startswith("text/plain; version=0.0.4")
    asked = observed.send("GET", "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert asked.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert asked.data.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("trace-4711.a_b", True), ("a" * 128, True), ("a" * 129, False), ("", False), ("-", False),
        ("two words", False), ("x request_id=forged", False), ("<script>", False), ("a\x85b", False), ("é", False),
        ("a,b", False), (".hidden", False),
    ],
)  # fmt: skip
def test_request_id_is_kept_if_sane_and_replaced_otherwise(observed: Observed, given: str, *, is_kept: bool) -> None:
    _, _, headers = observed.call({"HTTP_X_REQUEST_ID": given, "PATH_INFO": "/api/error"})
    assert (headers["X-Request-ID"] == given) is is_kept
    assert {request_id for _, _, request_id in observed.events} == {headers["X-Request-ID"]}
    if not is_kept:
        assert len(headers["X-Request-ID"]) == 36


def test_an_exception_while_answering_a_scrape_is_told(observed: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Any:
        raise OSError("no numbers")

    monkeypatch.setattr(observed.app.metrics, "expose", broken)
    statuses: list[str] = []
    answer = observed.app(EnvironBuilder(path="/metrics").get_environ(), lambda status, *_: statuses.append(status))  # type: ignore[arg-type]
    body = b"".join(answer)
    getattr(answer, "close")()  # noqa: B009 - WSGI's, not that of every iterable
    assert (statuses, b"unhandled_exception" in body) == (["500 INTERNAL SERVER ERROR"], True)
    assert [level for level, message, _ in observed.events if "Traceback" in message] == ["ERROR"]


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_a_scrape_is_answered_as_flask_would(observed: Observed, accept: str) -> None:
    short = observed.send("GET", "/metrics", headers={"Accept": accept})
    outside = observed.app.instrumentation._app
    observed.app.instrumentation._app = admission(observed)
    long = observed.send("GET", "/metrics", headers={"Accept": accept})
    observed.app.instrumentation._app = outside
    assert (short.status_code, short.data) == (long.status_code, long.data)
    ids = {"X-Request-ID"}
    assert [one for one in short.headers if one[0] not in ids] == [one for one in long.headers if one[0] not in ids]
    assert (
        observed.send("HEAD", "/metrics", headers={"Accept": accept}).headers["Content-Length"]
        == short.headers["Content-Length"]
    )
    assert observed.send("POST", "/metrics").status_code == 405


def admission(observed: Observed) -> Admission:
    outside = observed.app.instrumentation._app
    assert isinstance(outside, Scrapes)
    assert isinstance(outside._app, Admission)
    return outside._app


def test_admission_lets_some_work_some_wait_and_turns_the_rest_away(make_observed: type[Observed]) -> None:
    with make_observed(fast(threads=1, queue_size=1, queue_seconds=60.0)) as observed:
        observed.faults(hang=True)
        answers: list[int] = []
        workers = [
            threading.Thread(target=lambda: answers.append(observed.send("GET", "/api/users").status_code))
            for _ in range(2)
        ]
        gauge = observed.app.metrics._active._value
        for number, worker in enumerate(workers, start=1):
            worker.start()
            while gauge.get() < number:
                pass
        while admission(observed)._waiting_places.qsize():
            pass
        turned_away = observed.send("GET", "/api/users")
        assert (turned_away.status_code, turned_away.headers["Retry-After"]) == (503, "60")
        assert observed.send("GET", "/").status_code == 200, "what is not the API needs no place"
        assert observed.send("GET", "/health/liveness").status_code == 200
        observed.faults()
        for worker in workers:
            worker.join(60)
        assert answers == [200, 200]
        assert gauge.get() == 0
        assert observed.total(ERRORS, error_type="overload", endpoint="/api/users") == 1


def test_a_wait_that_takes_too_long_ends_in_503(make_observed: type[Observed]) -> None:
    with make_observed(fast(threads=1, queue_size=1, queue_seconds=0.05)) as observed:
        observed.faults(hang=True)
        answers: list[int] = []
        first = threading.Thread(target=lambda: answers.append(observed.send("GET", "/api/users").status_code))
        first.start()
        while admission(observed)._places.qsize():
            pass
        assert observed.send("GET", "/api/users").status_code == 503
        assert float(observed.requests[0]["duration_seconds"]) >= 0.05, "what was waited is part of the latency"
        observed.faults()
        first.join(60)
        assert answers == [200]


def test_a_hang_is_bounded(make_observed: type[Observed]) -> None:
    with make_observed(fast(hang_limit_seconds=0.05)) as observed:
        observed.faults(hang=True)
        assert observed.send("GET", "/api/users").status_code == 200
        assert float(observed.requests[0]["duration_seconds"]) >= 0.05
