"""What this service adds to a request under way: refusals by the server, and observers, which are no traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import telemetry
from service.log_format import Event
from service.telemetry import FIRST_CLIENT_ERROR, FIRST_SERVER_ERROR, Failure, RequestFacts

if TYPE_CHECKING:
    from service.logs import ServiceLog
    from service.metrics import Metrics

# What the paths of all probes begin with.
PROBES = "/health/"


class Exchange(telemetry.Exchange):
    """A request that is traffic."""

    __slots__ = ()

    def account_for_refusal(self, status: int, failure: Failure, seconds: float) -> None:
        """Give the account of a request that never reached the application; it took that long."""
        self.failure = failure
        self._account(status, seconds)


class ProbeExchange(telemetry.Exchange):
    """A probe, a scrape or a turn of the fault switch: answered like a request, and not counted as traffic."""

    __slots__ = ("_service_log", "_service_metrics")

    def __init__(self, metrics: Metrics, log: ServiceLog, *, endpoint: str, method: str, request_id: str) -> None:
        super().__init__(metrics, log, endpoint=endpoint, method=method, request_id=request_id)
        self._service_metrics = metrics
        self._service_log = log

    def _begin(self) -> None:
        pass

    def _account(self, status: int, seconds: float) -> None:
        name = self.endpoint.rpartition("/")[2]
        log = self._service_log
        if self.endpoint.startswith(PROBES):
            self._service_metrics.count_probe(name, status)
        if log.tells_probes:
            log.event(Event("DEBUG", f"Probe {name}: {status} after {seconds:.6f}s", self.request_id))
        facts = RequestFacts(self.method, self.endpoint, status, seconds, self.request_id)
        if FIRST_CLIENT_ERROR <= status < FIRST_SERVER_ERROR:
            self._refuse(facts)
        # A probe that says no does its work; anything that failed without saying why does not.
        elif status >= FIRST_SERVER_ERROR and self.failure is not None:
            log.failure(facts, self.failure)

    def _refuse(self, facts: RequestFacts) -> None:
        """Tell of a client that asked for what observers do not get: whoever guesses at the token must be seen."""
        why = self._explain(facts.status)
        who = f"Observer request refused: {facts.method} {facts.endpoint} {facts.status}"
        self._service_log.failure(facts, Failure(why.error_type, f"{who} ({why.message})"))
        self._service_metrics.count_refusal(facts.endpoint)

    def _end(self) -> None:
        pass
