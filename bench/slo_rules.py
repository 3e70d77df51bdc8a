"""Rules from 10, 100 and 1,000 SLOs: time and peak memory of `sloproof rules` beside Sloth, on the same SLOs.

Whole commands are measured, from start to exit: documents read, rules written. Rounds are interleaved, and ratios are
paired within a round. Sloth is `github.com/slok/sloth/cmd/sloth`, v0.16.0; where `go install` of it is refused, require
the module in a go.mod of its own and `go build -mod=mod -o sloth github.com/slok/sloth/cmd/sloth`.

    python bench/slo_rules.py --sloth PATH [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

SIZES = (10, 100, 1000)
PER_SERVICE = 20

_OPENSLO = """apiVersion: openslo/v1
kind: SLO
metadata: {{name: slo-{number}}}
spec:
  service: {service}
  description: Requests of endpoint {number} that were not answered with an error.
  indicator:
    metadata: {{name: indicator-{number}}}
    spec:
      ratioMetric:
        counter: true
        bad:
          metricSource:
            type: Prometheus
            spec: {{query: 'sum(http_requests_total{{endpoint="/{number}", code=~"5.."}})'}}
        total:
          metricSource:
            type: Prometheus
            spec: {{query: 'sum(http_requests_total{{endpoint="/{number}"}})'}}
  timeWindow: [{{duration: 30d, isRolling: true}}]
  budgetingMethod: Occurrences
  objectives: [{{target: 0.999}}]
"""
_SERVICE = """apiVersion: openslo/v1
kind: Service
metadata: {{name: {service}}}
spec: {{}}
"""
_SLOTH_HEAD = """version: prometheus/v1
service: {service}
slos:
"""
_SLOTH = """- name: slo-{number}
  objective: 99.9
  description: Requests of endpoint {number} that were not answered with an error.
  sli:
    events:
      error_query: sum(rate(http_requests_total{{endpoint="/{number}", code=~"5.."}}[{{{{.window}}}}]))
      total_query: sum(rate(http_requests_total{{endpoint="/{number}"}}[{{{{.window}}}}]))
  alerting:
    name: ErrorBudgetBurn
    page_alert: {{labels: {{severity: page}}}}
    ticket_alert: {{labels: {{severity: ticket}}}}
"""


class Cost(NamedTuple):
    """Of one command, from start to exit."""

    seconds: float
    megabytes: float


def documents(folder: Path, size: int) -> tuple[Path, Path]:
    """Write the same SLOs for both, and return the two folders."""
    ours, theirs = folder / f"openslo-{size}", folder / f"sloth-{size}"
    ours.mkdir()
    theirs.mkdir()
    for start in range(0, size, PER_SERVICE):
        service = f"service-{start // PER_SERVICE}"
        numbers = range(start, min(start + PER_SERVICE, size))
        parts = [_SERVICE.format(service=service), *(_OPENSLO.format(service=service, number=one) for one in numbers)]
        (ours / f"{service}.yaml").write_text("---\n".join(parts))
        specs = "".join(_SLOTH.format(number=one) for one in numbers)
        (theirs / f"{service}.yml").write_text(_SLOTH_HEAD.format(service=service) + specs)
    return ours, theirs


def cost(command: list[str], folder: Path) -> Cost:
    """Run a command to its end and return what it took."""
    with (folder / "output").open("w") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}:\n{(folder / 'output').read_text()[-2000:]}")
    return Cost(seconds, usage.ru_maxrss / 1000)


def rounds(folder: Path, sloth: Path, size: int, count: int) -> Iterator[tuple[Cost, Cost]]:
    """Yield what both take, in turns; files are written afresh each time."""
    ours, theirs = documents(folder, size)
    program = str(Path(sys.executable).with_name("sloproof"))
    for number in range(count):
        out, other = folder / f"out-{size}-{number}", folder / f"other-{size}-{number}"
        other.mkdir()
        yield (
            cost([program, "rules", str(ours), "--out", str(out)], folder),
            cost([str(sloth), "generate", "-i", str(theirs), "-o", str(other)], folder),
        )
        made = sum(path.read_text().count("\n  - alert: ErrorBudgetBurn") for path in out.glob("slo/*.yml"))
        if made != 4 * size:
            sys.exit(f"expected {4 * size} burn alerts, got {made}")


def main() -> int:
    """Run the benchmark and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sloth", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"sloproof {version('sloproof')}, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    medians: dict[int, float] = {}
    met = True
    with tempfile.TemporaryDirectory() as place:
        for size in SIZES:
            pairs = list(rounds(Path(place), args.sloth.resolve(), size, args.rounds))
            ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
            for name, all_of in (("sloproof", ours), ("Sloth", theirs)):
                seconds = statistics.median(one.seconds for one in all_of)
                print(f"{size:>5} SLOs  {name:<8} {seconds:6.2f} s  {max(one.megabytes for one in all_of):5.0f} MB")
            medians[size] = statistics.median(one.seconds for one in ours)
            times = statistics.median(one.seconds / other.seconds for one, other in pairs)
            memory = statistics.median(one.megabytes / other.megabytes for one, other in pairs)
            print(f"{size:>5} SLOs  ratio    {times:6.2f}    {memory:5.2f}   (medians of {len(pairs)} paired rounds)")
    growth = (medians[1000] - medians[10]) / (medians[100] - medians[10])
    for goal, holds in (
        (f"1,000 SLOs in at most Sloth's time: {times:.2f} of it", times <= 1),
        (f"in at most its memory: {memory:.2f} of it", memory <= 1),
        (f"growth linear or better: {growth:.1f} times the time for 11 times as many more", growth <= 11 * 1.15),
    ):
        met = met and holds
        print(f"goal: {goal} {'met' if holds else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
