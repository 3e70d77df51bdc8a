"""A project with a tiny service, for tests of the local environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from sloproof.environment.leftovers import MARK
from sloproof.environment.local import LocalEnvironment
from sloproof.settings import Settings

SERVICE = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    count = 0
    def do_GET(self):
        if self.path == "/":
            Handler.count += 1
            print(f"line {Handler.count}", flush=True)
        if self.path.startswith("/long/"):
            length = int(self.path.rpartition("/")[2])
            print("".join(f"{number:08}" for number in range(length // 8 + 1))[:length], flush=True)
        body = f"# TYPE asked counter\\nasked_total {Handler.count}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class World:
    """A project with a tiny service, and the environments that were made for it."""

    def __init__(self, root: Path, base_dir: Path, tools: Mapping[str, Path]) -> None:
        self.root = root
        self.base_dir = base_dir
        self._tools = tools
        self._made: list[LocalEnvironment] = []
        (root / "service.py").write_text(SERVICE)

    def settings(self, **service: object) -> Settings:
        """Return settings, with a service that differs in some keys."""
        return msgspec.convert(
            {
                "platform_dir": str(Path(__file__).parents[2] / "platform"),
                "service": {
                    "name": "tiny",
                    "command": ["{python}", "-I", "service.py", "{port}"],
                    "readiness": "/ready",
                    "stop_seconds": 0.5,
                    **service,
                },
                "metrics": {
                    "requests": {"name": "asked_total"},
                    "latency": {"name": "asked_seconds"},
                    "errors": {"name": "failed_total"},
                    "in_flight": "asked_now",
                },
                "logs": {"format": "text", "pattern": "(?P<message>.*)"},
            },
            Settings,
        )

    def make(self, **service: object) -> LocalEnvironment:
        """Return an environment that is not started yet."""
        environment = LocalEnvironment(
            self.settings(**service),
            self.root,
            self._tools,
            run_id="test",
            environ=dict(os.environ),
            base_dir=self.base_dir,
        )
        self._made.append(environment)
        return environment

    def left(self) -> list[object]:
        """Return what is left of all environments: processes and folders."""
        found: list[object] = list(self.base_dir.iterdir())
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK, "").startswith(str(self.base_dir)):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def close(self) -> None:
        for environment in self._made:
            environment.stop()
