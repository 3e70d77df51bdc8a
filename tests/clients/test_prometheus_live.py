"""Against a real Prometheus that scrapes a target of the test's own."""

from __future__ import annotations

import socket
import subprocess
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from sloproof.clients.prometheus import PrometheusClient
from sloproof.counters import increase_between
from sloproof.errors import QueryError
from sloproof.model import Sample, Series, Window
from sloproof.polling import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow  # real processes and real time

CONFIG = """
global: {{scrape_interval: 100ms, evaluation_interval: 100ms}}
rule_files: [rules.yml]
scrape_configs:
  - {{job_name: api, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
  - {{job_name: gone, static_configs: [{{targets: ["127.0.0.1:1"]}}]}}
"""
RULES = """
groups:
  - name: g
    rules:
      - {record: "api:up", expr: 'up{job="api"}'}
      - {alert: Gone, expr: 'up{job="gone"} == 0', for: 50ms, labels: {severity: page}, annotations: {summary: s}}
"""
TIMEOUT = timedelta(seconds=15)


class Target:
    """Exposes what the test says."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {"a": 5}

    def exposition(self) -> bytes:
        lines = [f'c_total{{kind="{kind}"}} {count}\n' for kind, count in self.counts.items()]
        return "".join(["# HELP c_total What is counted.\n# TYPE c_total counter\n", *lines, "n NaN\n"]).encode()


@pytest.fixture(scope="module")
def target() -> Iterator[tuple[Target, int]]:
    exposed = Target()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exposed.exposition()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield exposed, server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def client(
    tool_path: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, target: tuple[Target, int]
) -> Iterator[PrometheusClient]:
    program = tool_path("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(CONFIG.format(port=target[1]))
    (folder / "rules.yml").write_text(RULES)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}",
                 "--scrape.discovery-reload-interval=100ms"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], cwd=folder, stdout=log, stderr=log)
        try:
            found = PrometheusClient(f"http://127.0.0.1:{port}")
            wait_until(
                lambda: found.is_ready() and bool(_scraped(found, datetime.now(UTC) - timedelta(seconds=1))),
                bool,
                what="a first scrape",
                timeout=TIMEOUT,
                interval=timedelta(milliseconds=20),
            )
            yield found
        finally:
            process.kill()
            process.wait()


def _scraped(client: PrometheusClient, after: datetime) -> tuple[Sample, ...]:
    """Return the good scrapes of the target begun after an instant."""
    found = client.samples('up{job="api"}', Window(after, datetime.now(UTC))).series
    return tuple(sample for series in found for sample in series.samples if sample.value == 1 and sample.time > after)


def _anchor(client: PrometheusClient) -> datetime:
    now = datetime.now(UTC)
    seen = wait_until(
        lambda: _scraped(client, now), bool, what="a scrape", timeout=TIMEOUT, interval=timedelta(milliseconds=10)
    )
    return seen.value[0].time


def _rise(client: PrometheusClient, before: datetime, after: datetime) -> dict[str, tuple[float, float]]:
    def stored(selector: str) -> tuple[Series, ...]:
        return client.samples(selector, Window(before - timedelta(seconds=5), after)).series

    found = increase_between(stored("c_total"), before, after, targets_up=stored('up{job="api"}'))
    return {one.labels["kind"]: (one.low, one.high) for one in found}


def test_samples_include_both_ends_and_nothing_else(client: PrometheusClient) -> None:
    begin = _anchor(client)
    end = max(_anchor(client) for _ in range(3))
    (series,) = client.samples('up{job="api"}', Window(begin, end)).series
    times = [sample.time for sample in series.samples]
    assert (times[0], times[-1]) == (begin, end)
    assert len(times) >= 4
    inside = Window(begin + timedelta(microseconds=1), end - timedelta(microseconds=1))
    assert client.samples('up{job="api"}', inside).series[0].samples == series.samples[1:-1]
    assert client.samples('up{job="api"}', Window(times[1], times[1])).series[0].samples == series.samples[1:2]


def test_counts_are_exact_for_a_series_born_in_between_and_one_that_begins_anew(
    client: PrometheusClient, target: tuple[Target, int]
) -> None:
    exposed, _ = target
    exposed.counts = {"a": 5}
    before = _anchor(client)
    exposed.counts = {"a": 12, "born": 137}
    middle = _anchor(client)
    assert _rise(client, before, middle) == {"a": (7, 7), "born": (137, 137)}
    exposed.counts = {"a": 3, "born": 137}
    after = _anchor(client)
    assert _rise(client, before, after) == {"a": (10, 10), "born": (137, 137)}
    assert _rise(client, middle, after) == {"a": (3, 3), "born": (0, 0)}


def test_a_query_is_repeated_by_its_url(client: PrometheusClient) -> None:
    at = _anchor(client)
    (series,) = client.query('up{job="api"}', at).series
    assert series.samples == (Sample(at, 1.0),)
    (again,) = client.query_range('up{job="api"}', Window(at, at), timedelta(seconds=1)).series
    assert again.samples == series.samples
    assert f"time={at.isoformat(timespec='milliseconds')[:-6].replace(':', '%3A')}Z" in client.query_url("up", at)


def test_a_wrong_query_is_refused_in_the_servers_words(client: PrometheusClient) -> None:
    with pytest.raises(QueryError, match="400") as caught:
        client.query("up{", None)
    assert "parse error" in str(caught.value)


def test_everything_else_that_is_asked_is_read(client: PrometheusClient, target: tuple[Target, int]) -> None:
    _anchor(client)
    window = Window(datetime.now(UTC) - timedelta(seconds=30), datetime.now(UTC))
    health = {one.job: one for one in client.targets()}
    assert (health["api"].health, health["api"].last_error) == ("up", None)
    assert health["gone"].health == "down"
    assert "refused" in (health["gone"].last_error or "")
    assert health["api"].scrape_interval == timedelta(milliseconds=100)
    wait_until(client.alerts, bool, what="an alert", timeout=TIMEOUT, interval=timedelta(milliseconds=20))
    (group,) = client.rule_groups()
    assert [(rule.kind, rule.hold) for rule in group.rules] == [
        ("recording", timedelta(0)),
        ("alerting", timedelta(milliseconds=50)),
    ]
    assert group.last_evaluation is not None
    assert {one["job"] for one in client.series(["up"], window)} == {"api", "gone"}
    assert client.label_values("job", window, ["up"]) == ("api", "gone")
    assert {"up", "c_total"} <= set(client.metric_names(window))
    assert [(one.kind, one.help) for one in client.metadata("c_total")] == [("counter", "What is counted.")]
    assert "scrape_interval: 100ms" in client.config_yaml()
    assert client.flags()["scrape.discovery-reload-interval"] == "100ms"
    assert str(client.query("n", None).series[0].samples[0].value) == "nan"
    assert "c_total has no label kin; it has: kind" in client.nearest('c_total{kin="a"}', window)
    hour_ago = Window(window.start - timedelta(hours=1), window.end - timedelta(hours=1))
    assert "no sample at this time" in client.nearest("c_total", hour_ago)
