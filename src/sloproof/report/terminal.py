"""The last lines in the terminal: the verdict, what lied first, and where the whole report is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sloproof.report.slo_summary import SloSummary, SloView
from sloproof.report.slo_wording import budget_text
from sloproof.report.summary import Failure, summarise
from sloproof.report.wording import SHAPES, clock_text, count_text, one_line, seconds_text

if TYPE_CHECKING:
    from pathlib import Path

    from sloproof.report.record import RunRecord

_MOST = 5
_MOST_SLOS = 6


@dataclass(frozen=True, slots=True)
class ClosingLine:
    """A line, and the verdict that it tells of, for who prints in colour; empty where it tells of none."""

    text: str
    verdict: str = ""


def closing_lines(record: RunRecord, folder: Path | None, *, width: int = 120) -> tuple[ClosingLine, ...]:
    """Return what a run ends with: at most 24 lines of at most `width` characters.

    Args:
        record: The run.
        folder: Where the report is, as it should be shown; None where none was written. It is never cut.
        width: Of the terminal.
    """
    summary = summarise(record)
    verdict = f"{SHAPES.get(record.verdict, '!')} {record.verdict.upper()}  "
    lines = [ClosingLine(_after(verdict, summary.headline, width), record.verdict)]
    counts = ", ".join(f"{amount} {name}" for name, amount in summary.counts)
    took = seconds_text(record.duration_seconds)
    told = counts or ("judged" if record.slos else "no scenario")
    lines.append(ClosingLine(one_line(f"{told} in {took}; run {record.run_id}", width)))
    headlines = (problem.partition("\n")[0] for problem in record.problems[:2])
    lines += [ClosingLine(_after("  ! ", headline, width), "error") for headline in headlines]
    lines += _slo_lines(summary.slos, width)
    for failure in summary.failures[:_MOST]:
        lines += _failure_lines(failure, width)
    more = len(summary.failures) - _MOST
    if more > 0:
        lines.append(ClosingLine(f"  and {count_text(more, 'more claim')}"))
    if folder is not None:
        lines.append(ClosingLine(f"report: {folder / 'index.html'}"))
    return tuple(lines)


def _slo_lines(slos: SloSummary, width: int) -> list[ClosingLine]:
    """Return a line an SLO that does not pass or burns, the worst first, and how many stand how."""
    if not slos.views:
        return []
    told = (("SLOs", slos.counts), ("alert drills", slos.drill_counts))
    counts = "; ".join(
        f"{title}: {', '.join(f'{amount} {name}' for name, amount in found)}" for title, found in told if found
    )
    lines = [ClosingLine(one_line(counts, width))]
    lines += [_slo_line(view, width) for view in slos.in_danger[:_MOST_SLOS]]
    more = len(slos.in_danger) - _MOST_SLOS
    if more > 0:
        lines.append(ClosingLine(f"  and {count_text(more, 'more SLO')} in danger"))
    return lines


def _slo_line(view: SloView, width: int) -> ClosingLine:
    slo, danger = view.slo, view.danger
    since = "" if danger is None or danger.since is None else f" since {danger.since:%m-%d %H:%M:%S}"
    left = "" if slo.remaining is None else f", {budget_text(slo.remaining)} left"
    head = f"  {SHAPES.get(slo.verdict, '!')} SLO {one_line(slo.id, max(width // 3, 20))}{since}{left}: "
    # A pass that burns is no green line.
    verdict = "inconclusive" if slo.verdict == "pass" else slo.verdict
    return ClosingLine(_after(head, view.why if view.standing == "burning" else slo.reason, width), verdict)


def _failure_lines(failure: Failure, width: int) -> list[ClosingLine]:
    finding = failure.finding
    since = "" if failure.since.first is None else f" since {clock_text(failure.since.first)}"
    head = f"  {SHAPES.get(finding.verdict, '!')} {failure.where}{since}: "
    measured = "      measured "
    room = width - len(measured)
    expected = f"; expected {one_line(finding.expected, max(room // 2 - 11, 24))}" if finding.check else ""
    told = one_line(finding.measured, max(room - len(expected), 24))
    return [
        ClosingLine(_after(head, finding.claim, width), finding.verdict),
        ClosingLine(f"{measured}{told}{expected}"),
    ]


def _after(head: str, text: str, width: int) -> str:
    """Return a text after its head, cut so that both fit; the head is kept whole."""
    return head + one_line(text, max(width - len(head), 24))
