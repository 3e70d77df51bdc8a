"""The log: one line a record, always, whatever a record holds; and no line that a client wrote."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.log_format import Event, JsonFormat, LineFormat, TextFormat
from service.logs import LineWriter, RecordHandler, ServiceLog
from service.telemetry import RequestFacts, format_traceback
from tests.service.observed import LINE, REQUEST, Observed, fast

if TYPE_CHECKING:
    from collections.abc import Iterator

NASTY = "a\nb\rc\td\x00\x1b[31m\x85\u2028\u2029\ud800\x7fé東🚦 - request_id=forged"


class Sink:
    """A log that writes to a file, and what is in it."""

    def __init__(self, descriptor: int, log_format: str = "text", level: str = "INFO") -> None:
        self.descriptor = descriptor
        self.log = ServiceLog(fast(log_format=log_format, log_level=level), LineWriter(descriptor))
        self.logger = logging.Logger("test", logging.DEBUG)  # noqa: LOG001 - one a test, known to nobody else
        self.logger.addHandler(RecordHandler(self.log))

    @property
    def lines(self) -> list[str]:
        text = os.pread(self.descriptor, 1 << 20, 0).decode()
        return text.split("\n")[:-1]


@pytest.fixture
def sink(tmp_path: Any) -> Iterator[Sink]:
    with (tmp_path / "log").open("w+b") as file:
        yield Sink(file.fileno())


@pytest.fixture
def json_sink(tmp_path: Any) -> Iterator[Sink]:
    with (tmp_path / "log").open("w+b") as file:
        yield Sink(file.fileno(), "json", "DEBUG")


def test_request_line_is_as_documented() -> None:
    facts = RequestFacts("GET", "/api/users", 200, 0.0312449, "abc")
    assert TextFormat().request(facts, 86399.5) == (
        b"1970-01-01 23:59:59 [INFO] GET /api/users 200 0.031245s - request_id=abc\n"
    )
    assert json.loads(JsonFormat().request(facts, 86399.5)) == {
        "time": "1970-01-01T23:59:59.500000Z", "level": "INFO", "message": "GET /api/users 200 0.031245s",
        "request_id": "abc", "method": "GET", "endpoint": "/api/users", "status": 200, "duration_seconds": 0.031245,
    }  # fmt: skip


@given(st.text(), st.text(), st.sampled_from([TextFormat(), JsonFormat()]))
def test_any_event_is_one_line_that_can_be_read(message: str, traceback: str, form: LineFormat) -> None:
    line = form.event(Event("ERROR", message, "id-1", "server_error", "/", traceback), 1.0).decode()
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    if isinstance(form, JsonFormat):
        assert json.loads(line)["request_id"] == "id-1"
        assert not {"method", "status"} & json.loads(line).keys(), "it would be taken for a request's line"
    else:
        found = LINE.fullmatch(line[:-1])
        assert found is not None
        assert (found["level"], found["request_id"]) == ("ERROR", "id-1")


@given(st.text())
def test_no_error_message_can_pass_for_a_request(text: str) -> None:
    for known in ("Client error occurred: ", "Server error occurred: ", "Unhandled exception: "):
        assert not REQUEST.fullmatch(known + text)


def test_lines_are_bounded_in_length(sink: Sink) -> None:
    sink.log.event(Event("ERROR", "🚦" * 100_000, "id"))
    sink.log.event(Event("ERROR", "a" * 100_000, "id", traceback="b" * 100_000))
    assert [len(line.encode()) < 16 * 1024 for line in sink.lines] == [True, True]
    assert all("left out" in line for line in sink.lines)


class Unspeakable:
    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no words")

    __repr__ = __str__


class UnspeakableError(Exception):
    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no words")


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("%s %s", ("one",)), ("%d", ("x",)), ("plain", ("extra",)), ("%(name)s", ({"other": 1},)), (NASTY, ()),
        (Unspeakable(), ()), ("%s", (Unspeakable(),)), ("100 %", ()), (b"bytes", ()), (None, ()),
    ],
)  # fmt: skip
def test_any_record_is_written_and_nothing_goes_to_stderr(
    sink: Sink, capsys: pytest.CaptureFixture[str], message: Any, args: tuple[Any, ...]
) -> None:
    sink.logger.error(message, *args)
    assert len(sink.lines) == 1
    assert LINE.fullmatch(sink.lines[0])
    assert capsys.readouterr().err == ""


def test_records_without_a_request_and_from_other_threads_have_a_dash(sink: Sink) -> None:
    thread = threading.Thread(target=sink.logger.warning, args=("from a thread",))
    thread.start()
    thread.join()
    sink.logger.info("starting", extra={"request_id": 7})
    sink.logger.info("starting", extra={"request_id": "a b\nc"})
    assert [line.rpartition("request_id=")[2] for line in sink.lines] == ["-", "-", "-"]


def test_a_record_of_a_library_has_the_request_it_was_written_for(observed: Observed) -> None:
    handler = RecordHandler(observed.log)
    library = logging.getLogger("some.library")
    library.addHandler(handler)
    library.propagate = False

    def app(_environ: Any, respond: Any) -> list[bytes]:
        library.error("inside")
        respond("200 OK", [])
        return [b""]

    observed.app.instrumentation._app = app
    observed.send("GET", "/", headers={"X-Request-ID": "r7"})
    library.error("outside")
    library.removeHandler(handler)
    assert [(message, request_id) for _, message, request_id in observed.events if "side" in message] == [
        ("inside", "r7"), ("outside", "-"),
    ]  # fmt: skip


def test_a_traceback_is_on_the_line_of_its_record(sink: Sink, json_sink: Sink) -> None:
    del json_sink
    try:
        fail(ValueError(NASTY))
    except ValueError:
        sink.logger.exception("failed\nbadly")
    assert len(sink.lines) == 1
    assert "failed\\nbadly Traceback (most recent call last):\\n" in sink.lines[0]
    assert LINE.fullmatch(sink.lines[0])
    assert "\x1b" not in sink.lines[0]


def test_a_traceback_that_cannot_be_put_into_words_is_told_too() -> None:
    with pytest.raises(UnspeakableError) as caught:
        fail(UnspeakableError())
    assert "UnspeakableError" in format_traceback(caught.value)


def test_json_lines_hold_the_same_facts(json_sink: Sink) -> None:
    json_sink.log.request(RequestFacts("GET", "/", 500, 0.5, "r1"))
    json_sink.log.event(Event("ERROR", "failed", "r1", "server_error", "/", "Traceback ...\n x"))
    json_sink.logger.info("start-up %s", "line")
    request, error, other = map(json.loads, json_sink.lines)
    assert (request["status"], request["duration_seconds"], request["level"]) == (500, 0.5, "INFO")
    assert (error["error_type"], error["traceback"], error["request_id"]) == (
        "server_error", "Traceback ...\\n x", "r1",
    )  # fmt: skip
    assert (other["message"], other["request_id"], other["level"]) == ("start-up line", None, "INFO")


def test_levels_below_the_set_one_are_not_written(tmp_path: Any) -> None:
    with (tmp_path / "log").open("w+b") as file:
        sink = Sink(file.fileno(), level="WARNING")
        sink.log.request(RequestFacts("GET", "/", 200, 0.1, "a"))
        sink.log.event(Event("INFO", "quiet"))
        sink.log.event(Event("ERROR", "loud"))
        assert [line.partition("] ")[2].partition(" -")[0] for line in sink.lines] == ["loud"]


def test_a_log_that_nobody_reads_does_not_stop_the_writer() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        LineWriter(writer).write(b"into the void\n")
    finally:
        os.close(writer)


def test_an_impatient_pipe_that_is_full_loses_no_line() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    count, line = 60, b"x" * 5000 + b"\n"

    def write() -> None:
        lines = LineWriter(writer)
        for _ in range(count):
            lines.write(line)
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reader, "rb") as file:
        assert file.read() == line * count
    thread.join()


def write_many(lines: LineWriter, letter: bytes) -> None:
    for _ in range(60):
        lines.write(letter * 9000 + b"\n")


def test_long_lines_of_several_processes_and_threads_do_not_mix() -> None:
    """Lines longer than a pipe takes at once come out whole, however full the pipe is."""
    reader, writer = os.pipe()
    children = []
    for letters in (b"ab", b"cd"):
        child = os.fork()
        if not child:
            lines = LineWriter(writer)
            threads = [threading.Thread(target=write_many, args=(lines, letters[turn : turn + 1])) for turn in (0, 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            os._exit(0)
        children.append(child)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        found = file.read().split(b"\n")[:-1]
    for child in children:
        os.waitpid(child, 0)
    assert len(found) == 240
    assert {(len(line), len(set(line))) for line in found} == {(9000, 1)}


def test_taking_over_leaves_one_way_out(sink: Sink) -> None:
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = list(root.handlers), root.level
    try:
        sink.log.take_over()
        sink.log.take_over()
        logging.getLogger("werkzeug").warning("once")
        failing = threading.Thread(target=lambda: 1 / 0, name="doomed")
        failing.start()
        failing.join()
        assert len(sink.lines) == 2
        assert "Thread doomed ended by an exception Traceback" in sink.lines[1]
    finally:
        logging.captureWarnings(capture=False)
        threading.excepthook = hook
        root.handlers[:] = handlers
        root.setLevel(level)


def test_time_is_utc_and_never_goes_back(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert TextFormat().event(Event("INFO", "x"), 0.0).startswith(b"1970-01-01 00:00:00 ")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_one_request_costs_little() -> None:
    """An order of magnitude only, as this is measured on a busy machine."""
    form, facts = TextFormat(), RequestFacts("GET", "/api/users", 200, 0.03, "abc")

    def spent() -> float:
        began = time.process_time()
        for _ in range(2000):
            form.request(facts, 1.0)
        return (time.process_time() - began) / 2000

    assert any(spent() < 50e-6 for _ in range(5))
    assert re.fullmatch(REQUEST, str(facts))
    assert sys.getsizeof(facts) < 200
