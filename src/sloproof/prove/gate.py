"""Judges an objective over what a scenario has just done: the same judge as over a month, with the ledger beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sloproof.finding import Finding, Query, Verdict, worst
from sloproof.harness import Harness
from sloproof.model import Window
from sloproof.observation import Observation
from sloproof.prove.watch import LiveRow
from sloproof.slo.judging.asking import Asker
from sloproof.slo.judging.judge import Sources, judge, number, percent
from sloproof.slo.judging.loki_counting import LokiAsker
from sloproof.slo.model import Objective, Rolling, Source
from sloproof.slo.verdicts import AlertEvent, Judgement

CHECK = "slo"
# What the driver's ledger says of time is the load source's own word.
CHECK_BY_LEDGER = "slo_ledger"
# A load lasts seconds: its moments are as short as still hold a few scrapes.
_SHORTEST, _SCRAPES = timedelta(seconds=1), 4
_MS = timedelta(milliseconds=1)


def judge_over(harness: Harness, objective: Objective, seen: Observation) -> Judgement:
    """Return how an objective stands over a stretch, by the server and by the driver's ledger.

    Args:
        harness: On the environment.
        objective: Its target is held against the stretch instead of its period.
        seen: The stretch.
    """
    over = replace(objective, period=_period(seen.window))
    sources = Sources(Asker(harness.clients.prometheus), LokiAsker(harness.clients.loki), seen.ledger)
    found = judge(over, sources, seen.at)
    # A second in which a scrape came late is no second without data, so short moments are for the charts only.
    return replace(found, moments=judge(over, sources, seen.at, _finest(harness)).moments)


def drill(
    harness: Harness,
    objective: Objective,
    window: Window,
    alerts: Sequence[AlertEvent],
    findings: Sequence[Finding],
) -> Judgement:
    """Return how an objective stands over a stretch in which a fault was planted to see its alerts.

    Args:
        harness: On the environment.
        objective: Whose budget the fault spent.
        window: From the healthy load before the fault to the end of the evidence.
        alerts: What came of the alerts.
        findings: What was judged of them; the verdict is the worst of theirs.
    """
    over = replace(objective, period=_period(window))
    # The ledger has judged when the alerts had to come; how much was spent is told as the rules saw it.
    ledger = harness.ledger if objective.source is Source.LEDGER else None
    sources = Sources(Asker(harness.clients.prometheus), LokiAsker(harness.clients.loki), ledger)
    found = judge(over, sources, window.end, _finest(harness))
    bad = [one for one in findings if one.verdict is not Verdict.PASS]
    told = "; ".join(f"{one.claim}: {one.measured}" for one in bad) or "each alert came and went within its bounds"
    reason = f"a fault was planted to see the alerts: {told}"
    if not found.count.valid:
        reason += f"; its budget could not be counted: {found.reason}"
    verdict = worst(one.verdict for one in findings)
    return replace(found, verdict=verdict, reason=reason, alerts=tuple(alerts), drill=True)


def drills_of(harness: Harness, rows: Sequence[LiveRow], since: datetime) -> tuple[Judgement, ...]:
    """Return the drills that rows were seen in, one an objective, from `since` to now."""
    window = Window(since, datetime.now(UTC))
    objectives = {row.objective.id: row.objective for row in rows}
    found = []
    for name, objective in objectives.items():
        own = [row for row in rows if row.objective.id == name]
        findings = [finding for row in own for finding in row.findings]
        found.append(drill(harness, objective, window, [row.event for row in own], findings))
    return tuple(found)


def _period(window: Window) -> Rolling:
    # No sample's instant is finer, and servers align what is asked to such steps.
    return Rolling(window.duration // _MS * _MS)


def _finest(harness: Harness) -> timedelta:
    return max(_SHORTEST, _SCRAPES * harness.scrape_interval)


def finding_of(found: Judgement) -> Finding:
    """Return a judgement as a finding."""
    objective, count = found.objective, found.count
    measured = "no event" if found.sli is None else f"{percent(found.sli)} of {number(count.valid)} events"
    interval = found.interval
    evidence = [("coverage", percent(count.coverage)), ("events needed", str(found.enough))]
    if interval is not None:
        text = f"{interval.low:.4%} to {interval.high:.4%}, {interval.method}, {interval.confidence:.0%}"
        evidence.append(("interval", text))
    return Finding(
        check=CHECK_BY_LEDGER if objective.source is Source.LEDGER else CHECK,
        verdict=found.verdict,
        claim=f"SLO {objective.id} is met: {objective.title or objective.description}",
        expected=f"at least {percent(objective.target)} good, shown by {found.enough} events or more",
        measured=f"{measured}; {found.reason}",
        at=found.at,
        queries=tuple(Query(one.source, one.text, one.url) for one in found.queries),
        evidence=tuple(evidence),
    )
