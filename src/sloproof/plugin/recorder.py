"""Keeps the record of every scenario while pytest runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from pytest_bdd.parser import Scenario, Step

from sloproof.errors import SloproofError
from sloproof.finding import Finding, Verdict, worst
from sloproof.plugin.collect import scenario_of
from sloproof.plugin.definitions import template_of
from sloproof.plugin.document import shown
from sloproof.plugin.failure import ScenarioFailure, blame, failure_of, failure_of_findings
from sloproof.plugin.tags import tags_of
from sloproof.report.record import FindingRecord, QueryRecord, ScenarioRecord, StepRecord

Rows = tuple[tuple[str, str], ...]
Diagnosis = tuple[Rows, Rows]
Outcome = Literal["passed", "failed", "skipped", "not run"]

_RECORD = "sloproof_record"  # the attribute of a test report that carries the record from an xdist worker


@dataclass(slots=True)
class StepState:
    """A step as far as it has come."""

    step: Step
    outcome: Outcome = "not run"
    began: float | None = None
    duration_seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    error: str = ""


@dataclass(slots=True)
class ScenarioState:
    """A scenario as far as it has come. `errors` are verdicts on what went wrong beside the findings."""

    item: pytest.Item
    scenario: Scenario
    steps: list[StepState]
    started: datetime
    current: StepState | None = None
    position: int = 0
    loose: list[Finding] = field(default_factory=list)
    errors: list[Verdict] = field(default_factory=list)
    skipped: bool = False
    expected: bool = False  # to fail, by its tag
    reason: str = ""
    duration_seconds: float = 0.0
    diagnosis: Diagnosis | None = None

    @property
    def findings(self) -> list[Finding]:
        """Return every finding so far, in order."""
        return [*self.loose, *(finding for step in self.steps for finding in step.findings)]

    def verdict(self) -> str:
        """Return the worst of the findings and errors; a scenario with neither has passed."""
        verdicts = [finding.verdict for finding in self.findings] + self.errors
        verdict = worst(verdicts) if verdicts else Verdict.PASS
        if self.skipped and not self.errors and (self.expected or verdict is Verdict.PASS):
            return "skipped"
        return verdict.value

    def unheeded(self) -> list[Finding]:
        """Return the findings that are not a pass although nothing has failed, and mark their steps as failed."""
        bad = [finding for finding in self.findings if finding.verdict is not Verdict.PASS]
        for step in self.steps:
            if any(finding.verdict is not Verdict.PASS for finding in step.findings):
                step.outcome = "failed"
        return bad


def new_state(item: pytest.Item) -> ScenarioState | None:
    """Return the state of a scenario of which nothing has run yet; None for a test that is none."""
    template = template_of(item)
    if template is None:
        return None
    scenario = scenario_of(item, template)
    return ScenarioState(item, scenario, [StepState(step) for step in scenario.steps], datetime.now(UTC))


class Recorder:
    """A pytest plugin that turns what happens into records.

    Attributes:
        records: One a scenario that has ended, in the order they ended; under xdist, on the controller, of all workers.
        broken_off: The scenario that something broke off in the middle: Ctrl-C does.
        diagnose: Asked at the moment of a failure: each component's health, and the end of each one's log.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.records: list[ScenarioRecord] = []
        self.broken_off: ScenarioRecord | None = None
        self.diagnose: Callable[[], Diagnosis] | None = None
        self._config = config
        self._state: ScenarioState | None = None

    def add_finding(self, finding: Finding) -> None:
        """Attach a finding to the step that is running, or to its scenario between steps; outside one it is dropped."""
        if self._state is None:
            return
        target = self._state.current.findings if self._state.current else self._state.loose
        target.append(finding)

    @property
    def running(self) -> str:
        """Return the id of the scenario that is running; empty between scenarios."""
        return "" if self._state is None else self._state.item.nodeid

    # pytest's hooks

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Open the record of a scenario before its fixtures are set up."""
        self._state = state = new_state(item)
        try:
            return (yield)
        except BaseException:
            if state is not None:
                self.broken_off = self._record(state)
            raise
        finally:
            self._state = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note how a phase ended, and put what a person wants to know in the place of pytest's own account."""
        report = yield
        state = self._state
        if state is None or state.item is not item:
            return report
        self._note_outcome(state, call, report)
        if report.failed and call.excinfo is not None:
            attachment = _attachment(state.current.step) if state.current and report.when == "call" else ""
            _put_longrepr(
                report,
                failure_of(
                    self._record(state),
                    call.excinfo,
                    phase=report.when or "call",
                    config=self._config,
                    attachment=attachment,
                    findings=_blamed(state),
                ),
            )
        elif report.when == "call" and not state.expected and (unheeded := state.unheeded()):
            # What the report calls failed must never be green here.
            self._diagnose()
            report.outcome = "failed"
            _put_longrepr(report, failure_of_findings(self._record(state), unheeded))
        if report.when == "teardown":
            setattr(report, _RECORD, msgspec.json.encode(self._record(state)).decode())
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the record of a finished scenario, from wherever it was run."""
        encoded = getattr(report, _RECORD, None)
        if encoded is not None:
            self.records.append(msgspec.json.decode(encoded, type=ScenarioRecord))

    # pytest-bdd's hooks

    @pytest.hookimpl(tryfirst=True)
    def pytest_bdd_before_step(self, step: Step) -> None:
        """Open a step."""
        state = self._state
        if state is None or state.position >= len(state.steps):
            return
        state.current = state.steps[state.position]
        # pytest-bdd renders the scenario anew, so its step is equal to ours and not the same.
        state.current.step = step
        state.current.began = time.perf_counter()
        state.position += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_bdd_after_step(self) -> None:
        """Close a step that passed."""
        self._close_step("passed")
        if self._state is not None:
            self._state.current = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_bdd_step_error(self, exception: BaseException) -> None:
        """Close a step that failed, and look at the components before anything is torn down."""
        self._close_step("failed", blame(exception))
        self._diagnose()

    @pytest.hookimpl(tryfirst=True)
    def pytest_bdd_step_func_lookup_error(self, step: Step, exception: BaseException) -> None:
        """Mark a step that nobody defines."""
        self.pytest_bdd_before_step(step)
        self.pytest_bdd_step_error(exception)

    def _close_step(self, outcome: Outcome, error: str = "") -> None:
        current = self._state.current if self._state else None
        if current is None:
            return
        current.outcome = outcome
        current.error = error
        if current.began is not None:
            current.duration_seconds = time.perf_counter() - current.began

    def _diagnose(self) -> None:
        if self._state is None or self._state.diagnosis is not None or self.diagnose is None:
            return
        try:
            self._state.diagnosis = self.diagnose()
        except Exception as error:  # noqa: BLE001 - a failing diagnosis must not hide what it was to explain
            self._state.diagnosis = ((("diagnosis", f"failed: {error}"),), ())

    def _note_outcome(self, state: ScenarioState, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        if report.when == "call":
            state.duration_seconds = call.duration
        if report.skipped:
            state.skipped = True
            state.expected = hasattr(report, "wasxfail")
            state.reason = _skip_reason(report)
            if state.current is not None and state.current.outcome == "not run":
                self._close_step("skipped")
        elif report.failed:
            self._diagnose()
            error = call.excinfo.value if call.excinfo else None
            if state.current is not None and state.current.outcome == "not run" and report.when == "call":
                self._close_step("failed", "" if error is None else blame(error))
            verdict = _verdict_of(error, report.when or "call", _blamed(state))
            if verdict is not None:
                state.errors.append(verdict)
            if report.when != "call" or state.current is None:
                told = str(report.longrepr) if error is None else blame(error)
                state.reason = told if report.when == "call" else f"{report.when}: {told}"

    def _record(self, state: ScenarioState) -> ScenarioRecord:
        return scenario_record(state, self._config.rootpath)


# Where the plugin of a run is found: `config.stash[RECORDER]`.
RECORDER = pytest.StashKey[Recorder]()


def scenario_record(state: ScenarioState, root: Path) -> ScenarioRecord:
    """Return a scenario as the record holds it, as far as it has come; shown paths are relative to `root`."""
    components, last_lines = state.diagnosis or ((), ())
    steps = [_step_record(each) for each in state.steps]
    if state.loose and steps:
        # What was found while fixtures were set up belongs to no step; the record has no other place for it.
        first = tuple(map(finding_record, state.loose))
        steps[0] = msgspec.structs.replace(steps[0], findings=first + steps[0].findings)
    feature = state.scenario.feature
    return ScenarioRecord(
        node_id=state.item.nodeid,
        feature=feature.name,
        feature_file=shown(Path(feature.filename), root),
        line=state.scenario.line_number,
        name=state.scenario.name,
        tags=tuple(sorted(tags_of(state.item))),
        verdict=state.verdict(),
        reason=state.reason,
        started=state.started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        duration_seconds=state.duration_seconds,
        steps=tuple(steps),
        components=components,
        last_lines=last_lines,
    )


def finding_record(finding: Finding) -> FindingRecord:
    """Return a finding as the record holds it."""
    return FindingRecord(
        check=finding.check,
        verdict=finding.verdict.value,
        claim=finding.claim,
        expected=finding.expected,
        measured=finding.measured,
        at=None if finding.at is None else finding.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        sample_age_seconds=None if finding.sample_age is None else finding.sample_age.total_seconds(),
        queries=tuple(QueryRecord(source=each.source, text=each.text, url=each.url) for each in finding.queries),
        hint=finding.hint,
        evidence=finding.evidence,
    )


def _step_record(state: StepState) -> StepRecord:
    return StepRecord(
        keyword=state.step.keyword,
        text=state.step.name,
        line=state.step.line_number,
        outcome=state.outcome,
        duration_seconds=state.duration_seconds,
        findings=tuple(map(finding_record, state.findings)),
        error=state.error,
    )


def _attachment(step: Step) -> str:
    """Return the table and the text that stand below a step."""
    lines = step.docstring.splitlines() if step.docstring else []
    if step.datatable:
        rows = [[str(cell) for cell in row] for row in step.datatable.raw()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=False)]
        lines += ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join(lines)


def _blamed(state: ScenarioState) -> list[Finding]:
    """Return the findings that ended the step that failed."""
    if state.current is None or state.current.outcome != "failed":
        return []
    return [finding for finding in state.current.findings if finding.verdict is not Verdict.PASS]


def _verdict_of(error: BaseException | None, phase: str, blamed: list[Finding]) -> Verdict | None:
    """Return the verdict that an error adds; None where the findings of its step have said it already."""
    claim = error is None or isinstance(error, AssertionError | pytest.fail.Exception)
    if phase != "call":
        return Verdict.ERROR  # trouble before or after the claims is not a broken claim
    if claim:
        return None if blamed and isinstance(error, SloproofError) else Verdict.FAIL
    return Verdict.ERROR


def _skip_reason(report: pytest.TestReport) -> str:
    expected: str | None = getattr(report, "wasxfail", None)
    if expected is not None:
        return f"expected to fail{': ' if expected else ''}{expected}"
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def _put_longrepr(report: Any, failure: ScenarioFailure) -> None:
    # pytest takes anything with `toterminal`, and declares only classes of its own.
    report.longrepr = failure
