"""What being monitored costs: ten instances of the service, scraped every 250 ms by a real Prometheus.

    python bench/monitoring.py [--targets 10] [--seconds 10] [--rounds 3]

Cost is CPU time of Prometheus and of all processes of all targets, by the scheduler's account, less what the targets
take while nobody scrapes them. Beside it, in turn, the same Prometheus with its default interval. It counts only if
every scrape that was due was made and succeeded, by Prometheus' own samples.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import requests
from rich.console import Console
from served import cpu_ns
from world import ROOT, describe_machine, goal, project_settings, quantile

from sloproof.environment.backends import Wish, find_tools
from sloproof.environment.components import free_ports

CPU_GOAL, SCRAPE_GOAL_MS = 0.10, 1.0
_INTERVAL = 0.25
_PATIENCE_SECONDS = 90
_CONFIG = """
{interval}
scrape_configs:
  - job_name: targets
    static_configs:
      - targets: [{targets}]
"""


def await_true(what: str, holds: Callable[[], bool]) -> None:
    """Wait until something holds, for a while.

    Raises:
        SystemExit: It did not come to that.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _is(holds):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {_PATIENCE_SECONDS} s in vain for {what}")
        time.sleep(0.05)


def _is(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except requests.RequestException:
        return False


@contextmanager
def running(command: Sequence[str | Path], environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program from the project's root."""
    with log.open("ab") as out, subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out) as process:
        try:
            yield process
        finally:
            process.terminate()


def spent_ns(processes: Sequence[psutil.Process]) -> int:
    """Return the CPU time of these processes and their children."""
    return sum(cpu_ns(one.pid) for process in processes for one in (process, *process.children()))


def monitored(
    prometheus: Path, ports: Sequence[int], targets: Sequence[psutil.Process], folder: Path, *, seconds: float,
    interval: float | None,
) -> tuple[float, float]:  # fmt: skip
    """Return the CPU seconds a second that Prometheus takes, and that the targets take, while they are scraped.

    Raises:
        SystemExit: A scrape was missed or failed.
    """
    port = free_ports(("prometheus",))["prometheus"]
    given = f"global: {{scrape_interval: {interval:g}s, scrape_timeout: {interval:g}s}}" if interval else ""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        config = Path(name) / "prometheus.yml"
        config.write_text(
            _CONFIG.format(
                interval=given.replace("0.25s", "250ms"), targets=", ".join(f"'127.0.0.1:{one}'" for one in ports)
            )
        )
        command = [
            prometheus, f"--config.file={config}", f"--storage.tsdb.path={name}/data", "--log.level=warn",
            f"--web.listen-address=127.0.0.1:{port}", "--scrape.discovery-reload-interval=100ms",
        ]  # fmt: skip
        with running(command, dict(os.environ), folder / "prometheus.log") as process:
            url = f"http://127.0.0.1:{port}/api/v1/query"

            def ask(query: str) -> list[float]:
                found = requests.get(url, params={"query": query}, timeout=5).json()["data"]["result"]
                return [float(one["value"][1]) for one in found]

            if interval:
                await_true("every target's first scrape", lambda: ask("sum(up)") == [len(ports)])
            else:
                await_true("Prometheus", lambda: ask("vector(1)") == [1.0])
            own = [psutil.Process(process.pid)]
            begin, mine, theirs = time.monotonic(), spent_ns(own), spent_ns(targets)
            time.sleep(seconds)
            mine, theirs = spent_ns(own) - mine, spent_ns(targets) - theirs
            spent = time.monotonic() - begin
            if interval:
                scrapes = ask(f"sum(count_over_time(up[{int(seconds)}s]))")
                failed = ask("sum(count_over_time((up == 0)[1m:250ms]))")
                due = len(ports) * int(seconds) / interval
                if failed or scrapes[0] < 0.98 * due:
                    raise SystemExit(f"expected {due:g} good scrapes, Prometheus has {scrapes}, and {failed} failed")
    return mine / spent / 1e9, theirs / spent / 1e9


def scrape_times(port: int, count: int = 300) -> tuple[list[float], int]:
    """Return how long so many scrapes on one connection took, in milliseconds, and how many samples each had."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    took, samples = [], 0
    for number in range(count + 20):
        begin = time.perf_counter()
        connection.request("GET", "/metrics")
        body = connection.getresponse().read()
        if number >= 20:
            took.append((time.perf_counter() - begin) * 1000)
        samples = sum(1 for line in body.splitlines() if not line.startswith(b"#"))
    connection.close()
    return took, samples


def main() -> int:
    """Measure, print, and say which goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    describe_machine(("prometheus",))
    wish = Wish(root=ROOT, settings=project_settings(), run_id="bench", environ=os.environ, tools_offline=True)
    prometheus = find_tools(wish, Console(stderr=True), ("prometheus",))["prometheus"].path
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = list(free_ports(tuple(f"target-{number}" for number in range(options.targets))).values())
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("SERVICE_", "PROMETHEUS_"))
        }
        targets = []
        for port in ports:
            values = {**environ, "SERVICE_PORT": str(port), "SERVICE_WORKERS": "1", "SERVICE_DRAIN_SECONDS": "0"}
            command = [sys.executable, "-m", "service"]
            process = stack.enter_context(running(command, values, folder / f"{port}.log"))
            targets.append(psutil.Process(process.pid))
        for port in ports:
            url = f"http://127.0.0.1:{port}/health/readiness"
            await_true(f"port {port}", lambda url=url: requests.get(url, timeout=2).ok)  # type: ignore[misc]
        shares, plain = [], []
        for _ in range(options.rounds):
            begin, idle = time.monotonic(), spent_ns(targets)
            time.sleep(2)
            idle_share = (spent_ns(targets) - idle) / (time.monotonic() - begin) / 1e9
            mine, theirs = monitored(prometheus, ports, targets, folder, seconds=options.seconds, interval=_INTERVAL)
            shares.append((mine, theirs - idle_share))
            mine, theirs = monitored(prometheus, ports, targets, folder, seconds=options.seconds, interval=None)
            plain.append((mine, theirs - idle_share))
        took, samples = scrape_times(ports[0])
    for name, found in (("every 250 ms", shares), ("defaults, once a minute", plain)):
        parts = " + ".join(f"{statistics.median(part) * 100:.1f} %" for part in zip(*found, strict=True))
        whole = ", ".join(f"{sum(one) * 100:.1f}" for one in found)
        print(f"{name}: Prometheus + targets {parts} of a core (rounds: {whole})")
    print(f"/metrics, {samples} samples: p50 {quantile(took, 0.5):.2f} ms, p95 {quantile(took, 0.95):.2f} ms")
    share = statistics.median(sum(one) for one in shares)
    missed = goal(
        f"{options.targets} targets scraped every 250 ms take at most {CPU_GOAL:.0%} of a core", f"{share:.1%}",
        is_met=share <= CPU_GOAL,
    )  # fmt: skip
    figure = quantile(took, 0.5)
    missed += goal(f"/metrics under {SCRAPE_GOAL_MS:g} ms (median)", f"{figure:.2f} ms", is_met=figure < SCRAPE_GOAL_MS)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
