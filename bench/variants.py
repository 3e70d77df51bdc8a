"""One small Flask application, instrumented in turn by everyone. Runs in the environment that `peers.py` makes.

    python variants.py ROUNDS REQUESTS NAME...     in process: prints the CPU time of every round as JSON
    BENCH_VARIANT=NAME gunicorn variants:application

Each variant counts for itself, and its counts are held against the requests that it was sent before a time counts.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

# The module alone, as an adopter would have it: nothing else of the service can be imported from there.
sys.path.append(str(Path(__file__).resolve().parents[1] / "service"))

from telemetry import JsonLines, LineLog, RequestMetrics, Telemetry, TextLines, flask_rules

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
PATH = "/api/users"
_BODY = b'[{"id":1,"name":"Alice","email":"alice@example.com"},{"id":2,"name":"Bob","email":"bob@example.com"}]'
_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0)


class Variant(NamedTuple):
    """An instrumented application.

    Attributes:
        app: What a server calls.
        counts: Returns its own counts of requests, by where it keeps them, all of which must be exact.
        writes: Whether it writes a line a request.
        registry: What is to be exposed; None where there is nothing, or where it exposes itself.
    """

    app: WsgiApp
    counts: Callable[[], Mapping[str, float]]
    writes: bool = False
    registry: CollectorRegistry | None = None


def flask_app() -> Flask:
    """Return the application without any instrumentation."""
    app = Flask("bench", static_folder=None)

    @app.get(PATH)
    def users() -> Response:
        return Response(_BODY, mimetype="application/json")

    return app


def bare(_: int) -> Variant:
    """Return the application as it is."""
    return Variant(flask_app().wsgi_app, dict)


def ours(descriptor: int, lines: TextLines | JsonLines) -> Variant:
    """Return it in our wrapper, with all that it does: exemplars, request id, errors, end of body."""
    metrics = RequestMetrics()
    flask = flask_app()
    app = Telemetry(
        flask.wsgi_app, metrics, LineLog(descriptor, lines), rule_of=flask_rules(flask.url_map), untold={"/metrics"}
    )
    return Variant(app, lambda: _prometheus(metrics.registry), writes=True, registry=metrics.registry)


class _IdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = g.get("request_id", "-")
        return True


def seed(descriptor: int) -> Variant:
    """Return it with hooks before and after each request, as most services that have any have them."""
    registry = CollectorRegistry()
    active = Gauge("app_active_requests", "Active requests.", registry=registry)
    count = Counter("app_request_count", "Requests.", ("endpoint", "method", "http_status"), registry=registry)
    latency = Histogram(
        "app_request_latency_seconds", "Latency.", ("endpoint", "method"), registry=registry, buckets=_BUCKETS
    )
    app = flask_app()
    logger = logging.Logger("bench", logging.INFO)  # noqa: LOG001 - one a variant, known to nobody else
    handler = logging.StreamHandler(io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False)))
    handler.setFormatter(
        logging.Formatter("%(asctime)s [%(levelname)s] %(message)s - request_id=%(request_id)s", "%Y-%m-%d %H:%M:%S")
    )
    handler.addFilter(_IdFilter())
    logger.addHandler(handler)

    @app.before_request
    def begin() -> None:
        g.began = time.time()
        g.request_id = request.headers.get("X-Request-ID") or str(uuid.uuid4())
        active.inc()

    @app.after_request
    def end(response: Response) -> Response:
        took = time.time() - g.began
        count.labels(endpoint=request.path, method=request.method, http_status=response.status_code).inc()
        latency.labels(endpoint=request.path, method=request.method).observe(took)
        active.dec()
        logger.info("%s %s %s %.6fs", request.method, request.path, response.status_code, took)
        response.headers["X-Request-ID"] = g.request_id
        return response

    return Variant(app.wsgi_app, lambda: _prometheus(registry), writes=True, registry=registry)


def exporter(_: int) -> Variant:
    """Return it with prometheus-flask-exporter on its defaults."""
    from prometheus_flask_exporter import PrometheusMetrics  # noqa: PLC0415 - not there for every variant

    registry = CollectorRegistry()
    app = flask_app()
    PrometheusMetrics(app, registry=registry)
    return Variant(app.wsgi_app, lambda: _prometheus(registry, ("flask_http_request_total",)))


def otel(_: int) -> Variant:
    """Return it with OpenTelemetry's Flask instrumentation: metrics, and spans in batches to an exporter of nothing."""
    from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - as above
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )

    class Nothing(SpanExporter):  # type: ignore[misc]  # no types here
        spans = 0

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            self.spans += len(spans)
            return SpanExportResult.SUCCESS

    reader, nothing, tracing = InMemoryMetricReader(), Nothing(), TracerProvider()
    tracing.add_span_processor(BatchSpanProcessor(nothing, max_queue_size=65536))
    app = flask_app()
    FlaskInstrumentor().instrument_app(
        app, tracer_provider=tracing, meter_provider=MeterProvider(metric_readers=[reader])
    )

    def counts() -> Mapping[str, float]:
        tracing.force_flush()
        data = json.loads(reader.get_metrics_data().to_json())
        found = [
            point["count"]
            for resource in data["resource_metrics"]
            for scope in resource["scope_metrics"]
            for metric in scope["metrics"]
            if metric["name"] in {"http.server.duration", "http.server.request.duration"}
            for point in metric["data"]["data_points"]
        ]
        return {"histogram": sum(found), "spans": nothing.spans}

    return Variant(app.wsgi_app, counts)


VARIANTS: Mapping[str, Callable[[int], Variant]] = {
    "bare": bare,
    "bare again": bare,
    "ours, text": lambda descriptor: ours(descriptor, TextLines()),
    "ours, JSON": lambda descriptor: ours(descriptor, JsonLines()),
    "seed": seed,
    "exporter": exporter,
    "otel": otel,
}


def _prometheus(
    registry: CollectorRegistry,
    names: Sequence[str] = ("app_request_count_total", "app_request_latency_seconds_count"),
) -> Mapping[str, float]:
    sums = dict.fromkeys(names, 0.0)
    for metric in registry.collect():
        for sample in metric.samples:
            if sample.name in sums and sample.labels.get("endpoint", PATH) == PATH:
                sums[sample.name] += sample.value
            if sample.name == "app_active_requests" and sample.value:
                raise SystemExit(f"{sample.value:g} requests are still in flight, say the metrics")
    return sums


def _environ() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": PATH, "QUERY_STRING": "", "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "127.0.0.1", "HTTP_USER_AGENT": "bench",
        "HTTP_ACCEPT": "*/*", "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }  # fmt: skip


def _drive(app: WsgiApp, requests: int, known: Mapping[str, Any]) -> int:
    """Send so many requests as a server would; return the CPU time in nanoseconds."""
    statuses: list[str] = []

    def respond(status: str, _headers: list[tuple[str, str]], _exc_info: Any = None) -> Callable[[bytes], None]:
        statuses.append(status)
        return lambda _: None

    size = 0
    begin = time.process_time_ns()
    for _ in range(requests):
        body = app(dict(known), respond)
        for part in body:
            size += len(part)
        close = getattr(body, "close", None)
        if close is not None:
            close()
    spent = time.process_time_ns() - begin
    if statuses != ["200 OK"] * requests or size != requests * len(_BODY):
        raise SystemExit(f"expected {requests} whole answers of 200, got {len(statuses)} and {size} bytes")
    return spent


def measure(rounds: int, requests: int, names: Sequence[str]) -> dict[str, list[float]]:
    """Return the CPU microseconds a request of each variant in each round; the order changes from round to round.

    Raises:
        SystemExit: A variant's own count is not the number of requests that it was sent.
    """
    files = {name: tempfile.TemporaryFile() for name in names}  # noqa: SIM115 - closed with the process
    variants = {name: VARIANTS[name](files[name].fileno()) for name in names}
    spent: dict[str, list[float]] = {name: [] for name in names}
    known = _environ()
    for name in names:
        _drive(variants[name].app, requests, known)
    for turn in range(rounds):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            spent[name].append(_drive(variants[name].app, requests, known) / requests / 1000)
    expected = (rounds + 1) * requests
    for name, variant in variants.items():
        found = dict(variant.counts())
        if variant.writes:
            files[name].seek(0)
            found["lines"] = files[name].read().count(b"\n")
        wrong = {what: count for what, count in found.items() if count != expected}
        if wrong:
            raise SystemExit(f"{name}: expected {expected} requests counted, got {wrong}")
    return spent


def _served() -> WsgiApp | None:
    name = os.environ.get("BENCH_VARIANT")
    if not name:
        return None
    variant = VARIANTS[name](1)
    app, registry = variant.app, variant.registry
    if registry is None:
        return app
    exposition = make_wsgi_app(registry)

    def either(environ: dict[str, Any], respond: Callable[..., Any]) -> Iterable[bytes]:
        return (exposition if environ["PATH_INFO"] == "/metrics" else app)(environ, respond)

    return either


application = _served()

if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
