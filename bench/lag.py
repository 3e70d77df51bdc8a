"""How long the truth takes to show: in Prometheus, as a firing alert, in Loki; each event at a random phase.

    python bench/lag.py [--events 100] [--interval 200ms] [--seed N]

- metric: from sending a request to the harness holding its exact count, through the whole barrier.
- alert: from sending the request that changes a metric to Prometheus reporting the alert as firing (`for: 0s`).
- log: from the line's own time, which it gets as it is written, to Loki answering with it.
"""

from __future__ import annotations

import argparse
import random
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
from world import describe_machine, goal, machine_noise, platform_with_rules, project_settings, quantile, world

from sloproof.harness import Harness
from sloproof.model import Window, instant_from_ns
from sloproof.polling import wait_until
from sloproof.settings import ScrapeSettings

_LOOK = timedelta(milliseconds=3)
_LIMIT = timedelta(seconds=10)
# It fires on every odd request and rests on every even one.
_ODD = """
groups:
  - name: bench
    rules:
      - alert: Odd
        expr: app_request_count_total{endpoint="/api/error", http_status="400"} % 2 == 1
        for: 0s
"""
_ERROR = "/api/error?type=client"


def metric_lag(harness: Harness) -> float:
    """Return the seconds from sending a request to its count being known exactly."""
    before = harness.baseline()
    begin = time.monotonic()
    harness.send("POST", "/api/echo", headers={"Content-Type": "application/json"}, body="1")
    seen = harness.observe(before)
    counted = {key: rise for key, rise in seen.request_counts.items() if key.endpoint == "/api/echo" and rise.high}
    spent = time.monotonic() - begin
    if [(rise.low, rise.high) for rise in counted.values()] != [(1, 1)]:
        raise SystemExit(f"expected one request to be counted, saw {counted}; dead: {dict(seen.dead)}")
    return spent


def alert_lag(harness: Harness) -> float:
    """Return the seconds from sending the request that sets an alert off to the alert firing; it rests afterwards."""
    begin = time.monotonic()
    harness.send("GET", _ERROR)
    _await_alert(harness, is_firing=True)
    spent = time.monotonic() - begin
    harness.send("GET", _ERROR)
    _await_alert(harness, is_firing=False)
    return spent


def _await_alert(harness: Harness, *, is_firing: bool) -> None:
    wait_until(
        harness.clients.prometheus.alerts,
        lambda found: any(alert.name == "Odd" and alert.state == "firing" for alert in found) == is_firing,
        what=f"the alert {'firing' if is_firing else 'at rest'}",
        timeout=_LIMIT,
        interval=_LOOK,
    )


def log_lag(harness: Harness) -> float:
    """Return the seconds from the time of a request's line to Loki answering with it."""
    sent = datetime.now(UTC)
    request_id = harness.send("GET", "/").request_id
    selector = f'{{app="{harness.settings.service.name}"}} |= "{request_id}"'
    window = Window(sent - timedelta(seconds=1), sent + _LIMIT)
    found = wait_until(
        lambda: harness.clients.loki.query_range(selector, window, limit=5),
        bool,
        what="the line",
        timeout=_LIMIT,
        interval=_LOOK,
    ).value
    seen = datetime.now(UTC)
    return (seen - instant_from_ns(found[0].entries[0].time_ns)).total_seconds()


def measure(
    harness: Harness, lag: Callable[[Harness], float], events: int, chance: random.Random, interval: float, name: str
) -> list[float]:
    """Return the lag of each of a number of events, each at a random phase."""
    lags = []
    for _ in range(events):
        time.sleep(chance.uniform(0, interval))
        lags.append(lag(harness))
    print(
        f"{name:<7} {len(lags)} events, ms: mean {statistics.mean(lags) * 1000:.0f}, "
        f"p50 {quantile(lags, 0.5) * 1000:.0f}, p95 {quantile(lags, 0.95) * 1000:.0f}, "
        f"max {max(lags) * 1000:.0f}; {machine_noise()}",
        flush=True,
    )
    return lags


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--interval", default="200ms", help="of scrapes and of evaluations")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    options = parser.parse_args()
    describe_machine()
    chance = random.Random(options.seed)
    with platform_with_rules(_ODD) as platform:
        settings = msgspec.structs.replace(
            project_settings(platform_dir=platform),
            scrape=ScrapeSettings(interval=options.interval, evaluation=options.interval),
        )
        with world(settings) as harness:
            interval = harness.scrape_interval.total_seconds()
            print(f"scrape and evaluation interval {interval * 1000:.0f} ms, seed {options.seed}")
            metric = measure(harness, metric_lag, options.events, chance, interval, "metric")
            alert = measure(harness, alert_lag, options.events, chance, interval, "alert")
            log = measure(harness, log_lag, options.events, chance, interval, "log")
    worst, mean = 1.1 * interval + 0.03, 0.6 * interval + 0.03
    missed = goal(
        f"verified within 1.1 intervals + 30 ms ({worst * 1000:.0f} ms) worst, 0.6 + 30 ms ({mean * 1000:.0f} ms) mean",
        f"worst {max(metric) * 1000:.0f} ms, mean {statistics.mean(metric) * 1000:.0f} ms",
        is_met=max(metric) <= worst and statistics.mean(metric) <= mean,
    )
    bound = 2 * interval + 0.05
    missed += goal(
        f"alerts within 2 intervals + 50 ms = {bound * 1000:.0f} ms",
        f"worst {max(alert) * 1000:.0f} ms",
        is_met=max(alert) <= bound,
    )
    p95 = quantile(log, 0.95)
    missed += goal("log lines p95 within 100 ms", f"{p95 * 1000:.0f} ms", is_met=p95 <= 0.1)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
