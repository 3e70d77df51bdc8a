"""`sloproof report` over 200 SLOs against a Prometheus that holds 30 days, and 30 days written, served and alerting.

    python bench/slo_report.py [--slos 200] [--samples-every 60]

The history is made up and written as blocks; the server is the real one. Printed are the queries sent and their time,
for a tenth of the SLOs and for all, so that the growth shows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from rich.console import Console
from world import ROOT, describe_machine, goal

from sloproof.clients.prometheus import PrometheusClient
from sloproof.environment.backends import Wish, find_tools
from sloproof.finding import Verdict
from sloproof.prove.alert_history import prove_alert_history
from sloproof.prove.scratch_server import Points, Programs, scratch_prometheus, series_text
from sloproof.settings import load_settings
from sloproof.slo.judging.asking import Asker
from sloproof.slo.judging.judge import Sources, judge
from sloproof.slo.model import Budgeting, Metric, Objective, Place, Ratio, Rolling, Source
from sloproof.slo.rows import default_rows

AT = datetime(2026, 4, 12, 9, 41, 17, tzinfo=UTC)
MONTH = timedelta(days=30)
PLACE = Place(Path("bench"), 1)
ALERT_SECONDS = 2.0
REPORT_SECONDS = 60.0
QUERIES_EACH = 10
GROWTH = 1.3


def objective(number: int) -> Objective:
    """Return the objective of one service."""
    job = f"service-{number}"
    total = Metric(Source.PROMETHEUS, f'sum(requests_total{{job="{job}"}})', PLACE)
    bad = replace(total, query=f'sum(requests_total{{job="{job}",code=~"5.."}})')
    target, period = Fraction("0.999"), Rolling(MONTH)
    rows = default_rows(period, 1 - target, timedelta(minutes=1))
    return Objective(
        job, "availability", target, Ratio(total, bad=bad), period, Budgeting.OCCURRENCES, PLACE, rows=rows
    )


def history(slos: int, every: timedelta) -> list[Points]:
    """Return two counters and `up` of each service: 100 requests a sample, 1 of 2,000 bad, and a restart a week."""
    end = round(AT.timestamp() * 1000)
    step = every // timedelta(milliseconds=1)
    times = range(end - (MONTH + timedelta(days=1)) // timedelta(milliseconds=1), end + 1, step)
    week = timedelta(days=7) // every
    good = [100.0 * (number % week) for number in range(len(times))]
    bad = [float(number % week // 20) for number in range(len(times))]
    up = [1.0] * len(times)
    found = []
    for number in range(slos):
        target = {"job": f"service-{number}", "instance": "a:80"}
        found.append(Points(series_text("requests_total", {**target, "code": "200"}), times, good))
        found.append(Points(series_text("requests_total", {**target, "code": "500"}), times, bad))
        found.append(Points(series_text("up", target), times, up))
    return sorted(found, key=lambda one: one.series.partition("{")[0])


def report(client: PrometheusClient, slos: int) -> tuple[Asker, float, bool]:
    """Judge objectives; return who asked, the seconds it took, and whether all pass."""
    asker = Asker(client)
    begin = time.monotonic()
    found = [judge(objective(number), Sources(prometheus=asker), AT) for number in range(slos)]
    return asker, time.monotonic() - begin, all(one.verdict is Verdict.PASS for one in found)


def main() -> int:
    """Run the benchmark and return its exit status: 0 when every goal is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slos", type=int, default=200)
    parser.add_argument("--samples-every", type=float, default=60, metavar="SECONDS")
    args = parser.parse_args()
    describe_machine(("prometheus",))
    wish = Wish(root=ROOT, settings=load_settings(ROOT), run_id="bench", environ=os.environ, tools_offline=True)
    prometheus = find_tools(wish, Console(stderr=True))["prometheus"].path
    programs = Programs(prometheus, _promtool(prometheus))
    return alerting(programs) | reporting(programs, args.slos, timedelta(seconds=args.samples_every))


def alerting(programs: Programs) -> int:
    """Write, serve and judge a month while its alerts fire; return the exit status."""
    found = [prove_alert_history(programs) for _ in range(5)]
    seconds = statistics.median(one.seconds for one in found)
    return goal(
        f"30 days of 11 series ({found[0].written} samples) written, served, judged, every row firing within "
        f"{ALERT_SECONDS:g} s (median of 5)",
        f"{seconds:.2f} s, {min(one.seconds for one in found):.2f} to {max(one.seconds for one in found):.2f}",
        is_met=seconds < ALERT_SECONDS and all(one.passed for one in found),
    )


def reporting(programs: Programs, slos: int, every: timedelta) -> int:
    """Judge many objectives; return the exit status."""
    few, begin = max(1, slos // 10), time.monotonic()
    points = history(slos, every)
    with scratch_prometheus(programs, points) as client:
        length = len(points[0].times)
        print(f"{len(points)} series of {length} samples written and served in {time.monotonic() - begin:.1f} s")
        report(client, 1)
        some, some_seconds, _ = report(client, few)
        print(f"{few} SLOs: {some.sent} queries, answered in {some.seconds:.2f} s, {some_seconds:.2f} s in all")
        asker, seconds, passed = report(client, slos)
    print(f"{slos} SLOs: {asker.sent} queries, answered in {asker.seconds:.2f} s, {seconds:.2f} s in all")
    each, growth = asker.sent / slos, seconds / some_seconds * few / slos
    return (
        goal(f"at most {QUERIES_EACH} queries an SLO", f"{each:.1f}", is_met=each <= QUERIES_EACH)
        | goal(f"{slos} SLOs within {REPORT_SECONDS:g} s", f"{seconds:.1f} s", is_met=seconds < REPORT_SECONDS)
        | goal("every one passes, as it was made to", str(passed), is_met=passed)
        | goal(f"time an SLO, of {slos} by of {few}, below 1.3", f"{growth:.2f}", is_met=growth < GROWTH)
    )


def _promtool(prometheus: Path) -> Path:
    """Return promtool: beside prometheus, or in the cache's folder of its own."""
    beside = prometheus.with_name("promtool")
    cached = prometheus.parents[2] / "promtool" / prometheus.parent.name / "promtool"
    return beside if beside.exists() else cached


if __name__ == "__main__":
    sys.exit(main())
