"""Other load sources, each driven at a rate the way its own manual says, and what each reports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LOCUST = """
import json, logging, sys
import locust
import gevent
from locust.env import Environment

logging.getLogger("locust").setLevel(logging.ERROR)
url, kind, users, rate, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])

class Paced(getattr(locust, kind)):
    host = url
    wait_time = locust.constant_throughput(rate / users)
    @locust.task
    def get(self):
        self.client.get("/")

times = []
environment = Environment(user_classes=[Paced], stop_timeout=10)
environment.events.request.add_listener(lambda response_time, **_: times.append(response_time))
runner = environment.create_local_runner()
runner.start(users, spawn_rate=users)
gevent.sleep(seconds)
runner.stop()
json.dump(times, sys.stdout)
"""

_K6 = """
import http from "k6/http"
export const options = {
  discardResponseBodies: true, summaryTrendStats: ["p(50)", "p(90)", "p(99)", "count"],
  scenarios: { paced: {
    executor: "constant-arrival-rate", rate: __ENV.RATE, timeUnit: "1s", duration: __ENV.SECONDS + "s",
    preAllocatedVUs: __ENV.VUS, maxVUs: __ENV.VUS, gracefulStop: "10s",
  } },
}
export default function () { http.get(__ENV.TARGET) }
export function handleSummary(data) { return { stdout: JSON.stringify(data.metrics.http_req_duration.values) } }
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a source says of its requests; latencies in milliseconds."""

    sent: int
    p50: float
    p90: float
    p99: float

    def row(self, name: str) -> str:
        """Return it as a line of a table."""
        return f"{name:<44}{self.sent:>7}{self.p50:>10.2f}{self.p90:>10.1f}{self.p99:>10.1f}"

    @classmethod
    def of(cls, latencies: Sequence[float]) -> Said:
        """Return what a list of latencies says, by nearest rank."""
        ordered = sorted(latencies)
        return cls(len(ordered), *(ordered[min(int(len(ordered) * q), len(ordered) - 1)] for q in (0.5, 0.9, 0.99)))


def vegeta(path: Path, folder: Path, url: str, rate: int, seconds: float) -> Said:
    """Attack at a rate, with as many workers as it likes."""
    out = folder / "vegeta.bin"
    attack = f"echo 'GET {url}/' | {path} attack -rate {rate}/1s -duration {seconds}s -output {out}"
    subprocess.run(["sh", "-c", attack], check=True, timeout=seconds + 60)
    lines = subprocess.run([path, "encode", "-to", "json", out], check=True, capture_output=True, timeout=60).stdout
    return Said.of([json.loads(line)["latency"] / 1e6 for line in lines.splitlines()])


def k6(path: Path, folder: Path, url: str, rate: int, seconds: float, users: int) -> Said:
    """Run its constant arrival rate with a number of virtual users."""
    script = folder / "paced.js"
    script.write_text(_K6)
    settings = {"TARGET": f"{url}/", "RATE": rate, "SECONDS": round(seconds), "VUS": users}
    command: list[str | Path] = [
        path,
        "run",
        "--quiet",
        "--no-usage-report",
        *(f"-e{name}={value}" for name, value in settings.items()),
    ]
    done = subprocess.run([*command, script], check=True, capture_output=True, timeout=seconds + 60)
    said = json.loads(done.stdout)
    return Said(int(said["count"]), said["p(50)"], said["p(90)"], said["p(99)"])


def locust(folder: Path, url: str, rate: float, seconds: float, users: int, kind: str = "FastHttpUser") -> Said:
    """Run users that each keep to their share of the rate."""
    program = folder / "paced.py"
    program.write_text(_LOCUST)
    words = [sys.executable, "-W", "ignore", program, url, kind, users, rate, seconds]
    done = subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=seconds + 60)
    return Said.of(json.loads(done.stdout))
