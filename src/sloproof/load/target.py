"""Where requests go, and how a connection to it comes about."""

from __future__ import annotations

import socket
import ssl
import time
from urllib.parse import urlsplit

from sloproof.errors import SettingsError


class Target:
    """Where requests go.

    Args:
        base_url: `http` or `https`, host, port, and a path that every request's path is put behind. The certificate of
            an https server is verified.
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

    def connect(self, deadline_ns: int) -> socket.socket:
        """Return a new connection.

        Args:
            deadline_ns: By the monotonic clock.

        Raises:
            OSError: There is none by the deadline, or it was refused.
        """
        if not self._addresses:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            self._addresses = [(family, address) for family, _, _, _, address in found]
        last: OSError = OSError(f"{self.host} has no address")
        for family, address in list(self._addresses):
            try:
                connected = self._connect(family, address, deadline_ns)
            except OSError as error:
                last = error
                continue
            self._addresses = [(family, address)]  # the one that works is tried first from now on
            return connected
        self._addresses = []  # names may move
        raise last

    def _connect(self, family: socket.AddressFamily, address: tuple[object, ...], deadline_ns: int) -> socket.socket:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(seconds_left(deadline_ns))
            connection.connect(address)
            if self._tls is not None:
                return self._tls.wrap_socket(connection, server_hostname=self.host)
        except BaseException:
            connection.close()
            raise
        return connection


def seconds_left(deadline_ns: int) -> float:
    """Return the seconds until an instant of the monotonic clock; never 0, which a socket takes for "do not wait"."""
    return max((deadline_ns - time.monotonic_ns()) / 1e9, 0.000_001)
