"""Sentences about log lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_bdd import parsers, then

from sloproof.barrier import LOGS, is_sentinel
from sloproof.finding import Finding, Verdict
from sloproof.log_lines import OtherLine, RequestLine, Unparsable
from sloproof.observation import Observation
from sloproof.shareable import shareable
from sloproof.steps.types import TYPES
from sloproof.trial import Trial

_SHOWN = 8


@then("Loki holds exactly one line for each of those requests")
@shareable
def one_line_each(trial: Trial) -> None:
    """Judge that each request id of the scenario is in exactly one request line."""
    seen = trial.observation
    lines = Counter(line.request_id for line in seen.request_lines)
    wrong = {
        entry.request_id: lines[entry.request_id]
        for entry in seen.sent_entries
        if not entry.failure and lines[entry.request_id] != 1
    }
    _judge(
        trial,
        "Loki holds exactly one line for each request",
        holds=bool(seen.sent_entries) and not wrong,
        expected=f"one line for each of {len(seen.sent_entries)} requests",
        measured=f"{len(wrong)} requests have another number of lines" if wrong else "one line each",
        evidence="\n".join(f"{count} lines: {request_id}" for request_id, count in list(wrong.items())[:_SHOWN]),
    )


@then(parsers.parse('each of those requests has exactly one error line saying "{text:text}"', TYPES))
@shareable
def one_error_line_each(trial: Trial, text: str) -> None:
    """Judge that each request id is in exactly one line of an error level that holds the text."""
    seen = trial.observation
    levels = {level.upper() for level in seen.settings.logs.error_levels}
    lines = Counter(
        line.request_id
        for line in seen.lines
        if isinstance(line, OtherLine) and line.level.upper() in levels and text in line.line
    )
    wrong = {entry.request_id: lines[entry.request_id] for entry in seen.sent_entries if lines[entry.request_id] != 1}
    _judge(
        trial,
        f"each request has exactly one error line saying {text!r}",
        holds=bool(seen.sent_entries) and not wrong,
        expected=f"one line for each of {len(seen.sent_entries)} requests",
        measured=f"{len(wrong)} requests have another number of lines" if wrong else "one line each",
        evidence="\n".join(f"{count} lines: {request_id}" for request_id, count in list(wrong.items())[:_SHOWN]),
    )


@then("every line of those requests has the labels")
@shareable
def lines_have_labels(trial: Trial, datatable: Sequence[Sequence[str]]) -> None:
    """Judge the labels of the streams that hold the scenario's request lines. Columns: label, value.

    The value `{namespace}` is the namespace that the service runs in: in a cluster each worker has its own.
    """
    own = {"{namespace}": trial.harness.settings.service.namespace}
    wanted = {label: own.get(value, value) for label, value in datatable[1:]}
    streams = _streams_of_requests(trial.observation)
    wrong = [dict(stream) for stream in streams if any(stream.get(label) != value for label, value in wanted.items())]
    _judge(
        trial,
        "every line has the labels that a pod's would",
        holds=bool(streams) and not wrong,
        expected=str(wanted),
        measured="; ".join(str(stream) for stream in wrong or [dict(s) for s in streams]),
    )


@then(parsers.parse('every line of those requests has a label "{label:text}"', TYPES))
@shareable
def lines_have_label(trial: Trial, label: str) -> None:
    """Judge that the streams that hold the scenario's request lines have a label, whatever its value."""
    streams = _streams_of_requests(trial.observation)
    values = [stream.get(label) for stream in streams]
    _judge(
        trial,
        f"every line has a label {label}",
        expected="a value",
        measured=str(values),
        holds=bool(values) and all(values),
    )


@then(parsers.parse('Loki holds no line that begins with "{text:text}"', TYPES))
def no_line_begins(trial: Trial, text: str) -> None:
    """Judge that among the lines since the scenario's first request none begins so, and that there are lines."""
    seen = trial.observation
    forged = [entry.line for entry in seen.log_entries if entry.line.startswith(text)]
    _judge(
        trial,
        f"no line begins with {text!r}",
        holds=bool(seen.log_entries) and not forged,
        expected=f"none of {len(seen.log_entries)} lines",
        measured=f"{len(forged)} lines",
        evidence="\n".join(forged[:_SHOWN]),
    )


@then("every line since then can be read")
@shareable
def every_line_parses(trial: Trial) -> None:
    """Judge that every line since the scenario's first request is written as the settings say."""
    seen = trial.observation
    bad = [line for line in seen.lines if isinstance(line, Unparsable)]
    _judge(
        trial,
        "every line can be read",
        holds=bool(seen.lines) and not bad,
        expected=f"{len(seen.lines)} lines that can be read",
        measured=f"{len(bad)} that cannot",
        evidence="\n".join(f"{line.reason}: {line.line[:200]}" for line in bad[:_SHOWN]),
    )


@then("no line is logged but the barrier's own")
def no_line(trial: Trial) -> None:
    """Judge that since the scenario's first act only the sentinel's line was logged."""
    seen = trial.observation
    others = [line for line in seen.request_lines if not is_sentinel(line.request_id)]
    _judge(
        trial,
        "nothing was logged as a request",
        holds=bool(seen.request_lines) and not others,
        expected="only the barrier's sentinel",
        measured=f"{len(others)} other request lines",
        evidence="\n".join(line.line for line in others[:_SHOWN]),
    )


def _streams_of_requests(seen: Observation) -> list[dict[str, str]]:
    """Return the label sets of the streams that hold a line of one of the scenario's requests."""
    ids = {entry.request_id for entry in seen.sent_entries}
    found = []
    for stream in seen.streams:
        parsed = seen.parser.parse_all(stream.entries)
        if any(isinstance(line, RequestLine) and line.request_id in ids for line in parsed):
            found.append(dict(stream.labels))
    return found


def _judge(trial: Trial, claim: str, *, holds: bool, expected: str, measured: str, evidence: str = "") -> None:
    """Judge a claim on the observation's lines; on dead logs it is blocked."""
    seen = trial.observation
    verdict = Verdict.PASS if holds else Verdict.FAIL
    hint = ""
    if LOGS in seen.dead:
        verdict, measured, hint = Verdict.BLOCKED, "nothing: the log pipeline is dead", seen.dead[LOGS]
    trial.harness.judge(
        Finding(
            check="log_lines",
            verdict=verdict,
            claim=claim,
            expected=expected,
            measured=measured,
            at=seen.at,
            queries=(seen.log_query,),
            hint=hint,
            evidence=(("lines", evidence),) if evidence else (),
        )
    )
