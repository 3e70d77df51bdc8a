"""Reads the lines of a service's log as the settings say they are written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.model import LogEntry
    from sloproof.settings import LogSettings

# What services write where a line belongs to no request.
_NO_ID = frozenset({"", "-", "None", "null"})


class RequestLine(msgspec.Struct, frozen=True, gc=False):
    """A line that tells of one request.

    Attributes:
        time_ns: When it was written, as Loki stored it: Unix nanoseconds.
        method: HTTP method.
        endpoint: The URL rule it is counted under.
        status: HTTP status.
        duration_seconds: How long the service took; None where the line does not say.
        request_id: Empty where the line has none.
        level: As written; empty where the line has none.
        line: The whole line.
    """

    time_ns: int
    method: str
    endpoint: str
    status: int
    duration_seconds: float | None
    request_id: str
    level: str
    line: str = ""


class OtherLine(msgspec.Struct, frozen=True, gc=False):
    """A well-formed line that is not a request's: start-up, an error, a library's word."""

    time_ns: int
    level: str
    message: str
    request_id: str
    line: str = ""


class Unparsable(msgspec.Struct, frozen=True, gc=False):
    """A line that is not written as the settings say, and why."""

    time_ns: int
    line: str
    reason: str


Line = RequestLine | OtherLine | Unparsable


class LineParser:
    """Reads lines; patterns are compiled and paths split once.

    Both regular expressions of a text log must fit from first to last character, so that no text a client sent can
    pass for a request's line by ending or beginning like one.

    Args:
        settings: How the service writes its log.
    """

    def __init__(self, settings: LogSettings) -> None:
        self._is_json = settings.format == "json"
        self._decoder = msgspec.json.Decoder()
        if self._is_json:
            self._paths = {name: tuple(path.split(".")) for name, path in settings.fields.items()}
            return
        pattern, request = re.compile(settings.pattern, re.DOTALL), re.compile(settings.request, re.DOTALL)
        self._match_line, self._match_request = pattern.fullmatch, request.fullmatch
        self._line_groups = [pattern.groupindex[name] for name in ("level", "message", "request_id")]
        self._request_groups = [
            request.groupindex[name] for name in ("method", "endpoint", "status", "duration_seconds")
        ]

    def parse(self, entry: LogEntry) -> Line:
        """Return what one line says. Never raises for a line, whatever it holds."""
        return self._parse_json(entry) if self._is_json else self._parse_text(entry)

    def parse_all(self, entries: Sequence[LogEntry]) -> list[Line]:
        """Return what each line says, in the same order."""
        parse = self._parse_json if self._is_json else self._parse_text
        return [parse(entry) for entry in entries]

    def _parse_text(self, entry: LogEntry) -> Line:
        line = entry.line.rstrip("\r\n")
        found = self._match_line(line)
        if found is None:
            return Unparsable(entry.time_ns, line, "it does not fit tool.sloproof.logs.pattern")
        level, message, request_id = found.group(*self._line_groups)
        request_id = "" if request_id is None or request_id in _NO_ID else request_id
        message = message or ""
        request = self._match_request(message)
        if request is None:
            return OtherLine(entry.time_ns, level or "", message, request_id, line)
        method, endpoint, status, duration = request.group(*self._request_groups)
        try:
            return RequestLine(
                entry.time_ns, method, endpoint, int(status), float(duration) if duration else None, request_id,
                level or "", line,
            )  # fmt: skip
        except (TypeError, ValueError):
            return Unparsable(entry.time_ns, line, f"status {status!r} or duration {duration!r} is no number")

    def _parse_json(self, entry: LogEntry) -> Line:
        line = entry.line
        try:
            document = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            return Unparsable(entry.time_ns, line, f"it is no JSON: {error}")
        if not isinstance(document, dict):
            return Unparsable(entry.time_ns, line, "it is JSON, but no object")
        values = {name: _at(document, path) for name, path in self._paths.items()}
        level, request_id = _text(values.get("level")), _text(values.get("request_id"))
        request_id = "" if request_id in _NO_ID else request_id
        method, endpoint, status = values.get("method"), values.get("endpoint"), values.get("status")
        if method is None or endpoint is None or status is None:
            return OtherLine(entry.time_ns, level, _text(values.get("message")), request_id, line)
        duration = values.get("duration_seconds")
        try:
            return RequestLine(
                entry.time_ns, _text(method), _text(endpoint), _whole(status),
                None if duration is None else float(duration), request_id, level, line,
            )  # fmt: skip
        except (TypeError, ValueError):
            return Unparsable(entry.time_ns, line, f"status {status!r} or duration {duration!r} is no number")


def _at(document: dict[str, Any], path: tuple[str, ...]) -> Any:
    """Return what stands at a path; None where there is nothing. A key that holds the dots itself is found too."""
    value: Any = document
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return document.get(".".join(path)) if len(path) > 1 else None
        value = value[part]
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _whole(value: Any) -> int:
    """Return a status given as a number or as text.

    Raises:
        ValueError: It is no whole number; a truth value is none either.
    """
    number = int(value)
    if isinstance(value, bool) or number != float(value):
        raise ValueError(value)
    return number
