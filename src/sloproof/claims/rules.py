"""Claims about rules: evaluated in time, without error, on series that exist."""

from __future__ import annotations

from datetime import datetime, timedelta

from sloproof.checks import rule_health
from sloproof.checks.evidence import Basis, Bounds, total
from sloproof.counters import increase_between
from sloproof.finding import Finding
from sloproof.harness import Harness
from sloproof.model import Window


def health(harness: Harness, after: datetime) -> tuple[Finding, Finding, Finding]:
    """Judge whether rules were evaluated after an instant, are healthy, and name series that exist."""
    prometheus = harness.clients.prometheus
    groups = prometheus.rule_groups()
    at = max((group.last_evaluation for group in groups if group.last_evaluation), default=after)
    window = Window(at - timedelta(minutes=5), at)
    names = prometheus.metric_names(window)
    wanted = {name for name in names if not name.startswith(("go_", "process_", "loki_", "promtail_"))}
    series = prometheus.series([f'{{__name__=~"{"|".join(sorted(wanted))}"}}'], window)
    evidence = rule_health.RuleEvidence(
        groups=groups, after=after, metrics=names, series=series, missed=_missed(harness, Window(after, at))
    )
    return rule_health.judge(evidence, Basis(at=at, window=Window(after, at)))


def _missed(harness: Harness, window: Window) -> dict[str, Bounds] | None:
    """Return by how many evaluations each group fell short, as Prometheus counts them; None where it does not."""
    reach = Window(window.start - timedelta(seconds=30), window.end)
    prometheus = harness.clients.prometheus
    found = prometheus.samples("prometheus_rule_group_iterations_missed_total", reach).series
    up = prometheus.samples('up{job="prometheus"}', reach).series
    deltas = increase_between(found, window.start, window.end, targets_up=up)
    missed: dict[str, Bounds] = {}
    for delta in deltas:
        group = delta.labels.get("rule_group", "").rpartition(";")[2]
        missed[group] = total((missed.get(group, Bounds(0, 0)), Bounds(delta.low, delta.high)))
    return missed or None
