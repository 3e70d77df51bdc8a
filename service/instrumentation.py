"""The outermost layer: every request that reaches the service passes here, and none leaves unaccounted for."""

from __future__ import annotations

import re
from time import perf_counter
from typing import TYPE_CHECKING, Any

from service.exchange import PROBES, Exchange, ProbeExchange
from service.telemetry import (
    CLIENT_ERROR,
    FIRST_SERVER_ERROR,
    SERVER_ERROR,
    UNMATCHED,
    Failure,
    RequestIds,
    bounded_method,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from service.logs import ServiceLog
    from service.metrics import Metrics
    from service.telemetry import StartResponse, WsgiApp

_REQUEST_LINE = re.compile(rb"([!-~]{1,32}) (/[!-~]*?)[? ]")
# A value that goes on in the next line is none, and neither is one of two.
_ID_HEADER = re.compile(rb"\r\nx-request-id[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r\n(?![ \t])", re.IGNORECASE)
_ID_NAME = re.compile(rb"\r\nx-request-id[ \t]*:", re.IGNORECASE)


class Instrumentation:
    """Counts, times and logs what the application answers; tells traffic from probes before the application has it.

    Args:
        app: The application.
        metrics: Where to count.
        log: Where to tell.
        traffic: URL rules whose requests are traffic. They are fixed paths, so that they are their own label.
        observers: Fixed paths of probes, scrapes and switches, which are no traffic.
    """

    def __init__(
        self, app: WsgiApp, metrics: Metrics, log: ServiceLog, *, traffic: Collection[str], observers: Collection[str]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log
        self._ids = RequestIds()
        self._traffic = {path: path for path in traffic}
        self._observers = frozenset(observers)
        self._probes = frozenset(path for path in observers if path.startswith(PROBES))

    def __call__(self, environ: dict[str, Any], respond: StartResponse) -> Iterable[bytes]:
        """Answer one request and give its account when its body ends."""
        path = environ.get("PATH_INFO", "")
        method = bounded_method(environ.get("REQUEST_METHOD", ""))
        request_id = self._ids.of(environ.get("HTTP_X_REQUEST_ID"))
        # No other protocol is spoken here, so an offer to change to one is not taken, which HTTP allows.
        environ.pop("HTTP_UPGRADE", None)
        endpoint = self._traffic.get(path) or self.endpoint_of(path)
        kind = ProbeExchange if endpoint in self._observers else Exchange
        exchange = kind(self._metrics, self._log, endpoint=endpoint, method=method, request_id=request_id)
        return exchange.run(self._app, environ, respond)

    def endpoint_of(self, path: str) -> str:
        """Return what a decoded path is counted under, just as the router reads it."""
        # The router takes any number of leading slashes for one.
        path = "/" + path.lstrip("/")
        return path if path in self._traffic or path in self._observers else UNMATCHED

    def asks_for_probe(self, head: bytes) -> bool:
        """Return whether a request's head, as it came, asks for a probe."""
        line = _REQUEST_LINE.match(head)
        return line is not None and self.endpoint_of(line[2].decode("ascii")) in self._probes

    def request_id_of(self, head: bytes) -> str:
        """Return the id for a request that the server refuses: the client's own where it can be read."""
        head = head.partition(b"\r\n\r\n")[0] + b"\r\n"
        found = _ID_HEADER.search(head) if len(_ID_NAME.findall(head)) == 1 else None
        given = found[1].decode("latin-1") if found else ""
        return self._ids.of(given)

    def refuse(self, head: bytes, status: int, message: str, request_id: str, started: float) -> None:
        """Account for a request that the server itself answers with an error, because it cannot be read.

        Args:
            head: What came of it, from its first byte on.
            status: What the server answers.
            message: Why.
            request_id: Its id.
            started: When it began, by the monotonic performance counter.
        """
        line = _REQUEST_LINE.match(head)
        method = line[1].decode("ascii") if line else ""
        endpoint = self.endpoint_of(line[2].decode("ascii")) if line else UNMATCHED
        if endpoint in self._observers:
            # It was no probe, or else it would have been answered; and an error that nobody counts is a lie.
            endpoint = UNMATCHED
        exchange = Exchange(
            self._metrics, self._log, endpoint=endpoint, method=bounded_method(method), request_id=request_id
        )
        error_type = SERVER_ERROR if status >= FIRST_SERVER_ERROR else CLIENT_ERROR
        exchange.account_for_refusal(status, Failure(error_type, message), perf_counter() - started)
