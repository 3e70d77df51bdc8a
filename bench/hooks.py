"""What instrumentation adds to a request: ours, hooks as most write them, prometheus-flask-exporter, OpenTelemetry.

    python bench/hooks.py [--rounds 150] [--requests 60] [--no-server]

The same Flask route is called through WSGI in one process, in interleaved rounds of a few milliseconds; a cost is CPU
time of the process. Each variant's own counts must be the requests that it was sent, and its log one line each, or no
figure is printed. Behind gunicorn the same is measured from outside, by the scheduler's account of its worker.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from peers import Peers, peers
from rounds import added_ratios, show_noise, show_rows, spread
from served import serve_rounds
from world import describe_machine, goal

OURS, BARE, AGAIN = "ours, text", "bare", "bare again"
# By the variant: what it is called, and the share of what it adds that ours may add.
GOALS = {
    "seed": ("the seed's hooks", 0.35),
    "exporter": ("prometheus-flask-exporter", 0.5),
    "otel": ("OpenTelemetry", 0.10),
}
_SECONDS = 280


def in_process(found: Peers, names: Sequence[str], rounds: int, requests: int) -> Mapping[str, Sequence[float]]:
    """Return the CPU microseconds a request of each variant, round by round.

    Raises:
        SystemExit: A variant did not count what it was sent.
    """
    program = Path(__file__).with_name("variants.py")
    done = subprocess.run(
        [found.python, program, str(rounds), str(requests), *names], capture_output=True, text=True, timeout=_SECONDS,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"expected every variant to count what it was sent, saw: {done.stderr.strip()[-2000:]}")
    costs: dict[str, list[float]] = json.loads(done.stdout)
    return costs


def main() -> int:
    """Measure, print, and say which goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--no-server", action="store_true", help="leave out the figures behind gunicorn")
    options = parser.parse_args()
    describe_machine(())
    found = peers()
    print(found.versions)
    for name, reason in found.missing.items():
        print(f"{name}: skipped, it could not be installed: {reason}")
    others = [name for name in GOALS if name not in found.missing]
    costs = in_process(found, [BARE, AGAIN, OURS, "ours, JSON", *others], options.rounds, options.requests)
    requests = (options.rounds + 1) * options.requests
    print(f"in process, {options.rounds} rounds; each variant counted its {requests} requests exactly")
    show_rows(costs, BARE)
    show_noise(costs, BARE, AGAIN)
    missed = 0
    lines = []
    for name in others:
        what, limit = GOALS[name]
        ratios = added_ratios(costs, OURS, name, (BARE, AGAIN))
        print(f"added, ours / {what}: {spread(ratios)}; with JSON lines "
              f"{spread(added_ratios(costs, 'ours, JSON', name, (BARE, AGAIN)))}")  # fmt: skip
        lines.append(
            (f"hooks add at most {limit:g} times the microseconds of {what}", statistics.median(ratios), limit)
        )
    if not options.no_server:
        for kind in ("sync", "gthread"):
            served = serve_rounds(found, [BARE, AGAIN, OURS, *others], kind, rounds=9, requests=600)
            print(f"behind gunicorn, {kind}, 9 rounds of 600 requests on 8 connections")
            show_rows(served, BARE)
            show_noise(served, BARE, AGAIN)
    for text, figure, limit in lines:
        missed += goal(text, f"{figure:.2f} times", is_met=figure <= limit)
    for name in found.missing:
        print(f"goal: {GOALS[name][0]}: not measured, skipped")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
