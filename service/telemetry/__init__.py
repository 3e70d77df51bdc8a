"""Counts, times and logs every request of a WSGI application, cheaply, and loses none.

This folder stands alone: copied into another service it needs `prometheus_client` and nothing else of this one. For a
Flask application, all of it is

    flask.wsgi_app = Telemetry(flask.wsgi_app, RequestMetrics(), LineLog(), rule_of=flask_rules(flask.url_map))

It wraps the application instead of hooking into it, because hooks do not see what a handler that crashes, a body that
is streamed or a client that hangs up makes of a request.
"""

from __future__ import annotations

from .counts import (
    CLIENT_ERROR,
    LATENCY_BUCKETS,
    METHODS,
    OTHER,
    SERVER_ERROR,
    UNHANDLED,
    UNMATCHED,
    RequestMetrics,
    bounded_method,
    buckets_with,
)
from .exchange import (
    BEGAN_KEY,
    ENVIRON_KEY,
    NO_REQUEST,
    REQUEST_ID,
    Exchange,
    RequestIds,
    StartResponse,
    WsgiApp,
    is_sane_id,
    problem_body,
)
from .lines import (
    FIRST_CLIENT_ERROR,
    FIRST_SERVER_ERROR,
    Failure,
    JsonLines,
    LineLog,
    RequestFacts,
    RequestLog,
    TextLines,
    format_traceback,
)
from .wrapper import Telemetry, flask_rules

__all__ = [
    "BEGAN_KEY",
    "CLIENT_ERROR",
    "ENVIRON_KEY",
    "FIRST_CLIENT_ERROR",
    "FIRST_SERVER_ERROR",
    "LATENCY_BUCKETS",
    "METHODS",
    "NO_REQUEST",
    "OTHER",
    "REQUEST_ID",
    "SERVER_ERROR",
    "UNHANDLED",
    "UNMATCHED",
    "Exchange",
    "Failure",
    "JsonLines",
    "LineLog",
    "RequestFacts",
    "RequestIds",
    "RequestLog",
    "RequestMetrics",
    "StartResponse",
    "Telemetry",
    "TextLines",
    "WsgiApp",
    "bounded_method",
    "buckets_with",
    "flask_rules",
    "format_traceback",
    "is_sane_id",
    "problem_body",
]
