"""How many requests a load source sends with one second of one core: sloproof beside Locust, k6, vegeta and wrk.

Every source keeps 16 connections busy against the same server, in interleaved rounds; counted is the CPU time of the
source alone, over what the server says it was sent. Programs that start anew each time run for two lengths, and the
difference counts, so that their start does not. sloproof writes its ledger meanwhile, and reads every answer whole.

    python bench/load_rate.py [--rounds 7] [--seconds 1.5] [--connections 16] [--tools DIR]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, cast

from load_world import Target, conditions, goal, paired, run_for_cpu, serving, tools

from sloproof.load.driver import Driver
from sloproof.load.profile import Profile, RequestSpec

GOALS = {"FastHttpUser": 3.5, "HttpUser": 12.0, "k6": 1.5, "vegeta": 1.2}
NOISE = (0.95, 1.05)

_PLAIN = """
import json, logging, sys, time
import locust
import gevent
from locust.env import Environment

logging.getLogger("locust").setLevel(logging.ERROR)

class Plain(getattr(locust, sys.argv[2])):
    host = sys.argv[1]
    @locust.task
    def get(self):
        self.client.get("/users")

for line in sys.stdin:
    users, seconds = json.loads(line)
    environment = Environment(user_classes=[Plain], stop_timeout=5)
    runner = environment.create_local_runner()
    cpu = time.process_time()
    runner.start(users, spawn_rate=users)
    gevent.sleep(seconds)
    runner.stop()
    cpu = time.process_time() - cpu
    print(json.dumps([environment.stats.total.num_requests, environment.stats.total.num_failures, cpu]), flush=True)
    runner.quit()
"""

_K6 = """
import http from "k6/http"
export const options = { discardResponseBodies: true, summaryTrendStats: ["p(50)"] }
export default function () { http.get(__ENV.TARGET + "/users") }
export function handleSummary(data) { return { stdout: String(data.metrics.http_reqs.values.count) } }
"""


class Resident:
    """A plain Locust that stays, one user class."""

    def __init__(self, stack: ExitStack, folder: Path, url: str, kind: str) -> None:
        program = folder / "plain.py"
        program.write_text(_PLAIN)
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", program, url, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )

    def run(self, connections: int, seconds: float) -> tuple[int, float]:
        """Return the requests it sent, and its CPU seconds."""
        stdin, stdout = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        stdin.write(json.dumps([connections, seconds]).encode() + b"\n")
        stdin.flush()
        done, failed, cpu = json.loads(stdout.readline())
        if failed or not done:
            raise SystemExit(f"plain Locust: {failed} of {done} requests failed; nothing to compare")
        return done, cpu


class Sources:
    """Every source; each returns microseconds of CPU a request."""

    def __init__(self, stack: ExitStack, folder: Path, target: Target, connections: int, seconds: float) -> None:
        self._folder = folder
        self._target = target
        self._connections = connections
        self._seconds = seconds
        self._plain = {kind: Resident(stack, folder, target.url, kind) for kind in ("FastHttpUser", "HttpUser")}
        self._driver = stack.enter_context(Driver(base_url=target.url, ledger_dir=folder / "ledger", run_id="bench"))

    def sloproof(self) -> float:
        """Drive one load, and hold its ledger against the server's count."""
        before = self._target.count()
        mix = (RequestSpec(path="/users", endpoint="/users"),)
        profile = Profile(mix=mix, users=self._connections, duration_seconds=self._seconds)
        result = self._driver.run(profile, "rate")
        certain = result.ledger.tally().certain
        if certain != {("/users", "GET", 200): self._target.count() - before}:
            raise SystemExit(f"the ledger says {certain}, the server {self._target.count() - before}")
        return result.cpu_seconds / result.requests * 1e6

    def locust(self, kind: str) -> float:
        """Have plain Locust run with one of its user classes."""
        before = self._target.count()
        done, cpu = self._plain[kind].run(self._connections, self._seconds)
        self._agree(kind, done, before)
        return float(cpu / done * 1e6)

    def program(self, name: str, path: Path) -> float:
        """A program that starts anew: the difference between a long run and a short one."""
        run = {"wrk": self._wrk, "vegeta": self._vegeta, "k6": self._k6}[name]
        (short, short_cpu), (long, long_cpu) = (run(path, seconds) for seconds in (1.0, 1.0 + max(self._seconds, 1.0)))
        return (long_cpu - short_cpu) / (long - short) * 1e6

    def _agree(self, name: str, done: int, before: int) -> None:
        seen = self._target.count() - before
        if abs(seen - done) > self._connections:  # what was in flight when it ended
            raise SystemExit(f"{name} says it sent {done} requests, the server saw {seen}")

    def _wrk(self, path: Path, seconds: float) -> tuple[int, float]:
        before = self._target.count()
        whole = str(max(round(seconds), 1))  # it takes whole seconds only
        cpu, _ = run_for_cpu([path, "-t1", f"-c{self._connections}", f"-d{whole}s", f"{self._target.url}/users"])
        return self._target.count() - before, cpu

    def _vegeta(self, path: Path, seconds: float) -> tuple[int, float]:
        before = self._target.count()
        out = self._folder / "vegeta.bin"
        cpu, _ = run_for_cpu(
            ["sh", "-c", (f"echo 'GET {self._target.url}/users' | GOMAXPROCS=1 {path} attack -rate 0 "
             f"-workers {self._connections} -max-workers {self._connections} -duration {seconds}s -output {out}")]
        )  # fmt: skip
        _, report = run_for_cpu([path, "report", "-type", "json", out])
        said = json.loads(report)
        self._agree("vegeta", said["requests"], before)
        return said["requests"], cpu

    def _k6(self, path: Path, seconds: float) -> tuple[int, float]:
        before = self._target.count()
        script = self._folder / "k6.js"
        script.write_text(_K6)
        cpu, out = run_for_cpu(
            ["sh", "-c", (f"GOMAXPROCS=1 {path} run --quiet --no-usage-report --vus {self._connections} "
             f"--duration {round(seconds * 1000)}ms -e TARGET={self._target.url} {script} 2>/dev/null")]
        )  # fmt: skip
        self._agree("k6", int(out.strip()), before)
        return int(out.strip()), cpu


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--tools", type=Path)
    options = parser.parse_args()
    found = tools(options.tools, ("k6", "vegeta", "wrk"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(serving(folder))
        print(f"target: {target.name}, {options.connections} connections; {conditions(found)}", flush=True)
        sources = Sources(stack, folder, target, options.connections, options.seconds)
        measure: dict[str, Callable[[], float]] = {
            "sloproof": sources.sloproof,
            "FastHttpUser": partial(sources.locust, "FastHttpUser"),
            "HttpUser": partial(sources.locust, "HttpUser"),
            **{name: partial(sources.program, name, path) for name, path in found.items()},
            "sloproof again": sources.sloproof,
        }
        sources.sloproof()
        costs: dict[str, list[float]] = {name: [] for name in measure}
        for number in range(options.rounds):
            for name in list(measure) if number % 2 else reversed(list(measure)):
                costs[name].append(measure[name]())
    report(costs)


def report(costs: dict[str, list[float]]) -> None:
    """Print the table and the goals."""
    print(f"{'':<16}{'CPU us a request, median (least to most)':<44}requests a core-second")
    for name, own in costs.items():
        middle = statistics.median(own)
        print(f"{name:<16}{f'{middle:.1f} ({min(own):.1f} to {max(own):.1f})':<44}{1e6 / middle:,.0f}")
    noise, text = paired(costs["sloproof again"], costs["sloproof"])
    print(f"noise, sloproof / sloproof: {text}, {'quiet' if NOISE[0] <= noise <= NOISE[1] else 'noisy'}")
    if "wrk" in costs:
        print(f"the ceiling, wrk / sloproof: {paired(costs['sloproof'], costs['wrk'])[1]}")
    met = []
    for name, wanted in GOALS.items():
        if name in costs:
            figure, text = paired(costs[name], costs["sloproof"])
            met.append(
                goal(f"requests a core-second at least {wanted:g} times {name}'s", text, is_met=figure >= wanted)
            )
        else:
            met.append(goal(f"requests a core-second at least {wanted:g} times {name}'s", "no figure", is_met=False))
    raise SystemExit(not all(met))


if __name__ == "__main__":
    main()
