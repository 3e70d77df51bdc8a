"""A server that misbehaves on demand and keeps its own account of what reached it."""

from __future__ import annotations

import atexit
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import BinaryIO

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """One thread a connection. `ids` are the request ids that arrived whole, in order."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.requests: list[tuple[str, bytes]] = []  # head and body
        self.connections = 0
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._flow = threading.Event()
        self._flow.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Answer nothing until `flow` is called."""
        self._flow.clear()

    def await_ids(self, count: int) -> list[str]:
        """Return the ids once so many have arrived: who gives up early may do so before all is read here."""
        end = time.monotonic() + 60
        while len(self.ids) < count:
            assert time.monotonic() < end, f"only {len(self.ids)} of {count} requests arrived"
            time.sleep(0.005)
        return self.ids

    def flow(self) -> None:
        """Answer again."""
        self._flow.set()

    def close(self) -> None:
        self.flow()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection, connection.makefile("rb") as stream:
                while self._one(connection, stream):
                    pass
        except OSError:
            pass
        with self._lock:
            self._open.discard(connection)

    def _one(self, connection: socket.socket, stream: BinaryIO) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return False
            head += line
        text = head.decode()
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in text.split("\r\n")[1:] if line)
        }
        body = stream.read(int(fields.get("content-length", 0)))
        with self._lock:
            self.ids.append(fields.get("x-request-id", ""))
            self.requests.append((text, body))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self._flow.wait()
            return self._answer(connection, text.split(" ")[1])
        finally:
            with self._lock:
                self._at_once -= 1

    def _answer(self, connection: socket.socket, path: str) -> bool:  # noqa: C901, PLR0911, PLR0912 - a table of misdeeds
        send = connection.sendall
        match path.partition("?")[0]:
            case "/500":
                send(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")
            case "/redirect":
                send(b"HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n")
            case "/chunks":
                send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                send(b"4\r\ndefg\r\n0\r\n\r\n")
            case "/interim":
                send(b"HTTP/1.1 100 Continue\r\n\r\n" + _OK)
            case "/until-close":
                send(b"HTTP/1.1 200 OK\r\n\r\nabc")
                return False
            case "/hang-up":  # after the answer, without having said so
                send(_OK)
                return False
            case "/trailing":
                send(_OK + b"and more")
            case "/half":
                send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
                return False
            case "/reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            case "/nothing":
                return False
            case "/junk":
                send(b"SMTP 220 hello\r\n\r\n")
                return False
            case "/dribble":  # the same head again and again, never whole at once
                for byte in _OK:
                    send(bytes([byte]))
            case "/silent":
                connection.recv(1)  # until the client gives up
                return False
            case "/slow":
                time.sleep(float(path.partition("=")[2]))
                send(_OK)
            case "/head":
                send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")
            case _:
                send(_OK)
        return True


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server."""
    server = Server()
    try:
        yield server
    finally:
        server.close()


@cache
def _held() -> socket.socket:
    """Return a socket that holds its port, and never listens."""
    held = socket.socket()
    atexit.register(held.close)
    held.bind(("127.0.0.1", 0))
    return held


def closed_port() -> int:
    """Return a port on which nothing listens, nor ever will while this process lives."""
    return int(_held().getsockname()[1])
