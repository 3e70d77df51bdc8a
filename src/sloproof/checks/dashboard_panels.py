"""Every panel of a dashboard shows fresh data, and the numbers are true."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sloproof.checks.evidence import Basis, selector_text
from sloproof.checks.freshness import last_sample
from sloproof.checks.selectors import selectors, unknown_reason
from sloproof.checks.wording import count_of, duration_text, instant_text, listing, nearest, number, table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from sloproof.dashboards import ResolvedQuery
    from sloproof.finding import Finding
    from sloproof.model import Labels, Series, Stream

CHECK = "dashboard_panels"


@dataclass(frozen=True, slots=True)
class Independent:
    """A number that was worked out without the panel's query.

    Attributes:
        value: The number.
        source: How it was come by, in words.
        labels: Labels that the series to compare has; empty for the only one.
        relative_tolerance: How far the panel may be off, as a ratio of the value.
        absolute_tolerance: How far it may be off besides, in its unit.
    """

    value: float
    source: str
    labels: Labels = field(default_factory=dict)
    relative_tolerance: float = 0.0
    absolute_tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class PanelAnswer:
    """What a panel's query gave.

    Attributes:
        query: The query with its variables filled in.
        series: What a metrics query answered.
        streams: What a log query answered.
        error: What the datasource said instead of an answer.
        data_time: When the youngest raw sample behind the answer was taken, where that is known. A range query repeats
            an old sample for five minutes, so its own timestamps do not tell.
        independent: Numbers to compare with.
        may_be_empty: Whether no data is the true answer here, such as error lines where there was no error.
    """

    query: ResolvedQuery
    series: Sequence[Series] = ()
    streams: Sequence[Stream] = ()
    error: str = ""
    data_time: datetime | None = None
    independent: Sequence[Independent] = ()
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class PanelEvidence:
    """The panels' answers, and what there is for them to ask.

    Attributes:
        at: The instant asked at.
        answers: One a query.
        datasources: Datasources that exist: uid to kind (`prometheus`, `loki`).
        metrics: Names of all metrics that exist.
        series: Label sets that exist, `__name__` included; None to compare names alone.
        variable_values: The values a variable can have now, by its name; a variable that is not named is not judged.
    """

    at: datetime
    answers: Sequence[PanelAnswer]
    datasources: Mapping[str, str]
    metrics: Collection[str]
    series: Sequence[Labels] | None = None
    variable_values: Mapping[str, Collection[str]] = field(default_factory=dict)


def judge(evidence: PanelEvidence, basis: Basis, *, max_age: timedelta) -> tuple[Finding, ...]:
    """Return one finding a query of a panel; one inconclusive finding where there is no panel.

    Args:
        evidence: Answers.
        basis: What it rests on.
        max_age: How old the newest data of a panel may be.
    """
    if not evidence.answers:
        return (
            basis.inconclusive(
                CHECK, "every panel shows fresh data", expected="panels with queries", measured="no panel was asked",
                hint="does the dashboard's JSON hold panels, and were their queries sent?",
            ),
        )  # fmt: skip
    return tuple(_judge_one(answer, evidence, basis, max_age) for answer in evidence.answers)


def _judge_one(answer: PanelAnswer, evidence: PanelEvidence, basis: Basis, max_age: timedelta) -> Finding:
    query = answer.query.query
    problem = _setup_problem(answer, evidence) or _data_problem(answer, evidence.at, max_age)
    wrong = [] if problem else [row for row in (_compare(answer, one) for one in answer.independent) if row[-1]]
    expected = f"data no older than {duration_text(max_age)}, all of it numbers"
    if answer.independent:
        expected += "; " + "; ".join(f"{number(one.value)} by {one.source}" for one in answer.independent)
    shown = _shown(answer, evidence.at)
    if problem:
        measured, hint = problem
    elif wrong:
        measured = f"{count_of(len(wrong), 'number')} wrong: {wrong[0][-1]}"
        hint = "the panel answers another question than its title: look at windows, filters and sums"
    else:
        measured, hint = shown, ""
    title = query.panel or f"panel {query.panel_id}"
    return basis.judged(
        CHECK,
        f'panel "{title}" ({query.ref_id or "?"}) shows fresh, true data',
        holds=not problem and not wrong,
        expected=expected,
        measured=measured,
        hint=hint,
        evidence=(
            ("query", answer.query.expression),
            ("as written", query.expression if query.expression != answer.query.expression else ""),
            ("wrong", table(("series", "panel", "truth", "by", "problem"), wrong)),
            ("answer", shown),
        ),
    )


def _setup_problem(answer: PanelAnswer, evidence: PanelEvidence) -> tuple[str, str] | None:
    """Return what makes the question itself wrong, the cause before its consequences."""
    resolved = answer.query
    if not resolved.query.expression:
        return "the panel has no query", "a panel without a query shows nothing for ever"
    if resolved.unresolved:
        names = listing(f"${name}" for name in resolved.unresolved)
        return f"unresolvable variable: {names} has no value", "the dashboard defines no such variable, or it is empty"
    return (
        _datasource_problem(resolved, evidence)
        or _variable_problem(resolved, evidence)
        or _selector_problem(answer, evidence)
    )


def _datasource_problem(resolved: ResolvedQuery, evidence: PanelEvidence) -> tuple[str, str] | None:
    uid, kind = resolved.datasource, resolved.query.datasource_kind
    if uid and uid not in evidence.datasources:
        return (
            f"datasource uid {uid!r} does not exist; {nearest(uid, evidence.datasources)}",
            f"datasources: {listing(sorted(evidence.datasources))}",
        )
    if uid and kind and evidence.datasources[uid] != kind:
        return (
            f"wrong datasource: {uid!r} is {evidence.datasources[uid]}, the panel wants {kind}",
            "the panel was pointed at the other datasource",
        )
    return None


def _variable_problem(resolved: ResolvedQuery, evidence: PanelEvidence) -> tuple[str, str] | None:
    for name, values in resolved.used.items():
        known = evidence.variable_values.get(name)
        gone = [value for value in values if known is not None and value not in known]
        if gone:
            return (
                f"stale variable: ${name} is {listing(gone)}, which does not exist any more",
                f"values now: {listing(sorted(known or ()))}; store the dashboard with All or without a value",
            )
    return None


def _selector_problem(answer: PanelAnswer, evidence: PanelEvidence) -> tuple[str, str] | None:
    if _kind(answer, evidence) == "loki" or not evidence.metrics:
        return None
    for selector in selectors(answer.query.expression):
        reason = unknown_reason(selector, evidence.metrics, evidence.series)
        if reason:
            return f"unknown metric or label: {reason}", "counters end in _total on the wire; labels may be renamed"
    return None


def _kind(answer: PanelAnswer, evidence: PanelEvidence) -> str:
    return answer.query.query.datasource_kind or evidence.datasources.get(answer.query.datasource, "")


def _data_problem(answer: PanelAnswer, at: datetime, max_age: timedelta) -> tuple[str, str] | None:
    """Return what is wrong with the answer to a question that is right."""
    if answer.error:
        return f"the query was refused: {answer.error}", "ask it by hand; the message says where it breaks"
    newest = _newest(answer, at)
    if newest is None:
        if answer.may_be_empty:
            return None
        return (
            "no data: the query is valid and gives nothing",
            "a rate over less than two scrapes, or a filter that nothing meets",
        )
    seen = answer.data_time or newest
    if at - seen > max_age and not answer.may_be_empty:
        return (
            f"stale: the newest data is {duration_text(at - seen)} old, from {instant_text(seen)}",
            "the panel still draws a line, but nothing new comes in: look at the target or the shipper",
        )
    broken = [
        f"{selector_text(series.labels)} = {sample.value!r}"
        for series in answer.series
        if (sample := last_sample(series, at)) is not None and not math.isfinite(sample.value)
    ]
    if broken:
        return (
            f"no number: {listing(broken)}",
            "0 divided by 0, or a quantile of an empty window: guard the division, or widen the window",
        )
    return None


def _newest(answer: PanelAnswer, at: datetime) -> datetime | None:
    times = [sample.time for series in answer.series if (sample := last_sample(series, at)) is not None]
    times += [stream.entries[-1].time for stream in answer.streams if stream.entries]
    return max(times, default=None)


def _compare(answer: PanelAnswer, independent: Independent) -> tuple[str, ...]:
    """Return a row whose last cell says what is wrong; empty if nothing is."""
    fitting = [
        series
        for series in answer.series
        if series.samples and all(series.labels.get(name) == value for name, value in independent.labels.items())
    ]
    wanted = selector_text(independent.labels)
    truth = number(independent.value)
    if len(fitting) != 1:
        return (wanted, "", truth, independent.source, f"{count_of(len(fitting), 'series', 'series')} fit, not 1")
    value = fitting[0].samples[-1].value
    allowed = independent.absolute_tolerance + independent.relative_tolerance * abs(independent.value)
    # Written so that a value that is no number is a difference too.
    is_off = not abs(value - independent.value) <= allowed
    problem = f"off by {number(value - independent.value)}, allowed {number(allowed)}" if is_off else ""
    return (selector_text(fitting[0].labels), number(value), truth, independent.source, problem)


def _shown(answer: PanelAnswer, at: datetime) -> str:
    entries = sum(len(stream.entries) for stream in answer.streams)
    samples = sum(len(series.samples) for series in answer.series)
    parts = []
    if answer.series:
        parts.append(f"{count_of(len(answer.series), 'series', 'series')} with {count_of(samples, 'sample')}")
    if answer.streams:
        parts.append(f"{count_of(len(answer.streams), 'stream')} with {count_of(entries, 'line')}")
    newest = answer.data_time or _newest(answer, at)
    if newest is not None:
        parts.append(f"newest {duration_text(at - newest)} old")
    return ", ".join(parts) or "nothing"
