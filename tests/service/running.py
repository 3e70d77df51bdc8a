"""The service as `python -m service`, in processes of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.service.observed import LINE, TOKEN, Samples, samples_of, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).parents[2]
FAST = {
    "SERVICE_USERS_LATENCY_MEDIAN_SECONDS": "0", "SERVICE_USERS_ERROR_RATIO": "0", "SERVICE_FAULTS_TOKEN": TOKEN,
    "SERVICE_DRAIN_SECONDS": "0.1", "SERVICE_SEED": "1",
}  # fmt: skip


LIMIT_SECONDS = 60  # of any wait: a busy machine stalls for longer than a quiet one ever needs


def wait_for(holds: Callable[[], object], what: str) -> None:
    """Return as soon as something holds; fail with what was waited for otherwise."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {LIMIT_SECONDS} s in vain for {what}"
        time.sleep(0.01)


class Running:
    """One service under test.

    Args:
        folder: Where its log goes.
        environment: What it inherits.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {
            name: value for name, value in environment.items() if not name.startswith(("SERVICE_", "PROMETHEUS_"))
        }
        self.log_path = folder / "service.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._seen: list[psutil.Process] = []

    def launch(self, *, stdout: Any = None, **settings: str) -> subprocess.Popen[bytes]:
        """Start it without waiting for anything."""
        settings.setdefault("SERVICE_STATE_DIR", str(self._folder / "state"))
        environment = {**self._environment, **FAST, "SERVICE_PORT": "0", "PYTHONPATH": str(ROOT), **settings}
        with self.log_path.open("ab") as log, (self._folder / "stderr.log").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service"], env=environment, cwd=self._folder, stdin=subprocess.DEVNULL,
                stdout=stdout or log, stderr=errors, start_new_session=True,
            )  # fmt: skip
        return self.process

    def __call__(self, **settings: str) -> Running:
        """Start it and wait until it is ready."""
        self.launch(**settings)
        wait_for(lambda: self._find_port() or self._has_ended(), "a Listening line")
        assert not self._has_ended(), self.errors
        wait_for(self._is_ready, "readiness")
        return self

    @property
    def workers(self) -> list[psutil.Process]:
        """Its worker processes that run."""
        assert self.process is not None
        found = [one for one in psutil.Process(self.process.pid).children() if one.status() != psutil.STATUS_ZOMBIE]
        self._seen.extend(found)
        return found

    @property
    def lines(self) -> list[str]:
        return self.log_path.read_text().splitlines()

    @property
    def errors(self) -> str:
        return (self._folder / "stderr.log").read_text()

    @property
    def samples(self) -> Samples:
        return samples_of(self.get("/metrics")[1].decode())

    def total(self, name: str, **labels: str) -> float:
        return total(self.samples, name, **labels)

    @property
    def unparsable_lines(self) -> list[str]:
        return [line for line in self.lines if not LINE.fullmatch(line)]

    def get(self, path: str, method: str = "GET", timeout: float = LIMIT_SECONDS, **headers: str) -> tuple[int, bytes]:
        """Return status and body of one request on its own connection."""
        with self.connection(timeout) as connection:
            connection.request(method, path, headers={"Connection": "close", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()

    @contextlib.contextmanager
    def connection(self, timeout: float = LIMIT_SECONDS) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            yield connection
        finally:
            connection.close()

    def raw(self, data: bytes, timeout: float = LIMIT_SECONDS) -> bytes:
        """Return all that comes back for these bytes, sent on a connection that is then half closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            parts = []
            with contextlib.suppress(ConnectionError):
                while part := sock.recv(65536):
                    parts.append(part)
            return b"".join(parts)

    def faults(self, **faults: object) -> None:
        with self.connection() as connection:
            headers = {"Authorization": f"Bearer {TOKEN}", "Connection": "close"}
            connection.request("PUT", "/faults", json.dumps(faults), headers)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = LIMIT_SECONDS) -> int:
        """Tell it to end; return its exit status."""
        assert self.process is not None
        assert self.workers
        self.process.send_signal(how)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End whatever is left of it."""
        if self.process is None:
            return
        if self.process.poll() is None:
            with contextlib.suppress(psutil.Error):
                self._seen.extend(psutil.Process(self.process.pid).children())
            self.process.kill()
            self.process.wait()
        for worker in self._seen:
            with contextlib.suppress(psutil.Error):
                if worker.is_running():
                    worker.kill()

    def _has_ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def _find_port(self) -> int:
        for line in self.lines:
            _, found, rest = line.partition("Listening at: http://127.0.0.1:")
            if found:
                self.port = int(rest.partition(" ")[0])
        return self.port

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self.get("/health/readiness")[0] == 200
        return False


def is_alive(pid: int) -> bool:
    """Return whether a process of that id runs, zombies aside."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def files_of(pid: int) -> set[str]:
    """Return the private folders in memory of the service whose master has that process id."""
    return {path.name for path in Path("/dev/shm").glob(f"users-api-{pid}-*")}
