"""What a service can get wrong in its own account of itself: one small patch a lie.

Requests to the index are left alone by the lies about lines and counts: the barrier looks for its own line there, and
a barrier that finds nothing says `blocked` before any check could say `fail`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

Lie = Callable[[], None]


def _true(owner: object, name: str) -> Any:
    """Return what the service really does there."""
    return getattr(owner, name)


def _put(owner: object, name: str, lie: Any) -> None:
    """Put a lie in its place."""
    setattr(owner, name, lie)


def _every(count: int) -> Callable[[], bool]:
    """Return a function that says true at each so-manieth call in this process."""
    numbers = itertools.count(1)
    return lambda: next(numbers) % count == 0


def _request_lines(tell: Callable[[Callable[[Any], None], Any], None]) -> None:
    """Let the line of each request but the index be told by a function of the true teller and the facts."""
    from service.logs import ServiceLog  # noqa: PLC0415 - not before the counters' folder is known

    true = _true(ServiceLog, "request")

    def request(log: ServiceLog, facts: Any) -> None:
        if facts.endpoint == "/":
            true(log, facts)
        else:
            tell(lambda told: true(log, told), facts)

    _put(ServiceLog, "request", request)


def _request_counts(count: Callable[[Any, Callable[..., None], str, str, int, float], None]) -> None:
    """Let each request but the index's be counted by a function of the metrics, the true counting and the facts."""
    from service.metrics import Metrics  # noqa: PLC0415 - as above

    true = _true(Metrics, "count_request")

    def count_request(metrics: Metrics, endpoint: str, method: str, status: int, seconds: float) -> None:
        if endpoint == "/":
            true(metrics, endpoint, method, status, seconds)
        else:
            count(metrics, lambda *told: true(metrics, *told), endpoint, method, status, seconds)

    _put(Metrics, "count_request", count_request)


def one_line_in_50_is_lost() -> None:
    """A log buffer that overflows."""
    due = _every(50)
    _request_lines(lambda tell, facts: None if due() else tell(facts))


def one_line_in_50_is_doubled() -> None:
    """Two handlers on one logger, now and then."""
    due = _every(50)

    def twice(tell: Callable[[Any], None], facts: Any) -> None:
        tell(facts)
        if due():
            tell(facts)

    _request_lines(twice)


def one_line_in_50_has_no_id() -> None:
    """The id was kept in a variable that another request had cleared."""
    due = _every(50)
    _request_lines(lambda tell, facts: tell(facts._replace(request_id="-") if due() else facts))


def server_errors_are_logged_as_200() -> None:
    """The access line is written before the status is known."""
    _request_lines(lambda tell, facts: tell(facts._replace(status=200) if facts.status >= 500 else facts))


def duration_is_logged_in_milliseconds() -> None:
    """The unit on the line is not the unit of the number."""
    _request_lines(lambda tell, facts: tell(facts._replace(duration_seconds=facts.duration_seconds * 1000)))


def one_early_line_is_written_late() -> None:
    """A line is kept in a buffer while later ones pass it by."""
    numbers = itertools.count(1)

    def late(tell: Callable[[Any], None], facts: Any) -> None:
        if next(numbers) == 5:
            timer = threading.Timer(0.7, tell, (facts,))
            timer.daemon = True
            timer.start()
        else:
            tell(facts)

    _request_lines(late)


def one_count_in_20_is_lost() -> None:
    """Counting is sampled, and nobody scales it up again."""
    due = _every(20)

    def forget(metrics: Any, count: Callable[..., None], endpoint: str, method: str, status: int, took: float) -> None:
        if status < 400 and due():
            metrics._latency_child(endpoint, method).observe(took)
        else:
            count(endpoint, method, status, took)

    _request_counts(forget)


def one_of_two_workers_counts() -> None:
    """Each worker has a registry of its own, and one of them is scraped."""
    from service import server  # noqa: PLC0415 - as above

    enter = _true(server.Server, "_enter_worker")

    def enter_worker(application: Any, master: Any, worker: Any) -> None:
        enter(application, master, worker)
        if worker.age % 2 == 0:
            _request_counts(
                lambda metrics, _, endpoint, method, __, took: metrics._latency_child(endpoint, method).observe(took)
            )

    _put(server.Server, "_enter_worker", enter_worker)


def posts_are_counted_as_gets() -> None:
    """The method label is a constant."""
    _request_counts(
        lambda _, count, endpoint, method, status, took: count(
            endpoint, "GET" if method == "POST" else method, status, took
        )
    )


def latency_is_observed_twice_as_long() -> None:
    """The clock is started too early."""
    _request_counts(lambda _, count, endpoint, method, status, took: count(endpoint, method, status, 2 * took))


def paths_are_labels() -> None:
    """The histogram is labelled with whatever path was asked for."""
    from service.exchange import Exchange  # noqa: PLC0415 - as above
    from service.metrics import Metrics  # noqa: PLC0415 - as above

    asked: ContextVar[str] = ContextVar("asked")
    run = _true(Exchange, "run")
    child = _true(Metrics, "_latency_child")

    def run_noting(exchange: Exchange, app: Any, environ: dict[str, Any], respond: Any) -> Any:
        asked.set(environ.get("PATH_INFO", ""))
        return run(exchange, app, environ, respond)

    def raw_child(metrics: Metrics, endpoint: str, method: str) -> Any:
        return child(metrics, asked.get(endpoint) if endpoint == "unmatched" else endpoint, method)

    _put(Exchange, "run", run_noting)
    _put(Metrics, "_latency_child", raw_child)


def gauge_sticks_after_exceptions() -> None:
    """The in-flight gauge is counted down on the happy path only."""
    from service.exchange import Exchange  # noqa: PLC0415 - as above

    end = _true(Exchange, "_end")

    def end_if_happy(exchange: Exchange) -> None:
        if exchange.failure is None or exchange.failure.error_type != "unhandled_exception":
            end(exchange)

    _put(Exchange, "_end", end_if_happy)


def unhandled_errors_are_not_counted() -> None:
    """The error counter is counted up in named handlers only."""
    from service.metrics import Metrics  # noqa: PLC0415 - as above

    true = _true(Metrics, "count_error")

    def count_error(metrics: Metrics, error_type: str, endpoint: str) -> None:
        if error_type != "unhandled_exception":
            true(metrics, error_type, endpoint)

    _put(Metrics, "count_error", count_error)


def unhandled_errors_leave_no_traceback() -> None:
    """The exception is swallowed on its way to the log."""
    from service import logs  # noqa: PLC0415 - as above

    _put(logs, "format_traceback", lambda _: "")


def errors_are_born_with_their_first_event() -> None:
    """No child of the error counter exists before it counts."""
    from service import metrics  # noqa: PLC0415 - as above

    metrics._ERRORS = dict.fromkeys(metrics._ERRORS, ())


def error_counter_has_no_total() -> None:
    """The error counter is exposed under the name that the code gives it."""
    from service.exposition import Exposition  # noqa: PLC0415 - as above
    from service.metrics import Metrics  # noqa: PLC0415 - as above

    true = _true(Metrics, "expose")

    def expose(metrics: Metrics, accept: str) -> Exposition:
        body, content_type = true(metrics, accept)
        text = body.replace(b"app_error_count_total", b"app_error_count")
        return Exposition(
            text.replace(b"# TYPE app_error_count counter", b"# TYPE app_error_count gauge"), content_type
        )

    _put(Metrics, "expose", expose)


def recycled_workers_take_their_counts_along() -> None:
    """The files of a worker that ended are deleted, and its counts with them."""
    from service.shared_counters import SharedCounters  # noqa: PLC0415 - as above

    def forget(counters: SharedCounters, pid: int) -> None:
        for path in counters._folder.glob(f"*_{pid}.db"):
            path.unlink()

    _put(SharedCounters, "retire", forget)


def recycled_workers_are_counted_twice() -> None:
    """The counts of a worker that ended are archived, and its files stay."""
    from service import shared_counters  # noqa: PLC0415 - as above

    true = _true(shared_counters, "_add")

    def add_and_keep(ended: Any, archive: Any) -> None:
        true(ended, archive)
        # The caller deletes the file by its name; under another one it is still read.
        ended.with_name(ended.name.replace("_", "_kept", 1)).write_bytes(ended.read_bytes())

    shared_counters._add = add_and_keep


def some_scrapes_fail() -> None:
    """The exposition cannot be made now and then."""
    from service.exposition import Exposition  # noqa: PLC0415 - as above
    from service.metrics import Metrics  # noqa: PLC0415 - as above

    true = _true(Metrics, "expose")
    due = _every(3)

    def expose(metrics: Metrics, accept: str) -> Exposition:
        # Prometheus asks for several formats at once; the barrier, which looks directly, for none.
        if "openmetrics" in accept and due():
            raise TimeoutError
        exposition: Exposition = true(metrics, accept)
        return exposition

    _put(Metrics, "expose", expose)


def _answer_probes(answer: Callable[[str, Any], int | None]) -> None:
    """Let probes be answered by a function of the path and the database, where it gives a status."""
    from flask import Response, request  # noqa: PLC0415 - as above

    from service import application  # noqa: PLC0415 - as above

    true = _true(application, "health_blueprint")

    def health_blueprint(lifecycle: Any, database: Any) -> Any:
        blueprint = true(lifecycle, database)

        def lie() -> Response | None:
            status = answer(request.path, database)
            return None if status is None else Response(status=status)

        blueprint.before_request(lie)
        return blueprint

    _put(application, "health_blueprint", health_blueprint)


def liveness_asks_the_database() -> None:
    """A database outage gets every instance restarted."""
    _answer_probes(lambda path, database: 503 if path.endswith("liveness") and not database.is_up else None)


def readiness_is_always_green() -> None:
    """Readiness says that a web server runs."""
    _answer_probes(lambda path, _: 200 if path.endswith("readiness") else None)


def probes_count_as_traffic() -> None:
    """Health checks are in the request rate and dilute the error ratio."""
    from service.instrumentation import Instrumentation  # noqa: PLC0415 - as above

    true = _true(Instrumentation, "__init__")

    def init(instrumentation: Instrumentation, *args: Any, traffic: Any, observers: Any, **kwargs: Any) -> None:
        health = {path for path in observers if path.startswith("/health/")}
        true(instrumentation, *args, traffic={*traffic, *health}, observers=set(observers) - health, **kwargs)

    _put(Instrumentation, "__init__", init)


LIES: Mapping[str, Lie] = {
    lie.__name__: lie
    for lie in (
        one_line_in_50_is_lost,
        one_line_in_50_is_doubled,
        one_line_in_50_has_no_id,
        server_errors_are_logged_as_200,
        duration_is_logged_in_milliseconds,
        one_early_line_is_written_late,
        one_count_in_20_is_lost,
        one_of_two_workers_counts,
        posts_are_counted_as_gets,
        latency_is_observed_twice_as_long,
        paths_are_labels,
        gauge_sticks_after_exceptions,
        unhandled_errors_are_not_counted,
        unhandled_errors_leave_no_traceback,
        errors_are_born_with_their_first_event,
        error_counter_has_no_total,
        recycled_workers_take_their_counts_along,
        recycled_workers_are_counted_twice,
        some_scrapes_fail,
        liveness_asks_the_database,
        readiness_is_always_green,
        probes_count_as_traffic,
    )
}
