"""What a failing scenario shows in the terminal: the claim and its evidence, and no code unless code is at fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import _pytest
import pluggy
import pytest
import pytest_bdd

from sloproof.errors import SloproofError
from sloproof.finding import Finding
from sloproof.report.record import ScenarioRecord

_INTERNAL = tuple(str(Path(str(module.__file__)).parent) for module in (_pytest, pluggy, pytest_bdd))


class Terminal(Protocol):
    """What is used of pytest's terminal writer."""

    def line(self, s: str = "", **markup: bool) -> None:
        """Write a line."""


@dataclass(frozen=True, slots=True)
class Crash:
    """Where a scenario failed, as pytest's short summary and JUnit read it. `path` is relative to the root."""

    path: str
    lineno: int
    message: str

    def __str__(self) -> str:
        """Return it on one line."""
        return f"{self.path}:{self.lineno}: {self.message}"


class Account(Protocol):
    """pytest's own account of an error."""

    def toterminal(self, tw: Any) -> None:
        """Write it."""


class ScenarioFailure:
    """The account of a failure; pytest prints it in the place of its own.

    Args:
        before: What happened.
        traceback: Where in the code, if code is at fault.
        after: What else was so at that moment.
        reprcrash: Its place and headline.
    """

    def __init__(self, before: Sequence[str], traceback: Account | None, after: Sequence[str], crash: Crash) -> None:
        self.reprcrash = crash
        self._before = tuple(before)
        self._traceback = traceback
        self._after = tuple(after)

    def toterminal(self, tw: Terminal) -> None:
        """Write it, what failed in red."""
        for line in self._before:
            bad = re.match(r">|(FAIL|ERROR|BLOCKED|INCONCLUSIVE)\b", line) is not None
            tw.line(line, red=bad, bold=line.startswith(">"))
        if self._traceback is not None:
            self._traceback.toterminal(tw)
        for line in self._after:
            tw.line(line)

    def __str__(self) -> str:
        """Return it as plain text."""
        trace = [] if self._traceback is None else [f"    {self._traceback}"]
        return "\n".join([*self._before, *trace, *self._after])


def failure_of(
    record: ScenarioRecord,
    excinfo: pytest.ExceptionInfo[BaseException],
    *,
    phase: str,
    config: pytest.Config,
    attachment: str,
    findings: Sequence[Finding],
) -> ScenarioFailure:
    """Return the account of a scenario that failed.

    Args:
        record: The scenario so far.
        excinfo: What ended it.
        phase: `setup`, `call` or `teardown`.
        config: Says how much traceback is wanted.
        attachment: The table or text below the step that failed.
        findings: What its step found out; they say more than the error does.
    """
    error = excinfo.value
    lines = _head(record, attachment)
    if phase != "call":
        lines += [f"the scenario's {phase} failed", ""]
    told = isinstance(error, SloproofError)
    for finding in findings:
        lines += [*finding.text().splitlines(), ""]
    if told and not (findings and isinstance(error, AssertionError)):
        lines += [f"{_verdict(error)}: {error}", ""]
    after = _components(record)
    crash = _crash(record, findings[0].text() if findings else blame(error))
    if told:
        return ScenarioFailure(_trimmed(lines + after), None, (), crash)
    return ScenarioFailure(lines, _traceback(excinfo, config), _trimmed(["", *after]), crash)


def failure_of_findings(record: ScenarioRecord, findings: Sequence[Finding]) -> ScenarioFailure:
    """Return the account of a scenario whose steps all went through although findings are not a pass."""
    lines = _head(record, "")
    for finding in findings:
        lines += [*finding.text().splitlines(), ""]
    return ScenarioFailure(_trimmed(lines + _components(record)), None, (), _crash(record, findings[0].text()))


def blame(error: BaseException) -> str:
    """Return what an error says: all of it if it is one of ours, else its kind, its message and its last place."""
    if isinstance(error, SloproofError):
        return str(error)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frame = None
    trace = error.__traceback__
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_INTERNAL):
            frame = (trace.tb_frame.f_code.co_filename, trace.tb_lineno, trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return text if frame is None else f"{text}\n  at {frame[0]}:{frame[1]}, in {frame[2]}"


def github_annotations(records: Iterable[ScenarioRecord], root: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return one GitHub annotation a scenario that did not pass, on the line of the step that failed.

    Empty outside GitHub Actions.
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        return ()
    workspace = Path(environ.get("GITHUB_WORKSPACE", root))
    lines = []
    for record in records:
        if record.verdict in {"pass", "skipped"}:
            continue
        path = root / record.feature_file
        file = path.relative_to(workspace).as_posix() if path.is_relative_to(workspace) else record.feature_file
        title = f"{record.verdict}: {record.name}"
        lines.append(
            f"::error file={_property(file)},line={_place(record)},title={_property(title)}::{_data(_summary(record))}"
        )
    return tuple(lines)


def _summary(record: ScenarioRecord) -> str:
    texts = [
        f"{finding.claim}\nexpected: {finding.expected}\nmeasured: {finding.measured}"
        for step in record.steps
        for finding in step.findings
        if finding.verdict != "pass"
    ]
    texts = texts or [step.error for step in record.steps if step.error]
    return "\n\n".join([*texts, *([record.reason] if record.reason else [])]) or record.verdict


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _head(record: ScenarioRecord, attachment: str) -> list[str]:
    title = f"  {record.feature}: {record.name}"
    return [f"{record.feature_file}:{_place(record)}", title, "", *_steps(record, attachment), ""]


def _crash(record: ScenarioRecord, text: str) -> Crash:
    return Crash(record.feature_file, _place(record), text.splitlines()[0])


def _place(record: ScenarioRecord) -> int:
    """Return the line of the step that failed, else the scenario's."""
    return next((step.line for step in record.steps if step.outcome == "failed"), record.line)


def _steps(record: ScenarioRecord, attachment: str) -> list[str]:
    lines = []
    for step in record.steps:
        failed = step.outcome == "failed"
        took = "" if step.outcome == "not run" else f"  ({step.duration_seconds:.2f} s)"
        lines.append(f"{'>' if failed else ' '} {step.outcome:<7}  {step.keyword} {step.text}{took}")
        if failed and attachment:
            lines += [f"             {line}" for line in attachment.splitlines()]
    return lines


def _verdict(error: BaseException) -> str:
    return "FAIL" if isinstance(error, AssertionError) else "ERROR"


def _components(record: ScenarioRecord) -> list[str]:
    lines = []
    if record.components:
        width = max(len(name) for name, _ in record.components)
        lines += ["components at that moment", *(f"  {name:<{width}}  {text}" for name, text in record.components), ""]
    for name, text in record.last_lines:
        if text:
            lines += [f"last lines of {name}", *(f"  {line}" for line in text.splitlines()), ""]
    return lines


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Return lines without empty ones at the end."""
    kept = list(lines)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _traceback(excinfo: pytest.ExceptionInfo[BaseException], config: pytest.Config) -> Account:
    """Return pytest's account of an error in code, the frames of pytest and pytest-bdd left out."""

    def ours(seen: pytest.ExceptionInfo[BaseException]) -> Any:
        frames = seen.traceback.filter(lambda entry: not str(entry.path).startswith(_INTERNAL))
        return frames or seen.traceback

    wanted = config.getoption("tbstyle", "auto")
    return excinfo.getrepr(
        style="long" if wanted == "auto" else wanted,
        showlocals=bool(config.getoption("showlocals", default=False)),
        tbfilter=ours,
        abspath=False,
    )
