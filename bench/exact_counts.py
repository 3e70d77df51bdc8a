"""Counts of bursts whose series are born in the burst, read across the barrier: how many are off.

    python bench/exact_counts.py [--bursts 1000] [--seed N]

Each burst is 1 to 200 requests, begun at a random phase of the scrape interval, on a label set that did not exist
before. Its truth is the load driver's ledger. Held against it are the difference of samples that sloproof reads, at the
instant its barrier gives, and what `increase()` says: at that same instant, and 5 s later when it has seen it all.
The target is `bench/target.py`, because the project's own service is built not to grow label sets.
"""

from __future__ import annotations

import argparse
import random
import secrets
import statistics
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
from world import describe_machine, goal, machine_noise, project_settings, world

from sloproof.clients.prometheus import PrometheusClient
from sloproof.harness import Harness
from sloproof.load.profile import Profile, RequestSpec
from sloproof.settings import LogSettings, MetricSettings, RequestCounterSettings, ServiceSettings, Settings

TARGET = Path(__file__).with_name("target.py")
LATER = timedelta(seconds=5)
_NAME = "burst_requests_total"


class Burst(NamedTuple):
    """One burst: its selector, the true count, what was read, and the instant it was read at."""

    selector: str
    true: int
    low: float
    high: float
    at: datetime
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Return whether what was read is the one true number."""
        return self.low == self.high == self.true


def target_settings() -> Settings:
    """Return settings in which the target stands in for the service."""
    settings = project_settings()
    service = ServiceSettings(
        name="bursts",
        command=["{python}", str(TARGET), "{port}"],
        readiness="/ready",
        liveness="/ready",
        start_seconds=settings.service.start_seconds,
        stop_seconds=0.3,
    )
    return msgspec.structs.replace(
        settings,
        service=service,
        metrics=MetricSettings(requests=RequestCounterSettings(name=_NAME), in_flight="burst_in_flight"),
        logs=LogSettings(
            pattern=r"(?P<level>[A-Z]+) (?P<message>.*) request_id=(?P<request_id>\S+)",
            request=r"(?P<method>[A-Z]+) (?P<endpoint>\S+) (?P<status>\d{3}) (?P<duration_seconds>\d+\.\d+)s",
            ship_seconds=settings.logs.ship_seconds,
        ),
        endpoints=[],
    )


def send_burst(harness: Harness, number: int, count: int) -> Burst:
    """Send one burst, pass the barrier and read its counter."""
    begin = time.monotonic()
    path = f"/burst/{number}"
    mix = (RequestSpec(path=path, endpoint=path),)
    seen = harness.run(Profile(mix=mix, users=min(4, count), requests=count, seed=number), f"burst {number}")
    true = sum(amount for key, amount in seen.sent_counts.items() if key.endpoint == path)
    if true != count or seen.dead:
        raise SystemExit(f"burst {number}: {true} of {count} requests were answered; {dict(seen.dead) or seen.tally}")
    selector = f'{_NAME}{{{seen.job_selector}, endpoint="{path}"}}'
    deltas = seen.increase(selector)
    low, high = sum(delta.low for delta in deltas), sum(delta.high for delta in deltas)
    return Burst(selector, true, low, high, seen.at, time.monotonic() - begin)


def increase_says(prometheus: PrometheusClient, burst: Burst, after: timedelta) -> float | None:
    """Return PromQL's own word on a burst, that long after it was read; None where it has none."""
    series = prometheus.query(f"increase({burst.selector}[10s])", burst.at + after).series
    return sum(one.samples[-1].value for one in series) if series else None


def show_increase(bursts: list[Burst], said: list[float | None], when: str) -> None:
    """Print how often PromQL's own word was off, and by how much."""
    errors = [
        abs(value - burst.true) / burst.true for burst, value in zip(bursts, said, strict=True) if value is not None
    ]
    silent = sum(value is None for value in said)
    off = silent + sum(error > 1e-9 for error in errors)
    text = f"median error {statistics.median(errors):.1%}" if errors else "no number at all"
    print(f"increase() {when}: off in {off} of {len(bursts)} ({silent} without a number), {text}")


def main() -> int:
    """Send the bursts and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bursts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    options = parser.parse_args()
    describe_machine()
    chance = random.Random(options.seed)
    bursts: list[Burst] = []
    with world(target_settings()) as harness:
        interval = harness.scrape_interval.total_seconds()
        print(f"{options.bursts} bursts of 1 to 200 requests, scrape interval {interval:g} s, seed {options.seed}")
        begin = time.monotonic()
        for number in range(options.bursts):
            # The barrier has just seen a scrape; without this every burst would begin at the same phase.
            time.sleep(chance.uniform(0, interval))
            bursts.append(send_burst(harness, number, chance.randint(1, 200)))
            if not bursts[-1].is_exact:
                print(f"OFF: burst {number}: {bursts[-1]}")
            if (number + 1) % 100 == 0:
                print(f"{number + 1} bursts, {time.monotonic() - begin:.0f} s", flush=True)
        harness.linger(LATER)
        prometheus = harness.clients.prometheus
        show_increase(bursts, [increase_says(prometheus, one, timedelta()) for one in bursts], "at the same instant")
        show_increase(bursts, [increase_says(prometheus, one, LATER) for one in bursts], "5 s later")
    requests, off = sum(one.true for one in bursts), sum(not one.is_exact for one in bursts)
    seconds = [one.seconds for one in bursts]
    print(
        f"{requests} requests; a burst with its barrier takes {statistics.median(seconds):.3f} s (median), "
        f"{max(seconds):.3f} s at most; {machine_noise()}"
    )
    return goal(f"{options.bursts} bursts on fresh label sets, differences", str(off), is_met=off == 0)


if __name__ == "__main__":
    sys.exit(main())
