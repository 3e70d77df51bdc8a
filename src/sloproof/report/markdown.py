"""report.md: the run as a comment on a pull request, what lied first, never too long for one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sloproof.report.history import is_unsteady
from sloproof.report.slo_summary import SloSummary, SloView
from sloproof.report.slo_wording import budget_text, ratio_text
from sloproof.report.summary import Failure, FeatureSummary, Summary, summarise
from sloproof.report.wording import SHAPES, count_text, cut, day_text, instant, one_line, plain, seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.report.record import HistoryRecord, RunRecord

# GitHub refuses a comment above 65,536 characters; the rest is for what a workflow puts around it.
MAX_BYTES: Final = 60_000
_FEATURES_BYTES = 15_000
_SLOS_BYTES = 12_000
_MOST_SLOS = 12  # of those in danger; a comment is read on a phone
_MOST_PAST = 5
_OPEN_DETAILS = 5  # failures whose query and evidence are shown
_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_NOTIFIES = re.compile(r"([@#])(?=\w)")


def comment(record: RunRecord) -> str:
    """Return the run as GitHub-flavoured Markdown of less than 60,000 bytes."""
    summary = summarise(record)
    head = _head(record, summary)
    slos = _slos(summary.slos)
    features = _features(summary.features) if record.scenarios or not record.slos else ""
    past = _past(record.history)
    foot = (
        "\nAll claims, charts, queries and logs: `index.html` beside this file; the same for machines: `report.json`.\n"
    )
    room = MAX_BYTES - sum(map(_size, (head, slos, features, past, foot))) - 400
    return head + slos + _failures(record, summary, room) + past + features + foot


def _head(record: RunRecord, summary: Summary) -> str:
    backend = f" · {_text(record.environment.backend)}" if record.environment else ""
    counts = " · ".join(f"{SHAPES.get(name, '!')} {amount} {name}" for name, amount in summary.counts)
    if summary.slos.views:
        told = [("SLOs", summary.slos.counts), ("drills", summary.slos.drill_counts), ("scenarios", summary.counts)]
        counts = " — ".join(
            f"{title}: " + " · ".join(f"{SHAPES.get(name, '!')} {amount} {name}" for name, amount in of)
            for title, of in told
            if of
        )
    return (
        f"## {SHAPES.get(record.verdict, '!')} {record.verdict.upper()}: {_text(record.service)}\n\n"
        f"**{_text(summary.headline)}**\n\n"
        f"{counts or 'no scenario'}\n\n"
        f"Run {_code(record.run_id)} · {day_text(instant(record.started))} · "
        f"{seconds_text(record.duration_seconds)}{backend}\n"
    )


def _slos(slos: SloSummary) -> str:
    """Return the SLOs in danger, the worst first, and how many are not."""
    if not slos.views:
        return ""
    text = ""
    if slos.in_danger:
        text = "\n### SLOs in danger\n\n| | SLO | since | why | budget left |\n|---|---|---|---|---|\n"
    shown = 0
    for view in slos.in_danger[:_MOST_SLOS]:
        row = _slo_row(view)
        if _size(text) + _size(row) > _SLOS_BYTES:
            break
        text += row
        shown += 1
    more = len(slos.in_danger) - shown
    if more:
        text += f"\n**{count_text(more, 'more SLO')} in danger not shown here.**\n"
    if slos.safe:
        least = min((view.slo.remaining for view in slos.safe if view.slo.remaining is not None), default=None)
        left = "" if least is None else f", at least {budget_text(least)} of it left"
        text += f"\n{SHAPES['pass']} {count_text(len(slos.safe), 'SLO')} within budget{left}.\n"
    if slos.drills:
        text += f"\n{SHAPES['pass']} {count_text(len(slos.drills), 'alert drill')} passed.\n"
    return text


def _slo_row(view: SloView) -> str:
    slo, danger = view.slo, view.danger
    since = "" if danger is None or danger.since is None else f"{danger.since:%Y-%m-%d %H:%M} UTC, "
    what = "" if danger is None else danger.what
    burns = view.standing == "burning"
    reasons = [view.why, slo.reason] if burns else [slo.reason, view.why]
    why = "; ".join(one_line(text, 240) for text in (*reasons, *view.late[:2]) if text)
    state = f"{slo.verdict}, {view.burning[0].severity} burning" if view.burning else slo.verdict
    cells = (
        f"{SHAPES.get(slo.verdict, '!')} {_text(one_line(state, 60))}",
        f"**{_text(one_line(view.name, 100))}** {_code(slo.place, in_table=True)}",
        f"{since}{_text(what)}",
        _text(why),
        budget_text(slo.remaining) if slo.sli is None else f"{budget_text(slo.remaining)} (SLI {ratio_text(slo.sli)})",
    )
    return f"| {' | '.join(cells)} |\n"


def _past(history: HistoryRecord | None) -> str:
    """Return what is new and what goes to and fro."""
    if history is None or len(history.runs) < 2:  # noqa: PLR2004 - two runs can be compared
        return ""
    newest, count = history.runs[-1], len(history.runs)
    failing = [one for one in history.claims if one.verdicts[-1].run_id == newest.run_id and one.failing_since]
    new = [one for one in failing if instant(one.failing_since) == instant(newest.started)]
    old = sorted((one for one in failing if one not in new), key=lambda one: one.failing_since or "")
    unsteady = sorted(filter(is_unsteady, history.claims), key=lambda one: -one.changes)
    lines = []
    for title, claims in (("new in this run", new), ("not new", old), ("unsteady", unsteady)):
        if not claims:
            continue
        names = [
            f"{_text(one_line(one.name or one.key, 80))}"
            + (f" (since {(one.failing_since or '')[:10]})" if claims is old else "")
            + (f" ({one.changes} changes)" if claims is unsteady else "")
            for one in claims[:_MOST_PAST]
        ]
        more = f" and {len(claims) - _MOST_PAST} more" if len(claims) > _MOST_PAST else ""
        lines.append(f"- {title}: {', '.join(names)}{more}\n")
    return f"\n### Over {count} runs\n\n{''.join(lines)}" if lines else ""


def _failures(record: RunRecord, summary: Summary, room: int) -> str:
    blocks = [
        f"\n- **{SHAPES['error']} outside any scenario:** {_text(one_line(problem, 400))}\n"
        for problem in record.problems[:10]
    ]
    sections = (("What lied", summary.lies), ("What could not be judged", summary.unproven))
    text = ""
    if blocks:
        text = "\n### What went wrong\n" + "".join(blocks)
    left_out = 0
    for title, failures in sections:
        if not failures:
            continue
        text += f"\n### {title}\n"
        for failure in failures:
            block = _failure(failure, with_details=failure.number <= _OPEN_DETAILS)
            if left_out or _size(text) + _size(block) > room:
                left_out += 1
            else:
                text += block
    if left_out:
        more = count_text(left_out, "more claim")
        text += f"\n**{more} not shown here:** a comment has an end; `index.html` has them all.\n"
    return text


def _failure(failure: Failure, *, with_details: bool) -> str:
    finding = failure.finding
    step = f"{failure.step.keyword} {failure.step.text}" if failure.step else failure.scenario.name
    title = f"{SHAPES.get(finding.verdict, '!')} {finding.verdict}: {_text(one_line(finding.claim, 300))}"
    bullet = f"{failure.number}. "
    rows = [
        f"**{title}**\\",
        f"{_code(failure.where)} {_text(one_line(step, 200))}"
        + (f" and {count_text(len(failure.others), 'more scenario')}" if failure.others else ""),
        f"- expected: {_text(one_line(finding.expected, 400))}",
        f"- measured: **{_text(one_line(finding.measured, 400))}**",
        f"- since: {_text(failure.since.text())}",
    ]
    if finding.hint:
        rows.append(f"- hint: {_text(one_line(finding.hint, 300))}")
    if with_details:
        rows += _details(failure)
    rest = "".join(f"{' ' * len(bullet)}{row}".rstrip() + "\n" for row in rows[1:])
    return f"\n{bullet}{rows[0]}\n{rest}"


def _details(failure: Failure) -> list[str]:
    """Return lines that hold the query and the evidence, folded away."""
    finding = failure.finding
    parts = [(query.source, query.text) for query in finding.queries[:3]] + list(finding.evidence[:4])
    if failure.error:
        parts.append(("error", failure.error))
    if not parts:
        return []
    lines = ["", "<details><summary>query and evidence</summary>", ""]
    for name, text in parts:
        lines += [_text(one_line(name, 60)), *_fenced(cut(text, 1200)), ""]
    return [*lines, "</details>"]


def _features(features: Sequence[FeatureSummary]) -> str:
    text = "\n### Features\n\n| | feature | scenarios | took |\n|---|---|---|---|\n"
    for place, feature in enumerate(features):
        counts = ", ".join(f"{amount} {name}" for name, amount in feature.counts)
        row = (
            f"| {SHAPES.get(feature.verdict, '!')} "
            f"| {_text(one_line(feature.name, 80))} {_code(feature.file, in_table=True)} "
            f"| {counts} | {seconds_text(feature.duration_seconds)} |\n"
        )
        if _size(text) + _size(row) > _FEATURES_BYTES:
            return text + f"\n{count_text(len(features) - place, 'more feature')} not shown here.\n"
        text += row
    return text


def _text(text: str) -> str:
    """Return a text that Markdown and HTML take as it is, and that calls nobody's name."""
    escaped = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", _NOTIFIES.sub("\\1\u200b", escaped))


def _code(text: str, *, in_table: bool = False) -> str:
    """Return a short text as code; with backticks in it, between enough of them."""
    flat = one_line(text, 200)
    if in_table:
        flat = flat.replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def _fenced(text: str) -> list[str]:
    fence = "`" * max(3, max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    return [f"{fence}text", *text.split("\n"), fence]


def _size(text: str) -> int:
    return len(text.encode())
