"""Lets as many API requests work at once as there are places, so that probes always find a free thread."""

from __future__ import annotations

import math
import queue
import time
from typing import TYPE_CHECKING, Any

from service.metrics import OVERLOAD
from service.telemetry import ENVIRON_KEY, Exchange, Failure, problem_body

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.faults import FaultSwitch
    from service.settings import Settings
    from service.shared import Lifecycle
    from service.telemetry import StartResponse, WsgiApp

# How often a request that hangs looks whether the fault has ended.
_GLANCE_SECONDS = 0.02


class Admission:
    """Gives API requests their turn: so many work, so many wait, the rest are turned away with 503.

    A turned-away request is answered, counted and logged like any other, and what it waited is part of its latency:
    an overload shows in every number, which it does not where connections queue before the application.

    Args:
        app: What the admitted requests go on to.
        settings: Places, waiting places and times.
        faults: Asked whether requests hang.
        lifecycle: Asked whether the service goes away, which ends every hang.
        prefix: Paths that begin so need a place.
    """

    def __init__(
        self, app: WsgiApp, settings: Settings, faults: FaultSwitch, lifecycle: Lifecycle, *, prefix: str = "/api/"
    ) -> None:
        self._app = app
        self._faults = faults
        self._lifecycle = lifecycle
        self._prefix = prefix
        self._wait_seconds = settings.queue_seconds
        self._hang_limit_seconds = settings.hang_limit_seconds
        # Queues of tokens, because taking one with a timeout costs a tenth of what a semaphore does.
        self._places = _tokens(settings.threads)
        self._waiting_places = _tokens(settings.queue_size)

    def __call__(self, environ: dict[str, Any], respond: StartResponse) -> Iterable[bytes]:
        """Answer one request, in its turn."""
        exchange: Exchange = environ[ENVIRON_KEY]
        if exchange.endpoint.startswith(self._prefix):
            if not self._enter():
                return self._turn_away(exchange, respond)
            exchange.release = self._leave
            if self._faults.current.hang:
                self._hang()
        return self._app(environ, respond)

    def _enter(self) -> bool:
        try:
            self._places.get_nowait()
        except queue.Empty:
            return self._wait()
        return True

    def _wait(self) -> bool:
        try:
            self._waiting_places.get_nowait()
        except queue.Empty:
            return False
        try:
            self._places.get(timeout=self._wait_seconds)
        except queue.Empty:
            return False
        finally:
            self._waiting_places.put(None)
        return True

    def _leave(self) -> None:
        self._places.put(None)

    def _hang(self) -> None:
        """Wait until the fault ends, the service goes away, or the limit is reached."""
        deadline = time.monotonic() + self._hang_limit_seconds
        while self._faults.current.hang and not self._lifecycle.draining and time.monotonic() < deadline:
            time.sleep(_GLANCE_SECONDS)

    def _turn_away(self, exchange: Exchange, respond: StartResponse) -> Iterable[bytes]:
        exchange.failure = Failure(OVERLOAD, "Overload: no place for another API request")
        body = problem_body(OVERLOAD, "too many requests at once, try again later", exchange.request_id)
        respond(
            "503 SERVICE UNAVAILABLE",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Retry-After", str(max(1, math.ceil(self._wait_seconds)))),
            ],
        )
        return [body]


def _tokens(count: int) -> queue.SimpleQueue[None]:
    tokens: queue.SimpleQueue[None] = queue.SimpleQueue()
    for _ in range(count):
        tokens.put(None)
    return tokens
