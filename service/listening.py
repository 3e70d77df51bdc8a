"""The listening socket: taken at once or not at all, and closed without cutting off anyone who got through."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import socket
import struct
import sys
from typing import Protocol

_BACKLOG = 2048
_ATTACH_FILTER = 26
_log = logging.getLogger("service.listening")


class Listener(Protocol):
    """What is needed of a listening socket."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set an option of the socket."""


class ListenError(Exception):
    """The address cannot be listened on; its text says which and why."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; from now on connections wait for the first worker instead of being refused.

    Raises:
        ListenError: The name is unknown, or the address is taken, forbidden or not of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ListenError(
            f"SERVICE_HOST, SERVICE_PORT: expected an address to listen on, saw {host}:{port}: "
            f"{error.strerror or error}"
        ) from error
    # Connections inherit it. An answer is sent in parts: without this the second waits until the client acknowledges
    # the first, which takes 40 ms on a kept connection, and no clock of the service would see it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def refuse_newcomers(listener: Listener) -> None:
    """Let no further connection come up on a listening socket, while those that are up can still be accepted.

    Closing the socket right away would reset connections whose clients hold them for accepted; going on to accept
    would never end under load. With every packet for new ones dropped, the queue of the old ones runs empty, and the
    socket can be closed in peace. A client that came too late tries again by itself within a second, and is refused.
    """
    if not sys.platform.startswith("linux"):
        return
    # A packet filter of one instruction: return 0, which drops the packet.
    program = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
    header = struct.pack("@HP", 1, ctypes.addressof(program))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, header)
        return
    _log.info("The system does not filter sockets: connections that come up right now may be reset")
