"""The pitfalls of ratios and counts: each naive rule is run beside ours and gives the wrong answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from sloproof.slo.model import NoData, Rolling
from sloproof.slo.rules.groups import rules_of
from sloproof.slo.rules.values import Recording, Timing
from tests.slo.objectives import objective, ratio, sliced, threshold
from tests.slo.pitfalls import BAD, GOOD, HOUR, MINUTE, Claim, engine, near, row

pytestmark = pytest.mark.slow
PERIOD_RATIO = "slo:sli_error:ratio_rate2h"


@pytest.fixture
def judge(tool_path: Callable[[str], Path], tmp_path: Path) -> Callable[..., None]:
    return engine(tool_path, tmp_path).judge


Judge = Callable[..., None]
TWO_HOURS = objective(period=Rolling(2 * HOUR), rows=(row(),))


def test_pitfall_02_an_idle_gap_leaves_the_period_a_number(judge: Judge) -> None:
    series = {GOOD: "0+99x30 2970x25 2970+99x30", BAD: "0+1x30 30x25 30+1x30"}
    late = 84 * MINUTE
    judge("02", TWO_HOURS, series, [
        Claim(late, "naive:error:ratio_period"),
        Claim(late, "naive:error:ratio_period == naive:error:ratio_period", holds=False),
        Claim(late, near(PERIOD_RATIO, 0.01, 1e-9)),
        Claim(45 * MINUTE, "slo:sli_error:ratio_rate5m", holds=False),
        Claim(45 * MINUTE, "slo:sli_valid:increase5m == 0"),
        Claim(late, "count_over_time((slo:sli_error:ratio_rate5m != slo:sli_error:ratio_rate5m)[2h:1m])", holds=False),
    ])  # fmt: skip


def test_pitfall_03_without_any_error_the_ratio_is_zero(judge: Judge) -> None:
    judge("03", TWO_HOURS, {GOOD: "0+100x30"}, [
        Claim(20 * MINUTE, "naive:error:ratio5m", holds=False),
        Claim(20 * MINUTE, "slo:sli_error:ratio_rate5m == 0"),
        Claim(20 * MINUTE, f"{PERIOD_RATIO} == 0"),
        Claim(20 * MINUTE, "slo:period_error_budget_remaining:ratio == 1"),
    ])  # fmt: skip


def test_pitfall_04_a_first_burst_is_seen_in_what_is_not_good(judge: Judge) -> None:
    told = replace(TWO_HOURS, indicator=ratio("http_requests_total", good='http_responses_total{code!~"5.."}'))
    series = {
        "http_requests_total": "0+10x10 150+10x19",
        'http_responses_total{code="200"}': "0+10x10 100+10x19",
        'http_responses_total{code="500"}': "_x10 50x20",
    }
    judge("04", told, series, [
        Claim(14 * MINUTE, "naive:errors:increase5m == 0"),
        Claim(14 * MINUTE, near("slo:sli_bad:increase5m", 50, 15)),
    ])  # fmt: skip


def test_pitfall_06_idle_slices_are_what_was_declared(judge: Judge) -> None:
    told = sliced(
        indicator=TWO_HOURS.indicator, period=Rolling(HOUR), rows=(row(HOUR, 5 * MINUTE, "20"),),
        target=Fraction("0.99"),
    )  # fmt: skip
    # Idle for 25 of 60 minutes, and never an error.
    series = {GOOD: "0+100x20 2000x24 2000+100x16", BAD: "0x60"}
    for policy, bad in ((NoData.UNKNOWN, 0), (NoData.BAD, 4)):
        judge("06", replace(told, no_data=policy), series, [
            Claim(60 * MINUTE, "sum_over_time(naive:slice:bad[1h]) > 15"),
            Claim(60 * MINUTE, near("slo:sli_bad:increase1h", bad, 1.5 if bad else 1e-9)),
            Claim(60 * MINUTE, "slo:sli_valid:increase1h > 10" if bad else "slo:sli_valid:increase1h < 9"),
        ])  # fmt: skip


def test_pitfall_07_the_period_is_weighed_by_events(judge: Judge) -> None:
    # Errors in quiet hours: 30 of 60,060 events, 0.05 %, that a mean of ratios takes for a quarter of them.
    series = {GOOD: "0+1000x60 60000.5+0.5x60", BAD: "0x60 0.5+0.5x60"}
    judge("07", TWO_HOURS, series, [
        Claim(120 * MINUTE, "naive:error:ratio_period > 0.2"),
        Claim(120 * MINUTE, near(PERIOD_RATIO, 30 / 60060, 0.0001)),
    ])  # fmt: skip


def test_pitfall_13_a_restart_is_counted_where_it_happens(judge: Judge) -> None:
    told = replace(TWO_HOURS, rows=(row(short=30 * MINUTE),))
    series = {
        'http_requests_total{job="shop", code="200", instance="a"}': "0+100x60",
        'http_requests_total{job="shop", code="200", instance="b"}': "0+100x40 0+100x19",
    }
    judge("13", told, series, [
        Claim(55 * MINUTE, "naive:requests:increase30m > 8000"),
        Claim(55 * MINUTE, near("slo:sli_valid:increase30m", 6000, 110)),
    ])  # fmt: skip


def test_pitfall_14_a_single_event_is_not_a_third_more(judge: Judge) -> None:
    series = {GOOD: "0+10x80", BAD: "5x48 6x31"}
    interval = timedelta(seconds=15)
    at = 49 * interval
    judge("14", TWO_HOURS, series, [
        Claim(at, near("naive:errors:increase1m", 4 / 3, 0.001)),
        Claim(at, near("slo:sli_bad:increase5m", 1, 0.06)),
        Claim(at, near("slo:sli_error:ratio_rate5m", 1 / 191, 1e-4)),
    ], interval=interval)  # fmt: skip


def test_pitfall_16_latency_is_judged_at_a_bound(judge: Judge) -> None:
    # All requests take 0.26 s; the objective is 0.3 s, and 0.5 s is the bound there is.
    told = replace(TWO_HOURS, indicator=ratio("latency_count", good='latency_bucket{le="0.5"}'))
    series = {
        'latency_bucket{le="0.25"}': "0x30",
        'latency_bucket{le="0.5"}': "0+100x30",
        'latency_bucket{le="+Inf"}': "0+100x30",
        "latency_count": "0+100x30",
    }
    slow = 'ALERTS{alertname="ErrorBudgetBurn"}'
    claims = [
        Claim(20 * MINUTE, 'ALERTS{alertname="Naive"}'),
        Claim(20 * MINUTE, slow, holds=False),
        Claim(20 * MINUTE, "slo:sli_error:ratio_rate5m == 0"),
    ]
    judge("16", told, series, claims)
    below = replace(told, indicator=ratio("latency_count", good='latency_bucket{le="0.25"}'))
    judge("16", below, series, [Claim(20 * MINUTE, "slo:sli_error:ratio_rate5m == 1"), Claim(20 * MINUTE, slow)])


@pytest.mark.parametrize("stored", ["1", "1.0"])
@pytest.mark.parametrize("asked", ["1", "1.0"])
def test_pitfall_17_a_whole_bound_is_found_in_either_spelling(judge: Judge, stored: str, asked: str) -> None:
    told = replace(TWO_HOURS, indicator=ratio("latency_count", good=f'latency_bucket{{le="{asked}"}}'))
    series = {f'latency_bucket{{le="{stored}"}}': "0+90x30", "latency_count": "0+100x30"}
    judge("17", told, series, [
        Claim(20 * MINUTE, "naive:good:increase5m", holds=stored == "1"),
        Claim(20 * MINUTE, near("slo:sli_error:ratio_rate5m", 0.1, 1e-9)),
    ])  # fmt: skip


def test_pitfall_18_an_edited_label_leaves_one_series(judge: Judge) -> None:
    def recorded(team: str) -> list[object]:
        made = rules_of(replace(TWO_HOURS, labels=(("team", team),)), Timing()).prometheus
        return [rule for group in made for rule in group.rules if isinstance(rule, Recording)]

    naive = 'naive:error:ratio5m{{sloth_id="shop-availability", team="{}"}}'
    series = {
        naive.format("a"): "0.1x30 stale",
        naive.format("b"): "_x31 0.1x29",
        GOOD: "0+100x60",
    }
    judge("18", TWO_HOURS, series, [
        Claim(50 * MINUTE, 'count(sum_over_time(naive:error:ratio5m{sloth_id="shop-availability"}[1h])) == 2'),
        Claim(25 * MINUTE, "naive:error:ratio_period"),
        Claim(50 * MINUTE, 'count(sum_over_time(slo:sli_bad:increase5m{sloth_id="shop-availability"}[1h])) == 1'),
    ])  # fmt: skip
    assert recorded("a") == recorded("b")


def test_pitfall_21_every_instance_counts_and_each_once(judge: Judge) -> None:
    told = replace(
        TWO_HOURS,
        indicator=ratio("sum(max without (job) (requests_total))", bad="sum(max without (job) (errors_total))"),
    )
    series: dict[str, str] = {}
    for job, instance, step in (("x", "a", 0), ("x", "b", 100), ("y", "b", 100)):
        labels = f'{{job="{job}", instance="{instance}"}}'
        series |= {f"requests_total{labels}": "0+100x30", f"errors_total{labels}": f"0+{step}x30"}
    judge("21", told, series, [
        Claim(20 * MINUTE, "count(naive:error:ratio5m) == 3"),
        Claim(20 * MINUTE, "naive:error:ratio5m == 0"),
        Claim(20 * MINUTE, near("naive:valid:increase5m", 1500, 1)),
        Claim(20 * MINUTE, near("slo:sli_error:ratio_rate5m", 0.5, 1e-9)),
        Claim(20 * MINUTE, near("slo:sli_valid:increase5m", 1000, 1)),
    ])  # fmt: skip


def test_pitfall_22_more_good_than_there_are_is_told(judge: Judge) -> None:
    told = replace(TWO_HOURS, indicator=ratio("all_total", good="good_total"))
    contradict = 'ALERTS{alertname="SloCountsContradict", alertstate="firing"}'
    judge("22", told, {"all_total": "0+100x40", "good_total": "0+150x40"}, [
        Claim(30 * MINUTE, near("naive:sli:ratio5m", 1.5, 1e-9)),
        Claim(30 * MINUTE, "slo:sli_bad:increase5m == 0"),
        Claim(30 * MINUTE, contradict),
    ])  # fmt: skip
    judge("22", told, {"all_total": "0+100x40", "good_total": "0+100x40"}, [
        Claim(30 * MINUTE, 'ALERTS{alertname="SloCountsContradict"}', holds=False),
    ])  # fmt: skip


def test_pitfall_24_slices_without_data_are_what_was_declared(judge: Judge) -> None:
    # The prober is dead for 20 of 60 minutes. It is scraped once a minute.
    told = sliced(
        indicator=threshold("probe_success", ">=", "1"), period=Rolling(HOUR), no_data=NoData.BAD,
        rows=(row(HOUR, 5 * MINUTE, "20"),), target=Fraction("0.99"),
    )  # fmt: skip
    series = {"probe_success": "1x20 stale _x18 1x60"}
    judge("24", told, series, [
        Claim(60 * MINUTE, "naive:sli:ratio_period == 1"),
        Claim(60 * MINUTE, "naive:slices:count < 60"),  # of 180 slices of 20 s
        Claim(60 * MINUTE, near("slo:sli_bad:increase1h", 4, 1.5)),
        Claim(60 * MINUTE, "slo:sli_valid:increase1h >= 11"),
    ])  # fmt: skip
