"""What the service does: the index and the three API endpoints."""

from __future__ import annotations

import json
import re

from flask import Blueprint, Response, request

from service.body import read_body
from service.database import DatabaseError, UsersDatabase
from service.metrics import DATABASE_ERROR, ECHO, ERROR, INDEX, USERS
from service.problem import Problem
from service.strict_json import MalformedJsonError, parse
from service.telemetry import CLIENT_ERROR, SERVER_ERROR

_JSON_TYPE = re.compile(r"application/(?:json|[!#$&^_.+\w-]+\+json)", re.IGNORECASE | re.ASCII).fullmatch
_ERROR_TYPES = ("client", "server", "exception")


class DeliberateError(Exception):
    """What `/api/error?type=exception` raises; nobody handles it."""


def index_blueprint(paths: tuple[str, ...]) -> Blueprint:
    """Return the index, which names the given paths."""
    blueprint = Blueprint("index", __name__)
    body = _json({"service": "users-api", "endpoints": paths})

    @blueprint.get(INDEX)
    def index() -> Response:
        return _answer(body)

    return blueprint


def api_blueprint(database: UsersDatabase, max_body_bytes: int) -> Blueprint:
    """Return the API.

    Args:
        database: Where users come from.
        max_body_bytes: Largest body that is echoed.
    """
    blueprint = Blueprint("api", __name__)

    @blueprint.get(USERS)
    def users() -> Response:
        try:
            found = database.all_users()
        except DatabaseError as error:
            raise Problem(
                500,
                DATABASE_ERROR,
                "failed to retrieve users",
                told="Database error occurred: Failed to retrieve users",
            ) from error
        return _answer(_json(found))

    @blueprint.post(ECHO)
    def echo() -> Response:
        declared = request.environ.get("CONTENT_TYPE", "").partition(";")[0].strip()
        if not _JSON_TYPE(declared):
            raise Problem(415, CLIENT_ERROR, "expected a body of type application/json")
        body = read_body(request.environ, max_body_bytes)
        try:
            parse(body)
        except MalformedJsonError as error:
            raise Problem(400, CLIENT_ERROR, f"malformed JSON: {error}") from None
        # The very bytes: reading and writing them anew would change numbers, duplicate keys and escapes.
        return _answer(body)

    @blueprint.get(ERROR)
    def error() -> Response:
        kind = request.args.get("type", "server")
        if kind == "exception":
            raise DeliberateError("asked for by /api/error?type=exception")
        if kind == "server":
            raise Problem(500, SERVER_ERROR, "an error of the server, as asked for")
        if kind == "client":
            raise Problem(400, CLIENT_ERROR, "an error of the client, as asked for")
        known = f"known types are {', '.join(_ERROR_TYPES)}"
        # The log does not repeat what the client wrote: a search for a word in it finds only what we wrote.
        raise Problem(
            400,
            CLIENT_ERROR,
            f"unknown type {kind[:40]!r}; {known}",
            told=f"Client error occurred: unknown type; {known}",
        )

    return blueprint


def _answer(body: bytes) -> Response:
    return Response(body, mimetype="application/json")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
