"""A big load through two workers of the service: the three-way count to the last request, how fast, how large.

    python bench/big_load.py [--requests 100000] [--users 16]

Ledger, request counter and log lines must hold the same numbers, row by row. Timed is what follows the load's end:
the barrier, and the judgement on all of the ledger and all of the log. Memory is the peak of this process, which is
the harness; the load's own process is not part of it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from datetime import timedelta

from world import describe_machine, goal, project_settings, world

from sloproof.claims.requests import counts_agree
from sloproof.finding import Verdict
from sloproof.load.profile import Profile

SECONDS = 10.0
MEGABYTES = 300.0
_JSON = {"Content-Type": "application/json"}


def peak_megabytes() -> float:
    """Return the most memory this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> int:
    """Drive, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=16)
    options = parser.parse_args()
    describe_machine()
    with world(project_settings({"SERVICE_WORKERS": "2"})) as harness:
        profile = Profile(
            mix=(
                harness.request("/", weight=2),
                harness.request("/api/echo", "POST", weight=2, body='{"hello": "world"}', headers=_JSON),
                harness.request("/api/error?type=client"),
            ),
            users=options.users,
            requests=options.requests,
            # Half of what the service is known to do here at the least; a load that lasts longer is no load.
            duration_seconds=max(options.requests / 100, 30),
        )
        before = harness.baseline()
        idle = peak_megabytes()
        load = harness.driver.run(profile, "big load", check_alive=harness.environment.check_alive)
        print(
            f"load: {load.requests} requests in {load.window.duration.total_seconds():.1f} s, "
            f"{load.requests / load.window.duration.total_seconds():.0f}/s, {load.failures} failures",
            flush=True,
        )
        ended = time.monotonic()
        seen = harness.observe(before)
        barrier = time.monotonic() - ended
        finding = counts_agree(seen)
        after = time.monotonic() - ended
        print(f"count: {finding.verdict.value}: {finding.measured}")
        if finding.verdict is not Verdict.PASS:
            print(finding.text())
        lag = seen.after.log_lag or timedelta()
        print(
            f"after the load's end: barrier {barrier:.2f} s (of which logs {lag.total_seconds():.2f} s), "
            f"judgement {after - barrier:.2f} s"
        )
        peak = peak_megabytes()
        print(f"memory of the harness: {idle:.0f} MB before the load, {peak:.0f} MB at the peak")
    is_exact = finding.verdict is Verdict.PASS and sum(seen.sent_counts.values()) >= options.requests
    return goal(
        f"three-way count equal over {options.requests} requests, judged within {SECONDS:g} s, under {MEGABYTES:g} MB",
        f"{'equal' if is_exact else 'not equal'}, {after:.1f} s, {peak:.0f} MB",
        is_met=is_exact and after < SECONDS and peak < MEGABYTES,
    )


if __name__ == "__main__":
    sys.exit(main())
