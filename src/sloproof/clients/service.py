"""The service under test: single requests, its probes, its exposition and its fault switch."""

from __future__ import annotations

import math
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from sloproof.clients._http import Http, Reply
from sloproof.errors import CapabilityError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

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


@dataclass(frozen=True, slots=True)
class ExposedFamily:
    """A metric of the exposition with all its samples; a counter's name is without `_total`, its samples' with it."""

    name: str
    kind: str
    help: str
    samples: tuple[ExposedSample, ...]


class ServiceClient:
    """Talks to one instance of the service, each request on a connection of its own.

    Args:
        base_url: Where it listens.
        settings: Its paths and headers.
        faults_token: Bearer token of its fault switch.
        timeout: How long to wait for an answer.
        http: How to speak to it instead of plainly; tests put an adapter in it. The fault switch's token is sent to
            the fault switch alone.
    """

    def __init__(
        self,
        base_url: str,
        settings: ServiceSettings,
        *,
        faults_token: str = "",
        timeout: timedelta = timedelta(seconds=10),
        http: Http | None = None,
    ) -> None:
        self._settings = settings
        self._http = http or Http(base_url, timeout=timeout)
        self._switch = self._http.with_bearer_token(faults_token) if faults_token else self._http
        self.base_url = self._http.base_url

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        timeout: timedelta | None = None,
    ) -> Response:
        """Return the answer to one request, whatever its status; redirects are answers.

        Args:
            method: HTTP method.
            path: Path and query.
            headers: Sent besides the request id; a request id among them is kept.
            body: Sent as it is, text as UTF-8.
            timeout: For connecting, and again for each wait for bytes; the client's own for None.

        Raises:
            UnavailableError: No answer; `kind` says how: refused, timeout, reset.
        """
        name = self._settings.request_id_header
        given = {key.lower(): value for key, value in (headers or {}).items()}
        request_id = given.get(name.lower()) or uuid.uuid4().hex
        content = body.encode() if isinstance(body, str) else body
        started, begin = datetime.now(UTC), perf_counter()
        reply = self._ask(method, path, {**(headers or {}), name: request_id}, content, timeout)
        return Response(
            status=reply.status,
            headers=reply.headers,
            body=reply.body,
            started=started,
            duration=timedelta(seconds=perf_counter() - begin),
            request_id=request_id,
        )

    def probe(self, kind: ProbeKind) -> ProbeSample:
        """Ask a probe once; never raises for want of an answer, because none is an answer too."""
        path = self._settings.liveness if kind == "liveness" else self._settings.readiness
        started, begin = datetime.now(UTC), perf_counter()
        try:
            reply = self._ask("GET", path)
        except UnavailableError as error:
            return ProbeSample(started, None, error.headline, timedelta(seconds=perf_counter() - begin))
        return ProbeSample(started, reply.status, "", timedelta(seconds=perf_counter() - begin), reply.body)

    def exposition(self) -> Mapping[str, ExposedFamily]:
        """Return every metric that the service exposes now by name, read directly and not through Prometheus.

        Raises:
            UnavailableError: No answer, or one that is no exposition.
            QueryError: The service refuses.
        """
        reply = self._exposition()
        families: dict[str, ExposedFamily] = {}
        try:
            for family in text_string_to_metric_families(reply.text):
                samples = tuple(ExposedSample(one.name, one.labels, one.value) for one in family.samples)
                earlier = families[family.name].samples if family.name in families else ()
                families[family.name] = ExposedFamily(family.name, family.type, family.documentation, earlier + samples)
        except ValueError as error:
            raise UnavailableError(
                f"expected an exposition, but it cannot be read: {error}",
                kind="protocol",
                status=reply.status,
                url=reply.url,
            ) from error
        return families

    def gauge_value(self, name: str) -> float:
        """Return a gauge's value now, summed over its series.

        Raises:
            UnavailableError: The service exposes no such gauge.
        """
        # Asked for many times a run, so only the gauge's own lines are read, not the whole exposition.
        line = re.compile(rf"^{re.escape(name)}(?:\{{.*\}})?[ \t]+(\S+)", re.MULTILINE)
        try:
            values = [float(found) for found in line.findall(self._exposition().text)]
        except ValueError as error:
            raise UnavailableError(f"expected numbers for {name}, but {error}", url=self.base_url) from error
        if not values:
            raise UnavailableError(f"expected the service to expose {name}, but it does not", url=self.base_url)
        return math.fsum(values)

    def _exposition(self) -> Reply:
        """Return the answer of the metrics path, in the older text format."""
        return self._http.checked(self._ask("GET", self._settings.metrics, {"Accept": "text/plain;version=0.0.4"}))

    @property
    def has_fault_switch(self) -> bool:
        """Return whether faults can be planted."""
        return self._settings.faults is not None

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
            raise CapabilityError(
                "needs faults to be planted in the service, and it has no fault switch here",
                hint="tool.sloproof.service.faults is its path; an attached service is never broken",
            )
        headers = {"Content-Type": "application/json", "Connection": "close"}
        reply = self._switch.checked(self._switch.request(method, path, body=body, headers=headers))
        return msgspec.json.decode(reply.body, type=dict[str, Any]) if reply.body else {}

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: timedelta | None = None,
    ) -> Reply:
        # A kept connection may have been closed by the other side meanwhile, which would look like a failure of it.
        alone = {**(headers or {}), "Connection": "close"}
        return self._http.request(method, path, body=body, headers=alone, timeout=timeout)
