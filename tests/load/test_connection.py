"""A connection, alone: what happens before a request can be sent."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest

from sloproof.errors import SettingsError
from sloproof.load.connection import Connection, Target
from sloproof.load.profile import RequestSpec
from sloproof.load.request import RequestTemplate
from tests.load.server import Server, closed_port


class NoAnswer:
    """A parser that is never fed."""

    complete = False
    status = 0
    reusable = False
    body_bytes = 0

    def feed(self, data: bytes, /) -> None:
        raise AssertionError(data)


def failure(url: str, timeout: float = 1.0) -> str:
    outcome = Connection(Target(url), lambda _: NoAnswer(), timeout).exchange(b"", "GET")
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
        assert 0.2 <= time.monotonic() - begin < 0.5


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
