"""The pitfalls of judging, on a real server: each naive query gives the wrong answer beside ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from sloproof.clients.prometheus import PrometheusClient
from sloproof.finding import Verdict
from sloproof.model import Window
from sloproof.prove.scratch_server import Points, Programs, scratch_prometheus, series_text
from sloproof.slo.judging.asking import Asker
from sloproof.slo.judging.judge import Sources, judge
from sloproof.slo.model import Budgeting, Calendar, Objective, Rolling, Source, Truth
from sloproof.slo.verdicts import Judgement
from tests.slo.counted import numbers
from tests.slo.objectives import objective, ratio, raw, threshold
from tests.slo.pitfalls import row

pytestmark = pytest.mark.slow
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SAMPLES = 131  # one a minute, the last at AT
BEFORE = 10  # samples up to the begin of the last two hours


@dataclass
class History:
    """Series by their text."""

    found: dict[str, Points]

    def add(
        self,
        job: str,
        values: Sequence[float | None],
        code: str = "200",
        instance: str = "a:80",
        metric: str = "req_total",
        step: timedelta = MINUTE,
        **labels: str,
    ) -> None:
        series = series_text(metric, {"job": job, "instance": instance, **({"code": code} if code else {}), **labels})
        last = round(AT.timestamp() * 1000)
        first = last - (len(values) - 1) * round(step.total_seconds() * 1000)
        kept = [(first + n * round(step.total_seconds() * 1000), v) for n, v in enumerate(values) if v is not None]
        self.found[series] = Points(series, tuple(t for t, _ in kept), [v for _, v in kept])

    def counts(self, job: str, events: Callable[[int], float], code: str = "200", **more: Any) -> None:
        total, values = 0.0, []
        for number in range(SAMPLES):
            total += events(number)
            values.append(total)
        self.add(job, values, code, **more)


def _always(count: int, _: int) -> int:
    return count


def made() -> list[Points]:
    all_of = History({})
    all_of.counts("idle", lambda n: 0 if 40 <= n < 100 else 50)
    all_of.counts("idle", lambda n: n in {20, 120}, "500")
    all_of.counts("weighed", lambda n: 1000 if n <= 70 else 1)
    all_of.counts("weighed", lambda n: 0 if n <= 70 else 1, "500")
    for name in ("a", "b"):
        values, count = [], 0
        for number in range(SAMPLES):
            count = 100 if name == "b" and number == 90 else count + 100
            values.append(count)
        all_of.add("reset", values, instance=f"{name}:80")
    all_of.add("one", [5.0] * 35 + [6.0] * 6, "500", step=timedelta(seconds=15))
    all_of.add("one", [10.0 * n for n in range(41)], step=timedelta(seconds=15))
    dead = [100.0 * n if n < 100 else None for n in range(SAMPLES)]
    all_of.add("dead", dead)
    all_of.add("dead", [1.0 if n < 100 else 0.0 for n in range(SAMPLES)], "", metric="up")
    all_of.counts("later", lambda _: 100)
    all_of.counts("later", lambda n: 50 if n > 100 else 0, "500")
    for name, share in (("a", 0), ("b", 50)):
        all_of.counts("pair", lambda _: 100, instance=f"{name}:80")
        all_of.counts("pair", partial(_always, share), "500", instance=f"{name}:80")
    for job in ("twice", "twice-again"):
        all_of.counts(job, lambda _: 100)
    for replica in ("x", "y"):
        all_of.counts("replicas", lambda _: 100, prometheus_replica=replica)
    all_of.counts("surplus", lambda _: 100)
    all_of.counts("surplus", lambda _: 150, metric="good_total")
    all_of.counts("burst", lambda _: 100)
    all_of.add("burst", [None] * 60 + [50.0] * 71, "500")
    all_of.add("prober", [1.0 if n < 70 or n > 110 else None for n in range(SAMPLES)], "", metric="probe_success")
    all_of.add("prober-mixed", [0.0 if n % 10 == 0 else 1.0 for n in range(SAMPLES)], "", metric="probe_success")
    broken = [100.0 * n if n < 100 else math.nan for n in range(SAMPLES)]
    all_of.add("broken", broken)
    all_of.add("broken", [0.0] * SAMPLES, "500")
    all_of.add("broken", [1.0] * SAMPLES, "", metric="up")
    all_of.add("broken", [1.0 if n < 100 else math.nan for n in range(SAMPLES)], "", metric="probe_success")
    all_of.add("broken", [0.0 if n < 100 else math.nan for n in range(SAMPLES)], "", metric="error_ratio")
    all_of.add("percents", [99.9] * SAMPLES, "", metric="success_ratio")
    return sorted(all_of.found.values(), key=lambda one: one.series.partition("{")[0])


@pytest.fixture(scope="module")
def server(tool_path: Callable[[str], Path]) -> Iterator[PrometheusClient]:
    with scratch_prometheus(Programs(tool_path("prometheus"), tool_path("promtool")), made()) as client:
        yield client


def two_hours(job: str, **changes: object) -> Objective:
    """Return an objective of 99 % over two hours."""
    indicator = ratio(f'sum(req_total{{job="{job}"}})', bad=f'sum(req_total{{job="{job}", code="500"}})')
    given = {"indicator": indicator, "period": Rolling(2 * HOUR), "target": Fraction("0.99"), "rows": (row(),)}
    return objective(**{**given, **changes})


def ours(server: PrometheusClient, made: Objective, at: datetime = AT) -> Judgement:
    return judge(made, Sources(prometheus=Asker(server)), at)


def naive(server: PrometheusClient, query: str, at: datetime | None = AT) -> float:
    (series, *_) = server.query(query, at).series
    return series.samples[0].value


def test_pitfall_02_an_idle_gap_leaves_a_number(server: PrometheusClient) -> None:
    bad, total = 'rate(req_total{job="idle", code="500"}[5m])', 'sum(rate(req_total{job="idle"}[5m]))'
    assert math.isnan(naive(server, f"sum_over_time((sum({bad}) / {total})[2h:5m])"))
    found = ours(server, two_hours("idle"))
    assert found.verdict is Verdict.PASS
    assert numbers(found.count.bad, found.count.valid) == (2, 60 * 50 + 2)
    assert found.count.coverage == 1


def test_pitfall_05_an_empty_store_is_not_perfect(server: PrometheusClient) -> None:
    lie = '1 - (sum(increase(gone{code="500"}[2h])) / sum(increase(gone[2h])) or vector(0))'
    assert naive(server, lie) == 1
    found = ours(server, two_hours("renamed"))
    assert (found.verdict, found.sli) == (Verdict.INCONCLUSIVE, None)
    zero = ratio(
        'sum(req_total{job="renamed"}) or vector(0)', bad='sum(req_total{job="renamed", code="500"}) or vector(0)'
    )
    assert ours(server, two_hours("renamed", indicator=zero)).verdict is Verdict.INCONCLUSIVE


def test_pitfall_07_the_period_is_weighed_by_events(server: PrometheusClient) -> None:
    mean = 'avg_over_time((sum(rate(req_total{job="weighed",code="500"}[5m])) / sum(rate(req_total{job="weighed"}[5m])))[2h:5m])'
    assert naive(server, mean) > 0.2
    found = ours(server, two_hours("weighed"))
    assert numbers(found.count.bad, found.count.valid) == (60, 60 * 1000 + 60 + 60)
    assert found.verdict is Verdict.PASS


def test_pitfall_13_a_reset_is_counted_once(server: PrometheusClient) -> None:
    lie = naive(server, 'increase(sum(req_total{job="reset"})[2h:1m])')
    assert lie > 30_000
    found = ours(server, two_hours("reset"))
    assert found.count.valid == 2 * 120 * 100


def test_pitfall_04_a_first_burst_is_counted(server: PrometheusClient) -> None:
    assert naive(server, 'sum(increase(req_total{job="burst", code="500"}[2h]))') == 0
    assert ours(server, two_hours("burst")).count.bad == 50


def test_pitfall_14_one_event_is_one(server: PrometheusClient) -> None:
    at = AT - timedelta(seconds=75)
    assert naive(server, 'increase(req_total{job="one", code="500"}[1m])', at) == pytest.approx(4 / 3)
    found = ours(server, two_hours("one", period=Rolling(timedelta(minutes=5)), rows=()), at)
    assert numbers(found.count.bad, found.count.valid) == (1, 201)
    assert found.exact


@dataclass
class Sent:
    """A request of the driver."""

    end_ns: int
    status: int = 200
    failure: str = ""
    endpoint: str = "/x"
    method: str = "GET"
    duration_ns: int = 1000


@dataclass
class Driver:
    requests: list[Sent]

    def entries(self, window: Window | None = None) -> list[Sent]:
        assert window is not None
        return self.requests


def driven(job_dead_from: int, keep: int = 1) -> Driver:
    """Return 100 requests a minute, refused from a minute on."""
    begin = round(AT.timestamp()) - 120 * 60
    return Driver([
        Sent((begin + minute * 60 + 30) * 10**9 + n, *((0, "refused") if minute + BEFORE + 1 >= job_dead_from else (200, "")))
        for minute in range(120) for n in range(0, 100, keep)
    ])  # fmt: skip


def test_pitfall_15_a_dead_service_reports_no_errors_but_the_driver_does(server: PrometheusClient) -> None:
    lie = '1 - (sum(increase(req_total{job="dead",code="500"}[2h])) or vector(0)) / sum(increase(req_total{job="dead"}[2h]))'
    assert naive(server, lie) == 1
    itself = ours(server, two_hours("dead"))
    assert itself.verdict is Verdict.INCONCLUSIVE
    assert 'instance="a:80"' in itself.reason
    truth = Truth(bad='requests{outcome="refused"}', total="requests")
    both = judge(two_hours("dead", truth=truth), Sources(Asker(server), None, driven(100)), AT)
    assert both.verdict is Verdict.ERROR
    assert "0 bad events by prometheus, but 3100 by the ledger" in both.reason
    asked = ratio("requests", bad='requests{outcome="refused"}', source=Source.LEDGER)
    outside = judge(two_hours("dead", indicator=asked), Sources(ledger=driven(100)), AT)
    assert outside.verdict is Verdict.FAIL


def test_pitfall_27_halves_of_both_counts_have_the_same_ratio(server: PrometheusClient) -> None:
    truth = Truth(bad='requests{outcome="500"}', total="requests")
    told = two_hours("reset", truth=truth)  # 24,000 events by Prometheus
    sent = Driver([Sent(one.end_ns) for one in driven(10**6).requests])  # 12,000 by the driver
    assert ours(server, told).sli == 1  # naive: the driver's ratio is 1, too
    found = judge(told, Sources(Asker(server), None, sent), AT)
    assert found.verdict is Verdict.ERROR
    assert "24000 valid events by prometheus, but 12000 by the ledger" in found.reason
    double = Driver([*sent.requests, *sent.requests])
    assert judge(told, Sources(Asker(server), None, double), AT).verdict is Verdict.PASS


def test_pitfall_20_the_past_does_not_change(server: PrometheusClient) -> None:
    then = AT - 31 * MINUTE
    made = two_hours("later", period=Rolling(HOUR))
    lie = 'sum(increase(req_total{job="later",code="500"}[1h]))'
    assert naive(server, lie, AT) > 1000  # the instant that was asked for is not passed on
    assert naive(server, lie, then) == 0
    before = ours(server, made, then)
    assert numbers(before.verdict, before.count.bad) == (Verdict.PASS, 0)
    assert ours(server, made, AT).verdict is Verdict.FAIL
    assert ours(server, made, then) == before


def test_pitfall_21_every_instance_counts_and_each_once(server: PrometheusClient) -> None:
    first = server.query(
        'rate(req_total{job="pair",code="500"}[2h]) / on (instance) rate(req_total{job="pair",code="200"}[2h])', AT
    )
    assert min(one.samples[0].value for one in first.series) == 0  # naive: the first series of the answer
    assert ours(server, two_hours("pair")).count.bad == 120 * 50
    twice = ratio('sum(req_total{job=~"twice.*"})', bad='sum(req_total{job=~"twice.*", code="500"})')
    assert naive(server, 'sum(increase(req_total{job=~"twice.*"}[2h]))') > 1.9 * 12_000
    for found in (ours(server, two_hours("twice", indicator=twice)), ours(server, two_hours("replicas"))):
        assert found.verdict is Verdict.ERROR
        assert "counted twice" in found.reason


def test_pitfall_22_more_good_than_there_are_is_an_error_that_names_both(server: PrometheusClient) -> None:
    sli = 'sum(increase(good_total{job="surplus"}[2h])) / sum(increase(req_total{job="surplus"}[2h]))'
    assert naive(server, sli) == pytest.approx(1.5)
    for rated in ("", "sum(rate({}[{{{{.window}}}}]))"):
        total, good = (
            rated.format(one) if rated else f"sum({one})"
            for one in ('req_total{job="surplus"}', 'good_total{job="surplus"}')
        )
        found = ours(server, two_hours("surplus", indicator=ratio(total, good=good)))
        assert found.verdict is Verdict.ERROR
        assert "good_total" in found.reason
        assert "req_total" in found.reason


def test_pitfall_23_a_day_begins_at_local_midnight(server: PrometheusClient) -> None:
    # At AT it is one o'clock in the morning there. The errors are of ten minutes past eleven and ten to one.
    zone = ZoneInfo("Pacific/Auckland")
    day = Calendar(1, "d", datetime(2026, 1, 1), zone)  # noqa: DTZ001 - by the clock on the wall
    assert naive(server, 'sum(increase(req_total{job="idle", code="500"}[1d]))') > 1.5
    found = ours(server, two_hours("idle", period=day))
    assert numbers(found.count.bad, found.count.valid) == (1, 31 * 50 + 1)
    assert found.count.window == Window(AT - HOUR, AT)
    just_before = ours(server, two_hours("idle", period=day), AT - HOUR - timedelta(milliseconds=1))
    assert just_before.count.bad == 1
    assert just_before.count.window.duration > 23 * HOUR


def test_pitfall_24_a_dead_prober_is_no_good_slice(server: PrometheusClient) -> None:
    assert naive(server, 'avg_over_time(probe_success{job="prober"}[2h])') == 1
    made = two_hours("prober", indicator=threshold('probe_success{job="prober"}', ">=", "1"), target=Fraction("0.9"))
    found = ours(server, made)
    assert found.sli == 1
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "is covered" in found.reason


@pytest.mark.parametrize("of", ["counter", "threshold", "raw", "expression"])
def test_what_is_no_number_is_no_data_and_never_passes(server: PrometheusClient, of: str) -> None:
    lie = 'sum(increase(req_total{job="broken",code="500"}[2h])) / sum(increase(req_total{job="broken"}[2h])) > 0.01'
    assert not server.query(lie, AT).series  # naive: nothing exceeds the budget
    share = raw('error_ratio{job="broken"}')
    indicator = {
        "counter": two_hours("broken").indicator,
        "threshold": threshold('probe_success{job="broken"}', ">=", "1"),
        "raw": share,
        "expression": raw('max(error_ratio{job="broken"})'),
    }[of]
    found = ours(server, two_hours("broken", indicator=indicator, target=Fraction("0.9"), rows=()))
    assert found.sli == 1
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.count.coverage < Fraction(8, 10)
    assert "there is no data of the last" in found.reason
    if of == "counter":
        assert "a counter that is no number counts as missing data" in found.reason


def test_samples_that_are_no_numbers_are_no_events(server: PrometheusClient) -> None:
    made = two_hours("broken", indicator=threshold('probe_success{job="broken"}', ">=", "1"), rows=())
    assert ours(server, made).count.valid == 100 - BEFORE - 1


def test_a_ratio_in_percent_is_an_error_and_not_good(server: PrometheusClient) -> None:
    made = two_hours("percents", indicator=raw('success_ratio{job="percents"}', failure=False), rows=())
    found = ours(server, made)
    assert found.verdict is Verdict.ERROR
    assert "a ratio is from 0 to 1" in found.reason


def test_samples_are_counted_one_by_one_where_steps_hold_both(server: PrometheusClient) -> None:
    made = two_hours(
        "x", indicator=threshold('probe_success{job="prober-mixed"}', ">=", "1"), target=Fraction("0.8"), rows=()
    )
    found = ours(server, made)
    assert numbers(found.count.bad, found.count.valid, found.exact) == (12, 120, True)


def test_an_expression_with_its_own_window_is_not_called_exact(server: PrometheusClient) -> None:
    asked = ratio(
        'sum(rate(req_total{job="later"}[{{.window}}]))',
        bad='sum(rate(req_total{job="later",code="500"}[{{.window}}]))',
    )
    found = ours(server, two_hours("later", indicator=asked))
    assert not found.exact
    assert "not differences of samples" in found.reason
    assert float(found.sli or 0) == pytest.approx(float(ours(server, two_hours("later")).sli or 0), abs=0.02)


def test_every_query_can_be_asked_again_at_its_instant(server: PrometheusClient) -> None:
    found = ours(server, two_hours("later"))
    assert found.queries
    for one in found.queries:
        assert "2026-03-10T1" in one.url
        asked = parse_qs(urlsplit(one.url).query)
        assert asked["query"]
        assert {"time"} <= asked.keys() or {"start", "end", "step"} <= asked.keys()


def test_slices_are_told_apart_by_the_server_as_by_hand(server: PrometheusClient) -> None:
    made = two_hours(
        "later", budgeting=Budgeting.TIMESLICES, slice_length=5 * MINUTE, slice_target=Fraction("0.95"),
        target=Fraction("0.5"), rows=(),
    )  # fmt: skip
    found = ours(server, made)
    assert numbers(found.count.bad, found.count.valid) == (6, 24)
    assert replace(found.objective) == made
