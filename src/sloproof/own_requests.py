"""The requests that the harness sends itself, one at a time, each written into the ledger like any other."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sloproof.barrier import Sentinel, sentinel_id
from sloproof.clients.service import Response, ServiceClient
from sloproof.errors import UnavailableError
from sloproof.load.ledger import Entry, LedgerWriter
from sloproof.model import ns_from_instant
from sloproof.settings import Settings

_FAILURES = frozenset({"refused", "timeout", "reset", "connect", "protocol"})


class OwnRequests:
    """Sends single requests and records them.

    Args:
        settings: The project's settings.
        service: The service.
        ledger: File for the record.
        run_id: Part of every request id.
    """

    def __init__(self, settings: Settings, service: ServiceClient, ledger: Path, run_id: str) -> None:
        self._settings = settings
        self._service = service
        self._run_id = run_id
        self._writer = LedgerWriter(ledger, run_id=run_id)
        self._numbers = itertools.count(1)

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        client: ServiceClient | None = None,
    ) -> Response:
        """Send one request, by a client of its own if one is given, record it in the ledger, and return the answer."""
        name = self._settings.service.request_id_header
        given = {key.lower(): value for key, value in (headers or {}).items()}
        request_id = given.get(name.lower()) or f"{self._run_id}-single-{next(self._numbers)}"
        sent = datetime.now(UTC)
        begin = time.monotonic_ns()
        try:
            response = (client or self._service).send(
                method, path, headers={**(headers or {}), name: request_id}, body=body
            )
        except UnavailableError as error:
            # What became of it is unknown, but not that it was sent.
            failure = error.kind if error.kind in _FAILURES else "reset"
            self._write(method, path, request_id, sent, time.monotonic_ns() - begin, failure=failure)
            raise
        duration = round(response.duration.total_seconds() * 1e9)
        self._write(method, path, request_id, sent, duration, status=response.status, size=len(response.body))
        return response

    def send_sentinel(self) -> Sentinel:
        """Send a request whose only purpose is that its log line can be looked for."""
        request_id = sentinel_id(self._run_id, next(self._numbers))
        sent = datetime.now(UTC)
        self.send("GET", self._settings.service.index, headers={self._settings.service.request_id_header: request_id})
        return Sentinel(request_id, sent, datetime.now(UTC))

    def _write(
        self,
        method: str,
        path: str,
        request_id: str,
        sent: datetime,
        duration_ns: int,
        *,
        status: int = 0,
        failure: str = "",
        size: int = 0,
    ) -> None:
        start_ns = ns_from_instant(sent)
        self._writer.write(
            Entry(
                intended_ns=start_ns,
                start_ns=start_ns,
                duration_ns=duration_ns,
                method=method,
                path=path,
                endpoint=self._settings.endpoint_of(path),
                status=status,
                failure=failure,
                request_id=request_id,
                bytes=size,
            )
        )
        self._writer.flush()

    def close(self) -> None:
        """Close the record."""
        self._writer.close()
