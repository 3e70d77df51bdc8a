"""What is told of a request, and its line as text or JSON, written without the logging module: that costs most."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import traceback
from dataclasses import dataclass
from typing import NamedTuple, Protocol

FIRST_CLIENT_ERROR, FIRST_SERVER_ERROR = 400, 500
# One write of so many bytes to a pipe is never divided.
_MAX_LINE_BYTES = 4096
# How many characters of an error's message are tried until its line is that short: tracebacks of one byte a character
# fit the first, whatever has four the last.
_LENGTHS = (3500, 1700, 700)
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request is answered with an error.

    Attributes:
        error_type: What it is counted under: one of a few words.
        message: What its line in the log says.
        cause: The exception behind it, where its traceback helps.
    """

    error_type: str
    message: str
    cause: BaseException | None = None


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


class RequestLog(Protocol):
    """Where requests and their failures are told. Never raises."""

    def request(self, facts: RequestFacts) -> None:
        """Tell of one request."""

    def failure(self, facts: RequestFacts, failure: Failure) -> None:
        """Tell why a request failed; called before `request`."""


class _Lines:
    """Lines that begin with the time, in UTC: local time goes back once a year. The last second's text is kept."""

    pattern = ""

    def __init__(self) -> None:
        self._last = (-1, "")

    def second(self, now: float) -> str:
        """Return the second of a Unix time as text."""
        second = int(now)
        known, text = self._last
        if known != second:
            text = time.strftime(self.pattern, time.gmtime(second))
            self._last = (second, text)
        return text


class TextLines(_Lines):
    """`2026-01-31 23:59:59 [INFO] GET /api/users 200 0.031245s - request_id=5f0c9f3e`, in UTF-8."""

    pattern = "%Y-%m-%d %H:%M:%S"

    def request(self, facts: RequestFacts, now: float) -> bytes:
        """Return the line of one request, written at a Unix time; none of its parts needs escaping."""
        method, endpoint, status, seconds, request_id = facts
        known, second = self._last
        if known != int(now):
            second = self.second(now)
        return (f"{second} [INFO] {method} {endpoint} {status} {seconds:.6f}s - request_id={request_id}\n").encode()

    def error(self, level: str, message: str, facts: RequestFacts, failure: Failure, now: float) -> bytes:
        """Return the line of an error; the message is one line already."""
        del failure
        return f"{self.second(now)} [{level}] {message} - request_id={facts.request_id}\n".encode()


class JsonLines(_Lines):
    """One JSON object a line, with the same facts as the text; times are ISO 8601, to the microsecond."""

    pattern = "%Y-%m-%dT%H:%M:%S"

    def __init__(self) -> None:
        super().__init__()
        # What does not change from one request of a kind to the next is encoded once. That is faster than any encoder.
        self._pieces: dict[tuple[str, str, int], tuple[str, str]] = {}

    def request(self, facts: RequestFacts, now: float) -> bytes:
        """Return the line of one request, written at a Unix time."""
        method, endpoint, status, seconds, request_id = facts
        head, tail = self._pieces.get((method, endpoint, status)) or self._encode(method, endpoint, status)
        took = f"{seconds:.6f}"
        return f'{{"time":"{self.time(now)}{head}{took}s","request_id":"{request_id}{tail}{took}}}\n'.encode()

    def error(self, level: str, message: str, facts: RequestFacts, failure: Failure, now: float) -> bytes:
        """Return the line of an error."""
        values = {
            "time": self.time(now), "level": level, "message": message, "request_id": facts.request_id,
            "error_type": failure.error_type, "endpoint": facts.endpoint,
        }  # fmt: skip
        return (json.dumps(values, separators=(",", ":"), ensure_ascii=False) + "\n").encode()

    def _encode(self, method: str, endpoint: str, status: int) -> tuple[str, str]:
        same = {"method": method, "endpoint": endpoint, "status": status}
        message = json.dumps(f"{method} {endpoint} {status} ")[:-1]
        known = json.dumps(same, separators=(",", ":"))[1:-1]
        pieces = f'","level":"INFO","message":{message}', f'",{known},"duration_seconds":'
        self._pieces[method, endpoint, status] = pieces
        return pieces

    def time(self, now: float) -> str:
        """Return a Unix time as text."""
        return f"{self.second(now)}.{int(now % 1 * 1e6):06d}Z"


class LineLog:
    """Writes one line a request, and one more a failure, to a file descriptor, each in one call and whole.

    Args:
        descriptor: Where to; standard output by default.
        lines: How lines are written.
    """

    def __init__(self, descriptor: int = 1, lines: TextLines | JsonLines | None = None) -> None:
        self._descriptor = descriptor
        self._lines = lines or TextLines()
        self._request = self._lines.request

    def request(self, facts: RequestFacts) -> None:
        """Tell of one request."""
        try:
            os.write(self._descriptor, self._request(facts, time.time()))
        except OSError:
            # Whoever reads the log being gone is no reason to fail a request.
            return

    def failure(self, facts: RequestFacts, failure: Failure) -> None:
        """Tell why a request failed, with the traceback, in a line short enough for a pipe to take it at once."""
        level = "WARNING" if facts.status < FIRST_SERVER_ERROR else "ERROR"
        message = failure.message if failure.cause is None else f"{failure.message} {format_traceback(failure.cause)}"
        for most in _LENGTHS:
            line = self._lines.error(level, one_line(message, most), facts, failure, time.time())
            if len(line) <= _MAX_LINE_BYTES:
                break
        with contextlib.suppress(OSError):
            os.write(self._descriptor, line)


def format_traceback(error: BaseException) -> str:
    """Return the traceback of an exception, as Python prints it. Never raises, whatever the exception does."""
    try:
        return "".join(traceback.format_exception(error)).rstrip()
    except Exception:  # noqa: BLE001 - an exception may fail to say what it is
        return f"Traceback (most recent call last): of {type(error).__name__}, which cannot be put into words"


def one_line(text: str, most: int) -> str:
    """Return so many characters of a text, without anything that ends a line or cannot be written as UTF-8."""
    text = _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-(most // 2) :]}"
