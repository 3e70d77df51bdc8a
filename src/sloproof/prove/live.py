"""Tier 3 of the proof: the rules with time compressed, a real fault, real load; each row seen through its whole life.

What has to happen, and when, is worked out from the driver's ledger (`sloproof.prove.timeline`); what did happen is
read from Prometheus and from the receiver behind Alertmanager.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sloproof.checks import alert_lifecycle
from sloproof.checks.alert_lifecycle import AlertEvidence, Bound
from sloproof.checks.evidence import Basis
from sloproof.claims.alerts import alertmanager_waits, evaluations
from sloproof.duration import format_duration
from sloproof.errors import SettingsError
from sloproof.finding import Finding, Query, Verdict, worst
from sloproof.harness import Harness
from sloproof.load.profile import Profile
from sloproof.model import Notification, Series, Window, ns_from_instant
from sloproof.prove.timeline import Condition, Events
from sloproof.slo.model import AlertRow, Objective, Source
from sloproof.slo.verdicts import AlertEvent

ALERT = "ErrorBudgetBurn"
# What the programs may add on a busy machine to what they are configured for.
_SLACK = timedelta(seconds=2)
# The counts that a rule divides are as old as its last scrape and evaluation; a threshold is met by so much sooner.
_EARLY_SHARE = 0.05
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 1.0
_LONGEST_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a row waits for, by the ledger: when its condition came to hold, and when it ceased to."""

    fires: datetime | None
    clears: datetime | None


@dataclass(frozen=True, slots=True)
class LiveRow:
    """One row of one objective, seen live.

    Attributes:
        findings: Quiet, firing, delivered, resolved; or one that says why none of these could be judged.
        event: The instants, for the report.
    """

    objective: Objective
    row: AlertRow
    findings: tuple[Finding, ...]
    event: AlertEvent

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of its findings."""
        return worst(finding.verdict for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Case:
    """A row that the fault concerns."""

    objective: Objective
    row: AlertRow
    condition: Condition

    @property
    def labels(self) -> dict[str, str]:
        return {"sloth_id": self.objective.id, "row": self.row.name}


class LiveProof:
    """Proves the rows of objectives on a running environment that has their compressed rules loaded.

    Args:
        harness: On that environment.
        objectives: Compressed by the same factor as the rules.
        events_of: Reads an objective's events in a window from the driver's ledger.
        tell: Told in a few words how it goes.
    """

    def __init__(
        self,
        harness: Harness,
        objectives: Sequence[Objective],
        events_of: Callable[[Objective, Window], Events],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._harness = harness
        self._objectives = [one for one in objectives if one.rows]
        self._events_of = events_of
        self._tell = tell
        self._scrape = harness.scrape_interval
        self._evaluation = max(group.interval for group in harness.clients.prometheus.rule_groups())
        self._group_wait, self._group_interval = alertmanager_waits(harness)

    def run(self, *, quiet: timedelta = timedelta(seconds=3)) -> tuple[LiveRow, ...]:
        """Break the service once, for every objective that says how, and judge each of their rows.

        Args:
            quiet: How long healthy load is watched before the fault.

        Returns:
            A row each; those of objectives that say no fault or no truth are inconclusive.
        """
        able = [one for one in self._objectives if one.fault and one.truth]
        rows = [self._unprovable(one, row) for one in self._objectives if one not in able for row in one.rows]
        for group in _together(able):
            rows += self._round(group, quiet)
        return tuple(rows)

    def _unprovable(self, objective: Objective, row: AlertRow) -> LiveRow:
        missing = "sloproof/fault" if not objective.fault else "sloproof/truth-bad and sloproof/truth-total"
        finding = Finding(
            check="prove_live",
            verdict=Verdict.INCONCLUSIVE,
            claim=f"{objective.id} {row.name} fires on a real fault",
            expected="a fault that makes the service miss the objective, and how the ledger sees it",
            measured=f"the document does not say: {missing}",
            hint=f"add the annotation to the document at {objective.place}; docs/slo-documents.md tells how",
        )
        return LiveRow(objective, row, (finding,), AlertEvent(row.name, row.severity.value))

    def _round(self, objectives: Sequence[Objective], quiet: timedelta) -> list[LiveRow]:
        harness = self._harness
        fault: dict[str, Any] = {}
        for one in objectives:
            fault |= json.loads(one.fault)
        began = harness.begin(self._load(), "proof")
        try:
            calm = Window(began.at, self._watch_quiet(quiet))
            cases = self._cases(objectives)
            harness.clients.service.set_faults(fault)
            start = datetime.now(UTC)
            self._tell(f"fault {json.dumps(fault)} set; {len(cases)} rows have to fire")
            self._await_firing(cases, began.at, start)
            harness.clients.service.clear_faults()
            end = datetime.now(UTC)
            self._tell(f"fault ended after {(end - start).total_seconds():.0f} s; the rows have to clear")
            self._await_clearing(cases, began.at, end)
        finally:
            harness.restore()
        until = harness.anchor(rules=True).at
        return [self._judge(case, calm, Window(start, end), until, began.at) for case in cases]

    def _load(self) -> Profile:
        load = self._harness.settings.load
        return Profile(
            mix=self._harness.usual_mix,
            rate=self._harness.settings.slo.rate,
            duration_seconds=_LONGEST_SECONDS,
            seed=load.seed,
            timeout_seconds=load.timeout_seconds,
        )

    def _watch_quiet(self, length: timedelta) -> datetime:
        self._harness.linger(length)
        return datetime.now(UTC)

    def _cases(self, objectives: Sequence[Objective]) -> list[_Case]:
        cases = []
        for one in objectives:
            since = self._known_since(one)
            cases += [_Case(one, row, Condition(row, one.budget, since, one.min_events)) for row in one.rows]
        return cases

    def _known_since(self, objective: Objective) -> datetime:
        """Return when the rules of an objective began to have data.

        Raises:
            SettingsError: They have none: they are not loaded, or select nothing.
        """
        selector = f'{{__name__=~"slo:sli_valid:.+", sloth_id="{objective.id}"}}'
        now = datetime.now(UTC)
        found = self._harness.clients.prometheus.samples(selector, Window(now - timedelta(hours=1), now)).series
        if not found:
            raise SettingsError(
                f"expected the rules of {objective.id} to have recorded something, but there is nothing",
                where=objective.place,
                query=selector,
                hint=self._harness.clients.prometheus.nearest(selector, Window(now - timedelta(minutes=5), now))
                or "are the rules loaded, and do their queries select series that exist? try: sloproof lint",
            )
        return min(series.samples[0].time for series in found)

    def _await_firing(self, cases: Sequence[_Case], since: datetime, start: datetime) -> None:
        """Let the fault last until every row that has to has fired and been delivered, or is overdue."""
        self._await(
            cases,
            lambda case, events, now: self._overdue(
                case.condition.first(events, start, now), now, self._delivery_bound(case)
            ),
            lambda case: self._delivered(case, "firing", start),
            since,
            give_up=lambda case, events, now: not self._can_fire(case, events, start, now),
        )

    def _await_clearing(self, cases: Sequence[_Case], since: datetime, end: datetime) -> None:
        self._await(
            cases,
            lambda case, events, now: self._overdue(
                case.condition.first(events, end, now, holds=False), now, self._resolve_bound(case)
            ),
            lambda case: self._delivered(case, "resolved", end),
            since,
            give_up=lambda case, _events, _now: not self._delivered(case, "firing", since),
        )

    def _await(
        self,
        cases: Sequence[_Case],
        is_overdue: Callable[[_Case, Events, datetime], bool],
        has_come: Callable[[_Case], bool],
        since: datetime,
        *,
        give_up: Callable[[_Case, Events, datetime], bool],
    ) -> None:
        waiting = list(cases)
        ends = time.monotonic() + _LONGEST_SECONDS
        looked = 0.0
        while waiting and time.monotonic() < ends:
            self._harness.linger(timedelta(seconds=_POLL_SECONDS))
            waiting = [case for case in waiting if not has_come(case)]
            if time.monotonic() - looked < _LOOK_SECONDS:
                continue
            looked = time.monotonic()
            now = datetime.now(UTC)
            events = {case.objective.id: self._events_of(case.objective, Window(since, now)) for case in waiting}
            waiting = [
                case
                for case in waiting
                if not is_overdue(case, events[case.objective.id], now)
                and not give_up(case, events[case.objective.id], now)
            ]

    def _can_fire(self, case: _Case, events: Events, start: datetime, now: datetime) -> bool:
        """Return whether the fault is bad enough for a row, as far as can be seen."""
        seen = min(now - start, timedelta(seconds=5))
        if seen < timedelta(seconds=2):
            return True
        bad, valid = events.counts(ns_from_instant(now - seen), ns_from_instant(now))
        return valid == 0 or bad > case.row.factor * case.objective.budget * valid

    def _overdue(self, moment: datetime | None, now: datetime, bound: Bound) -> bool:
        return moment is not None and now > moment + bound.latest

    def _delivered(self, case: _Case, status: str, since: datetime) -> bool:
        return any(
            one.status == status and one.received >= since and _is_of(case, one) for one in self._notifications()
        )

    def _notifications(self) -> tuple[Notification, ...]:
        receiver = self._harness.clients.receiver
        if receiver is None:
            raise SettingsError("expected a receiver of notifications, but this environment has none")
        return receiver.notifications()

    # Bounds, each counted from the instant at which the condition came to hold, or ceased to

    def _sum(self, case: _Case, *more: tuple[str, timedelta]) -> Bound:
        parts = [("scrape", self._scrape), ("evaluation", self._evaluation), ("evaluation", self._evaluation)]
        if case.objective.source is Source.LOKI:
            parts.append(("shipping", timedelta(seconds=self._harness.settings.logs.ship_seconds)))
        parts += [*more, ("slack", _SLACK)]
        latest = sum((length for _, length in parts), timedelta(0))
        text = " + ".join(f"{name} {format_duration(length)}" for name, length in parts if length)
        return Bound(latest, f"{text} = {format_duration(latest)}")

    def _firing_bound(self, case: _Case) -> Bound:
        return self._sum(case, ("for", case.row.hold))

    def _delivery_bound(self, case: _Case) -> Bound:
        return self._sum(case, ("for", case.row.hold), ("group wait", self._group_wait))

    def _clear_bound(self, case: _Case) -> Bound:
        return self._sum(case)

    def _resolve_bound(self, case: _Case) -> Bound:
        return self._sum(case, ("group interval", self._group_interval))

    def _judge(self, case: _Case, calm: Window, fault: Window, until: datetime, since: datetime) -> LiveRow:
        events = self._events_of(case.objective, Window(since, until))
        trigger = Trigger(
            case.condition.first(events, fault.start, fault.end),
            case.condition.first(events, fault.end, until, holds=False),
        )
        selector = f'ALERTS{{alertname="{ALERT}", sloth_id="{case.objective.id}", row="{case.row.name}"}}'
        prometheus = self._harness.clients.prometheus
        stretch = Window(calm.start, until)
        alerts = prometheus.samples(selector, stretch).series
        notifications = [one for one in self._notifications() if _is_of(case, one)]
        query = Query("prometheus", selector, prometheus.query_url(selector, until))
        if trigger.fires is None or trigger.clears is None:
            return LiveRow(
                case.objective, case.row, (self._not_reached(case, trigger, query, until),), _event(case, alerts, ())
            )
        lead, tail = trigger.fires - fault.start, trigger.clears - fault.end
        early = (lead + calm.duration) * _EARLY_SHARE + 2 * self._scrape + 2 * self._evaluation
        evidence = AlertEvidence(
            name=ALERT,
            alerts=alerts,
            notifications=notifications,
            quiet=calm,
            fault=fault,
            until=until,
            evaluations=evaluations(self._harness, stretch),
            labels={**case.labels, "severity": case.row.severity.value, "sloth_slo": case.objective.slo},
            annotations=("title", "summary", "description"),
            among=case.labels,
        )
        findings = alert_lifecycle.judge(
            evidence,
            Basis(at=until, window=stretch, queries=(query,)),
            firing=_shifted(self._firing_bound(case), lead, "by the ledger the budget is spent", early),
            delivered=_shifted(self._delivery_bound(case), lead, "by the ledger the budget is spent"),
            cleared=_shifted(self._clear_bound(case), tail, "by the ledger the burn is over"),
            resolved=_shifted(self._resolve_bound(case), tail, "by the ledger the burn is over"),
            max_gap=4 * self._evaluation + _SLACK,
        )
        bounds = (trigger.fires + self._firing_bound(case).latest, trigger.clears + self._clear_bound(case).latest)
        return LiveRow(case.objective, case.row, findings, _event(case, alerts, notifications, *bounds))

    def _not_reached(self, case: _Case, trigger: Trigger, query: Query, until: datetime) -> Finding:
        what = "never came to hold" if trigger.fires is None else "never ceased to hold"
        return Finding(
            check="prove_live",
            verdict=Verdict.INCONCLUSIVE,
            claim=f"{case.objective.id} {case.row.name} fires on a real fault, and clears",
            expected=f"a fault that burns the budget {float(case.row.factor):g} times too fast, and its end",
            measured=f"by the ledger, the row's condition {what}",
            at=until,
            queries=(query,),
            hint="a stronger fault (annotation sloproof/fault), or a lower target, makes the row reachable",
        )


def _is_of(case: _Case, notification: Notification) -> bool:
    labels = notification.labels
    return notification.name == ALERT and all(labels.get(name) == text for name, text in case.labels.items())


def _shifted(bound: Bound, by: timedelta, why: str, early: timedelta | None = None) -> Bound:
    """Return a bound that is counted from the fault's begin or end instead."""
    latest = by + bound.latest
    earliest = max(by - early, timedelta(0)) if early is not None else timedelta(0)
    return Bound(latest, f"{why} after {format_duration(by)} + {bound.text} = {format_duration(latest)}", earliest)


def _event(
    case: _Case,
    alerts: Sequence[Series],
    notifications: Sequence[Notification],
    bound: datetime | None = None,
    clear_bound: datetime | None = None,
) -> AlertEvent:
    """Return the row's instants for the report."""
    times: dict[str, list[datetime]] = {"pending": [], "firing": []}
    for series in alerts:
        times.setdefault(series.labels.get("alertstate", ""), []).extend(one.time for one in series.samples)
    delivered = [one.received for one in notifications if one.status == "firing"]
    cleared = [one.received for one in notifications if one.status == "resolved"]
    return AlertEvent(
        row=case.row.name,
        severity=case.row.severity.value,
        pending=min(times["pending"] + times["firing"], default=None),
        firing=min(times["firing"], default=None),
        delivered=min(delivered, default=None),
        cleared=min(cleared, default=None),
        bound=bound,
        clear_bound=clear_bound,
    )


def _together(objectives: Sequence[Objective]) -> list[list[Objective]]:
    """Return objectives in groups whose faults do not contradict each other: one round each."""
    groups: list[tuple[dict[str, Any], list[Objective]]] = []
    for one in objectives:
        fault = json.loads(one.fault)
        for merged, group in groups:
            if all(merged.get(key, value) == value for key, value in fault.items()):
                merged.update(fault)
                group.append(one)
                break
        else:
            groups.append((dict(fault), [one]))
    return [group for _, group in groups]
