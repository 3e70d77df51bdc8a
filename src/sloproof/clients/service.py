"""The service under test: single requests, its probes, its exposition and its fault switch."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Literal

import msgspec
import requests
from prometheus_client.parser import text_string_to_metric_families

from sloproof.clients._http import Http
from sloproof.errors import QueryError, UnavailableError
from sloproof.model import Labels
from sloproof.settings import ServiceSettings

ProbeKind = Literal["liveness", "readiness"]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its status, headers (looked up without regard to case) and body, and what the client timed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    started: datetime
    duration: timedelta
    request_id: str


@dataclass(frozen=True, slots=True)
class ProbeSample:
    """One ask of a probe. `status` is None and `failure` says why where no answer came."""

    time: datetime
    status: int | None
    failure: str
    duration: timedelta
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ExposedSample:
    """One line of the exposition."""

    name: str
    labels: Labels
    value: float


class ServiceClient:
    """Talks to one instance of the service.

    Args:
        base_url: Where it listens.
        settings: Its paths and headers.
        faults_token: Bearer token of its fault switch.
        timeout: How long to wait for an answer.
    """

    def __init__(
        self,
        base_url: str,
        settings: ServiceSettings,
        *,
        faults_token: str = "",
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self._settings = settings
        self._http = Http(base_url, timeout=timeout)
        self._faults = Http(base_url, timeout=timeout, bearer_token=faults_token or None)
        self.base_url = base_url.rstrip("/")

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | str | None = None
    ) -> Response:
        """Return the answer to one request, sent on its own connection, whatever its status.

        Raises:
            UnavailableError: No answer: refused, reset, timed out.
        """
        name = self._settings.request_id_header
        given = {key.lower(): value for key, value in (headers or {}).items()}
        request_id = given.get(name.lower()) or uuid.uuid4().hex
        content = body.encode() if isinstance(body, str) else body
        started, begin = datetime.now(UTC), perf_counter()
        # A kept connection may have been closed by the other side meanwhile, which would look like a failure of it.
        response = self._http.request(
            method,
            path,
            body=content,
            headers={**(headers or {}), name: request_id, "Connection": "close"},
        )
        return Response(
            status=response.status_code,
            headers=response.headers,
            body=response.content,
            started=started,
            duration=timedelta(seconds=perf_counter() - begin),
            request_id=request_id,
        )

    def probe(self, kind: ProbeKind) -> ProbeSample:
        """Ask a probe once; never raises, because no answer is an answer too."""
        path = self._settings.liveness if kind == "liveness" else self._settings.readiness
        started, begin = datetime.now(UTC), perf_counter()
        try:
            response = self._http.request("GET", path, headers={"Connection": "close"})
        except UnavailableError as error:
            return ProbeSample(started, None, error.headline, timedelta(seconds=perf_counter() - begin))
        return ProbeSample(
            started, response.status_code, "", timedelta(seconds=perf_counter() - begin), response.content
        )

    def exposition(self) -> tuple[ExposedSample, ...]:
        """Return every sample that the service exposes now, read directly and not through Prometheus."""
        response = self._http.request("GET", self._settings.metrics, headers={"Connection": "close"})
        if response.status_code != requests.codes.ok:
            raise UnavailableError(f"the exposition answered {response.status_code}", url=response.url)
        return tuple(
            ExposedSample(sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
        )

    def gauge_value(self, name: str) -> float:
        """Return a gauge's value now, summed over its series.

        Raises:
            UnavailableError: The service exposes no such gauge.
        """
        values = [sample.value for sample in self.exposition() if sample.name == name]
        if not values:
            raise UnavailableError(f"expected the service to expose {name}, but it does not", url=self.base_url)
        return sum(values)

    def faults(self) -> dict[str, Any]:
        """Return the faults that are set."""
        return self._fault("GET", None)

    def set_faults(self, faults: Mapping[str, object]) -> None:
        """Set faults; those not named end."""
        self._fault("PUT", msgspec.json.encode(faults))

    def clear_faults(self) -> None:
        """End every fault."""
        self._fault("DELETE", None)

    def _fault(self, method: str, body: bytes | None) -> dict[str, Any]:
        path = self._settings.faults
        if path is None:
            raise QueryError("expected a fault switch, but tool.sloproof.service.faults is not set")
        response = self._faults.request(
            method, path, body=body, headers={"Content-Type": "application/json", "Connection": "close"}
        )
        if not response.ok:
            raise QueryError(f"the fault switch answered {response.status_code}", answer=response.text[:300])
        return dict(msgspec.json.decode(response.content)) if response.content else {}
