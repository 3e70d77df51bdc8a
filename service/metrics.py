"""What the service counts and measures. Names and buckets are what dashboards, rules and SLOs are written against."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from prometheus_client import Counter, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from service.exposition import Exposition
from service.telemetry import (
    CLIENT_ERROR,
    METHODS,
    OTHER,
    SERVER_ERROR,
    UNHANDLED,
    UNMATCHED,
    RequestMetrics,
    buckets_with,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from service.shared_counters import SharedCounters

# Endpoints: the URL rules, and one constant for every path that none of them matches.
INDEX, USERS, ECHO, ERROR = "/", "/api/users", "/api/echo", "/api/error"
DATABASE_ERROR, OVERLOAD = "database_error", "overload"

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


class Metrics(RequestMetrics):
    """The service's metrics.

    Every child that the service can be expected to need is there at 0 from the start, because a series that is born
    with its first event loses that event to every rate.

    Args:
        shared: Where several workers keep their counts together; None where this process counts for itself.
        thresholds: Seconds at which the histogram has a bound besides those of the seed: an SLO's thresholds.
    """

    def __init__(self, shared: SharedCounters | None = None, thresholds: Iterable[float] = ()) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        super().__init__(buckets=buckets_with(thresholds), exemplars=shared is None)
        self._shared = shared
        self._probes = Counter("app_probe_count", "Probes answered.", ("probe", "http_status"), registry=self.registry)
        self._probe_children: dict[tuple[str, int], Counter] = {}
        self._make_known_children()

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
        return Exposition(encode(self.registry), content_type)

    def enter_process(self) -> None:
        """Begin to count in a process that was just forked: its own numbers start at 0, and all of them exist."""
        self._active.inc(0)

    def retire(self, pid: int) -> None:
        """Keep what a worker that ended has counted, without the requests it had in flight."""
        if self._shared is not None:
            self._shared.retire(pid)

    def _make_known_children(self) -> None:
        for endpoint, method, status in expected_answers():
            self._request_child(endpoint, method, status)
        for endpoint, by_method in _ANSWERS.items():
            self.expect(endpoint, methods=itertools.chain(*by_method), errors=_ERRORS[endpoint])
        self.expect(FAULTS, errors=(CLIENT_ERROR,))
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
