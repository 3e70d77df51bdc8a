"""A connection, alone: what happens before a request can be sent."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest

from sloproof.errors import SettingsError
from sloproof.load.answer_shape import AnswerShapes
from sloproof.load.connection import Connection
from sloproof.load.profile import RequestSpec
from sloproof.load.request import RequestTemplate
from sloproof.load.target import Target
from tests.load.server import Server, closed_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Scripted:
    """A line that does as it is told; `sends` holds what each send takes, or raises."""

    def __init__(self, *sends: Exception | None, answer: bytes = ANSWER) -> None:
        self._sends = list(sends)
        self._answer = answer
        self.sent: list[bytes] = []
        self.is_reset = False

    def send(self, data: bytes | memoryview, /) -> int:
        wrong = self._sends.pop(0) if self._sends else None
        if wrong is not None:
            raise wrong
        self.sent.append(bytes(data))
        return len(data)

    def recv(self, _size: int, /) -> bytes:
        if self.is_reset:
            raise ConnectionResetError
        return self._answer

    def await_readable(self, _deadline_ns: int, /) -> None: ...

    def await_writable(self, _deadline_ns: int, /) -> None: ...

    def is_quiet(self) -> bool:
        return True

    def close(self) -> None: ...


class Nowhere(Target):
    """Connections that need no server."""

    def __init__(self) -> None:
        super().__init__("http://nowhere.invalid")

    def connect(self, _deadline_ns: int) -> socket.socket:
        return socket.socket()


class NoAnswer:
    """A parser that is never fed."""

    complete = False
    status = 0
    reusable = False
    body_bytes = 0

    def feed(self, data: bytes, /) -> None:
        raise AssertionError(data)


def failure(url: str, timeout: float = 1.0) -> str:
    outcome = Connection(Target(url), lambda _: NoAnswer(), timeout).exchange(b"", "GET", AnswerShapes())
    assert outcome.status == outcome.bytes == 0
    return outcome.failure


@pytest.mark.slow
def test_refused_is_told_from_other_failures_to_connect(server: Server) -> None:
    assert failure(f"http://127.0.0.1:{closed_port()}") == "refused"
    assert failure("http://nowhere.invalid:81") == "connect"
    assert failure(server.url.replace("http:", "https:")) == "connect", "expected no TLS with a server that has none"


def test_timeout_covers_connecting() -> None:
    """A listener whose queue is full does not answer, and does not refuse either."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        begin = time.monotonic()
        assert failure(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2) == "connect"
        assert 0.2 <= time.monotonic() - begin < 20, "expected not to wait as long as the kernel tries"


def test_target_path_goes_before_every_path() -> None:
    target = Target("http://[::1]:8080/base/")
    assert (target.host, target.port, target.authority) == ("::1", 8080, "[::1]:8080")
    request = RequestTemplate(RequestSpec(path="/a?b=\u00fc", endpoint="/a"), target, "X-Id").with_id("7")
    assert request.startswith("GET /base/a?b=\u00fc HTTP/1.1\r\nHost: [::1]:8080\r\n".encode())
    assert request.endswith(b"\r\nX-Id: 7\r\n\r\n")


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x", "http://", ""])
def test_target_refuses_what_is_no_http_address(url: str) -> None:
    with pytest.raises(SettingsError, match="http or https"):
        Target(url)


def learned() -> AnswerShapes:
    shapes = AnswerShapes()
    shapes.learn(ANSWER, 200, 2)
    return shapes


def connection_over(*lines: Scripted) -> Connection:
    rest = iter(lines)

    def make(connected: socket.socket) -> Scripted:
        connected.close()
        return next(rest)

    return Connection(Nowhere(), lambda _: NoAnswer(), 1.0, make)


@pytest.mark.parametrize("wrong", [BrokenPipeError(), ConnectionResetError()])
def test_kept_connection_that_takes_no_byte_is_replaced(wrong: Exception) -> None:
    """Nothing was sent, so nothing is sent twice."""
    first, second = Scripted(None, wrong), Scripted()
    connection = connection_over(first, second)
    assert connection.exchange(b"one", "GET", learned()).status == 200
    assert connection.exchange(b"two", "GET", learned()).status == 200
    assert (first.sent, second.sent) == ([b"one"], [b"two"])


def test_new_connection_that_takes_no_byte_is_a_reset() -> None:
    first, second = Scripted(BrokenPipeError()), Scripted()
    assert connection_over(first, second).exchange(b"one", "GET", learned()).failure == "reset"
    assert not second.sent


def test_kept_connection_that_takes_a_byte_and_resets_is_a_reset() -> None:
    """The service may have counted it: it is not sent again."""
    first, second = Scripted(), Scripted()
    connection = connection_over(first, second)
    assert connection.exchange(b"one", "GET", learned()).status == 200
    first.is_reset = True
    assert connection.exchange(b"two", "GET", learned()).failure == "reset"
    assert not second.sent
