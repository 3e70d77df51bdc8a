"""Records what Alertmanager delivers.

A program of its own, on the standard library alone: `receiver.py PORT FILE [HOST]`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_LOOPBACK = "127.0.0.1"


class Record:
    """Every alert that has arrived, in memory and in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []

    def add(self, message: dict[str, Any]) -> None:
        """Note each alert of one webhook message with the time of its arrival."""
        now = datetime.now(timezone.utc).isoformat()  # noqa: UP017 - as small as can be
        # All of them are read before the first is noted: a message counts whole or not at all.
        entries = [
            {"received": now, "receiver": message["receiver"], "status": alert["status"], "alert": alert}
            for alert in message["alerts"]
        ]
        with self._lock:
            self._entries += entries
            self._file.write("".join(json.dumps(entry) + "\n" for entry in entries))
            self._file.flush()

    def text(self) -> bytes:
        """Return everything as a JSON array."""
        with self._lock:
            return json.dumps(self._entries).encode()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def make_handler(record: Record) -> type[BaseHTTPRequestHandler]:
    """Return a request handler that keeps its record there."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Take a webhook message."""
            try:
                length = int(self.headers.get("Content-Length", "0"))
                if length < 0:
                    raise ValueError("negative length")  # noqa: TRY301 - one answer to all that is wrong
                record.add(json.loads(self.rfile.read(length)))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                self.close_connection = True
                self._answer(400, json.dumps({"error": f"not a webhook message: {error}"}).encode())
            else:
                self._answer(200, b"{}")

        def do_GET(self) -> None:
            """Give the record, or say that all is well."""
            if self.path == "/notifications":
                self._answer(200, record.text())
            else:
                self._answer(200 if self.path == "/ready" else 404, b"{}")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: the record is the log."""

    return Handler


def make_server(port: int, record: Record, host: str = _LOOPBACK) -> ThreadingHTTPServer:
    """Return a server on a port, of loopback unless told otherwise, that keeps its record there."""

    class Server(ThreadingHTTPServer):
        # With the usual five, a burst of notifications loses connections and comes a second late.
        request_queue_size = 128

    return Server((host, port), make_handler(record))


def main(port: int, path: Path, host: str = _LOOPBACK) -> None:
    """Serve until told to end, on loopback unless told otherwise."""
    with contextlib.closing(Record(path)) as record, make_server(port, record, host) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
