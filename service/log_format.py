"""How a line of the log is written, as text and as JSON. A line is one line, whatever it tells."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import NamedTuple, Protocol

NO_REQUEST = "-"
# Container runtimes cut lines at 16 KiB; a line that is cut in two is two lines to whoever counts them.
_MAX_CHARACTERS = 12_000
_MAX_BYTES = 15_000
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


# At least one letter or digit: a lone dash marks lines that belong to no request.
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}").fullmatch


def is_sane_id(text: str) -> bool:
    """Return whether a request id can stand in a line and in a header without being anything else."""
    return _SANE_ID(text) is not None


class RequestFacts(NamedTuple):
    """What is told of one request.

    Attributes:
        method: Its method, bounded.
        endpoint: The URL rule it is counted under.
        status: HTTP status.
        duration_seconds: From its arrival to the end of its response's body.
        request_id: Its id.
    """

    method: str
    endpoint: str
    status: int
    duration_seconds: float
    request_id: str

    def __str__(self) -> str:
        """Return the message of the request's line."""
        return f"{self.method} {self.endpoint} {self.status} {self.duration_seconds:.6f}s"


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


class _Clock:
    """Writes seconds as text, and keeps the last second's: most lines share it with their neighbours."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._last = (-1, "")

    def text(self, second: int) -> str:
        known, text = self._last
        if known != second:
            # UTC, because local time goes back once a year and lines would seem out of order.
            text = time.strftime(self._pattern, time.gmtime(second))
            self._last = (second, text)
        return text


class TextFormat:
    """`2026-01-31 23:59:59 [INFO] message - request_id=...`, in UTC."""

    def __init__(self) -> None:
        self._clock = _Clock("%Y-%m-%d %H:%M:%S")

    def request(self, facts: RequestFacts, now: float) -> bytes:
        """Return the line of one request; none of its parts can hold a character that needs escaping."""
        # Written out, as this is the one line that every request pays for.
        method, endpoint, status, seconds, request_id = facts
        return (
            f"{self._clock.text(int(now))} [INFO] {method} {endpoint} {status} {seconds:.6f}s"
            f" - request_id={request_id}\n"
        ).encode()

    def event(self, event: Event, now: float) -> bytes:
        """Return the line of anything else; a traceback follows its message, on the same line."""
        message = f"{event.message} {event.traceback}" if event.traceback else event.message
        return (
            f"{self._clock.text(int(now))} [{event.level}] {_fitted(one_line(message))}"
            f" - request_id={event.request_id or NO_REQUEST}\n"
        ).encode()


class JsonFormat:
    """One JSON object a line, with the same facts as the text; times are ISO 8601 in UTC, to the microsecond."""

    def __init__(self) -> None:
        self._clock = _Clock("%Y-%m-%dT%H:%M:%S")

    def request(self, facts: RequestFacts, now: float) -> bytes:
        """Return the line of one request; none of its parts can hold a character that needs escaping."""
        return (
            f'{{"time":"{self._time(now)}","level":"INFO","message":"{facts}","request_id":"{facts.request_id}",'
            f'"method":"{facts.method}","endpoint":"{facts.endpoint}","status":{facts.status},'
            f'"duration_seconds":{facts.duration_seconds:.6f}}}\n'
        ).encode()

    def event(self, event: Event, now: float) -> bytes:
        """Return the line of anything else."""
        values: dict[str, str | None] = {
            "time": self._time(now),
            "level": event.level,
            "message": _fitted(one_line(event.message)),
            "request_id": None if event.request_id in ("", NO_REQUEST) else event.request_id,
        }
        if event.error_type:
            values |= {"error_type": event.error_type, "endpoint": event.endpoint}
        if event.traceback:
            values["traceback"] = _fitted(one_line(event.traceback))
        return (json.dumps(values, separators=(",", ":"), ensure_ascii=False) + "\n").encode()

    def _time(self, now: float) -> str:
        second = int(now)
        return f"{self._clock.text(second)}.{int((now - second) * 1e6):06d}Z"


def _fitted(text: str) -> str:
    """Return the text, without its middle where it would not fit a line that stays whole."""
    encoded = text.encode()
    if len(encoded) <= _MAX_BYTES:
        return text
    half = _MAX_BYTES // 2
    head, tail = encoded[:half].decode(errors="ignore"), encoded[-half:].decode(errors="ignore")
    return f"{head} ... {len(encoded) - 2 * half} bytes left out ... {tail}"
