"""Watches the alerts of some rows through a fault, and judges what it saw against the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from sloproof.checks import alert_lifecycle
from sloproof.checks.alert_lifecycle import AlertEvidence, Bound
from sloproof.checks.evidence import Basis
from sloproof.claims.alerts import evaluations
from sloproof.duration import format_duration
from sloproof.errors import SettingsError
from sloproof.finding import Finding, Query, Verdict, worst
from sloproof.harness import Harness
from sloproof.model import Notification, Series, Window, ns_from_instant
from sloproof.prove.cases import ALERT, Case, RowBounds
from sloproof.prove.missed_scrapes import excused, missed_scrapes
from sloproof.prove.timeline import Events
from sloproof.slo.model import AlertRow, Objective
from sloproof.slo.verdicts import AlertEvent

CHECK = "prove_live"
# The counts that a rule divides are as old as its last scrape and evaluation; a threshold is met by so much sooner.
_EARLY_SHARE = 0.05
# A fault ends once the slowest row has fired, so its long window's ratio stays just above the threshold, and may cross
# it at any time: counts differ by a little. Below this share of the threshold nothing is close any more.
_OVER_SHARE = Fraction(95, 100)
_LOOK = timedelta(milliseconds=500)
_LONGEST_SECONDS = 900.0
# So much of a fault has to be seen before one can tell that it is too weak for a row.
_SEEN_LEAST, _SEEN_MOST = timedelta(seconds=2), timedelta(seconds=5)

EventsOf = Callable[[Objective, Window], Events]
"""Reads an objective's events in a window from the driver's ledger."""


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


class RowWatch:
    """Watches rows from before a fault until they have cleared.

    Args:
        harness: On the environment that has the rows' rules loaded.
        cases: The rows.
        events_of: Reads the ledger.
        since: From when on the ledger's events count.
    """

    def __init__(self, harness: Harness, cases: Sequence[Case], events_of: EventsOf, since: datetime) -> None:
        self.cases = tuple(cases)
        self._harness = harness
        self._events_of = events_of
        self._since = since
        self._bounds = RowBounds(harness)

    def await_firing(self, start: datetime) -> None:
        """Wait until every row that a fault has to make fire is delivered, and has to be by the ledger, or is overdue.

        Args:
            start: When the fault began.
        """

        def is_settled(case: Case, events: Events, now: datetime) -> bool:
            moment = case.condition.first(events, start, now)
            if moment is None:
                return not _can_fire(case, events, start, now)
            return self._has(case, "firing", start) or now > moment + self._bounds.delivered(case).latest

        self._await(is_settled)

    def await_clearing(self, end: datetime) -> None:
        """Wait until the all-clear of every row that has fired is delivered and due by the ledger, or is overdue.

        Args:
            end: When the fault ended.
        """

        def is_settled(case: Case, events: Events, now: datetime) -> bool:
            if not self._has(case, "firing", self._since):
                return True
            moment = case.condition.first(events, end, now, holds=False, share=_OVER_SHARE)
            if moment is None:
                return False
            return self._has(case, "resolved", end) or now > moment + self._bounds.resolved(case).latest

        self._await(is_settled)

    def _await(self, is_settled: Callable[[Case, Events, datetime], bool]) -> None:
        waiting = list(self.cases)
        ends = time.monotonic() + _LONGEST_SECONDS
        while waiting and time.monotonic() < ends:
            # The ledger grows all the time, and reading it is the dear part.
            self._harness.linger(_LOOK)
            now = datetime.now(UTC)
            events = self._events(waiting, now)
            waiting = [case for case in waiting if not is_settled(case, events[case.objective.id], now)]

    def _events(self, cases: Iterable[Case], until: datetime) -> Mapping[str, Events]:
        """Return the events of each objective by its id; its rows share them."""
        objectives = {case.objective.id: case.objective for case in cases}
        return {name: self._events_of(one, Window(self._since, until)) for name, one in objectives.items()}

    def _has(self, case: Case, status: str, since: datetime) -> bool:
        return any(one.status == status and one.received >= since and case.is_of(one) for one in self._notifications())

    def _notifications(self) -> tuple[Notification, ...]:
        receiver = self._harness.clients.receiver
        if receiver is None:
            raise SettingsError("expected a receiver of notifications, but this environment has none")
        return receiver.notifications()

    def judge_delivery(self, start: datetime, until: datetime) -> tuple[Finding, ...]:
        """Judge whether each row's alert has reached its receiver in time, so far; its end is still to come.

        What fails while scrapes were missed is inconclusive, and says so.

        Args:
            start: When the fault began.
            until: How far to look.
        """
        events = self._events(self.cases, until)
        findings = [self._judge_delivery(case, events[case.objective.id], start, until) for case in self.cases]
        return excused(findings, missed_scrapes(self._harness, Window(self._since, until)))

    def _judge_delivery(self, case: Case, events: Events, start: datetime, until: datetime) -> Finding:
        prometheus = self._harness.clients.prometheus
        query = Query("prometheus", case.selector, prometheus.query_url(case.selector, until))
        fires = case.condition.first(events, start, until)
        if fires is None:
            return _not_reached(case, has_fired=False, query=query, until=until)
        bound = _shifted(self._bounds.delivered(case), fires - start, "by the ledger the budget is spent")
        got = min(
            (
                one.received
                for one in self._notifications()
                if one.status == "firing" and one.received >= start and case.is_of(one)
            ),
            default=None,
        )
        return Finding(
            check=alert_lifecycle.CHECK,
            verdict=Verdict.PASS if got is not None and got - start <= bound.latest else Verdict.FAIL,
            claim=f"a {case.row.severity.value} for {case.objective.id} ({case.row.name}) is delivered in time",
            expected=f"{format_duration(bound.latest)} from {start.isoformat(timespec='milliseconds')}: {bound.text}",
            measured="not delivered" if got is None else f"after {(got - start).total_seconds():.3f} s",
            at=until,
            queries=(query,),
            hint="" if got else "never fired: its labels on both sides of `and`; never delivered: the route",
        )

    def seen(self, start: datetime, until: datetime) -> tuple[AlertEvent, ...]:
        """Return what has come of each row's alert so far, its end not yet among it.

        Args:
            start: When the fault began.
            until: How far to look.
        """
        events = self._events(self.cases, until)
        found = []
        for case in self.cases:
            alerts = self._harness.clients.prometheus.samples(case.selector, Window(start, until)).series
            told = [one for one in self._notifications() if case.is_of(one) and one.received >= start]
            fires = case.condition.first(events[case.objective.id], start, until)
            bound = None if fires is None else fires + self._bounds.delivered(case).latest
            found.append(_event(case, alerts, told, bound))
        return tuple(found)

    def judge(
        self, calm: Window, fault: Window, until: datetime, outages: Sequence[Window] = ()
    ) -> tuple[LiveRow, ...]:
        """Judge each row's life. What fails while the running service missed scrapes is inconclusive, and says so.

        Args:
            calm: The stretch of healthy load before the fault.
            fault: From the fault's begin to its end.
            until: How far the evidence reaches: an instant after the barrier.
            outages: When the service was stopped on purpose.
        """
        events = self._events(self.cases, until)
        missed = missed_scrapes(self._harness, Window(calm.start, until), outages)
        rows = [self._judge(case, events[case.objective.id], calm, fault, until) for case in self.cases]
        return tuple(replace(row, findings=excused(row.findings, missed)) for row in rows)

    def _judge(self, case: Case, events: Events, calm: Window, fault: Window, until: datetime) -> LiveRow:
        fires = case.condition.first(events, fault.start, fault.end)
        clears = case.condition.first(events, fault.end, until, holds=False, share=_OVER_SHARE)
        prometheus = self._harness.clients.prometheus
        stretch = Window(calm.start, until)
        alerts = prometheus.samples(case.selector, stretch).series
        # An all-clear while the fault lasts is a flap, no end: with time compressed, a hiccup of a second is a window.
        # A receiver that was kept remembers what earlier runs were sent.
        since = {"firing": calm.start, "resolved": fault.end}
        notifications = [one for one in self._notifications() if case.is_of(one) and one.received >= since[one.status]]
        query = Query("prometheus", case.selector, prometheus.query_url(case.selector, until))
        if fires is None or clears is None:
            finding = _not_reached(case, has_fired=fires is not None, query=query, until=until)
            return LiveRow(case.objective, case.row, (finding,), _event(case, alerts, notifications))
        lead, tail = fires - fault.start, clears - fault.end
        bounds = self._bounds
        early = (lead + calm.duration) * _EARLY_SHARE + 2 * bounds.scrape + 2 * bounds.evaluation
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
            firing=_shifted(bounds.firing(case), lead, "by the ledger the budget is spent", early),
            delivered=_shifted(bounds.delivered(case), lead, "by the ledger the budget is spent"),
            cleared=_shifted(bounds.cleared(case), tail, "by the ledger the burn is over"),
            resolved=_shifted(bounds.resolved(case), tail, "by the ledger the burn is over"),
            max_gap=bounds.max_gap,
        )
        latest = (fires + bounds.delivered(case).latest, clears + bounds.resolved(case).latest)
        return LiveRow(case.objective, case.row, findings, _event(case, alerts, notifications, *latest))


def _can_fire(case: Case, events: Events, start: datetime, now: datetime) -> bool:
    """Return whether a fault is bad enough for a row, as far as can be seen."""
    seen = min(now - start, _SEEN_MOST)
    if seen < _SEEN_LEAST:
        return True
    bad, valid = events.counts(ns_from_instant(now - seen), ns_from_instant(now))
    return valid == 0 or bad > case.row.factor * case.objective.budget * valid


def _not_reached(case: Case, *, has_fired: bool, query: Query, until: datetime) -> Finding:
    return Finding(
        check=CHECK,
        verdict=Verdict.INCONCLUSIVE,
        claim=f"{case.objective.id} {case.row.name} fires on a real fault, and clears",
        expected=f"a fault that burns the budget {float(case.row.factor):g} times too fast, and its end",
        measured=f"by the ledger, the row's condition never {'ceased' if has_fired else 'came'} to hold",
        at=until,
        queries=(query,),
        hint="a stronger fault (annotation sloproof/fault), or a lower target, makes the row reachable",
    )


def _shifted(bound: Bound, by: timedelta, why: str, early: timedelta | None = None) -> Bound:
    """Return a bound that is counted from the fault's begin or end instead."""
    latest = by + bound.latest
    earliest = max(by - early, timedelta(0)) if early is not None else timedelta(0)
    return Bound(latest, f"{why} after {format_duration(by)} + {bound.text} = {format_duration(latest)}", earliest)


def _event(
    case: Case,
    alerts: Sequence[Series],
    notifications: Sequence[Notification],
    bound: datetime | None = None,
    clear_bound: datetime | None = None,
) -> AlertEvent:
    """Return the row's instants for the report."""
    active = [one.time for series in alerts for one in series.samples]
    firing = [one.time for series in alerts if series.labels.get("alertstate") == "firing" for one in series.samples]
    delivered = [one.received for one in notifications if one.status == "firing"]
    cleared = [one.received for one in notifications if one.status == "resolved"]
    return AlertEvent(
        row=case.row.name,
        severity=case.row.severity.value,
        pending=min(active, default=None),
        firing=min(firing, default=None),
        delivered=min(delivered, default=None),
        cleared=min(cleared, default=None),
        bound=bound,
        clear_bound=clear_bound,
    )
