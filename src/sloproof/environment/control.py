"""The owner's side of a supervisor: one connection, one request at a time."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

from sloproof.environment.base import ComponentStatus
from sloproof.errors import EnvironmentStartError, UnavailableError


class Control:
    """Speaks line-JSON to a supervisor over its socket; safe to use from several threads.

    Args:
        path: The socket.
        timeout_seconds: How long a request may take; stopping a component waits for it.
    """

    def __init__(self, path: Path, *, timeout_seconds: float = 30.0) -> None:
        self._path = path
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._buffer = b""

    def status(self) -> tuple[ComponentStatus, ...]:
        """Return the state of every component, in the order of the plan.

        Raises:
            UnavailableError: The supervisor is gone.
        """
        return tuple(ComponentStatus(**one) for one in self.request("status")["components"])

    def request(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Return the supervisor's answer.

        Raises:
            UnavailableError: The supervisor is gone.
            EnvironmentStartError: It refuses, with its reason.
        """
        with self._lock:
            try:
                answer = self._exchange({"action": action, **arguments})
            except (OSError, ValueError) as error:
                self.close()
                raise UnavailableError(
                    "expected the environment's supervisor to answer, but it is gone",
                    socket=self._path,
                    cause=error,
                    hint="start the environment again; what is left of it is cleaned up then",
                ) from error
            except BaseException:
                # Interrupted: the answer that is still to come must not be taken for the next request's.
                self.close()
                raise
        if "error" in answer:
            raise EnvironmentStartError(str(answer["error"]))
        return answer

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._connection is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(self._timeout)
            try:
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                raise
            self._connection, self._buffer = connection, b""
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        while b"\n" not in self._buffer:
            self._buffer += self._receive(self._connection)
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _receive(self, connection: socket.socket) -> bytes:
        data = connection.recv(65536)
        if not data:
            raise ConnectionResetError("the connection was closed")
        return data

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None
