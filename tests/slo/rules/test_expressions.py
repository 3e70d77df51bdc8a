from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from sloproof.errors import SettingsError
from sloproof.slo.model import Objective, Ratio, Source
from sloproof.slo.rules.expressions import TickCounts, WindowCounts, bad_and_valid, counts_of, number
from tests.slo.objectives import PLACE, metric, objective, ratio, raw, threshold

HOUR = timedelta(hours=1)
TICK = timedelta(seconds=30)


def window_counts(of: Objective) -> WindowCounts:
    found = counts_of(of, TICK, timedelta(0))
    assert isinstance(found, WindowCounts)
    return found


def test_bad_and_valid_take_increases_inside_the_sum() -> None:
    found = bad_and_valid(objective(), HOUR)
    assert found.valid == 'sum(increase(http_requests_total{job="shop"}[1h]))'
    assert found.bad == (
        'sum(increase(http_requests_total{code=~"5..",job="shop"}[1h])) '
        'or on () 0 * (sum(increase(http_requests_total{job="shop"}[1h])))'
    )


def test_bad_and_valid_of_good_events_are_never_below_zero() -> None:
    found = bad_and_valid(objective(indicator=ratio("all_total", good="fine_total")), HOUR)
    valid = "(sum(increase(all_total[1h])))"
    assert found.bad == f"clamp_min({valid} - on () sum(increase(fine_total[1h])) or on () {valid}, 0)"


@pytest.mark.parametrize(
    ("query", "template"),
    [
        ("requests_total", "sum(increase(requests_total[{{.window}}]))"),
        ("sum by (a) (x_total offset 5m)", "sum(sum by (a) (increase(x_total[{{.window}}] offset 5m)))"),
        ("sum(max by (p) (x_total @ 5))", "sum(max by (p) (increase(x_total[{{.window}}] @ 5.000)))"),
        ("sum(a) - sum(b)", "sum(sum(increase(a[{{.window}}])) - sum(increase(b[{{.window}}])))"),
        ('sum(x{a="q\\"b offset 5m"})', 'sum(increase(x{a="q\\"b offset 5m"}[{{.window}}]))'),
        ("sum(increase(x[{{ .window }}]))", "sum(increase(x[{{.window}}]))"),
        ("x_increase{w='{{.window}}'}", "sum(x_increase{w='{{.window}}'})"),
        ('sum(rate(x{a="rate("}[{{.window}}]))', 'sum(increase(x{a="rate("}[{{.window}}]))'),
        ('sum(x_bucket{le="1"})', 'sum(increase(x_bucket{le=~"1(\\\\.0)?"}[{{.window}}]))'),
        ('sum(x_bucket{le="2.0"})', 'sum(increase(x_bucket{le=~"2(\\\\.0)?"}[{{.window}}]))'),
        ('sum(x_bucket{le="0.5"})', 'sum(increase(x_bucket{le="0.5"}[{{.window}}]))'),
        ('sum(x{handle="1"})', 'sum(increase(x{handle="1"}[{{.window}}]))'),
    ],
)  # fmt: skip
def test_counts_rewrite_the_query(query: str, template: str) -> None:
    assert window_counts(objective(indicator=ratio(query, bad="bad_total"))).valid == template


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("sum(rate(x[5m]))", "a range of its own"),
        ("max_over_time(x[5m:1m])", "a range of its own"),
        ("sum(x", "does not parse"),
        ("sum(rate(x[{{.window}}])", "does not parse"),
        ("vector(1)", "got none"),
    ],
)
def test_counts_refuse_a_query_with_its_place(query: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        counts_of(objective(indicator=ratio("x_total", bad=query)), TICK, timedelta(0))
    assert caught.value.details["where"] == str(PLACE)
    assert caught.value.details["query"] == query


def test_counts_of_gauges_are_sums_of_samples() -> None:
    indicator = Ratio(metric("x", counter=False), bad=metric("y", counter=False))
    assert window_counts(objective(indicator=indicator)).valid == "sum(sum_over_time(x[{{.window}}]))"


def test_counts_of_a_threshold_are_taken_once_an_evaluation_and_drop_what_is_no_number() -> None:
    found = counts_of(objective(indicator=threshold("temperature", "<=", "21.5")), TICK, timedelta(0))
    valid = "count((temperature) >= -Inf)"
    assert found == TickCounts(f"count((temperature) > 21.5) or on () 0 * {valid}", valid)


def test_counts_of_a_threshold_with_a_window_hold_four_scrapes() -> None:
    found = counts_of(objective(indicator=threshold("rate(x[{{.window}}])", "<", "1")), TICK, timedelta(0))
    assert found.valid == "count((rate(x[2m])) >= -Inf)"


@pytest.mark.parametrize(
    ("failure", "bad"), [(True, "sum((r) >= 0)"), (False, "sum(1 - ((r) >= 0))")], ids=["failure", "success"]
)
def test_counts_of_a_ratio_weigh_each_sample_the_same(failure: bool, bad: str) -> None:
    found = counts_of(objective(indicator=raw("r", failure=failure)), TICK, timedelta(0))
    assert found == TickCounts(bad, "count((r) >= 0)")


def test_counts_of_a_ratio_with_a_window_are_as_many_as_fit_into_it() -> None:
    found = window_counts(objective(indicator=raw("avg_over_time(r[{{.window}}])")))
    assert found.valid_at(HOUR, TICK) == "120 * count((avg_over_time(r[1h])) >= 0)"


def test_log_counts_are_zero_without_lines_and_late_by_the_delay() -> None:
    indicator = ratio(
        'sum(count_over_time({app="a"}[{{.window}}]))',
        bad='sum(count_over_time({app="a"} |= "x" [{{ .window }}] offset 1m))',
        source=Source.LOKI,
    )
    found = counts_of(objective(indicator=indicator), TICK, timedelta(seconds=5))
    assert found == TickCounts(
        'sum(sum(count_over_time({app="a"} |= "x" [30s] offset 1m))) or vector(0)',
        'sum(sum(count_over_time({app="a"}[30s] offset 5s))) or vector(0)',
    )


def test_log_counts_refuse_a_query_without_a_window() -> None:
    indicator = ratio('sum(count_over_time({app="a"}[5m]))', bad="b[{{.window}}]", source=Source.LOKI)
    with pytest.raises(SettingsError, match=r"\{\{.window\}\} where the range goes"):
        counts_of(objective(indicator=indicator), TICK, timedelta(0))


def test_number_is_exact_to_the_nearest_float() -> None:
    assert [number(Fraction(text)) for text in ("0.001", "30", "14.4", "1/3")] == [
        "0.001", "30", "14.4", "0.3333333333333333",
    ]  # fmt: skip
    budget = replace(objective(), target=Fraction("0.999")).budget
    assert number(Fraction("14.4") * budget) == "0.0144"  # floats give 0.0143999999999991
