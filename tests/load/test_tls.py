"""Load over TLS: verified by default, and as true as without."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sloproof.load.child_process import CHILD_COMMAND
from sloproof.load.driver import Driver
from sloproof.load.profile import Profile, RequestSpec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with"),
]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, certificate
    server.shutdown()
    server.server_close()


def profile() -> Profile:
    spec = RequestSpec(path="/", endpoint="/", method="POST", body="x" * 100_000)
    return Profile(mix=(spec,), users=3, requests=30, timeout_seconds=30)


def test_certificate_that_nobody_vouches_for_is_refused(https: tuple[int, Path], tmp_path: Path) -> None:
    with Driver(base_url=f"https://localhost:{https[0]}", ledger_dir=tmp_path, run_id="r") as driver:
        assert driver.run(profile(), "unverified").failures == {"connect": 30}


def test_certificate_for_another_name_is_refused(https: tuple[int, Path], tmp_path: Path) -> None:
    with trusting(https, tmp_path, host="127.0.0.1") as driver:
        assert driver.run(profile(), "another name").failures == {"connect": 30}


def test_load_over_tls_is_whole(https: tuple[int, Path], tmp_path: Path) -> None:
    with trusting(https, tmp_path) as driver:
        result = driver.run(profile(), "tls")
        assert result.ledger.tally().certain == {("/", "POST", 200): 30}
        assert {one.bytes for one in result.ledger.entries()} == {100_000}


def trusting(https: tuple[int, Path], folder: Path, host: str = "localhost") -> Driver:
    code = "import os, sys; os.environ['SSL_CERT_FILE'] = sys.argv[1]; os.execv(sys.argv[2], sys.argv[2:])"
    command = [sys.executable, "-c", code, str(https[1]), *CHILD_COMMAND]
    return Driver(base_url=f"https://{host}:{https[0]}", ledger_dir=folder, run_id="r", command=command)
