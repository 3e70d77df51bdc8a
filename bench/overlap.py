"""Scenarios that mostly wait: one after the other, beside one another, and with an environment for each worker.

    python bench/overlap.py [--scenarios 8] [--seconds 30] [--no-suite]

Each drives a light load for 30 s, as long as two scrapes 15 s apart take, and then judges the three-way count.
The same scenarios run in three ways: sequentially; on workers that share one environment (`-n 8 --env-shared`); on as
many workers with an environment each (pytest-xdist as it is). Two times are told of each way: of the scenarios, from
when the first of them began until the last of them ended, which the goal is about, and of the whole command, with its
interpreters, environments and report. The verdicts must be the same, scenario by scenario.

The project's own features are timed besides, sequentially and on three workers, unless `--no-suite` is
given.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from world import ROOT, describe_machine, goal

GOAL, SUITE_GOAL = 6.0, 45.0
_LIMIT = 900

_FEATURE = """Feature: Scenarios that wait

  Scenario Outline: Wait <number>
    When load of 4 requests a second runs for "{seconds:g} s" on the usual mix
    Then every request was answered
    And requests sent, counted and logged agree

    Examples:
      | number |
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of features took, in seconds: its command, and its scenarios; and each scenario's verdict."""

    command: float
    scenarios: float
    verdicts: Mapping[str, str]


def run(features: Sequence[str], folder: Path, *options: str) -> Run:
    """Run features."""
    command = [sys.executable, "-m", "pytest", *features, "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    begin = time.monotonic()
    done = subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml"), "--report-dir", str(folder), *options],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=_LIMIT, check=False,
    )  # fmt: skip
    took = time.monotonic() - begin
    try:
        report = json.loads((folder / "latest" / "report.json").read_bytes())
    except OSError:
        sys.exit(f"expected a report, found none\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    begun = [datetime.fromisoformat(one["started"]).timestamp() for one in report["scenarios"]]
    ended = [start + one["duration_seconds"] for start, one in zip(begun, report["scenarios"], strict=True)]
    verdicts = {one["node_id"]: one["verdict"] for one in report["scenarios"]}
    return Run(took, max(ended) - min(begun), verdicts)


def compare_waits(scenarios: int, seconds: float, folder: Path) -> int:
    """Print how the three ways compare, and return the exit status of the goals."""
    feature = folder / "waits.feature"
    rows = "".join(f"      | {number} |\n" for number in range(scenarios))
    feature.write_text(_FEATURE.format(seconds=seconds) + rows)
    workers = ("-n", str(scenarios))
    alone = run([str(feature)], folder / "sequential")
    print(f"one after the other: {alone.scenarios:.1f} s, the command {alone.command:.1f} s", flush=True)
    ways = []
    for name, options in (
        ("beside one another, one environment", (*workers, "--env-shared")),
        (f"an environment for each of {scenarios} workers", workers),
    ):
        way = run([str(feature)], folder / name.split()[0], *options)
        print(
            f"{name}: {way.scenarios:.1f} s, {alone.scenarios / way.scenarios:.2f} times as fast; "
            f"the command {way.command:.1f} s, {alone.command / way.command:.2f} times; {_verdicts(way)}",
            flush=True,
        )
        ways.append(way)
    together = ways[0]
    ratio = alone.scenarios / together.scenarios
    is_same = alone.verdicts == together.verdicts and set(alone.verdicts.values()) == {"pass"}
    missed = goal(
        f"{scenarios} waiting scenarios at once at least {GOAL:g} times as fast", f"{ratio:.2f} times",
        is_met=ratio >= GOAL,
    )  # fmt: skip
    return goal("the same verdicts as one at a time", "the same" if is_same else "others", is_met=is_same) or missed


def _verdicts(way: Run) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(Counter(way.verdicts.values()).items()))


def time_suite(folder: Path) -> int:
    """Print how long the project's own features take, and return the exit status of the goals."""
    alone = run(["features/"], folder / "suite-1")
    spread = run(["features/"], folder / "suite-3", "-n", "3")
    print(f"all features: {alone.command:.1f} s one after the other, {spread.command:.1f} s on three workers")
    is_same = alone.verdicts == spread.verdicts
    missed = goal(
        "all features on three workers: the same verdicts", "the same" if is_same else "others", is_met=is_same
    )
    return (
        goal(f"all features under {SUITE_GOAL:g} s", f"{spread.command:.1f} s", is_met=spread.command < SUITE_GOAL)
        or missed
    )


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--suite", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    describe_machine()
    with tempfile.TemporaryDirectory() as made:
        missed = compare_waits(given.scenarios, given.seconds, Path(made))
        if given.suite:
            missed = time_suite(Path(made)) or missed
    return missed


if __name__ == "__main__":
    sys.exit(main())
