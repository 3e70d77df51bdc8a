"""Rules are evaluated, in time and without error, and name series that exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sloproof.checks.selectors import selectors, unknown_reason
from sloproof.checks.wording import count_of, duration_text, instant_text, listing, table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sloproof.checks.evidence import Basis, Bounds
    from sloproof.finding import Finding
    from sloproof.model import Labels, RuleGroup

CHECK = "rule_health"

_EVALUATED = "every rule group was evaluated on what happened, and missed no evaluation"
_HEALTHY = "every rule evaluates without error"
_NAMED = "every rule names series that exist"
# What Prometheus itself makes of alerting rules.
_MADE_BY_ALERTS = ("ALERTS", "ALERTS_FOR_STATE")


@dataclass(frozen=True, slots=True)
class RuleEvidence:
    """Rule groups, and what there is for them to look at.

    Attributes:
        groups: As Prometheus loaded them.
        after: The instant after which each must have been evaluated: the scrape that saw what happened.
        metrics: Names of all metrics that exist.
        series: Label sets that exist, `__name__` included; None to compare names alone.
        missed: By how many evaluations each group fell short in the window, by group name; None where nobody counted.
    """

    groups: Sequence[RuleGroup]
    after: datetime
    metrics: Collection[str]
    series: Sequence[Labels] | None = None
    missed: Mapping[str, Bounds] | None = None


def judge(evidence: RuleEvidence, basis: Basis, *, values_must_exist: bool = False) -> tuple[Finding, Finding, Finding]:
    """Return whether rules are evaluated, healthy, and look at something: three findings, in this order.

    Args:
        evidence: Groups and series.
        basis: What it rests on.
        values_must_exist: Whether label values that rules ask for must exist too; leave it out for rules that wait
            for a first error.
    """
    if not any(group.rules for group in evidence.groups):
        empty = [
            basis.inconclusive(
                CHECK, claim, expected="rules", measured="Prometheus has no rule",
                hint="are the rule files named in its configuration, and do their paths exist?",
            )
            for claim in (_EVALUATED, _HEALTHY, _NAMED)
        ]  # fmt: skip
        return empty[0], empty[1], empty[2]
    return (
        _evaluated(evidence, basis),
        _healthy(evidence, basis),
        _named(evidence, basis, values_must_exist=values_must_exist),
    )


def _evaluated(evidence: RuleEvidence, basis: Basis) -> Finding:
    rows = []
    for group in evidence.groups:
        last = group.last_evaluation
        if last is None or last <= evidence.after:
            rows.append((group.name, "not evaluated since", "never" if last is None else instant_text(last)))
        if group.evaluation_duration > group.interval:
            rows.append((group.name, "takes longer than its interval",
                         f"{duration_text(group.evaluation_duration)} > {duration_text(group.interval)}"))  # fmt: skip
        missed = (evidence.missed or {}).get(group.name)
        if missed is not None and missed.high > 0:
            rows.append((group.name, "missed evaluations", str(missed)))
    expected = f"{count_of(len(evidence.groups), 'group')} evaluated after {instant_text(evidence.after)}, none missed"
    unknown = [group.name for group in evidence.groups if group.name not in (evidence.missed or {})]
    if unknown and not rows:
        return basis.inconclusive(
            CHECK, _EVALUATED, expected=expected,
            measured=f"nobody counted the missed evaluations of {listing(unknown)}",
            hint="scrape Prometheus itself: prometheus_rule_group_iterations_missed_total",
        )  # fmt: skip
    return basis.judged(
        CHECK,
        _EVALUATED,
        holds=not rows,
        expected=expected,
        measured=f"{len({row[0] for row in rows})} of {count_of(len(evidence.groups), 'group')} at fault",
        hint="a group that is late decides on old samples: shorten it, or give it a longer interval",
        evidence=(("groups", table(("group", "what", "value"), rows)),),
    )


def _healthy(evidence: RuleEvidence, basis: Basis) -> Finding:
    rules = [(group, rule) for group in evidence.groups for rule in group.rules]
    sick = [(group, rule) for group, rule in rules if rule.health != "ok" or rule.last_error]
    return basis.judged(
        CHECK,
        _HEALTHY,
        holds=not sick,
        expected=f"{count_of(len(rules), 'rule')}, all ok",
        measured=f"{len(sick)} not ok",
        hint="a rule with an error gives no series and no alert, and looks just like a quiet one",
        evidence=(
            ("not ok", table(("group", "rule", "health", "error"),
                             ((group.name, rule.name, rule.health, rule.last_error or "") for group, rule in sick))),
        ),
    )  # fmt: skip


def _named(evidence: RuleEvidence, basis: Basis, *, values_must_exist: bool) -> Finding:
    rules = [(group, rule) for group in evidence.groups for rule in group.rules]
    recorded = {rule.name for _, rule in rules if rule.kind == "recording"}
    expected = f"every selector of {count_of(len(rules), 'rule')} selects something"
    if not evidence.metrics:
        return basis.inconclusive(
            CHECK, _NAMED, expected=expected, measured="no metric is known to exist",
            hint="ask Prometheus for its metric names once the service has been scraped",
        )  # fmt: skip
    # A recording rule that answers nothing makes no series: it must not vouch for the rule that reads it by name.
    known = {*evidence.metrics, *_MADE_BY_ALERTS}
    rows = []
    count = 0
    for group, rule in rules:
        for selector in selectors(rule.query):
            count += 1
            if selector.metric in _MADE_BY_ALERTS:
                continue
            reason = unknown_reason(selector, known, evidence.series, values_must_exist=values_must_exist)
            if reason and selector.metric in recorded:
                reason = f"recorded by a rule that has given no series: {selector.metric}"
            if reason:
                rows.append((group.name, rule.name, str(selector), reason))
    return basis.judged(
        CHECK,
        _NAMED,
        holds=not rows and count > 0,
        expected=expected,
        measured=f"{len(rows)} of {count_of(count, 'selector')} select nothing",
        hint="an alert on a series that does not exist can never fire; counters end in _total on the wire",
        evidence=(("selecting nothing", table(("group", "rule", "selector", "reason"), rows)),),
    )
