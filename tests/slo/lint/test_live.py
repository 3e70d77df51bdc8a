"""The live part of the lint against a real Prometheus, which scrapes a target of the test's own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sloproof.cli import main
from sloproof.clients.prometheus import PrometheusClient
from sloproof.polling import wait_until
from tests.slo.written_documents import GOOD, written

pytestmark = pytest.mark.slow  # real processes and real time

EXPOSITION = b"""\
# TYPE requests_total counter
requests_total{code="200"} 5
requests_total{code="500"} 1
# TYPE latency histogram
latency_bucket{le="0.1"} 1
latency_bucket{le="1.0"} 2
latency_bucket{le="+Inf"} 3
latency_count 3
latency_sum 2
"""
CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - {{job_name: shop, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(EXPOSITION)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server(tool_path: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as target, (folder / "log").open("wb") as log:
        thread = Thread(target=target.serve_forever)
        thread.start()
        (folder / "prometheus.yml").write_text(CONFIG.format(port=target.server_port))
        arguments = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}",
                     "--scrape.discovery-reload-interval=100ms"]  # fmt: skip
        process = subprocess.Popen([tool_path("prometheus"), *arguments], cwd=folder, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            client = PrometheusClient(url)
            wait_until(
                lambda: client.is_ready() and bool(client.query("latency_count", None).series),
                bool,
                what="a first scrape",
                timeout=timedelta(seconds=15),
                interval=timedelta(milliseconds=20),
            )
            yield url
        finally:
            process.kill()
            process.wait()
            target.shutdown()
            thread.join()


def latency(bound: str) -> str:
    text = GOOD.replace('sum(requests_total{job="shop", code=~"5.."})', f'sum(latency_bucket{{le="{bound}"}})')
    return text.replace('sum(requests_total{job="shop"})', "sum(latency_count)").replace("bad:", "good:")


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (GOOD, 0, ["0 to mend, 0 to know"]),
        (latency("0.1"), 0, ["0 to mend, 0 to know"]),
        (latency("0.3"), 1, ["[no-bucket]", "it has 0.1, 1.0, +Inf"]),
        (latency("1"), 0, ["[le-spelling] note:"]),
        (GOOD.replace('code=~"5.."', 'code=~"4.."'), 0, ["[no-match] note:"]),
        (GOOD.replace("code=", "status="), 1, ["[no-match]", "has no label status"]),
        (GOOD.replace("requests_total", "request_total"), 1, ["[no-match]", "nearest: requests_total"]),
    ],
    ids=["fits", "a bound", "no bound", "other spelling", "no such error yet", "no such label", "no such metric"],
)
def test_lint_compares_with_a_real_server(
    server: str, tmp_path: Path, text: str, status: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = main(["lint", "--prometheus", server, str(written(tmp_path / "slo.yaml", text))])
    out = capsys.readouterr().out
    assert (found, [word in out for word in words]) == (status, [True] * len(words)), out
