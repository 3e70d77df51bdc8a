"""A server that stalls for two seconds: who tells what clients went through?

100 requests a second for 10 s, answers in 5 ms, one stall of 2 s: in the middle, at the start, at the end. The truth is
computed from the schedule alone: an arrival in the stall waits for its end. sloproof has 10 connections.

    python bench/load_stall.py [--tools DIR]
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

import load_peers
from load_peers import Said
from load_world import Target, conditions, goal, serving, tools

from sloproof.load.driver import Driver
from sloproof.load.profile import Profile, RequestSpec

RATE, SECONDS, STALL_MS, DELAY_MS, CONNECTIONS = 100, 10.0, 2000, 5, 10
TOLERANCE = 0.10
# When the stall begins, after the load.
CASES = {"in the middle": 4000, "at the start": 0, "at the end": 8000}


def drive(driver: Driver, target: Target, stall_in_ms: int) -> tuple[Said, Said, Said]:
    """Return the truth, and what the ledger says from the intended start and from the send."""
    profile = Profile(
        mix=(RequestSpec(path="/", endpoint="/"),), rate=RATE, duration_seconds=SECONDS, connections=CONNECTIONS
    )
    begin = stall(target, stall_in_ms)
    result = driver.run(profile, f"stall {stall_in_ms}")
    entries = list(result.ledger.entries())
    if result.unsent or len(entries) != RATE * SECONDS:
        raise SystemExit(f"{len(entries)} of {RATE * SECONDS:g} requests were sent, {result.unsent} not")
    end = begin + STALL_MS * 1_000_000
    truth = []
    for one in entries:
        arrives = one.intended_ns + DELAY_MS * 1_000_000
        truth.append((max(end - arrives, 0) if begin <= arrives < end else 0) / 1e6 + DELAY_MS)
    intended = [(one.end_ns - one.intended_ns) / 1e6 for one in entries]
    return Said.of(truth), Said.of(intended), Said.of([one.duration_ns / 1e6 for one in entries])


def stall(target: Target, stall_in_ms: int) -> int:
    """Have the target stall; return when that begins."""
    return target.control(delay=DELAY_MS, stall_in=stall_in_ms, stall=STALL_MS)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tools", type=Path)
    options = parser.parse_args()
    found = tools(options.tools, ("k6", "vegeta"))
    met = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(serving(folder))
        driver = stack.enter_context(Driver(base_url=target.url, ledger_dir=folder / "ledger", run_id="bench"))
        driver.run(Profile(mix=(RequestSpec(path="/", endpoint="/"),), users=1, requests=10), "warm")
        print(conditions(found), flush=True)
        for case, stall_in_ms in CASES.items():
            print(f"{f'stall {case}':<44}{'sent':>7}{'p50 ms':>10}{'p90 ms':>10}{'p99 ms':>10}")
            truth, intended, sent = drive(driver, target, stall_in_ms)
            print(truth.row("truth of the schedule"))
            print(intended.row(f"sloproof, {CONNECTIONS} connections, intended start"))
            print(sent.row("sloproof, from the send"), flush=True)
            if "vegeta" in found:
                stall(target, stall_in_ms)
                print(load_peers.vegeta(found["vegeta"], folder, target.url, RATE, SECONDS).row("vegeta"), flush=True)
            if "k6" in found:
                for users in (CONNECTIONS, 300):
                    stall(target, stall_in_ms)
                    said = load_peers.k6(found["k6"], folder, target.url, RATE, SECONDS, users)
                    print(said.row(f"k6, {users} VUs"), flush=True)
            stall(target, stall_in_ms)
            said = load_peers.locust(folder, target.url, RATE, SECONDS, CONNECTIONS)
            print(said.row(f"Locust, {CONNECTIONS} x constant_throughput"), flush=True)
            for name, true, seen in (("p90", truth.p90, intended.p90), ("p99", truth.p99, intended.p99)):
                off = seen / true - 1
                text = f"stall {case}: {name} within {TOLERANCE:.0%} of the truth"
                met.append(goal(text, f"{off:+.1%} ({seen:.0f} of {true:.0f} ms)", is_met=abs(off) <= TOLERANCE))
    raise SystemExit(not all(met))


if __name__ == "__main__":
    main()
