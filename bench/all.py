"""Every benchmark, one after the other, and a table of all goals at the end.

    python bench/all.py [--only hooks served ...] [--list]

Each is a program of its own, which has a bound in time here. What one prints is passed on as it comes. The exit status
says whether every goal was met and every program ended well.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

_HERE = Path(__file__).resolve().parent
# What holds no goal of its own: parts of the others, and programs that need arguments that only a person can give.
_PARTS = {"all", "target", "variants"}
_NEEDS_ARGUMENTS = {"cluster_load", "interrupt_cluster", "openslo_examples", "slo_rules"}
# Minutes that a benchmark may take, where five are not enough.
_MINUTES = {
    "big_load": 10,
    "load_pace": 10,
    "load_rate": 10,
    "exact_counts": 20,
    "interrupt": 30,
    "overlap": 15,
    "slo_report": 10,
}
_USUAL_MINUTES = 5


class Outcome(NamedTuple):
    """A goal and what came of it."""

    bench: str
    goal: str
    is_met: bool


def names() -> list[str]:
    """Return every benchmark that runs without arguments."""
    programs = {path.stem for path in _HERE.glob("*.py") if 'if __name__ == "__main__":' in path.read_text()}
    return sorted(programs - _PARTS - _NEEDS_ARGUMENTS)


def run(name: str) -> list[Outcome]:
    """Run one benchmark, pass its lines on, and return its goals; one that fails otherwise is a goal missed."""
    limit = _MINUTES.get(name, _USUAL_MINUTES) * 60
    print(f"\n== {name}", flush=True)
    begin = time.monotonic()
    outcomes = []
    command = ["timeout", "--kill-after=20", str(limit), sys.executable, "-u", str(_HERE / f"{name}.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            text, _, verdict = line.strip().rpartition(" ")
            if text.startswith("goal: ") and verdict in {"met", "missed"}:
                outcomes.append(Outcome(name, text.removeprefix("goal: "), verdict == "met"))
    took = time.monotonic() - begin
    if process.returncode not in (0, 1) or (process.returncode and all(one.is_met for one in outcomes)):
        outcomes.append(Outcome(name, f"ends well: status {process.returncode} after {took:.0f} s", is_met=False))
    print(f"== {name} took {took:.0f} s", flush=True)
    return outcomes


def main() -> int:
    """Run them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=names(), help="these alone, in this order")
    parser.add_argument("--list", action="store_true", help="say what would run")
    options = parser.parse_args()
    wanted = options.only or names()
    if options.list:
        print("\n".join(wanted))
        return 0
    outcomes = [outcome for name in wanted for outcome in run(name)]
    table = Table("bench", "goal: figure", "", box=None, pad_edge=False)
    for one in outcomes:
        table.add_row(one.bench, one.goal, "met" if one.is_met else "missed", style="" if one.is_met else "bold red")
    Console().print("", table, f"\n{sum(one.is_met for one in outcomes)} of {len(outcomes)} goals met")
    return 0 if all(one.is_met for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
