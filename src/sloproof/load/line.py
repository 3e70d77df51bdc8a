"""A connected socket, and how to wait for it: what a connection sends through and reads from.

The load's child program has one of its own, which lets other users run meanwhile (`sloproof.load.greenlets`).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Protocol

from sloproof.load.target import seconds_left

POLL_IN, POLL_OUT = 1, 4


class Line(Protocol):
    """A connected socket.

    `send` and `recv` raise BlockingIOError instead of waiting, or wait themselves up to the deadline that was last
    given to one of the waits.
    """

    def send(self, data: bytes | memoryview, /) -> int:
        """Return how much of it was taken."""

    def recv(self, size: int, /) -> bytes:
        """Return what is there; nothing at the end."""

    def await_readable(self, deadline_ns: int, /) -> None:
        """Wait until there is something to read.

        Raises:
            TimeoutError: There is nothing by the deadline.
        """

    def await_writable(self, deadline_ns: int, /) -> None:
        """Wait until something more can be sent.

        Raises:
            TimeoutError: Nothing can by the deadline.
        """

    def is_quiet(self) -> bool:
        """Return whether it is open, and nothing is there that nobody asked for."""

    def close(self) -> None:
        """Close the socket."""


MakeLine = Callable[[socket.socket], Line]
"""Takes a connected socket over."""


class WaitingLine:
    """A line whose socket itself waits, up to its timeout: TLS, and whoever is alone in the process.

    Args:
        connected: The socket.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.recv = connected.recv
        self.close = connected.close

    def send(self, data: bytes | memoryview, /) -> int:
        """Send all of it; see `Line`."""
        self._socket.sendall(data)
        return len(data)

    def await_readable(self, deadline_ns: int, /) -> None:
        """Let what follows wait until then, and no longer."""
        if time.monotonic_ns() >= deadline_ns:
            raise TimeoutError("no whole answer in time")
        self._socket.settimeout(seconds_left(deadline_ns))

    await_writable = await_readable

    def is_quiet(self) -> bool:
        """See `Line`. Reading is the only way to tell: TLS has messages of its own."""
        self._socket.settimeout(0.0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError, TimeoutError):
            return True
        except OSError:
            return False
        return False
