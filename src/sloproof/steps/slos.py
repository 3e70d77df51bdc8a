"""Sentences about service level objectives: their alerts on the budget, and what the ledger makes of them.

They need the tag @slo: the environment then runs the rules of the project's SLO documents, with time compressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from pytest_bdd import given, parsers, then

from sloproof.claims import alerts
from sloproof.errors import FeatureError
from sloproof.finding import Finding
from sloproof.model import Window
from sloproof.prove.cases import ALERT, Case, cases_of
from sloproof.prove.gate import drill, drills_of, finding_of, judge_over
from sloproof.prove.ledger_events import events_from
from sloproof.prove.local_rules import compressed_objectives
from sloproof.prove.watch import RowWatch
from sloproof.slo.model import Objective, Severity
from sloproof.steps.types import TYPES
from sloproof.trial import Trial


@dataclass(slots=True)
class SloTrial:
    """What a scenario knows of its SLOs.

    Attributes:
        objectives: Of the project, with time compressed as in the rules that run.
        calm: The stretch of healthy load before the fault.
        began: When the fault began.
        watched: The rows whose alerts were seen to be delivered.
    """

    objectives: Sequence[Objective]
    calm: Window | None = None
    began: datetime | None = None
    watched: list[Case] = field(default_factory=list)

    def find(self, slo: str) -> Objective:
        """Return an objective by the name of its SLO.

        Raises:
            FeatureError: No document has it.
        """
        for one in self.objectives:
            if slo in {one.slo, one.id}:
                return one
        raise FeatureError(
            f"expected an SLO called {slo!r}, but no document has it",
            known=", ".join(one.slo for one in self.objectives) or "none",
            hint="documents are in the folder that tool.sloproof.slo.documents names",
        )


@pytest.fixture
def slo_trial(trial: Trial) -> SloTrial:
    """What this scenario knows of its SLOs."""
    return SloTrial(compressed_objectives(trial.harness.root, trial.harness.settings))


@given(parsers.parse('no {severity:severity} for SLO "{slo:text}" has been active for "{length:duration}"', TYPES))
def has_been_quiet(trial: Trial, slo_trial: SloTrial, severity: str, slo: str, length: timedelta) -> None:
    """Wait so long under the load that runs, and judge that none of these was pending or firing meanwhile."""
    objective = slo_trial.find(slo)
    start = datetime.now(UTC)
    trial.harness.linger(length)
    # Every rule group was evaluated at least once by then, the slow ones too.
    slo_trial.calm = Window(start, trial.harness.anchor(rules=True).at)
    trial.harness.judge(_silence(trial, slo_trial.calm, objective, severity=severity))


@then(parsers.parse('a {severity:severity} for SLO "{slo:text}" is delivered within its bound', TYPES))
def is_delivered(trial: Trial, slo_trial: SloTrial, severity: str, slo: str) -> None:
    """Judge the first row of that severity: the ledger says when its budget was spent, the bound counts from there."""
    _await_delivery(trial, slo_trial, slo_trial.find(slo), Severity(severity))


@then(parsers.parse('a ticket but no page for SLO "{slo:text}" is delivered within its bound', TYPES))
def ticket_but_no_page(trial: Trial, slo_trial: SloTrial, slo: str) -> None:
    """Judge the first ticket row as above, and that no page of the SLO was pending or firing since the fault began."""
    objective = slo_trial.find(slo)
    _await_delivery(trial, slo_trial, objective, Severity.TICKET)
    since = slo_trial.began or datetime.now(UTC)
    until = trial.harness.anchor(rules=True).at
    trial.harness.judge(_silence(trial, Window(since, until), objective, severity=Severity.PAGE.value))


@then("it clears within its bound once the fault ends")
def clears(trial: Trial, slo_trial: SloTrial) -> None:
    """End every fault, and judge the alert's whole life: quiet, fired, delivered, cleared and resolved in time."""
    if not slo_trial.watched or slo_trial.began is None:
        raise FeatureError(
            "expected an earlier step to have seen an alert of an SLO delivered, but none has",
            hint='add: Then a page for SLO "..." is delivered within its bound',
        )
    trial.clear_faults()
    end = datetime.now(UTC)
    watch = _watch(trial, slo_trial, slo_trial.watched)
    watch.await_clearing(end)
    until = trial.harness.anchor(rules=True).at
    calm = slo_trial.calm or Window(trial.started_at, slo_trial.began)
    rows = watch.judge(calm, Window(slo_trial.began, end), until)
    for found in drills_of(trial.harness, rows, calm.start):
        trial.harness.note_slo(found)
    for row in rows:
        trial.harness.judge(*row.findings)


@then(parsers.parse('SLO "{slo:text}" is met', TYPES))
def is_met(trial: Trial, slo_trial: SloTrial, slo: str) -> None:
    """Judge the objective over the last load, with events, coverage and interval, and hold it against the ledger."""
    found = judge_over(trial.harness, slo_trial.find(slo), trial.observation)
    trial.harness.note_slo(found)
    trial.harness.judge(finding_of(found))


@then(parsers.parse('no alert on the budget of SLO "{slo:text}" was pending or firing since then', TYPES))
def none_active(trial: Trial, slo_trial: SloTrial, slo: str) -> None:
    """Judge every evaluation since the scenario's first request, after one that saw all of it."""
    objective = slo_trial.find(slo)
    seen = trial.observation
    until = trial.harness.anchor(rules=True).at
    trial.harness.judge(_silence(trial, Window(seen.before.at, until), objective))


def _silence(trial: Trial, window: Window, objective: Objective, **labels: str) -> Finding:
    return alerts.none_active(trial.harness, window, ALERT, labels={"sloth_id": objective.id, **labels})


def _await_delivery(trial: Trial, slo_trial: SloTrial, objective: Objective, severity: Severity) -> None:
    if trial.changed_at is None:
        raise FeatureError("expected an earlier step to have broken something, but none has")
    if objective.truth is None:
        raise FeatureError(
            f"expected SLO {objective.slo} to say how the ledger sees its events, but it does not",
            where=objective.place,
            hint="annotations sloproof/truth-bad and sloproof/truth-total; docs/slo-documents.md tells how",
        )
    slo_trial.began = trial.changed_at
    cases = [case for case in cases_of(trial.harness, objective) if case.row.severity is severity][:1]
    if not cases:
        raise FeatureError(f"expected SLO {objective.slo} to have a {severity.value}, but it has none")
    watch = _watch(trial, slo_trial, cases)
    watch.await_firing(slo_trial.began)
    slo_trial.watched += cases
    until = datetime.now(UTC)
    findings = watch.judge_delivery(slo_trial.began, until)
    seen, stretch = watch.seen(slo_trial.began, until), Window(_since(trial, slo_trial), until)
    trial.harness.note_slo(drill(trial.harness, objective, stretch, seen, findings))
    trial.harness.judge(*findings)


def _watch(trial: Trial, slo_trial: SloTrial, cases: Sequence[Case]) -> RowWatch:
    return RowWatch(trial.harness, cases, events_from(trial.harness), _since(trial, slo_trial))


def _since(trial: Trial, slo_trial: SloTrial) -> datetime:
    return slo_trial.calm.start if slo_trial.calm else trial.started_at
