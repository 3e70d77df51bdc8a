"""The instrumentation that others can lift: alone in a process, around an application of no service of ours."""

from __future__ import annotations

import ast
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from werkzeug.test import Client, EnvironBuilder, TestResponse

from service.telemetry import (
    REQUEST_ID,
    Failure,
    JsonLines,
    LineLog,
    RequestFacts,
    RequestIds,
    RequestMetrics,
    Telemetry,
    TextLines,
    buckets_with,
    flask_rules,
)
from service.telemetry.lean import LeanCounter, LeanGauge, LeanHistogram
from tests.service.observed import LINE, REQUEST, Observed, Samples, fast, samples_of, total
from tests.service.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT, ACTIVE = "app_request_count_total", "app_active_requests"


class Lifted:
    """An application of someone else's, wrapped."""

    def __init__(self, descriptor: int, lines: TextLines | JsonLines | None = None, **given: Any) -> None:
        self.descriptor = descriptor
        self.metrics = RequestMetrics()
        flask = Flask("elsewhere")

        @flask.get("/users/<name>")
        def user(name: str) -> str:
            return name

        @flask.get("/boom")
        def boom() -> str:
            raise ZeroDivisionError("\n2026-01-01 00:00:00 [INFO] GET / 200 0.1s - request_id=forged")

        given.setdefault("rule_of", flask_rules(flask.url_map))
        flask.wsgi_app = Telemetry(  # type: ignore[method-assign, assignment]
            flask.wsgi_app, self.metrics, LineLog(descriptor, lines), untold={"/metrics"}, **given
        )
        self.flask = flask
        self.client = Client(flask)

    def get(self, path: str, **given: Any) -> TestResponse:
        """Return the whole answer to a request whose response was read to its end and closed."""
        return self.client.get(path, buffered=True, **given)

    @property
    def lines(self) -> list[str]:
        return os.pread(self.descriptor, 1 << 20, 0).decode().splitlines()

    @property
    def samples(self) -> Samples:
        return samples_of(generate_latest(self.metrics.registry).decode())

    def total(self, name: str, **labels: str) -> float:
        return total(self.samples, name, **labels)

    @property
    def endpoints(self) -> set[str]:
        return {dict(labels)["endpoint"] for name, labels in self.samples if name == COUNT}


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    with (tmp_path / "log").open("w+b") as file:
        yield file.fileno()


@pytest.fixture
def lifted(descriptor: int) -> Lifted:
    return Lifted(descriptor)


def around(lifted: Lifted, app: Any, respond: Any = lambda *_: lambda _part: None) -> Any:
    """Return what the server gets of another application."""
    wrapped = Telemetry(app, lifted.metrics, LineLog(lifted.descriptor), rule_of=lambda _: "/")
    return wrapped(EnvironBuilder(path="/").get_environ(), respond)


def openmetrics(lifted: Lifted) -> str:
    generate: Any = generate_openmetrics  # this part of the client has no types
    text: str = generate(lifted.metrics.registry).decode()
    return text


def test_endpoint_is_the_rule_and_not_the_path(lifted: Lifted) -> None:
    for number in range(300):
        assert lifted.get(f"/users/{number}").status_code == 200
        assert lifted.get(f"/nothing/{number}").status_code == 404
    assert lifted.endpoints == {"/users/<name>", "unmatched"}
    assert lifted.total(COUNT, endpoint="/users/<name>", http_status="200") == 300
    assert lifted.total("app_error_count_total", endpoint="unmatched", error_type="client_error") == 300
    assert lifted.total(ACTIVE) == 0


def test_rules_that_clients_think_up_stay_bounded(descriptor: int) -> None:
    """Whoever gives paths for rules gets no more label values than the bound."""
    lifted = Lifted(descriptor, rule_of=lambda environ: environ["PATH_INFO"], max_endpoints=5)
    for number in range(50):
        lifted.get(f"/users/{number}")
    assert len(lifted.endpoints) == 6
    assert "unmatched" in lifted.endpoints
    assert lifted.total(COUNT) == 50


@pytest.mark.parametrize("lines", [TextLines(), JsonLines()])
def test_rule_that_would_forge_a_line_stays_on_its_own(descriptor: int, lines: Any) -> None:
    lifted = Lifted(descriptor, lines, rule_of=lambda _: '/"\n2026 [ERROR] forged\u2028')
    lifted.get("/users/x")
    assert len(lifted.lines) == 1
    if isinstance(lines, JsonLines):
        assert json.loads(lifted.lines[0])["endpoint"].startswith('/"\\n2026')


def test_untold_paths_are_no_traffic(lifted: Lifted) -> None:
    lifted.get("/metrics")
    assert (lifted.total(COUNT), lifted.lines) == (0, [])


def test_exception_of_a_handler_is_told_with_its_traceback_and_on_one_line(lifted: Lifted) -> None:
    lifted.flask.config["PROPAGATE_EXCEPTIONS"] = True
    heads: list[tuple[str, dict[str, str]]] = []

    def respond(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
        heads.append((status, dict(headers)))

    environ = {**EnvironBuilder(path="/boom").get_environ(), "HTTP_X_REQUEST_ID": "r1"}
    response: Any = lifted.flask.wsgi_app(environ, respond)
    assert json.loads(b"".join(response))["request_id"] == "r1"
    response.close()
    assert [(status[:3], headers["X-Request-ID"]) for status, headers in heads] == [("500", "r1")]
    error, request = [LINE.fullmatch(line) for line in lifted.lines]
    assert error is not None
    assert request is not None
    assert (error["level"], error["request_id"]) == ("ERROR", "r1")
    assert "Traceback (most recent call last):" in error["message"]
    assert REQUEST.fullmatch(request["message"].replace("/boom", "/")) is not None
    assert lifted.total("app_error_count_total", error_type="unhandled_exception", endpoint="/boom") == 1
    assert lifted.total(ACTIVE) == 0


def test_response_that_is_never_read_nor_closed_leaves_nothing_in_flight(lifted: Lifted) -> None:
    """A layer above threw it away; the thread that frees it is at work on another request by then."""
    response = around(lifted, lambda _, respond: respond("200 OK", []) and [b"x"])
    assert lifted.total(ACTIVE) == 1
    other = REQUEST_ID.set("another")
    del response
    gc.collect()
    assert REQUEST_ID.get() == "another"
    REQUEST_ID.reset(other)
    assert (lifted.total(ACTIVE), lifted.total(COUNT), len(lifted.lines)) == (0, 1, 1)


def test_closing_twice_counts_once(lifted: Lifted) -> None:
    response = around(lifted, lambda _, respond: respond("200 OK", []) and [b"x"])
    assert list(response) == [b"x"]
    response.close()
    response.close()
    assert (lifted.total(ACTIVE), lifted.total(COUNT), len(lifted.lines)) == (0, 1, 1)


def test_server_that_refuses_another_answer_gets_its_exception_and_the_request_is_counted(lifted: Lifted) -> None:
    """Bytes were on their way, by way of the old `write`, when the application failed."""

    def app(_environ: Any, respond: Any) -> Any:
        respond("200 OK", [])(b"first")
        raise ZeroDivisionError

    def respond(_status: str, _headers: Any, exc_info: Any = None) -> Any:
        if exc_info:
            raise exc_info[1]
        return lambda _: None

    with pytest.raises(ZeroDivisionError):
        around(lifted, app, respond)
    gc.collect()
    assert (lifted.total(ACTIVE), lifted.total(COUNT, http_status="500")) == (0, 1)


def test_place_that_cannot_be_given_back_does_not_raise_the_gauge(lifted: Lifted) -> None:
    def release() -> None:
        raise RuntimeError("no place")

    response = around(lifted, lambda _, respond: respond("200 OK", []) and [b"x"])
    response.release = release
    with pytest.raises(RuntimeError, match="no place"):
        response.close()
    assert (lifted.total(ACTIVE), lifted.total(COUNT)) == (0, 1)


def test_exemplars_name_a_request_of_their_bucket(lifted: Lifted) -> None:
    lifted.metrics.count_request("/", "GET", 200, 0.03, "fast-one")
    lifted.metrics.count_request("/", "GET", 200, 3.0, "slow-one")
    text = openmetrics(lifted)
    named = [line for line in text.splitlines() if "# {" in line]
    assert [("fast-one" in line, "slow-one" in line) for line in named] == [(True, False), (False, True)]
    assert 'le="0.05"' in named[0]
    assert 'le="5.0"' in named[1]
    assert "-one" not in generate_latest(lifted.metrics.registry).decode()


def test_id_that_no_exemplar_can_hold_is_left_out(lifted: Lifted) -> None:
    """OpenMetrics allows 128 characters, and a parser that meets more drops the whole scrape."""
    for length in (118, 119, 128):
        answer = lifted.get(f"/users/{length}", headers={"X-Request-ID": "a" * length})
        assert answer.status_code == 200
        lifted.metrics._latency_child("/users/<name>", "GET")._due[0] = 0.0
    text = openmetrics(lifted)
    assert "a" * 118 in text
    assert "a" * 119 not in text
    assert lifted.total(COUNT) == 3


@pytest.mark.parametrize("thresholds", [(), (0.3,), (0.05, 7.5)])
def test_histogram_has_a_bound_at_every_threshold(thresholds: tuple[float, ...]) -> None:
    with Observed(fast(latency_thresholds_seconds=thresholds)) as observed:
        observed.app.metrics.count_request("/", "GET", 200, 0.2)
        bounds = {dict(labels)["le"] for name, labels in observed.samples if name.endswith("_seconds_bucket")}
    assert {float(bound) for bound in bounds} == {0.01, 0.05, 0.1, 0.5, 1, 2, 5, float("inf"), *thresholds}


def test_short_way_into_the_histogram_counts_what_the_long_one_does() -> None:
    chance = random.Random(4)
    values = [0.0, 0.01, 0.05, 0.5, 5.0, 5.1, 1e9, *(chance.lognormvariate(-3, 2) for _ in range(500))]
    texts = []
    for kind, name in ((Histogram, "observe"), (LeanHistogram, "add")):
        registry = CollectorRegistry()
        made = kind("took", "Time.", ("what",), registry=registry, buckets=buckets_with((0.3,)))
        for value in values:
            getattr(made.labels("x"), name)(value)
        texts.append([line for line in generate_latest(registry).decode().splitlines() if "created" not in line])
    assert texts[0] == texts[1]


def test_counting_by_ticks_loses_nothing_to_other_threads() -> None:
    metrics = RequestMetrics()

    def count() -> None:
        for place in range(2000):
            metrics.request_began()
            metrics.count_request("/", "GET", 200, 0.02, "id")
            if place % 2:
                metrics.request_ended()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    values = {sample.name: sample.value for metric in metrics.registry.collect() for sample in metric.samples}
    assert (values["app_request_count_total"], values["app_request_latency_seconds_count"]) == (16_000, 16_000)
    assert values["app_request_latency_seconds_sum"] == pytest.approx(320)
    assert values["app_active_requests"] == 8000


@given(st.lists(st.tuples(st.sampled_from(["up", "down", "inc", "dec", "set"]), st.integers(-5, 5))))
def test_a_gauge_by_ticks_is_what_the_clients_own_would_be(steps: list[tuple[str, int]]) -> None:
    ours, theirs = LeanGauge("ours", "O.", registry=None), Gauge("theirs", "T.", registry=None)
    for name, value in steps:
        if name in {"up", "down"}:
            getattr(ours, name)()
            theirs.inc(1 if name == "up" else -1)
        else:
            getattr(ours, name)(value)
            getattr(theirs, name)(value)
        assert ours._value.get() == theirs._value.get()


@given(st.lists(st.sampled_from([0, 1, 2.5, "reset"])))
def test_a_counter_by_ticks_is_what_the_clients_own_would_be(steps: list[float | str]) -> None:
    ours, theirs = LeanCounter("ours", "O.", registry=None), Counter("theirs", "T.", registry=None)
    for one in steps:
        if isinstance(one, str):
            ours.reset()
            theirs.reset()
        elif one == 1:
            ours.tick()
            theirs.inc()
        else:
            ours.inc(one)
            theirs.inc(one)
        assert ours._value.get() == theirs._value.get()


def test_numbers_that_other_processes_read_too_are_counted_in_their_file(tmp_path: Path) -> None:
    program = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        from telemetry import RequestMetrics
        from prometheus_client import CollectorRegistry, multiprocess
        metrics = RequestMetrics(exemplars=False)
        for _ in range(3):
            metrics.request_began()
            metrics.count_request("/", "GET", 200, 0.02)
        metrics.request_ended()
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        print({sample.name: sample.value for metric in registry.collect() for sample in metric.samples
               if not sample.name.endswith("_bucket")})
    """
    service = Path(__file__).parents[2] / "service"
    done = subprocess.run(
        [sys.executable, "-c", program, str(service)], capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
    )  # fmt: skip
    found = ast.literal_eval(done.stdout)
    assert (found["app_active_requests"], found["app_request_count_total"]) == (2, 3)
    assert (found["app_request_latency_seconds_count"], round(found["app_request_latency_seconds_sum"], 6)) == (3, 0.06)


def test_ids_are_unique_over_processes_and_are_uuids() -> None:
    ids = RequestIds()
    made = [ids.of(None) for _ in range(100)]
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, "\n".join(ids.of(None) for _ in range(20)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    made += os.read(reader, 65536).decode().split("\n")
    os.close(reader)
    os.close(writer)
    made += [ids.of(None) for _ in range(100)]
    assert len(set(made)) == 220
    assert {uuid.UUID(one).version for one in made} == {4}
    assert ids.of("given") == "given"
    assert ids.of("not sane") != "not sane"


@given(st.text(max_size=5000), st.sampled_from([TextLines(), JsonLines()]))
def test_any_failure_is_one_line_that_a_pipe_takes_whole(message: str, lines: TextLines | JsonLines) -> None:
    reader, writer = os.pipe()
    try:
        facts = RequestFacts("GET", "/" * 100, 500, 0.1, "a" * 128)
        LineLog(writer, lines).failure(facts, Failure("server_error", message + '"\\' * 2000))
        line = os.read(reader, 65536)
    finally:
        os.close(reader)
        os.close(writer)
    assert len(line) <= 4096
    assert line.endswith(b"\n")
    assert len(line.decode().splitlines()) == 1
    if isinstance(lines, JsonLines):
        assert json.loads(line)["error_type"] == "server_error"


def test_log_that_nobody_reads_fails_no_request(descriptor: int) -> None:
    lifted = Lifted(descriptor)
    reader, writer = os.pipe()
    os.close(reader)
    lifted.flask.wsgi_app._log = LineLog(writer)  # type: ignore[attr-defined]
    assert lifted.get("/users/x").status_code == 200
    assert lifted.get("/boom").status_code == 500
    os.close(writer)
    assert lifted.total(COUNT) == 2


@pytest.mark.slow  # a process of its own
def test_folder_works_where_nothing_else_of_the_service_is(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service" / "telemetry", tmp_path / "lifted", ignore=shutil.ignore_patterns("__pycache__"))
    program = """
import sys
import threading
from flask import Flask
from lifted import LineLog, RequestMetrics, Telemetry, flask_rules
from prometheus_client.exposition import generate_latest
flask, metrics = Flask("x"), RequestMetrics(prefix="shop")
flask.wsgi_app = Telemetry(flask.wsgi_app, metrics, LineLog(), rule_of=flask_rules(flask.url_map))
flask.test_client().get("/nothing", headers={"X-Request-ID": "r1"}, buffered=True)
assert not [name for name in sys.modules if name.startswith(("service", "sloproof"))]
sys.stdout.write(generate_latest(metrics.registry).decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True,
        env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert 'shop_request_count_total{endpoint="unmatched",http_status="404",method="GET"} 1.0' in done.stdout
    assert "[WARNING] answered 404 - request_id=r1" in done.stdout
