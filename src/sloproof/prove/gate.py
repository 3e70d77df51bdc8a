"""Judges an objective over what a scenario has just done: the same judge as over a month, with the ledger beside it."""

from __future__ import annotations

from dataclasses import replace

from sloproof.finding import Finding, Query
from sloproof.harness import Harness
from sloproof.observation import Observation
from sloproof.slo.judging.asking import Asker
from sloproof.slo.judging.judge import Sources, judge, number, percent
from sloproof.slo.judging.loki_counting import LokiAsker
from sloproof.slo.model import Objective, Rolling
from sloproof.slo.verdicts import Judgement

CHECK = "slo"


def judge_over(harness: Harness, objective: Objective, seen: Observation) -> Finding:
    """Return whether an objective is met over a stretch, by the server and by the driver's ledger.

    Args:
        harness: On the environment.
        objective: Its target is held against the stretch instead of its period.
        seen: The stretch.
    """
    over = replace(objective, period=Rolling(seen.window.duration))
    sources = Sources(Asker(harness.clients.prometheus), LokiAsker(harness.clients.loki), seen.ledger)
    return finding_of(judge(over, sources, seen.at))


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
        check=CHECK,
        verdict=found.verdict,
        claim=f"SLO {objective.id} is met: {objective.title or objective.description}",
        expected=f"at least {percent(objective.target)} good, shown by {found.enough} events or more",
        measured=f"{measured}; {found.reason}",
        at=found.at,
        queries=tuple(Query(one.source, one.text, one.url) for one in found.queries),
        evidence=tuple(evidence),
    )
