"""One keep-alive HTTP/1.1 connection that tells the truth about each request: sent once, or not at all.

Clients for general use repeat a request on their own when a kept connection turns out to be closed. A ledger
cannot have that: what it holds as one request the service would count as two. So nothing of which a byte was sent is
ever repeated here, and a connection that has been idle long enough for a server to be closing it is not used again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPException
from typing import NamedTuple, Protocol

from sloproof.load.answer_shape import AnswerShapes
from sloproof.load.line import Line, MakeLine, WaitingLine
from sloproof.load.target import Target
from sloproof.model import NANOSECONDS

_MAX_IDLE_NS = NANOSECONDS
_RECEIVE_BYTES = 1 << 14


class AnswerParser(Protocol):
    """Reads one answer.

    Attributes:
        complete: Whether the final answer is there to its last byte.
        status: Its status.
        reusable: Whether the connection may be used again after it.
        body_bytes: Length of its body.
    """

    complete: bool
    status: int
    reusable: bool
    body_bytes: int

    def feed(self, data: bytes, /) -> None:
        """Take bytes as they come; none at the connection's end.

        Raises:
            HTTPException: They are no HTTP answer, or it ends too early.
        """


class Outcome(NamedTuple):
    """What became of a request.

    Attributes:
        status: Of the answer; 0 where no whole one came.
        failure: Empty, or why there is none; see `Entry.failure`.
        bytes: Length of the answer's body, as far as it came.
        error: What the failure was.
    """

    status: int
    failure: str
    bytes: int
    error: Exception | None = None

    @property
    def status_code(self) -> int:
        """Return the status, under the name that Locust's listeners know."""
        return self.status


class Connection:
    """Carries one request at a time.

    Args:
        target: Where to.
        make_parser: Makes the reader of an answer to a method.
        timeout_seconds: How long a request may take, connecting included.
        make_line: Makes the way to wait for a socket.
    """

    def __init__(
        self,
        target: Target,
        make_parser: Callable[[str], AnswerParser],
        timeout_seconds: float,
        make_line: MakeLine = WaitingLine,
    ) -> None:
        self._target = target
        self._make_parser = make_parser
        self._make_line = make_line
        self._timeout_ns = round(timeout_seconds * NANOSECONDS)
        self._line: Line | None = None
        self._idle_since_ns = 0

    def exchange(self, request: bytes, method: str, shapes: AnswerShapes) -> Outcome:
        """Send a request once and read the whole answer; whatever happens is an outcome, not an exception.

        Args:
            request: Its bytes.
            method: Its method: an answer to HEAD has no body.
            shapes: Of the answers to this kind of request.
        """
        now = time.monotonic_ns()
        deadline = now + self._timeout_ns
        line = self._line
        is_reused = line is not None and now - self._idle_since_ns <= _MAX_IDLE_NS and line.is_quiet()
        if not is_reused:
            failed = self._connect(deadline)
            if failed is not None:
                return failed
            line = self._line
        assert line is not None
        try:
            return self._exchange(line, request, method, shapes, deadline)
        except _UnsentError as error:
            if not is_reused:
                return self._lost(0, error)
        except TimeoutError as error:
            self.close()
            return Outcome(0, "timeout", 0, error)
        except OSError as error:
            return self._lost(0, error)
        except BaseException:
            self.close()
            raise
        # The kept connection had been closed, and took not a byte: the request is still to be sent.
        self.close()
        return self.exchange(request, method, shapes)

    def _connect(self, deadline: int) -> Outcome | None:
        self.close()
        try:
            self._line = self._make_line(self._target.connect(deadline))
        except ConnectionRefusedError as error:
            return Outcome(0, "refused", 0, error)
        except OSError as error:
            return Outcome(0, "connect", 0, error)
        return None

    def _exchange(self, line: Line, request: bytes, method: str, shapes: AnswerShapes, deadline: int) -> Outcome:
        try:
            sent = line.send(request)
        except BlockingIOError:
            sent = 0
        except (ConnectionResetError, BrokenPipeError) as error:
            raise _UnsentError from error
        if sent != len(request):
            _send_rest(line, memoryview(request)[sent:], deadline)
        data = _receive(line, deadline)
        if (match := shapes.latest) is not None and method != "HEAD":
            head = match(data)
            status = shapes.status
            if head is None and (found := shapes.find(data)) is not None:
                head, status = found
            if head is not None:
                length = int(head[1])
                if head.end() + length == len(data):
                    self._idle_since_ns = time.monotonic_ns()
                    return Outcome(status, "", length)
        return self._read(line, data, method, shapes, deadline)

    def _read(self, line: Line, data: bytes, method: str, shapes: AnswerShapes, deadline: int) -> Outcome:
        """Read an answer, of which something is there, by the full parser."""
        parser = self._make_parser(method)
        whole: bytes | None = data  # None: it came in several pieces
        try:
            while True:
                try:
                    parser.feed(data)
                except HTTPException as error:
                    if data:
                        self.close()
                        return Outcome(0, "protocol", parser.body_bytes, error)
                if parser.complete:
                    break
                if not data:
                    return self._lost(parser.body_bytes, ConnectionResetError("closed before the answer's end"))
                data = _receive(line, deadline)
                whole = None
        except TimeoutError as error:
            self.close()
            return Outcome(0, "timeout", parser.body_bytes, error)
        except OSError as error:
            return self._lost(parser.body_bytes, error)
        if not parser.reusable:
            self.close()
        elif whole is not None and method != "HEAD":
            shapes.learn(whole, parser.status, parser.body_bytes)
        self._idle_since_ns = time.monotonic_ns()
        return Outcome(parser.status, "", parser.body_bytes)

    def _lost(self, body_bytes: int, error: Exception) -> Outcome:
        self.close()
        return Outcome(0, "reset", body_bytes, error)

    @property
    def is_stale(self) -> bool:
        """Return whether the connection was idle so long that the server may be closing it."""
        return time.monotonic_ns() - self._idle_since_ns > _MAX_IDLE_NS

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        line, self._line = self._line, None
        if line is not None:
            line.close()


class _UnsentError(OSError):
    """The connection was closed before it took a byte of the request."""


def _receive(line: Line, deadline: int) -> bytes:
    while True:
        line.await_readable(deadline)
        try:
            return line.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            continue  # woken for nothing


def _send_rest(line: Line, rest: memoryview, deadline: int) -> None:
    try:
        while rest:
            line.await_writable(deadline)
            try:
                rest = rest[line.send(rest) :]
            except BlockingIOError:
                continue
    except (ConnectionResetError, BrokenPipeError):
        # A server may answer and hang up before it has read a long body: that answer is the outcome.
        return
