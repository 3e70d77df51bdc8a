"""Tier 3 of the proof: the rules with time compressed, a real fault, real load; each row seen through its whole life.

What has to happen, and when, is worked out from the driver's ledger (`sloproof.prove.timeline`); what did happen is
read from Prometheus and from the receiver behind Alertmanager.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sloproof.finding import Finding, Verdict
from sloproof.harness import Harness
from sloproof.load.profile import Profile
from sloproof.model import Window
from sloproof.prove.cases import cases_of
from sloproof.prove.watch import CHECK, EventsOf, LiveRow, RowWatch
from sloproof.slo.model import AlertRow, Objective
from sloproof.slo.verdicts import AlertEvent

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

    Objectives whose faults do not contradict each other are proven in one round.

    Args:
        harness: On an environment that has the objectives' rules loaded.
        objectives: Compressed by the same factor as the rules.
        events_of: Reads an objective's events from the driver's ledger.
        quiet: How long healthy load is watched before the fault.
        tell: Told in a few words how it goes.

    Returns:
        A row each; those of objectives that say no fault or no truth are inconclusive.
    """
    able = [one for one in objectives if one.rows and one.fault and one.truth]
    rows = [_unprovable(one, row) for one in objectives if one not in able for row in one.rows]
    for fault, group in _rounds(able):
        rows += _round(harness, group, fault, events_of, quiet, tell)
    return tuple(rows)


def _round(
    harness: Harness,
    objectives: Sequence[Objective],
    fault: dict[str, Any],
    events_of: EventsOf,
    quiet: timedelta,
    tell: Callable[[str], None],
) -> tuple[LiveRow, ...]:
    before = harness.begin(_load(harness), "proof")
    try:
        harness.linger(quiet)
        calm = Window(before.at, datetime.now(UTC))
        cases = [case for one in objectives for case in cases_of(harness, one)]
        watch = RowWatch(harness, cases, events_of, before.at)
        harness.clients.service.set_faults(fault)
        start = datetime.now(UTC)
        tell(f"fault {json.dumps(fault)} is set; {len(cases)} rows have to fire")
        watch.await_firing(start)
        harness.clients.service.clear_faults()
        end = datetime.now(UTC)
        tell(f"the fault has ended after {(end - start).total_seconds():.0f} s; the rows have to clear")
        watch.await_clearing(end)
    finally:
        harness.restore()
    until = harness.anchor(rules=True).at
    return watch.judge(calm, Window(start, end), until)


def _load(harness: Harness) -> Profile:
    load = harness.settings.load
    return Profile(
        mix=harness.usual_mix,
        rate=harness.settings.slo.rate,
        duration_seconds=_LONGEST_SECONDS,
        seed=load.seed,
        timeout_seconds=load.timeout_seconds,
    )


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


def _rounds(objectives: Sequence[Objective]) -> list[tuple[dict[str, Any], list[Objective]]]:
    """Return objectives in groups whose faults do not contradict each other, each with the faults as one."""
    rounds: list[tuple[dict[str, Any], list[Objective]]] = []
    for one in objectives:
        fault = json.loads(one.fault)
        for merged, group in rounds:
            if all(merged.get(key, value) == value for key, value in fault.items()):
                merged.update(fault)
                group.append(one)
                break
        else:
            rounds.append((dict(fault), [one]))
    return rounds
