from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sloproof.checks.rule_health import RuleEvidence, judge
from sloproof.finding import Finding, Verdict
from sloproof.model import Labels, Rule, RuleGroup
from tests.checks.facts import BASIS, after, exactly, fails, label_set, passes, seconds, unclear

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sloproof.checks.evidence import Bounds

ALERT = Rule("Burning", "alerting", "rate(app_error_count_total[1m]) > 0.1", "ok", None, after(9.9), {})
RECORD = Rule("job:requests:rate1m", "recording", "sum(rate(app_request_count_total[1m]))", "ok", None, after(9.9), {})
GROUP = RuleGroup("burn", "rules.yml", seconds(0.25), after(9.9), seconds(0.01), (RECORD, ALERT))
METRICS = {"app_error_count_total", "app_request_count_total", "job:requests:rate1m"}


def judged(
    *groups: RuleGroup, metrics: Collection[str] = tuple(METRICS), series: Sequence[Labels] | None = None,
    missed: Mapping[str, Bounds] | None = None,
) -> tuple[Finding, Finding, Finding]:  # fmt: skip
    counted = {"burn": exactly(0)} if missed is None else missed
    return judge(RuleEvidence(groups, after(9), metrics, series, counted), BASIS)


def with_rule(query: str) -> RuleGroup:
    return replace(GROUP, rules=(RECORD, replace(ALERT, query=query)))


def test_rule_health_passes_when_rules_are_evaluated_healthy_and_look_at_something() -> None:
    assert [found.verdict for found in judged(GROUP)] == [Verdict.PASS] * 3


def test_rule_health_says_so_when_a_group_was_not_evaluated_after_what_happened() -> None:
    evaluated, _, _ = judged(GROUP, replace(GROUP, name="late", last_evaluation=after(8)), missed={})

    assert fails(evaluated)
    assert "late" in dict(evaluated.evidence)["groups"]
    assert fails(judged(replace(GROUP, last_evaluation=None))[0])
    assert fails(judged(replace(GROUP, last_evaluation=after(9)))[0])


def test_rule_health_says_so_when_evaluations_were_missed_or_take_too_long() -> None:
    assert fails(judged(GROUP, missed={"burn": exactly(1)})[0])
    assert fails(judged(replace(GROUP, evaluation_duration=seconds(0.3)))[0])


def test_rule_health_does_not_pass_when_nobody_counted_missed_evaluations() -> None:
    assert unclear(judged(GROUP, missed={})[0])


def test_rule_health_says_so_when_a_rule_joins_many_to_many() -> None:
    sick = replace(ALERT, health="err", last_error="found duplicate series for the match group")

    _, healthy, _ = judged(replace(GROUP, rules=(RECORD, sick)))

    assert fails(healthy)
    assert "duplicate series" in dict(healthy.evidence)["not ok"]


def test_rule_health_says_so_when_a_rule_has_never_been_tried() -> None:
    assert fails(judged(replace(GROUP, rules=(replace(ALERT, health="unknown"),)))[1])


def test_rule_health_says_so_when_a_counter_is_queried_without_total() -> None:
    _, _, named = judged(with_rule("rate(app_error_count[1m]) > 0"))

    assert fails(named)
    rows = dict(named.evidence)["selecting nothing"]
    assert "app_error_count does not exist; nearest: app_error_count_total" in rows


def test_rule_health_says_so_when_a_label_was_renamed() -> None:
    series = [label_set(name, http_status="200", endpoint="/") for name in METRICS]

    _, _, named = judged(with_rule('app_error_count_total{status=~"5.."} > 0'), series=series)

    assert fails(named)
    assert "has no label status; it has endpoint, http_status" in dict(named.evidence)["selecting nothing"]


def test_rule_health_lets_a_rule_wait_for_its_first_error_value() -> None:
    series = [label_set(name, http_status="200") for name in METRICS]

    assert passes(judged(with_rule('app_error_count_total{http_status=~"5.."} > 0'), series=series)[2])


def test_rule_health_says_so_when_a_recording_rule_gives_no_series() -> None:
    _, _, named = judged(with_rule("job:requests:rate1m > 1"), metrics=METRICS - {"job:requests:rate1m"})

    assert fails(named)
    assert "recorded by a rule that has given no series" in dict(named.evidence)["selecting nothing"]


def test_rule_health_is_inconclusive_without_data() -> None:
    assert all(unclear(found) for found in judged())
    assert all(unclear(found) for found in judged(replace(GROUP, rules=())))
    assert unclear(judged(GROUP, metrics=())[2])


def test_rule_health_knows_the_series_prometheus_makes_of_alerts() -> None:
    assert passes(judged(with_rule('ALERTS{alertname="Burning"} and app_error_count_total'))[2])
