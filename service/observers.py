"""What observers ask: probes, the exposition, and the switch that plants faults. None of it is traffic."""

from __future__ import annotations

import hmac
import json
import logging
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from service.body import read_body
from service.exchange import PROBES
from service.faults import Faults, FaultSwitch, UnfitFaultsError, parse_faults
from service.metrics import FAULTS, Metrics
from service.problem import Problem
from service.telemetry import CLIENT_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.database import UsersDatabase
    from service.shared import Lifecycle
    from service.telemetry import StartResponse, WsgiApp

LIVENESS, READINESS, METRICS = f"{PROBES}liveness", f"{PROBES}readiness", "/metrics"
# Where the server puts the error of a scrape that it tried to answer itself.
FAILURE_KEY = "service.scrape_failure"
_MAX_FAULTS_BYTES = 64 * 1024
_log = logging.getLogger("service.faults")


def health_blueprint(lifecycle: Lifecycle, database: UsersDatabase) -> Blueprint:
    """Return the probes: liveness says whether to restart the process, readiness whether to send it traffic."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get(LIVENESS)
    def liveness() -> Response:
        return _json({"status": "alive"})

    @blueprint.get(READINESS)
    def readiness() -> Response:
        reasons = [lifecycle.reason, None if database.is_up else "the database is down"]
        given = [reason for reason in reasons if reason]
        if given:
            return _json({"status": "not ready", "reason": "; ".join(given)}, 503)
        return _json({"status": "ready"})

    return blueprint


def metrics_blueprint(metrics: Metrics) -> Blueprint:
    """Return the exposition."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get(METRICS)
    def expose() -> Response:
        exposition = metrics.expose(request.environ.get("HTTP_ACCEPT", ""))
        return Response(exposition.body, content_type=exposition.content_type)

    return blueprint


class Scrapes:
    """Answers scrapes before Flask has them: they come several times a second, and finding the route costs the most.

    Args:
        app: Answers everything else, a scrape by another method included.
        metrics: What is exposed.
    """

    def __init__(self, app: WsgiApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    def __call__(self, environ: dict[str, Any], respond: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO") != METRICS or environ.get("REQUEST_METHOD") != "GET":
            return self._app(environ, respond)
        failure: Exception | None = environ.get(FAILURE_KEY)
        if failure is not None:
            # Tried again it might succeed, and nobody would know.
            raise failure
        body, content_type = self._metrics.expose(environ.get("HTTP_ACCEPT", ""))
        respond("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return (body,)


def faults_blueprint(switch: FaultSwitch, token: str) -> Blueprint:
    """Return the fault switch, for bearers of the token."""
    blueprint = Blueprint("faults", __name__)
    expected = f"Bearer {token}".encode()

    @blueprint.before_request
    def authorize() -> None:
        # Header values are Latin-1 by the rules of WSGI, whatever bytes the client sent.
        given = request.environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, expected):
            raise Problem(
                401, CLIENT_ERROR, "expected the bearer token of the fault switch",
                headers={"WWW-Authenticate": 'Bearer realm="faults"'},
            )  # fmt: skip

    @blueprint.get(FAULTS)
    def show() -> Response:
        return _json(switch.current.as_json())

    @blueprint.put(FAULTS)
    def plant() -> Response:
        try:
            faults = parse_faults(read_body(request.environ, _MAX_FAULTS_BYTES))
        except UnfitFaultsError as error:
            raise Problem(400, CLIENT_ERROR, str(error)) from None
        return turn(faults)

    @blueprint.delete(FAULTS)
    def clear() -> Response:
        return turn(Faults())

    def turn(faults: Faults) -> Response:
        values = faults.as_json()
        # Told while lines are written: before a silence, and after one.
        told = ("Faults in force from now on: %s", json.dumps(values) if values else "none")
        if faults.log_silence:
            _log.warning(*told)
        switch.set(faults)
        if not faults.log_silence:
            _log.warning(*told)
        return _json(values)

    return blueprint


def _json(value: object, status: int = 200) -> Response:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(body, status=status, mimetype="application/json", headers={"Cache-Control": "no-store"})
