"""Puts the service together: Flask inside, admission around it, instrumentation around everything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from service.admission import Admission
from service.api import api_blueprint, index_blueprint
from service.database import UsersDatabase
from service.faults import FaultSwitch
from service.instrumentation import Instrumentation
from service.logs import LineWriter, ServiceLog, standard_output
from service.metrics import FAULTS, Metrics
from service.observers import (
    LIVENESS,
    METRICS,
    READINESS,
    Scrapes,
    faults_blueprint,
    health_blueprint,
    metrics_blueprint,
)
from service.problem import Problem
from service.shared import Lifecycle, SharedMemory
from service.telemetry import (
    CLIENT_ERROR,
    ENVIRON_KEY,
    FIRST_SERVER_ERROR,
    SERVER_ERROR,
    UNHANDLED,
    Exchange,
    Failure,
    problem_body,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.settings import Settings
    from service.shared_counters import SharedCounters
    from service.telemetry import StartResponse


class Service:
    """The service, a WSGI application, and the parts of it that whoever serves it has to do with.

    Attributes:
        flask: The Flask application inside; it alone knows nothing of counting and logging.
        instrumentation: The outermost layer.
        lifecycle: Where the service stands.
        faults: What is broken on purpose.
        metrics: What is counted.
        log: Where it is told.
        database: What is simulated.
    """

    def __init__(self, settings: Settings, shared: SharedCounters | None = None) -> None:
        memory = SharedMemory(Path(settings.state_dir) if settings.state_dir else None)
        self.lifecycle = Lifecycle(memory, warmup_seconds=settings.warmup_seconds)
        self.faults = FaultSwitch(memory)
        self.metrics = Metrics(shared, settings.latency_thresholds_seconds)
        self.log = ServiceLog(settings, LineWriter(standard_output(), lambda: self.faults.current.log_silence))
        self.database = UsersDatabase(settings, self.faults)
        self.flask = _flask(self, settings)
        paths = fixed_paths(self.flask)
        observers = paths & {LIVENESS, READINESS, METRICS, FAULTS}
        admission = Admission(self.flask.wsgi_app, settings, self.faults, self.lifecycle)
        self.instrumentation = Instrumentation(
            Scrapes(admission, self.metrics), self.metrics, self.log, traffic=paths - observers, observers=observers
        )

    def __call__(self, environ: dict[str, Any], respond: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return self.instrumentation(environ, respond)


def build(settings: Settings, shared: SharedCounters | None = None) -> Service:
    """Return the service, which says that it is starting until its life cycle begins.

    Args:
        settings: How it behaves.
        shared: Where several workers count together; None where this process is the only one.
    """
    return Service(settings, shared)


def fixed_paths(flask: Flask) -> frozenset[str]:
    """Return the URL rules.

    Raises:
        ValueError: A rule has a placeholder. Endpoints are told by their path, before and without routing.
    """
    rules = list(flask.url_map.iter_rules())
    open_ended = [rule.rule for rule in rules if rule.arguments]
    if open_ended:
        raise ValueError(f"expected fixed paths only, saw {', '.join(open_ended)}: teach Instrumentation to label them")
    return frozenset(rule.rule for rule in rules)


def _flask(service: Service, settings: Settings) -> Flask:
    flask = Flask("service", static_folder=None, template_folder=None)
    # A redirect to a tidier path would answer for an endpoint that was not asked for.
    flask.url_map.merge_slashes = False
    flask.url_map.strict_slashes = True
    flask.register_blueprint(api_blueprint(service.database, settings.max_body_bytes))
    flask.register_blueprint(health_blueprint(service.lifecycle, service.database))
    flask.register_blueprint(metrics_blueprint(service.metrics))
    if settings.faults_token:
        flask.register_blueprint(faults_blueprint(service.faults, settings.faults_token))
    flask.register_blueprint(index_blueprint(tuple(sorted(fixed_paths(flask)))))
    flask.register_error_handler(Problem, _answer_problem)
    flask.register_error_handler(HTTPException, _answer_http_exception)
    flask.register_error_handler(Exception, _answer_exception)
    return flask


def _answer_problem(problem: Problem) -> Response:
    exchange = _exchange()
    exchange.failure = Failure(problem.error_type, _told(problem))
    body = problem_body(problem.error_type, problem.message, exchange.request_id)
    return Response(body, problem.status, problem.headers, mimetype="application/json")


def _told(problem: Problem) -> str:
    """Return what the log says; by its first words it can never be taken for the line of a request."""
    if problem.told != problem.message:
        return problem.told
    who = "Server" if problem.status >= FIRST_SERVER_ERROR else "Client"
    return f"{who} error occurred: {problem.message}"


def _answer_http_exception(error: HTTPException) -> Any:
    if isinstance(error, RequestRedirect):
        return error
    exchange = _exchange()
    status = error.code or FIRST_SERVER_ERROR
    error_type = CLIENT_ERROR if status < FIRST_SERVER_ERROR else SERVER_ERROR
    who = "Server" if status >= FIRST_SERVER_ERROR else "Client"
    exchange.failure = Failure(error_type, f"{who} error occurred: {error.name}")
    response = error.get_response()
    response.data = problem_body(error_type, error.name.lower(), exchange.request_id)
    response.content_type = "application/json"
    return response


def _answer_exception(error: Exception) -> Response:
    exchange = _exchange()
    exchange.failure = Failure(UNHANDLED, f"Unhandled exception: {type(error).__name__}", error)
    body = problem_body(UNHANDLED, "the service failed to handle this request", exchange.request_id)
    return Response(body, 500, mimetype="application/json")


def _exchange() -> Exchange:
    exchange: Exchange = request.environ[ENVIRON_KEY]
    return exchange
