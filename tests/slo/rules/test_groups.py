from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import promql_parser
import pytest

from sloproof.slo.model import NoData, Objective, Rolling, Severity, Source
from sloproof.slo.rules.groups import BURN_ALERT, MISSING_ALERT, SURPLUS_ALERT, rules_of
from sloproof.slo.rules.values import Alerting, Recording, Timing
from tests.slo.objectives import IDS, objective, ratio, raw, sliced, threshold

LOG = ratio(
    'sum(count_over_time({a="b"}[{{.window}}]))', bad='sum(count_over_time({a="b"} |= "x" [{{.window}}]))',
    source=Source.LOKI,
)  # fmt: skip


def recordings(of: Objective, timing: Timing | None = None) -> dict[str, Recording]:
    groups = rules_of(of, timing or Timing()).prometheus
    return {rule.record: rule for group in groups for rule in group.rules if isinstance(rule, Recording)}


def alerts(of: Objective, name: str) -> list[Alerting]:
    groups = rules_of(of, Timing()).prometheus
    return [rule for group in groups for rule in group.rules if isinstance(rule, Alerting) and rule.alert == name]


def test_rules_record_what_sloth_records_and_the_counts() -> None:
    found = recordings(objective())
    windows = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
    assert {f"slo:sli_error:ratio_rate{window}" for window in windows} <= set(found)
    assert {f"slo:sli_{which}:increase{window}" for window in windows for which in ("bad", "valid")} <= set(found)
    assert {f"slo:window_coverage:ratio{window}" for window in ("1h", "6h", "1d", "3d")} <= set(found)
    assert {
        "slo:objective:ratio", "slo:error_budget:ratio", "slo:time_period:days", "slo:current_burn_rate:ratio",
        "slo:period_burn_rate:ratio", "slo:period_error_budget_remaining:ratio", "sloth_slo_info",
    } <= set(found)  # fmt: skip
    assert dict(found["slo:sli_error:ratio_rate1h"].labels) == {
        "sloth_id": "shop-availability", "sloth_service": "shop", "sloth_slo": "availability", "sloth_window": "1h",
    }  # fmt: skip
    assert found["slo:error_budget:ratio"].expr == "vector(0.001)"
    assert found["slo:time_period:days"].expr == "vector(30)"
    assert dict(found["sloth_slo_info"].labels)["sloth_objective"] == "99.9"


def test_rules_weigh_the_period_by_events_from_windows_that_do_not_overlap() -> None:
    found = recordings(objective())
    assert found["slo:sli_bad:increase30d"].expr == f"sum_over_time(slo:sli_bad:increase5m{IDS}[30d:5m])"
    assert found["slo:sli_error:ratio_rate30d"].expr == (
        f"slo:sli_bad:increase30d{IDS} / (slo:sli_valid:increase30d{IDS} > 0)"
    )


def test_rules_of_a_short_period_do_not_see_a_sample_twice() -> None:
    short = objective(period=Rolling(timedelta(hours=12)))
    assert "last_over_time(" in recordings(short, Timing(timedelta(seconds=1)))["slo:sli_bad:increase12h"].expr


def test_every_group_says_its_interval_and_has_its_own_name() -> None:
    groups = rules_of(objective(), Timing(timedelta(seconds=15))).prometheus
    assert [group.interval for group in groups] == [timedelta(seconds=15), timedelta(seconds=150)]
    assert len({group.name for group in groups}) == 2


def test_alert_matches_both_windows_on_identity_and_covers_the_long_one() -> None:
    first = alerts(objective(min_events=100), BURN_ALERT)[0]
    on = "on (sloth_id, sloth_service, sloth_slo)"
    assert first.expr.split("\n") == [
        f"(slo:sli_error:ratio_rate1h{IDS} * {on} slo:window_coverage:ratio1h{IDS} > 0.0144)",
        f"and {on} (slo:sli_error:ratio_rate5m{IDS} > 0.0144)",
        f"and {on} (slo:sli_valid:increase1h{IDS} >= 100)",
    ]
    labels = dict(first.labels)
    assert (labels["severity"], labels["sloth_severity"]) == ("page", "page")
    assert (labels["long"], labels["short"], labels["row"]) == ("1h", "5m", "page-quick")


def test_alert_text_says_window_budget_spent_and_time_left() -> None:
    text = dict(alerts(objective(title="Orders {{ now }}"), BURN_ALERT)[0].annotations)
    assert text["title"].startswith('(page) Orders {{ "{{" }} now }}')
    assert "the last 1h" in text["summary"]
    assert "1.44 %" in text["summary"]
    assert "fires from 2 %" in text["description"]
    assert "humanizeDuration" in text["description"]
    assert "slo:period_burn_rate:ratio" in text["description"]


def test_labels_of_the_document_stay_off_the_recorded_series_and_never_hide_ours() -> None:
    labelled = objective(labels=(("team.io/name", "a"), ("severity", "high"), ("1st", "x")))
    assert all(len(rule.labels) <= 4 for name, rule in recordings(labelled).items() if name != "sloth_slo_info")
    labels = dict(alerts(labelled, BURN_ALERT)[0].labels)
    assert (labels["severity"], labels["label_severity"]) == ("page", "high")
    assert (labels["team_io_name"], labels["_1st"]) == ("a", "x")


def test_missing_data_goes_to_the_policy_that_asks_for_it() -> None:
    (plain,) = alerts(objective(), MISSING_ALERT)
    assert dict(plain.labels)["severity"] == "ticket"
    assert plain.expr == f"absent(slo:sli_valid:increase5m{IDS} + 0 * slo:sli_bad:increase5m{IDS} >= 0)"
    assert plain.hold == timedelta(minutes=5)  # with the 5 min until the window is empty, the 10 that are said
    first, *rest = objective().rows
    (asked,) = alerts(objective(rows=(replace(first, missing=True, targets=("pager",)), *rest)), MISSING_ALERT)
    assert (dict(asked.labels)["severity"], dict(asked.labels)["targets"]) == ("page", "pager")
    assert not alerts(objective(missing_after=None), MISSING_ALERT)


def test_what_a_policy_says_is_on_its_alert() -> None:
    row = replace(objective().rows[0], hold=timedelta(minutes=2), resolved=False, targets=("a", "b"))
    (alert,) = alerts(objective(rows=(row,)), BURN_ALERT)
    assert alert.hold == timedelta(minutes=2)
    assert dict(alert.labels)["targets"] == "a,b"
    assert dict(alert.labels)["resolved"] == "false"


def test_contradicting_counts_are_told_of_counters_only() -> None:
    assert len(alerts(objective(), SURPLUS_ALERT)) == 1
    assert not alerts(objective(indicator=threshold("x", "<", "1")), SURPLUS_ALERT)


def test_log_counts_are_recorded_by_loki_and_summed_by_prometheus() -> None:
    rules = rules_of(objective(indicator=LOG), Timing())
    (ruler,) = rules.loki
    assert [rule.record for rule in ruler.rules if isinstance(rule, Recording)] == [
        "slo:tick_valid:count30s", "slo:tick_bad:count30s",
    ]  # fmt: skip
    found = recordings(objective(indicator=LOG))
    assert found["slo:sli_valid:increase1h"].expr == f"sum_over_time(slo:tick_valid:count30s{IDS}[1h])"
    assert "slo:tick_valid:count30s" not in found


def test_ledger_has_no_rules() -> None:
    made = rules_of(objective(indicator=ratio("requests", bad="requests", source=Source.LEDGER)), Timing())
    assert (made.prometheus, made.loki) == ((), ())


@pytest.mark.parametrize(
    ("no_data", "ending"),
    [(NoData.UNKNOWN, "> 0)"), (NoData.GOOD, "or on () vector(0)"), (NoData.BAD, "or on () vector(1)")],
    ids=str,
)
def test_slices_without_events_count_as_declared(no_data: NoData, ending: str) -> None:
    assert recordings(sliced(no_data=no_data))["slo:slice_error:ratio5m"].expr.endswith(ending)


def test_slices_are_looked_at_once_each() -> None:
    found = recordings(sliced())
    assert found["slo:sli_bad:increase1h"].expr == (f"sum_over_time((slo:slice_error:ratio5m{IDS} > bool 0.05)[1h:5m])")
    weighed = recordings(sliced(slice_target=None))
    assert weighed["slo:sli_bad:increase1h"].expr == f"sum_over_time(slo:slice_error:ratio5m{IDS}[1h:5m])"


@pytest.mark.parametrize(
    "one",
    [
        objective(),
        objective(indicator=ratio("a_total", good="b_total")),
        objective(indicator=threshold("x", ">", "1")),
        objective(indicator=raw("x")),
        objective(indicator=raw("avg_over_time(x[{{.window}}])", failure=False)),
        objective(indicator=LOG),
        sliced(),
        sliced(slice_target=None, indicator=threshold("x", ">", "1")),
        objective(period=Rolling(timedelta(hours=1)), target=Fraction("0.9")),
        objective(period=Rolling(timedelta(days=90))),
        objective(target=Fraction(0)),
        objective(period=Rolling(timedelta(days=3)), rows=objective().rows),
        sliced(period=Rolling(timedelta(hours=1)), rows=objective().rows[:1]),
    ],
    ids=range(13),
)
def test_every_expression_parses_and_every_name_is_recorded_once(one: Objective) -> None:
    groups = rules_of(one, Timing()).prometheus
    rules = [rule for group in groups for rule in group.rules]
    for rule in rules:
        promql_parser.parse(rule.expr)
    recorded = [(rule.record, rule.labels) for rule in rules if isinstance(rule, Recording)]
    assert len(recorded) == len(set(recorded))
    assert {dict(rule.labels)["sloth_severity"] for rule in rules if isinstance(rule, Alerting)} <= set(Severity)
