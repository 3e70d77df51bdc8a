from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sloproof.checks.pipeline_alive import (
    LOGS,
    METRICS,
    RULES,
    PipelineEvidence,
    SentinelState,
    blocked_by,
    dead_pipelines,
    judge,
)
from sloproof.finding import Verdict
from sloproof.model import RuleGroup, Target
from tests.checks.facts import BASIS, after, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = after(100)
TARGET = Target(
    labels={"job": "users-api", "instance": "a:1"},
    scrape_pool="users-api",
    scrape_url="http://a:1/metrics",
    health="up",
    last_scrape=after(99.9),
    last_scrape_duration=seconds(0.01),
    last_error=None,
    scrape_interval=seconds(0.25),
    scrape_timeout=seconds(0.25),
)
GROUP = RuleGroup("burn", "rules.yml", seconds(0.25), after(99.8), seconds(0.01), ())
BACK = SentinelState(after(99), after(99.05), after(99.05), seconds(5))


def evidence(
    targets: Sequence[Target] = (TARGET,), sentinel: SentinelState | None = BACK,
    groups: Sequence[RuleGroup] | None = (GROUP,), expected: int = 1,
) -> PipelineEvidence:  # fmt: skip
    return PipelineEvidence(AT, targets, expected, sentinel, groups)


def verdicts(found: PipelineEvidence) -> list[Verdict]:
    return [one.verdict for one in judge(found, BASIS)]


def test_pipeline_alive_passes_each_pipeline_that_delivers() -> None:
    assert verdicts(evidence()) == [Verdict.PASS] * 3
    assert dead_pipelines(evidence()) == ()


@pytest.mark.parametrize(
    "target",
    [
        replace(TARGET, last_scrape=after(90)),
        replace(TARGET, health="down", last_error="connection refused"),
        replace(TARGET, last_scrape=None),
    ],
    ids=["scrape killed", "target stopped", "never scraped"],
)
def test_pipeline_alive_blocks_when_the_scrape_is_dead(target: Target) -> None:
    assert verdicts(evidence([target])) == [Verdict.BLOCKED, Verdict.PASS, Verdict.PASS]


def test_pipeline_alive_says_since_when_and_why() -> None:
    target = replace(TARGET, health="down", last_scrape=after(90), last_error="connection refused")

    (dead,) = dead_pipelines(evidence([target]))

    assert (dead.name, dead.since) == (METRICS, after(90))
    assert "connection refused" in str(dead)
    assert "since 2026-03-01T12:01:30.000Z" in str(dead)


def test_pipeline_alive_blocks_when_a_target_is_missing() -> None:
    assert verdicts(evidence([]))[0] is Verdict.BLOCKED
    assert verdicts(evidence(expected=2))[0] is Verdict.BLOCKED


@pytest.mark.parametrize("returned", [None, after(104.5)], ids=["never", "too late"])
def test_pipeline_alive_blocks_when_the_shipper_is_stopped(returned: None) -> None:
    found = evidence(sentinel=replace(BACK, returned=returned, asked=after(104.5)))

    assert verdicts(found) == [Verdict.PASS, Verdict.BLOCKED, Verdict.PASS]
    assert dead_pipelines(found)[0].since == after(99)


@pytest.mark.parametrize(
    "groups", [[], [replace(GROUP, last_evaluation=after(98))], [replace(GROUP, last_evaluation=None)]],
    ids=["no group", "late", "never"],
)  # fmt: skip
def test_pipeline_alive_blocks_when_rules_are_not_evaluated(groups: list[RuleGroup]) -> None:
    assert verdicts(evidence(groups=groups)) == [Verdict.PASS, Verdict.PASS, Verdict.BLOCKED]


def test_pipeline_alive_gives_no_verdict_on_what_nobody_looked_at() -> None:
    assert verdicts(evidence(sentinel=None, groups=None)) == [Verdict.PASS]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_pipeline_alive_blocks_what_needs_a_dead_pipeline_whatever_it_found(verdict: Verdict) -> None:
    found = BASIS.finding("three_way_count", verdict, "claim", expected="5", measured="5")

    blocked = blocked_by(found, (METRICS, LOGS), {LOGS: "promtail was stopped"})

    assert blocked.verdict is Verdict.BLOCKED
    assert "promtail was stopped" in blocked.measured
    assert ("without them", f"{verdict.value}: 5") in blocked.evidence
    assert (blocked.check, blocked.claim) == ("three_way_count", "claim")


def test_pipeline_alive_leaves_alone_what_needs_only_living_pipelines() -> None:
    found = BASIS.judged("gauge_at_rest", "claim", holds=True, expected="0", measured="0")

    assert blocked_by(found, (METRICS,), {LOGS: "stopped", RULES: "stopped"}) is found


@pytest.mark.parametrize(("age", "verdict"), [(0.75, Verdict.PASS), (0.76, Verdict.BLOCKED)])
def test_pipeline_alive_gives_a_scrape_two_intervals_and_its_timeout(age: float, verdict: Verdict) -> None:
    assert verdicts(evidence([replace(TARGET, last_scrape=after(100 - age))]))[0] is verdict


@pytest.mark.parametrize(("age", "verdict"), [(0.5, Verdict.PASS), (0.51, Verdict.BLOCKED)])
def test_pipeline_alive_gives_a_rule_group_two_intervals(age: float, verdict: Verdict) -> None:
    assert verdicts(evidence(groups=[replace(GROUP, last_evaluation=after(100 - age))]))[2] is verdict


def test_pipeline_alive_takes_a_line_at_its_very_bound() -> None:
    assert verdicts(evidence(sentinel=replace(BACK, returned=after(104))))[1] is Verdict.PASS


def test_pipeline_alive_says_since_when_rules_are_late_where_one_was_never_evaluated() -> None:
    groups = [replace(GROUP, last_evaluation=None), replace(GROUP, last_evaluation=after(90))]

    (dead,) = dead_pipelines(evidence(groups=groups))

    assert dead.since == after(90)
    assert "2 rule groups" in dead.reason


def test_pipeline_alive_shows_the_targets_and_what_is_blocked() -> None:
    metrics, logs, _ = judge(evidence([replace(TARGET, health="down", last_error="connection refused")]), BASIS)

    assert "connection refused" in dict(metrics.evidence)["targets"]
    assert "nothing that needs metrics" in metrics.hint
    assert not logs.evidence
    assert not logs.hint
