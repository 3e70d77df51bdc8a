"""How a line of the log is written, as text and as JSON. A line is one line, whatever it tells."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Protocol

from service.telemetry import NO_REQUEST, JsonLines, RequestFacts, TextLines

# Container runtimes cut lines at 16 KiB; a line that is cut in two is two lines to whoever counts them.
_MAX_CHARACTERS = 12_000
_MAX_BYTES = 15_000
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Event:
    """Anything else that is told.

    Attributes:
        level: Name of its level.
        message: What happened, in any characters.
        request_id: The request that it belongs to, if to any.
        error_type: For an error: the type it is counted under.
        endpoint: For an error: the endpoint it is counted under.
        traceback: Of the exception behind it, if there is one.
    """

    level: str
    message: str
    request_id: str = NO_REQUEST
    error_type: str = ""
    endpoint: str = ""
    traceback: str = ""


class LineFormat(Protocol):
    """Turns what happened into one line with its newline, in UTF-8. Never raises."""

    def request(self, facts: RequestFacts, now: float) -> bytes:
        """Return the line of one request, written at a Unix time."""

    def event(self, event: Event, now: float) -> bytes:
        """Return the line of anything else, written at a Unix time."""


def one_line(text: str) -> str:
    """Return the text without anything that ends a line, drives a terminal or cannot be written as UTF-8."""
    if len(text) > _MAX_CHARACTERS:
        half = _MAX_CHARACTERS // 2
        text = f"{text[:half]} ... {len(text) - 2 * half} characters left out ... {text[-half:]}"
    return _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    code = ord(character)
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")  # noqa: PLR2004 - a byte


class TextFormat(TextLines):
    """`2026-01-31 23:59:59 [INFO] message - request_id=...`, in UTC."""

    def event(self, event: Event, now: float) -> bytes:
        """Return the line of anything else; a traceback follows its message, on the same line."""
        message = f"{event.message} {event.traceback}" if event.traceback else event.message
        return (
            f"{self.second(now)} [{event.level}] {_fitted(one_line(message))}"
            f" - request_id={event.request_id or NO_REQUEST}\n"
        ).encode()


class JsonFormat(JsonLines):
    """One JSON object a line, with the same facts as the text."""

    def event(self, event: Event, now: float) -> bytes:
        """Return the line of anything else."""
        values: dict[str, str | None] = {
            "time": self.time(now),
            "level": event.level,
            "message": _fitted(one_line(event.message)),
            "request_id": None if event.request_id in ("", NO_REQUEST) else event.request_id,
        }
        if event.error_type:
            values |= {"error_type": event.error_type, "endpoint": event.endpoint}
        if event.traceback:
            values["traceback"] = _fitted(one_line(event.traceback))
        return (json.dumps(values, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


def _fitted(text: str) -> str:
    """Return the text, without its middle where it would not fit a line that stays whole."""
    encoded = text.encode()
    if len(encoded) <= _MAX_BYTES:
        return text
    half = _MAX_BYTES // 2
    head, tail = encoded[:half].decode(errors="ignore"), encoded[-half:].decode(errors="ignore")
    return f"{head} ... {len(encoded) - 2 * half} bytes left out ... {tail}"
