"""Reads a request's body, up to a limit and from clients of every kind."""

from __future__ import annotations

import time
from typing import Any

from service.problem import Problem
from service.telemetry import CLIENT_ERROR

_CHUNK = 64 * 1024
# What is still read of a body that is too large, so that its sender gets to read the answer instead of a reset.
_DISCARDED_BYTES = 8 * 1024 * 1024
_DISCARD_SECONDS = 2.0


def read_body(environ: dict[str, Any], limit: int) -> bytes:
    """Return the whole body of a request.

    Args:
        environ: Of the request.
        limit: Largest body taken, in bytes.

    Raises:
        Problem: 413 for a body over the limit, 400 for one that ends early or is garbled, 408 for one that stalls.
    """
    declared = _declared_length(environ)
    stream = environ["wsgi.input"]
    if declared is not None and declared > limit:
        _discard(stream)
        raise _too_large(limit)
    if declared is None and not environ.get("wsgi.input_terminated"):
        return b""
    wanted = limit + 1 if declared is None else declared
    body = _read(stream, wanted)
    if len(body) > limit:
        _discard(stream)
        raise _too_large(limit)
    if declared is not None and len(body) < declared:
        raise Problem(400, CLIENT_ERROR, f"the body ended after {len(body)} of {declared} bytes")
    return body


def _declared_length(environ: dict[str, Any]) -> int | None:
    text = environ.get("CONTENT_LENGTH", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Problem(400, CLIENT_ERROR, "Content-Length is no number")
    return int(text[:20])


def _read(stream: Any, wanted: int) -> bytes:
    parts = []
    while wanted > 0:
        part = _read_part(stream, min(wanted, _CHUNK))
        if not part:
            break
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def _read_part(stream: Any, size: int) -> bytes:
    try:
        part: bytes = stream.read(size)
    except (BlockingIOError, TimeoutError):
        raise Problem(408, CLIENT_ERROR, "the body did not arrive in time") from None
    except Exception as error:
        # The server's own errors for garbled chunks share no base class but this one.
        raise Problem(400, CLIENT_ERROR, "the body could not be read") from error
    return part


def _discard(stream: Any) -> None:
    """Read on for a while and forget what comes."""
    left, deadline = _DISCARDED_BYTES, time.monotonic() + _DISCARD_SECONDS
    while left > 0 and time.monotonic() < deadline:
        try:
            part = _read_part(stream, _CHUNK)
        except Problem:
            return
        if not part:
            return
        left -= len(part)


def _too_large(limit: int) -> Problem:
    return Problem(413, CLIENT_ERROR, f"the body is larger than {limit} bytes")
