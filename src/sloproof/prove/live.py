"""Tier 3 of the proof: the rules with time compressed, a real fault, real load; each row seen through its whole life.

What has to happen, and when, is worked out from the driver's ledger (`sloproof.prove.timeline`); what did happen is
read from Prometheus and from the receiver behind Alertmanager.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sloproof.finding import Finding, Verdict
from sloproof.harness import Harness
from sloproof.load.profile import Profile
from sloproof.model import Window
from sloproof.prove.cases import cases_of
from sloproof.prove.faults import Fault, read_fault, rounds_of
from sloproof.prove.ledger_events import Outage
from sloproof.prove.watch import CHECK, EventsOf, LiveRow, RowWatch
from sloproof.slo.model import AlertRow, Objective
from sloproof.slo.verdicts import AlertEvent
from sloproof.usual_load import usual_load

_LONGEST_SECONDS = 1800.0


def prove_live(
    harness: Harness,
    objectives: Sequence[Objective],
    events_of: EventsOf,
    *,
    quiet: timedelta = timedelta(seconds=3),
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[LiveRow, ...]:
    """Break the service for every objective that says how, and judge each of their rows.

    Objectives whose faults do not contradict each other are broken at once.

    Args:
        harness: On an environment that has the objectives' rules loaded.
        objectives: Compressed by the same factor as the rules.
        events_of: Reads an objective's events from the driver's ledger.
        quiet: How long healthy load is watched before the fault.
        tell: Told in a few words how it goes.

    Returns:
        A row each; those of objectives that say no fault or no truth are inconclusive.
    """
    able = [one for one in objectives if one.rows and one.fault and (one.truth or read_fault(one).stopped)]
    rows = [_unprovable(one, row) for one in objectives if one not in able for row in one.rows]
    if not able:
        return tuple(rows)
    before = harness.begin(_load(harness), "proof")
    watched: list[tuple[RowWatch, Window, bool]] = []
    try:
        harness.linger(quiet)
        calm = Window(before.at, datetime.now(UTC))
        for fault, group in rounds_of(able):
            outages = [window for _, window, has_stopped in watched if has_stopped]
            watch, window = _break(harness, fault, group, events_of, before.at, outages, tell)
            watched.append((watch, window, bool(fault.stopped)))
        # Alerts of the first round clear while the next one burns, so all are waited for at the end.
        for watch, window, _ in watched:
            watch.await_clearing(window.end)
    finally:
        harness.restore()
    until = harness.anchor(rules=True).at
    outages = [window for _, window, has_stopped in watched if has_stopped]
    return (*rows, *(row for watch, window, _ in watched for row in watch.judge(calm, window, until, outages)))


def _break(
    harness: Harness,
    fault: Fault,
    objectives: Sequence[Objective],
    events_of: EventsOf,
    since: datetime,
    outages: Sequence[Window],
    tell: Callable[[str], None],
) -> tuple[RowWatch, Window]:
    """Set a fault, let it last until each row has fired or is overdue, and end it."""
    cases = [case for one in objectives for case in cases_of(harness, one, outages)]
    start = datetime.now(UTC)
    scrape = harness.scrape_interval
    if fault.stopped:
        outage = Outage(start, scrape)
        events_of = outage.events_of
    watch = RowWatch(harness, cases, events_of, since)
    fault.set(harness)
    tell(f"{fault}; {len(cases)} rows have to fire")
    watch.await_firing(start)
    fault.end(harness)
    end = datetime.now(UTC)
    if fault.stopped:
        outage.end = end
    tell(f"mended after {(end - start).total_seconds():.0f} s; the rows have to clear")
    return watch, Window(start, end)


def _load(harness: Harness) -> Profile:
    return usual_load(harness, Profile(rate=harness.settings.slo.rate, duration_seconds=_LONGEST_SECONDS))


def _unprovable(objective: Objective, row: AlertRow) -> LiveRow:
    missing = "sloproof/fault" if not objective.fault else "sloproof/truth-bad and sloproof/truth-total"
    finding = Finding(
        check=CHECK,
        verdict=Verdict.INCONCLUSIVE,
        claim=f"{objective.id} {row.name} fires on a real fault",
        expected="a fault that makes the service miss the objective, and how the ledger sees it",
        measured=f"the document does not say: {missing}",
        hint=f"add the annotation to the document at {objective.place}; docs/slo-documents.md tells how",
    )
    return LiveRow(objective, row, (finding,), AlertEvent(row.name, row.severity.value))
