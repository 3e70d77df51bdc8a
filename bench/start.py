"""From nothing to a first verified metric and log line, and back to nothing; beside it the same programs on defaults.

    python bench/start.py [--runs 5] [--no-defaults]

The tuned figure is what a session of sloproof does, its own barrier included. The defaults are the same binaries with
the configuration that their documentation begins with: Prometheus scraping the service (at the same interval, which
favours it), Loki with a ring in memory, Promtail finding the service's log file. Both are asked the same two questions.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from world import ROOT, describe_machine, goal, machine_noise, project_settings

from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient
from sloproof.clients.service import ServiceClient
from sloproof.environment.backends import Wish, find_tools, make_local
from sloproof.environment.components import free_ports
from sloproof.environment.toolchain import Tool
from sloproof.errors import QueryError, UnavailableError
from sloproof.model import Window
from sloproof.plugin.session import RunSession
from sloproof.polling import wait_until
from sloproof.report.run_id import new_run_id

GOAL, BEST, DOWN_GOAL, TIMES_GOAL = 1.5, 1.0, 0.5, 12
_LIMIT = timedelta(seconds=60)

_PROMETHEUS = """
scrape_configs:
  - job_name: service
    scrape_interval: {interval}
    static_configs:
      - targets: ['127.0.0.1:{service}']
"""
_LOKI = """
auth_enabled: false
server:
  http_listen_port: {loki}
  grpc_listen_port: {loki_grpc}
common:
  instance_addr: 127.0.0.1
  path_prefix: {folder}/loki
  storage:
    filesystem:
      chunks_directory: {folder}/loki/chunks
      rules_directory: {folder}/loki/rules
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
schema_config:
  configs:
    - from: 2020-10-24
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
analytics:
  reporting_enabled: false
"""
_PROMTAIL = """
server:
  http_listen_port: {promtail}
  grpc_listen_port: {promtail_grpc}
positions:
  filename: {folder}/positions.yaml
clients:
  - url: http://127.0.0.1:{loki}/loki/api/v1/push
scrape_configs:
  - job_name: service
    static_configs:
      - targets: [localhost]
        labels:
          app: service
          __path__: {folder}/service.log
"""


def tuned(folder: Path) -> tuple[float, float, Mapping[str, timedelta]]:
    """Return the seconds to start and to stop as a session does, and where they went."""
    settings = project_settings()
    run_id = new_run_id(datetime.now(UTC))
    wish = Wish(root=ROOT, settings=settings, run_id=run_id, environ=os.environ, tools_offline=True)
    session = RunSession(
        settings=settings,
        root=ROOT,
        run_id=run_id,
        folder=folder,
        make_environment=lambda: make_local(wish, find_tools(wish, Console(stderr=True))),
        keep=False,
    )
    begin = time.monotonic()
    try:
        session.up()
        up = time.monotonic() - begin
    finally:
        stopping = time.monotonic()
        session.close()
    if session.anchors[-1].dead:
        raise SystemExit(f"nothing was verified: {dict(session.anchors[-1].dead)}")
    return up, time.monotonic() - stopping, session.timings


@contextmanager
def on_defaults(tools: Mapping[str, Tool], folder: Path, ports: Mapping[str, int], interval: str) -> Iterator[None]:
    """Run service, Prometheus, Loki and Promtail, all started at once, on plain configurations."""
    values = {**ports, "folder": folder, "interval": interval}
    for name, text in (("prometheus", _PROMETHEUS), ("loki", _LOKI), ("promtail", _PROMTAIL)):
        (folder / f"{name}.yml").write_text(text.format_map(values))
    environ = {**os.environ, "SERVICE_HOST": "127.0.0.1", "SERVICE_PORT": str(ports["service"])}
    commands: dict[str, list[str | Path]] = {
        "loki": [tools["loki"].path, f"-config.file={folder / 'loki.yml'}"],
        "service": [sys.executable, "-m", "service"],
        "prometheus": [
            tools["prometheus"].path,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
        ],
        "promtail": [tools["promtail"].path, f"-config.file={folder / 'promtail.yml'}"],
    }
    with ExitStack() as stack:
        processes = []
        for name, command in commands.items():
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            processes.append(subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log))
        try:
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def defaults() -> tuple[float, float]:
    """Return the seconds that the same programs take on plain configurations to the same two answers, and to stop."""
    settings = project_settings()
    wish = Wish(root=ROOT, settings=settings, run_id="defaults", environ=os.environ, tools_offline=True)
    tools = find_tools(wish, Console(stderr=True))
    ports = free_ports()
    with tempfile.TemporaryDirectory() as name:
        begin = time.monotonic()
        with on_defaults(tools, Path(name), ports, settings.scrape.interval):
            service = ServiceClient(f"http://127.0.0.1:{ports['service']}", settings.service)
            prometheus = PrometheusClient(f"http://127.0.0.1:{ports['prometheus']}")
            loki = LokiClient(f"http://127.0.0.1:{ports['loki']}")
            _await("the service", lambda: service.probe("readiness").status == 200)
            sent = service.send("GET", "/")

            def is_counted() -> bool:
                found = prometheus.query('app_request_count_total{endpoint="/"}', None).series
                return bool(found) and found[0].samples[-1].value >= 1

            def is_logged() -> bool:
                window = Window(sent.started - timedelta(minutes=1), datetime.now(UTC) + timedelta(minutes=1))
                return bool(loki.query_range(f'{{app="service"}} |= "{sent.request_id}"', window, limit=5))

            _await("the metric", is_counted)
            _await("the log line", is_logged)
            _await("Loki", loki.is_ready)
            up = time.monotonic() - begin
            stopping = time.monotonic()
        return up, time.monotonic() - stopping


def _await(what: str, look: Callable[[], bool]) -> None:
    def patient() -> bool:
        try:
            return look()
        except QueryError as error:  # a Loki that is starting refuses
            raise UnavailableError(error.headline) from error

    wait_until(patient, bool, what=what, timeout=_LIMIT, interval=timedelta(milliseconds=20))


def main() -> int:
    """Start, stop, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-defaults", action="store_true", help="leave the comparison out, which takes 20 s")
    options = parser.parse_args()
    describe_machine()
    ups, downs = [], []
    for number in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            up, down, parts = tuned(Path(folder))
        ups.append(up)
        downs.append(down)
        told = ", ".join(f"{name} {spent.total_seconds():.2f}" for name, spent in parts.items())
        print(f"run {number + 1}: up {up:.2f} s, down {down:.2f} s ({told}); {machine_noise()}", flush=True)
    up, down = statistics.median(ups), statistics.median(downs)
    print(f"tuned: up {up:.2f} s, down {down:.2f} s (medians of {options.runs})")
    if not options.no_defaults:
        plain_up, plain_down = defaults()
        print(f"defaults: up {plain_up:.1f} s, down {plain_down:.1f} s: {plain_up / up:.1f} times as long to start")
    what = "nothing to a first verified metric and log line"
    missed = goal(f"{what} under {GOAL:g} s (median)", f"{up:.2f} s", is_met=up < GOAL)
    missed += goal(f"{what} under {BEST:g} s (median)", f"{up:.2f} s", is_met=up < BEST)
    missed += goal(f"back to nothing under {DOWN_GOAL:g} s (median)", f"{down:.2f} s", is_met=down < DOWN_GOAL)
    if not options.no_defaults:
        missed += goal(
            f"at least {TIMES_GOAL} times faster up than on defaults",
            f"{plain_up / up:.1f} times",
            is_met=plain_up >= TIMES_GOAL * up,
        )
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
