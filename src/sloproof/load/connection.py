"""One keep-alive HTTP/1.1 connection that tells the truth about each request: sent once, or not at all.

Clients for general use repeat a request on their own when a kept connection turns out to be closed. A ledger
cannot have that: what it holds as one request the service would count as two. So nothing is ever repeated here, and a
connection that has been idle long enough for a server to be closing it is not used again.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from sloproof.errors import SettingsError

_MAX_IDLE_SECONDS = 1.0
_RECEIVE_BYTES = 1 << 16


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
    """What became of a request; see `sloproof.load.ledger_file.Entry` for the kinds of failure."""

    status: int
    failure: str
    bytes: int
    error: Exception | None = None

    @property
    def status_code(self) -> int:
        """Return the status, under the name that Locust's listeners know."""
        return self.status


class Target:
    """Where requests go.

    Args:
        base_url: `http` or `https`, host, port, and a path that every request's path is put behind.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError(f"expected an http or https address to send load to, got {base_url!r}")
        self.host = parts.hostname
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.authority = parts.netloc.rpartition("@")[2]
        self.path = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._addresses: list[tuple[socket.AddressFamily, tuple[object, ...]]] = []

    def connect(self, deadline: float) -> socket.socket:
        """Return a new connection.

        Raises:
            OSError: There is none by the deadline, or it was refused.
        """
        if not self._addresses:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            self._addresses = [(family, address) for family, _, _, _, address in found]
        last: OSError = OSError(f"{self.host} has no address")
        for family, address in list(self._addresses):
            try:
                connected = self._connect(family, address, deadline)
            except OSError as error:
                last = error
                continue
            self._addresses = [(family, address)]  # the one that works is tried first from now on
            return connected
        self._addresses = []  # names may move
        raise last

    def _connect(self, family: socket.AddressFamily, address: tuple[object, ...], deadline: float) -> socket.socket:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(_left(deadline))
            connection.connect(address)
            if self._tls is not None:
                return self._tls.wrap_socket(connection, server_hostname=self.host)
        except BaseException:
            connection.close()
            raise
        return connection


class Connection:
    """Carries one request at a time.

    Args:
        target: Where to.
        make_parser: Makes the reader of an answer to a method.
        timeout_seconds: How long a request may take, connecting included.
    """

    def __init__(self, target: Target, make_parser: Callable[[str], AnswerParser], timeout_seconds: float) -> None:
        self._target = target
        self._make_parser = make_parser
        self._timeout = timeout_seconds
        self._socket: socket.socket | None = None
        self._idle_since = 0.0

    def exchange(self, request: bytes, method: str) -> Outcome:
        """Send a request once and read the whole answer; whatever happens is an outcome, not an exception."""
        deadline = time.monotonic() + self._timeout
        if not self._is_usable():
            self.close()
            try:
                self._socket = self._target.connect(deadline)
            except ConnectionRefusedError as error:
                return Outcome(0, "refused", 0, error)
            except OSError as error:
                return Outcome(0, "connect", 0, error)
        connection = self._socket
        assert connection is not None
        parser = self._make_parser(method)
        try:
            outcome = _exchange(connection, request, parser, deadline)
        except BaseException:
            self.close()
            raise
        if outcome.failure or not parser.reusable:
            self.close()
        else:
            self._idle_since = time.monotonic()
        return outcome

    def _is_usable(self) -> bool:
        connection = self._socket
        if connection is None or self.is_stale:
            return False
        connection.settimeout(0.0)
        try:
            connection.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError, TimeoutError):
            return True  # open, and nothing there that nobody asked for
        except OSError:
            return False
        return False

    @property
    def is_stale(self) -> bool:
        """Return whether the connection was idle so long that the server may be closing it."""
        return time.monotonic() - self._idle_since > _MAX_IDLE_SECONDS

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()


def _exchange(connection: socket.socket, request: bytes, parser: AnswerParser, deadline: float) -> Outcome:
    try:
        connection.settimeout(_left(deadline))
        try:
            connection.sendall(request)
        except (ConnectionResetError, BrokenPipeError):
            # A server may answer and hang up before it has read a long body: that answer is the outcome.
            connection.settimeout(_left(deadline))
        while not parser.complete:
            connection.settimeout(_left(deadline))
            data = connection.recv(_RECEIVE_BYTES)
            try:
                parser.feed(data)
            except HTTPException as error:
                if data:
                    return Outcome(0, "protocol", parser.body_bytes, error)
            if not data and not parser.complete:
                return Outcome(0, "reset", parser.body_bytes, ConnectionResetError("closed before the answer's end"))
    except TimeoutError as error:
        return Outcome(0, "timeout", parser.body_bytes, error)
    except OSError as error:
        return Outcome(0, "reset", parser.body_bytes, error)
    return Outcome(parser.status, "", parser.body_bytes)


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.000_001)
