"""A tiny service for benchmarks: its counter has a label set for each burst, born by the burst's first request.

    python bench/target.py PORT

`GET /burst/<name>` counts one and answers; every other path but the probe and the exposition is counted under its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import ClassVar
from urllib.parse import urlsplit

_ANSWER = b"counted\n"


class _Handler(BaseHTTPRequestHandler):
    """Answers on kept connections; a request is counted and logged before its answer's last byte is sent."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    counts: ClassVar[Counter[str]] = Counter()
    lock = Lock()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics":
            self._answer(self._exposition())
            return
        if path == "/ready":
            self._answer(_ANSWER)
            return
        begin = time.perf_counter()
        with self.lock:
            self.counts[path] += 1
        request_id = self.headers.get("X-Request-ID", "-")
        line = f"INFO GET {path} 200 {time.perf_counter() - begin:.6f}s request_id={request_id}\n"
        os.write(1, line.encode())
        self._answer(_ANSWER)

    def _exposition(self) -> bytes:
        with self.lock:
            counts = list(self.counts.items())
        rows = [
            f'burst_requests_total{{endpoint="{path}",method="GET",status="200"}} {count}' for path, count in counts
        ]
        # Counted before it is answered, so nothing that a client has an answer to is in flight.
        return "\n".join(
            ["# TYPE burst_requests_total counter", *rows, "# TYPE burst_in_flight gauge", "burst_in_flight 0", ""]
        ).encode()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's signature
        """Write no line of its own."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    _Server(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
