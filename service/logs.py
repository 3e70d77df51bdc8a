"""The service's log: every line of the process goes through here, whole, once, and to standard output."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import select
import stat
import sys
import threading
import time
from typing import TYPE_CHECKING

from service.log_format import Event, JsonFormat, LineFormat, TextFormat
from service.telemetry import FIRST_SERVER_ERROR, REQUEST_ID, Failure, RequestFacts, format_traceback, is_sane_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.settings import Settings

_MAX_MESSAGE = 500
_UNREADABLE = "a log record that cannot be put into words"


class LineWriter:
    """Writes whole lines to a file descriptor, in one call each, so that lines of several workers never mix.

    Args:
        descriptor: Where to; shared by all workers.
        silent: Asked before each line; nothing is written while it says true.
    """

    def __init__(self, descriptor: int, silent: Callable[[], bool] = lambda: False) -> None:
        self._descriptor = descriptor
        self._silent = silent
        mode = os.fstat(descriptor).st_mode
        # One write to a file or a terminal is never divided. One to a pipe is, where the line is long or the pipe full.
        self._is_divisible = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        self._lock = threading.Lock()

    def write(self, line: bytes) -> None:
        """Write one line. Never raises: whoever reads the log being gone is no reason to fail a request."""
        if self._silent():
            return
        try:
            if self._is_divisible:
                self._write_in_turn(line)
            else:
                self._write(line)
        except OSError:
            return

    def _write(self, line: bytes) -> None:
        written = 0
        while written < len(line):
            try:
                written += os.write(self._descriptor, line[written:] if written else line)
            except BlockingIOError:
                # Whoever gave us this pipe does not want to wait at their end, which makes ours impatient too.
                select.select((), (self._descriptor,), ())

    def _write_in_turn(self, line: bytes) -> None:
        # Locks of the file belong to the process, so that its threads need one of their own.
        with self._lock:
            locked = True
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            except OSError:
                locked = False
            try:
                self._write(line)
            finally:
                if locked:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


class ServiceLog:
    """Tells of requests, of errors and of anything else, each in one line.

    Args:
        settings: Format and least level.
        writer: Where lines go.
        clock: Unix time, for the lines' time.
    """

    def __init__(self, settings: Settings, writer: LineWriter, clock: Callable[[], float] = time.time) -> None:
        self.level = logging.getLevelNamesMapping()[settings.log_level]
        self._format: LineFormat = JsonFormat() if settings.log_format == "json" else TextFormat()
        self._writer = writer
        self._clock = clock
        self._tells_requests = self.level <= logging.INFO
        self.tells_probes = self.level <= logging.DEBUG

    def request(self, facts: RequestFacts) -> None:
        """Tell of one request."""
        if self._tells_requests:
            self._writer.write(self._format.request(facts, self._clock()))

    def failure(self, facts: RequestFacts, failure: Failure) -> None:
        """Tell why a request failed."""
        self.event(
            Event(
                level="WARNING" if facts.status < FIRST_SERVER_ERROR else "ERROR",
                message=failure.message[:_MAX_MESSAGE],
                request_id=facts.request_id,
                error_type=failure.error_type,
                endpoint=facts.endpoint,
                traceback=format_traceback(failure.cause) if failure.cause is not None else "",
            )
        )

    def event(self, event: Event, at: float | None = None) -> None:
        """Tell of anything else; it happened at a Unix time, now by default."""
        if logging.getLevelNamesMapping().get(event.level, self.level) >= self.level:
            self._writer.write(self._format.event(event, self._clock() if at is None else at))

    def take_over(self) -> None:
        """Make this log the only way out for the records and warnings of every library of this process."""
        root = logging.getLogger()
        for handler in list(root.handlers):
            root.removeHandler(handler)
        root.addHandler(RecordHandler(self))
        root.setLevel(self.level)
        logging.captureWarnings(capture=True)
        threading.excepthook = _log_thread_failure


class RecordHandler(logging.Handler):
    """Hands the records of the logging module to the service's log. Never raises, and never prints to stderr.

    Args:
        log: Where records go.
    """

    def __init__(self, log: ServiceLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as one line, whatever its arguments are and whether it has a request id or not."""
        request_id = getattr(record, "request_id", None)
        event = Event(
            level=record.levelname if record.levelname.isalpha() and record.levelname.isascii() else "NOTSET",
            message=_in_words(record),
            request_id=request_id if isinstance(request_id, str) and is_sane_id(request_id) else REQUEST_ID.get(),
            traceback=_traceback_of(record),
        )
        self._log.event(event, record.created)


def _in_words(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit, or that raise when they are asked for their text
        try:
            return f"{record.msg} (arguments: {record.args!r})"
        except Exception:  # noqa: BLE001 - as above
            return _UNREADABLE


def _traceback_of(record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[1] is not None:
        parts.append(format_traceback(record.exc_info[1]))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(str(record.stack_info))
    return "\n".join(parts)


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    name = failure.thread.name if failure.thread else "unknown"
    error = failure.exc_value or failure.exc_type()
    logging.getLogger("service").error("Thread %s ended by an exception", name, exc_info=error)


def standard_output() -> int:
    """Return the descriptor of standard output, with nothing of ours left in the interpreter's buffer."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    return 1
