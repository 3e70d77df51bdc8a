"""Interrupts runs at random moments and counts what they leave behind: `python bench/interrupt.py 50`."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.system.interrupted import interrupt, last_moment


def main() -> int:
    """Interrupt as often as asked for; return 1 if anything was ever left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--longest", type=float, default=9.0, help="the latest moment, in seconds")
    parser.add_argument("--signal", choices=["SIGINT", "SIGTERM", "SIGHUP"], default="SIGINT")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    moments: Counter[str] = Counter()
    slowest, failures = 0.0, 0
    for number in range(asked.count):
        delay = chance.uniform(0, asked.longest)
        again = chance.uniform(0, 1) if chance.random() < 0.2 else None
        with tempfile.TemporaryDirectory() as home:
            ended = interrupt(Path(home), delay, signal.Signals[asked.signal], again)
        moment = last_moment(ended.output)
        moments[moment] += 1
        slowest = max(slowest, ended.seconds)
        failures += bool(ended.left)
        twice = "" if again is None else f" and {again:.2f} s later"
        print(
            f"{number + 1:3} after {delay:5.2f} s{twice}: status {ended.status}, {ended.seconds:.2f} s, {moment}"
            + "".join(f"\n    LEFT {one}" for one in ended.left),
            flush=True,
        )
        if ended.left:
            print(ended.output)
    print(f"{asked.count} interrupted, {failures} left something, slowest end {slowest:.2f} s, seed {asked.seed}")
    print(", ".join(f"{count} {moment}" for moment, count in moments.most_common()))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
