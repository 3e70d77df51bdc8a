"""What the service counts and measures. Names and buckets are what dashboards, rules and SLOs are written against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from service.exposition import Exposition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.shared_counters import SharedCounters

LATENCY_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0)

# Endpoints: the URL rules, and one constant for every path that none of them matches.
INDEX, USERS, ECHO, ERROR = "/", "/api/users", "/api/echo", "/api/error"
UNMATCHED = "unmatched"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
OTHER = "OTHER"

CLIENT_ERROR, SERVER_ERROR, DATABASE_ERROR = "client_error", "server_error", "database_error"
UNHANDLED, OVERLOAD = "unhandled_exception", "overload"

_READ = ("GET", "HEAD")
# What each endpoint answers by itself, by method; 405 for every other method, and 500 for a fault of its own.
_ANSWERS: Mapping[str, Mapping[tuple[str, ...], tuple[int, ...]]] = {
    INDEX: {_READ: (200, 500), ("OPTIONS",): (200,)},
    USERS: {_READ: (200, 500, 503), ("OPTIONS",): (200,)},
    ECHO: {("POST",): (200, 400, 408, 413, 415, 500, 503), ("OPTIONS",): (200,)},
    ERROR: {_READ: (400, 500, 503), ("OPTIONS",): (200,)},
    # The rest are requests that the server refuses before they get a path or a method.
    UNMATCHED: {METHODS: (404,), (OTHER,): (400, 403, 404, 414, 417, 431, 500, 501)},
}
_ERRORS: Mapping[str, tuple[str, ...]] = {
    INDEX: (CLIENT_ERROR, UNHANDLED),
    USERS: (CLIENT_ERROR, DATABASE_ERROR, OVERLOAD, UNHANDLED),
    ECHO: (CLIENT_ERROR, OVERLOAD, UNHANDLED),
    ERROR: (CLIENT_ERROR, SERVER_ERROR, OVERLOAD, UNHANDLED),
    UNMATCHED: (CLIENT_ERROR, SERVER_ERROR, UNHANDLED),
}
_PROBES: Mapping[str, tuple[int, ...]] = {"liveness": (200, 400, 405, 500), "readiness": (200, 400, 405, 500, 503)}
# The one endpoint of observers that has a secret: what it refuses is counted, though it is no traffic.
FAULTS = "/faults"


class Metrics:
    """The service's metrics. Children are made once and kept: looking them up costs more than counting.

    Every child that the service can be expected to need is there at 0 from the start, because a series that is born
    with its first event loses that event to every rate.

    Args:
        shared: Where several workers keep their counts together; None where this process counts for itself.
    """

    def __init__(self, shared: SharedCounters | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._shared = shared
        own = CollectorRegistry()
        # First, because a scrape reads in this order: an in-flight count of 0 then proves that what ended before
        # is in every number that follows it.
        self._active = Gauge(
            "app_active_requests", "Requests that have begun and not ended.", registry=own, multiprocess_mode="livesum"
        )
        self._requests = Counter(
            "app_request_count", "Requests answered.", ("endpoint", "method", "http_status"), registry=own
        )
        self._latency = Histogram(
            "app_request_latency_seconds", "From a request's arrival to the end of its response's body.",
            ("endpoint", "method"), registry=own, buckets=LATENCY_BUCKETS,
        )  # fmt: skip
        self._errors = Counter(
            "app_error_count", "Requests answered with a status of 400 or more.", ("error_type", "endpoint"),
            registry=own,
        )  # fmt: skip
        self._probes = Counter("app_probe_count", "Probes answered.", ("probe", "http_status"), registry=own)
        self._registry = own
        self._request_children: dict[tuple[str, str, int], Counter] = {}
        self._latency_children: dict[tuple[str, str], Histogram] = {}
        self._error_children: dict[tuple[str, str], Counter] = {}
        self._probe_children: dict[tuple[str, int], Counter] = {}
        self._make_known_children()

    def request_began(self) -> None:
        """Count one request in flight."""
        self._active.inc()

    def request_ended(self) -> None:
        """Count it out; the last thing that is done for a request."""
        self._active.dec()

    def count_request(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Count one request and its latency."""
        key = (endpoint, method, status)
        child = self._request_children.get(key)
        if child is None:
            child = self._request_children[key] = self._requests.labels(endpoint, method, str(status))
        child.inc()
        self._latency_child(endpoint, method).observe(seconds)

    def count_error(self, error_type: str, endpoint: str) -> None:
        """Count one error."""
        key = (error_type, endpoint)
        child = self._error_children.get(key)
        if child is None:
            child = self._error_children[key] = self._errors.labels(error_type, endpoint)
        child.inc()

    def count_refusal(self, endpoint: str) -> None:
        """Count a request that an observer's endpoint refused, if it is one that guards a secret."""
        if endpoint == FAULTS:
            self.count_error(CLIENT_ERROR, endpoint)

    def count_probe(self, probe: str, status: int) -> None:
        """Count one probe."""
        key = (probe, status)
        child = self._probe_children.get(key)
        if child is None:
            child = self._probe_children[key] = self._probes.labels(probe, str(status))
        child.inc()

    def expose(self, accept: str) -> Exposition:
        """Return all numbers in the exposition format that an Accept header asks for."""
        if self._shared is not None:
            return self._shared.expose(accept)
        encode, content_type = choose_encoder(accept)
        return Exposition(encode(self._registry), content_type)

    def enter_process(self) -> None:
        """Begin to count in a process that was just forked: its own numbers start at 0, and all of them exist."""
        self._active.inc(0)

    def retire(self, pid: int) -> None:
        """Keep what a worker that ended has counted, without the requests it had in flight."""
        if self._shared is not None:
            self._shared.retire(pid)

    def _latency_child(self, endpoint: str, method: str) -> Histogram:
        key = (endpoint, method)
        child = self._latency_children.get(key)
        if child is None:
            child = self._latency_children[key] = self._latency.labels(endpoint, method)
        return child

    def _make_known_children(self) -> None:
        for endpoint, method, status in expected_answers():
            self._request_children[endpoint, method, status] = self._requests.labels(endpoint, method, str(status))
        for endpoint, by_method in _ANSWERS.items():
            for methods in by_method:
                for method in methods:
                    self._latency_child(endpoint, method)
            for error_type in _ERRORS[endpoint]:
                self._error_children[error_type, endpoint] = self._errors.labels(error_type, endpoint)
        self._error_children[CLIENT_ERROR, FAULTS] = self._errors.labels(CLIENT_ERROR, FAULTS)
        for probe, statuses in _PROBES.items():
            for status in statuses:
                self._probe_children[probe, status] = self._probes.labels(probe, str(status))


def expected_answers() -> Iterator[tuple[str, str, int]]:
    """Yield every endpoint, method and status that the service is built to answer."""
    for endpoint, by_method in _ANSWERS.items():
        for methods, statuses in by_method.items():
            yield from ((endpoint, method, status) for method in methods for status in statuses)
        if endpoint != UNMATCHED:
            allowed = {method for methods in by_method for method in methods}
            yield from ((endpoint, method, 405) for method in (*METHODS, OTHER) if method not in allowed)


def bounded_method(method: str) -> str:
    """Return the method as a label value: itself if HTTP knows it, else one constant for all others."""
    return method if method in METHODS else OTHER
