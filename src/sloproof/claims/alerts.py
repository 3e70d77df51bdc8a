"""Claims about alerts: quiet while all is well, firing, delivered and resolved each within a bound.

A bound is computed from what is running, never typed: the rule's own windows and `for`, the intervals of its group and
of the scrape, and Alertmanager's waits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import yaml

from sloproof.checks import alert_lifecycle
from sloproof.checks.alert_lifecycle import SLACK, AlertEvidence, Bound
from sloproof.checks.evidence import Basis, selector_text
from sloproof.duration import format_duration, parse_duration
from sloproof.errors import FeatureError, SettingsError
from sloproof.finding import Finding, Query, Verdict
from sloproof.harness import Harness
from sloproof.model import Rule, RuleGroup, Window

_DISCOVERY = timedelta(seconds=5)
_RANGE = re.compile(r"\[([0-9a-z]+)(?::[0-9a-z]*)?\]")


@dataclass(frozen=True, slots=True)
class AlertBounds:
    """How long each part of an alert's life may take, counted from the fault's begin or its end."""

    firing: Bound
    delivered: Bound
    cleared: Bound
    resolved: Bound


def find_rule(groups: Sequence[RuleGroup], name: str) -> tuple[RuleGroup, Rule]:
    """Return an alerting rule and its group.

    Raises:
        FeatureError: Prometheus has loaded no alert of that name.
    """
    known = []
    for group in groups:
        for rule in group.rules:
            if rule.kind == "alerting":
                known.append(rule.name)
                if rule.name == name:
                    return group, rule
    raise FeatureError(
        f"expected Prometheus to have an alert {name!r}, but it has none of that name",
        known=", ".join(sorted(known)) or "none",
        hint="rules are in platform/rules/",
    )


def bounds_of(
    harness: Harness, name: str, *, broke_in: timedelta = timedelta(0), mended_in: timedelta = timedelta(0)
) -> AlertBounds:
    """Return the bounds of an alert, computed from the running configuration.

    Args:
        harness: The harness.
        name: The alert's name.
        broke_in: How long its cause took to take effect; each bound counts from the order for it.
        mended_in: The same of its cause's end.
    """
    groups = harness.clients.prometheus.rule_groups()
    group, rule = find_rule(groups, name)
    window = _window(rule.query, groups)
    scrape = harness.scrape_interval
    evaluation = max(one.interval for one in groups)
    group_wait, group_interval = alertmanager_waits(harness)
    seen = window + scrape + 2 * evaluation
    parts = (
        f"window {format_duration(window)} + scrape {format_duration(scrape)}"
        f" + 2 x evaluation {format_duration(evaluation)}"
    )
    found_in = discovery_delay(harness) if broke_in or mended_in else timedelta(0)
    if found_in:
        seen += found_in
        parts += f" + discovery {format_duration(found_in)}"
    firing = seen + rule.hold + group.interval + SLACK + broke_in
    firing_text = f"{parts} + for {format_duration(rule.hold)} + evaluation {format_duration(group.interval)}"
    firing_text += f" + taking effect {format_duration(broke_in)}" if broke_in else ""
    slack = f" + slack {format_duration(SLACK)}"
    cleared = seen + rule.keep_firing + SLACK + mended_in
    parts += f" + taking effect {format_duration(mended_in)}" if mended_in else ""
    if rule.keep_firing:
        parts += f" + keep firing for {format_duration(rule.keep_firing)}"
    return AlertBounds(
        firing=Bound(firing, f"{firing_text}{slack} = {format_duration(firing)}", rule.hold),
        delivered=_sum(firing + group_wait, f"{firing_text} + group wait {format_duration(group_wait)}{slack}"),
        cleared=_sum(cleared, f"{parts}{slack}"),
        resolved=_sum(cleared + group_interval, f"{parts} + group interval {format_duration(group_interval)}{slack}"),
    )


def discovery_delay(harness: Harness) -> timedelta:
    """Return how long an instance that comes or goes may be one too many or few among the service's targets.

    Prometheus hands on what its discoveries find every five seconds, and lets nobody say otherwise; targets that are
    written down are known at once.
    """
    config = yaml.safe_load(harness.clients.prometheus.config_yaml()) or {}
    jobs = [job for job in config.get("scrape_configs", ()) if job.get("job_name") == harness.settings.service.name]
    is_discovered = any(key.endswith("_sd_configs") for job in jobs for key in job)
    return _DISCOVERY if is_discovered else timedelta(0)


def _sum(latest: timedelta, text: str) -> Bound:
    return Bound(latest, f"{text} = {format_duration(latest)}")


def _window(expression: str, groups: Sequence[RuleGroup]) -> timedelta:
    """Return the longest window that an expression looks back over, through the recording rules that it names."""
    windows = [parse_duration(text) for text in _RANGE.findall(expression)]
    recordings = [rule for group in groups for rule in group.rules if rule.kind == "recording"]
    named = [rule for rule in recordings if re.search(rf"(?<![\w:]){re.escape(rule.name)}(?![\w:])", expression)]
    # What is named is left out further down, so that a rule that names itself comes to an end.
    rest = [replace(group, rules=tuple(rule for rule in group.rules if rule not in named)) for group in groups]
    for rule in named:
        # A window over a recorded series looks back over the recording's own window too.
        over = re.findall(rf"(?<![\w:]){re.escape(rule.name)}(?:\{{[^}}]*\}})?{_RANGE.pattern}", expression)
        windows.append(_window(rule.query, rest) + max(map(parse_duration, over), default=timedelta(0)))
    return max(windows, default=timedelta(0))


def alertmanager_waits(harness: Harness) -> tuple[timedelta, timedelta]:
    """Return Alertmanager's group wait and group interval, from the configuration that it says it runs."""
    if harness.clients.alertmanager is None:
        raise SettingsError("expected an Alertmanager, but this environment has none")
    route = yaml.safe_load(harness.clients.alertmanager.config_yaml())["route"]
    return parse_duration(route.get("group_wait", "30s")), parse_duration(route.get("group_interval", "5m"))


def firing_since(harness: Harness, name: str, since: datetime, until: datetime) -> datetime | None:
    """Return the first firing sample of an alert in a stretch; None where there is none."""
    selector = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
    times = [
        sample.time
        for series in harness.clients.prometheus.samples(selector, Window(since, until)).series
        for sample in series.samples
    ]
    return min(times, default=None)


def delivered_since(harness: Harness, name: str, status: str, since: datetime) -> datetime | None:
    """Return when the receiver first got an alert with a status after an instant; None where it has not."""
    if harness.clients.receiver is None:
        raise SettingsError("expected a receiver of notifications, but this environment has none")
    times = [
        one.received
        for one in harness.clients.receiver.notifications()
        if one.name == name and one.status == status and one.received >= since
    ]
    return min(times, default=None)


def lifecycle(
    harness: Harness,
    name: str,
    quiet: Window,
    fault: Window,
    until: datetime,
    *,
    broke_in: timedelta = timedelta(0),
    mended_in: timedelta = timedelta(0),
) -> tuple[Finding, ...]:
    """Judge an alert's whole life: quiet before the fault, firing, delivered, resolved; see `bounds_of`."""
    if harness.clients.receiver is None:
        raise SettingsError("expected a receiver of notifications, but this environment has none")
    prometheus = harness.clients.prometheus
    bounds = bounds_of(harness, name, broke_in=broke_in, mended_in=mended_in)
    _, rule = find_rule(prometheus.rule_groups(), name)
    selector = f'ALERTS{{alertname="{name}"}}'
    stretch = Window(quiet.start, until)
    interval = max(group.interval for group in prometheus.rule_groups())
    evidence = AlertEvidence(
        name=name,
        alerts=prometheus.samples(selector, stretch).series,
        notifications=harness.clients.receiver.notifications(),
        quiet=quiet,
        fault=fault,
        until=until,
        evaluations=evaluations(harness, stretch),
        labels=rule.labels,
        annotations=tuple(rule.annotations),
    )
    basis = Basis(
        at=until, window=stretch, queries=(Query("prometheus", selector, prometheus.query_url(selector, until)),)
    )
    return alert_lifecycle.judge(
        evidence,
        basis,
        firing=bounds.firing,
        delivered=bounds.delivered,
        cleared=bounds.cleared,
        resolved=bounds.resolved,
        max_gap=4 * interval + SLACK,
    )


def evaluations(harness: Harness, stretch: Window) -> list[datetime]:
    """Return when rules are known to have been evaluated: Prometheus' own count of evaluations rose."""
    selector = "prometheus_rule_group_last_evaluation_timestamp_seconds"
    found = harness.clients.prometheus.samples(selector, stretch).series
    # The slowest group is the one whose silence would be believed wrongly.
    values = [sorted({sample.value for sample in series.samples}) for series in found]
    fewest = min(values, key=len, default=[])
    return [stretch.start.fromtimestamp(value, stretch.start.tzinfo) for value in fewest]


def none_active(
    harness: Harness, window: Window, name: str = "", *, labels: Mapping[str, str] | None = None
) -> Finding:
    """Judge whether no alert was pending or firing at any evaluation of a stretch.

    Without a name and labels, alerts on error budgets are left out: they remember what was spent long before.

    Args:
        harness: On the environment.
        window: The stretch.
        name: Only alerts of this name.
        labels: Only alerts with these labels.
    """
    prometheus = harness.clients.prometheus
    wanted = ({"alertname": name} if name else {}) | dict(labels or {})
    selector = selector_text({"__name__": "ALERTS", **(wanted or {"sloth_id": ""})})
    found = prometheus.samples(selector, window).series
    names = sorted(
        {
            f"{series.labels.get('alertname')} {series.labels.get('alertstate')}"
            for series in found
            if any(sample.time in window for sample in series.samples)
        }
    )
    moments = [moment for moment in evaluations(harness, window) if moment in window]
    verdict = Verdict.FAIL if names else Verdict.PASS if moments else Verdict.INCONCLUSIVE
    return Finding(
        check=alert_lifecycle.CHECK,
        verdict=verdict,
        claim=f"{name or 'no alert'}{_having(labels)} was {'neither pending nor' if name else 'pending or'} firing",
        expected=f"none, at each of {len(moments)} evaluations or more",
        measured=", ".join(names) or "none",
        at=window.end,
        queries=(Query("prometheus", selector, prometheus.query_url(selector, window.end)),),
        hint="" if moments else "no rule was evaluated in the stretch, so silence means nothing",
    )


def _having(labels: Mapping[str, str] | None) -> str:
    return " of " + ", ".join(f"{name} {text}" for name, text in labels.items()) if labels else ""
