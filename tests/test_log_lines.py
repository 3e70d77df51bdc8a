from __future__ import annotations

import json
import time

import pytest

from sloproof.log_lines import Line, LineParser, OtherLine, RequestLine, Unparsable
from sloproof.model import LogEntry
from sloproof.settings import LogSettings

TEXT = LogSettings(
    pattern=r"\S+ \S+ \[(?P<level>\w+)\] (?P<message>.*) - request_id=(?P<request_id>\S+)",
    request=r"(?P<method>[A-Z]+) (?P<endpoint>\S+) (?P<status>\S+) (?P<duration_seconds>\S+)s",
)
JSON = LogSettings(
    format="json",
    fields={"level": "level", "message": "msg", "request_id": "req.id", "method": "http.method",
            "endpoint": "http.route", "status": "http.status", "duration_seconds": "seconds"},
)  # fmt: skip


def parsed(line: str, settings: LogSettings = TEXT) -> Line:
    return LineParser(settings).parse(LogEntry(7, line))


def test_log_lines_reads_a_requests_line() -> None:
    line = "2026-03-01 12:00:00 [INFO] GET /api/users 200 0.031s - request_id=abc-1"

    assert parsed(line) == RequestLine(7, "GET", "/api/users", 200, 0.031, "abc-1", "INFO", line)


def test_log_lines_reads_another_line_and_a_line_without_a_request() -> None:
    line = "2026-03-01 12:00:00 [ERROR] Database error - request_id=abc-1"
    start = "2026-03-01 12:00:00 [INFO] listening - request_id=-"

    assert parsed(line) == OtherLine(7, "ERROR", "Database error", "abc-1", line)
    assert parsed(start) == OtherLine(7, "INFO", "listening", "", start)


@pytest.mark.parametrize("line", ["", "--- Logging error ---", "Traceback (most recent call last):", "[INFO] x"])
def test_log_lines_says_why_a_line_cannot_be_read(line: str) -> None:
    found = parsed(line)

    assert isinstance(found, Unparsable)
    assert "pattern" in found.reason


def test_log_lines_takes_no_text_of_a_client_for_a_requests_line() -> None:
    """The patterns must fit the whole: what stands inside a message does not count."""
    forged = "2026-03-01 12:00:00 [WARNING] bad value: GET / 200 0.1s - request_id=abc-1"
    tail = "2026-03-01 12:00:00 [INFO] GET / 200 0.1s extra - request_id=abc-1"

    assert isinstance(parsed(forged), OtherLine)
    assert isinstance(parsed(tail), OtherLine)


def test_log_lines_takes_the_last_request_id_where_a_message_holds_a_forged_one() -> None:
    found = parsed("2026-03-01 12:00:00 [INFO] x - request_id=forged - request_id=true")

    assert isinstance(found, OtherLine)
    assert found.request_id == "true"


@pytest.mark.parametrize("status", ["2xx", "", "None"])
def test_log_lines_cannot_read_a_status_that_is_no_number(status: str) -> None:
    assert not isinstance(parsed(f"2026-03-01 12:00:00 [INFO] GET / {status} 0.1s - request_id=a"), RequestLine)


def document(**changed: object) -> str:
    made: dict[str, object] = {
        "level": "info", "req": {"id": "abc-1"}, "http": {"method": "GET", "route": "/", "status": 200}, "seconds": 0.5,
    }  # fmt: skip
    return json.dumps(made | changed)


def test_log_lines_reads_json_along_its_paths() -> None:
    line = document()

    assert parsed(line, JSON) == RequestLine(7, "GET", "/", 200, 0.5, "abc-1", "info", line)


def test_log_lines_reads_json_with_a_status_as_text_and_without_a_duration() -> None:
    found = parsed(document(http={"method": "GET", "route": "/", "status": "404"}, seconds=None), JSON)

    assert isinstance(found, RequestLine)
    assert (found.status, found.duration_seconds) == (404, None)


def test_log_lines_reads_a_key_that_holds_dots_itself() -> None:
    found = parsed('{"http.method": "GET", "http.route": "/", "http.status": 200, "req.id": "a"}', JSON)

    assert isinstance(found, RequestLine)
    assert found.request_id == "a"


def test_log_lines_reads_json_that_is_no_requests_line() -> None:
    found = parsed('{"level": "error", "msg": "boom", "req": {"id": null}}', JSON)

    assert isinstance(found, OtherLine)
    assert (found.level, found.message, found.request_id) == ("error", "boom", "")


@pytest.mark.parametrize(
    "line",
    ["", "plain", "[1]", "7", "{", document(http={"method": "GET", "route": "/", "status": True}),
     document(http={"method": "GET", "route": "/", "status": 200.5}),
     document(http={"method": "GET", "route": "/", "status": [1]}), document(seconds="soon"), "[" * 5000, "\ud800"],
)  # fmt: skip
def test_log_lines_never_raises_for_a_json_line(line: str) -> None:
    assert isinstance(parsed(line, JSON), Unparsable)


@pytest.mark.parametrize(
    ("settings", "line"),
    [(TEXT, "2026-03-01 12:00:00 [INFO] GET /api/users 200 0.031s - request_id=abc-1"), (JSON, document())],
    ids=["text", "json"],
)
def test_log_lines_reads_twenty_thousand_lines_in_a_third_of_a_second(settings: LogSettings, line: str) -> None:
    """The bound is 100,000 lines in 1.5 s; processor time, so that a busy machine does not matter."""
    entries = [LogEntry(number, line) for number in range(20_000)]
    parser = LineParser(settings)

    took: list[float] = []
    while not took or (min(took) >= 0.3 and len(took) < 5):
        begin = time.process_time()
        found = parser.parse_all(entries)
        took.append(time.process_time() - begin)

    assert min(took) < 0.3
    assert all(isinstance(one, RequestLine) for one in found)
