"""A Kubernetes API that says what a test has it say, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from sloproof.environment.kube.api import KubeApi

CONTEXT = "named"
TOKEN = "of-the-named-context"
PODS = "/api/v1/namespaces/ns/pods"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") == "true"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """An answer: `body` whole, or `pieces`, each a chunk of its own; a function among them is called at its turn.

    `cut` breaks the connection off instead of ending the answer.
    """

    status: int = 200
    body: bytes = b""
    pieces: Iterable[bytes | Callable[[], object]] | None = None
    cut: bool = False
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


Script = Answer | Callable[[Asked], Answer]


def json_of(document: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode())


def refusal(status: int, message: str, reason: str = "") -> Answer:
    """Return how an API refuses."""
    return json_of(
        {"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": status}, status
    )


def line(kind: str, thing: Mapping[str, Any]) -> bytes:
    """Return one event of a watch."""
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    """Return a bookmark as an API server writes it: its pod has no containers, said as null."""
    meta = {"resourceVersion": str(version), "creationTimestamp": None}
    return line("BOOKMARK", {"kind": "Pod", "metadata": meta, "spec": {"containers": None}, "status": {}})


def expired() -> bytes:
    """Return the event that ends a watch whose begin is too far back."""
    said = "too old resource version: 1 (2)"
    return line("ERROR", {"kind": "Status", "message": said, "reason": "Expired", "code": 410})


def pod(name: str = "web", *, version: int = 1, ready: bool = False, **more: Any) -> dict[str, Any]:
    """Return a pod; `more` is part of its metadata, or of its status."""
    meta = {key: more.pop(key) for key in ("labels", "deletionTimestamp", "creationTimestamp") if key in more}
    conditions = [{"type": "Ready", "status": str(ready)}, *more.pop("conditions", [])]
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ns", "resourceVersion": str(version), **meta},
        "spec": more.pop("spec", {"containers": [{"name": "main"}]}),
        "status": {"phase": "Running", "conditions": conditions, **more},
    }


def container(name: str = "main", *, restarts: int = 0, **more: Any) -> dict[str, Any]:
    """Return a container's status."""
    return {"name": name, "image": f"{name}:1", "imageID": "", "ready": False, "restartCount": restarts, **more}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(exit_code: int, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": exit_code, "reason": reason, "finishedAt": "2026-03-01T12:00:00Z"}}


def list_of(*items: Mapping[str, Any], version: int = 1) -> Answer:
    return json_of({"kind": "List", "metadata": {"resourceVersion": str(version)}, "items": list(items)})


def watch_of(*pieces: bytes | Callable[[], object], cut: bool = False) -> Answer:
    return Answer(pieces=pieces, cut=cut)


class FakeApi:
    """A server on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[Asked] = []
        self.over = Event()
        self._scripts: dict[tuple[str, str], deque[Script]] = {}
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self.port = int(self._server.server_address[1])
        self.kubeconfig = write_kubeconfig(folder / "kubeconfig", self.port)
        self._apis: list[KubeApi] = []
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def api(self) -> KubeApi:
        """Return an adapter that speaks to it."""
        made = KubeApi(self.kubeconfig, CONTEXT)
        self._apis.append(made)
        return made

    def says(self, method: str, path: str, *answers: Script) -> None:
        """Have it give these answers in turn, and the last of them from then on; `WATCH` is a method here."""
        with self._lock:
            self._scripts[method, path] = deque(answers)

    def asked_for(self, method: str, path: str) -> list[Asked]:
        """Return the requests of one kind."""
        with self._lock:
            return [one for one in self.asked if (_method(one), one.path) == (method, path)]

    def hang(self) -> None:
        """Let nothing happen until the test is over; a piece of an answer."""
        self.over.wait(20)

    def close(self) -> None:
        self.over.set()
        for each in self._apis:
            each.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, asked: Asked) -> Answer:
        """Return what it says to a request."""
        with self._lock:
            self.asked.append(asked)
            script = self._scripts.get((_method(asked), asked.path))
            found = None if not script else script.popleft() if len(script) > 1 else script[0]
        if found is None:
            return refusal(404, f'"{asked.path}" not found', "NotFound")
        return found(asked) if callable(found) else found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    fake: FakeApi


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for a fake."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 20
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError):  # the other side has gone, as clients do
            super().handle_one_request()
            return
        self.close_connection = True

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(parts.query))
        answer = self.server.fake.answer(Asked(self.command, parts.path, query, dict(self.headers), body))
        self.send_response(answer.status)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        if answer.pieces is None:
            self.send_header("Content-Length", str(len(answer.body) + (100 if answer.cut else 0)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(answer.body)
        for piece in answer.pieces or ():
            self._write(piece)
        if answer.cut:
            self._cut()
        elif answer.pieces is not None:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, piece: bytes | Callable[[], object]) -> None:
        if callable(piece):
            piece()
        else:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()

    def _cut(self) -> None:
        # What was written arrives first; then the connection is reset.
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - their names there

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@contextlib.contextmanager
def fake_api(folder: Path) -> Iterator[FakeApi]:
    """Serve, and end."""
    fake = FakeApi(folder)
    try:
        yield fake
    finally:
        fake.close()


def write_kubeconfig(path: Path, port: int) -> Path:
    """Write a file in which the named context leads to a port, and the current one to where nobody listens."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "current",
        "contexts": [
            {"name": "current", "context": {"cluster": "nobody", "user": "nobody"}},
            {"name": CONTEXT, "context": {"cluster": "fake", "user": "me"}},
        ],
        "clusters": [
            {"name": "nobody", "cluster": {"server": "http://127.0.0.1:1"}},
            {"name": "fake", "cluster": {"server": f"http://127.0.0.1:{port}"}},
        ],
        "users": [{"name": "nobody", "user": {"token": "not-this"}}, {"name": "me", "user": {"token": TOKEN}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def _method(asked: Asked) -> str:
    return "WATCH" if asked.is_watch else asked.method
