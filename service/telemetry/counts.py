"""What is counted and measured of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from .lean import LeanCounter, LeanGauge, LeanHistogram

if TYPE_CHECKING:
    from collections.abc import Iterable

LATENCY_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
# What stands in for methods that HTTP does not know, and for paths that no rule matches.
OTHER, UNMATCHED = "OTHER", "unmatched"
CLIENT_ERROR, SERVER_ERROR, UNHANDLED = "client_error", "server_error", "unhandled_exception"
KNOWN_METHODS = frozenset(METHODS)


def bounded_method(method: str) -> str:
    """Return the method as a label value: itself if HTTP knows it, else one constant for all others."""
    return method if method in KNOWN_METHODS else OTHER


def buckets_with(thresholds: Iterable[float], buckets: Iterable[float] = LATENCY_BUCKETS) -> tuple[float, ...]:
    """Return the buckets with a bound at each of the given seconds, which makes counts up to those exact."""
    return tuple(sorted({*map(float, buckets), *map(float, thresholds)}))


class RequestMetrics:
    """Gauge, counter, histogram and error counter of requests.

    Children are made once and kept: looking them up costs more than counting.

    Args:
        registry: Where they are exposed; None for one of their own.
        prefix: What their names begin with.
        buckets: Upper bounds of the histogram in seconds. An SLO's threshold is one of them, or its counts are guesses.
        exemplars: Whether each bucket names a request that fell into it, in the OpenMetrics format. The metrics client
            has none where several processes count together (`PROMETHEUS_MULTIPROC_DIR`): then False spares their cost.

    Attributes:
        registry: Where they are exposed.
        has_exemplars: Whether they are counted with their ids.
        request_began: Counts one request in flight.
        request_ended: Counts it out; the last thing that is done for a request.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, *, prefix: str = "app",
        buckets: tuple[float, ...] = LATENCY_BUCKETS, exemplars: bool = True,
    ) -> None:  # fmt: skip
        self.registry = own = registry or CollectorRegistry()
        self.has_exemplars = exemplars
        # First, because a scrape reads in this order: an in-flight count of 0 then proves that what ended before
        # is in every number that follows it.
        self._active = LeanGauge(
            f"{prefix}_active_requests", "Requests that have begun and not ended.", registry=own,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self._requests = LeanCounter(
            f"{prefix}_request_count", "Requests answered.", ("endpoint", "method", "http_status"), registry=own
        )
        self._latency = LeanHistogram(
            f"{prefix}_request_latency_seconds", "From a request's arrival to the end of its response's body.",
            ("endpoint", "method"), registry=own, buckets=buckets,
        )  # fmt: skip
        self._errors = LeanCounter(
            f"{prefix}_error_count", "Requests answered with a status of 400 or more.", ("error_type", "endpoint"),
            registry=own,
        )  # fmt: skip
        self.request_began = self._active.up
        self.request_ended = self._active.down
        self._request_children: dict[tuple[str, str, int], LeanCounter] = {}
        self._latency_children: dict[tuple[str, str], LeanHistogram] = {}
        self._error_children: dict[tuple[str, str], LeanCounter] = {}

    def count_request(self, endpoint: str, method: str, status: int, seconds: float, request_id: str = "") -> None:
        """Count one request and its latency; with an id, the request is its bucket's exemplar."""
        child = self._request_children.get((endpoint, method, status)) or self._request_child(endpoint, method, status)
        child.tick()
        self._latency_child(endpoint, method).add(seconds, request_id)

    def count_error(self, error_type: str, endpoint: str) -> None:
        """Count one error."""
        self._error_child(error_type, endpoint).tick()

    def expect(
        self, endpoint: str, methods: Iterable[str] = (), statuses: Iterable[int] = (), errors: Iterable[str] = ()
    ) -> None:
        """Expose these answers at 0 from now on: a series that is born with its first event loses it to every rate."""
        wanted = tuple(statuses)
        for method in methods:
            self._latency_child(endpoint, method)
            for status in wanted:
                self._request_child(endpoint, method, status)
        for error_type in errors:
            self._error_child(error_type, endpoint)

    def _request_child(self, endpoint: str, method: str, status: int) -> LeanCounter:
        key = (endpoint, method, status)
        child = self._request_children.get(key)
        if child is None:
            child = self._request_children[key] = self._requests.labels(endpoint, method, str(status))
        return child

    def _latency_child(self, endpoint: str, method: str) -> LeanHistogram:
        key = (endpoint, method)
        child = self._latency_children.get(key)
        if child is None:
            child = self._latency_children[key] = self._latency.labels(endpoint, method)
        return child

    def _error_child(self, error_type: str, endpoint: str) -> LeanCounter:
        key = (error_type, endpoint)
        child = self._error_children.get(key)
        if child is None:
            child = self._error_children[key] = self._errors.labels(error_type, endpoint)
        return child
