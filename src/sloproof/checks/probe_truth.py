"""A probe says what is so: red while it must be, green while it must be, and in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from sloproof.checks.wording import count_of, duration_text, instant_text, table, window_text
from sloproof.model import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.checks.evidence import Basis
    from sloproof.finding import Finding

CHECK = "probe_truth"

_OK = 200


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """One ask of a probe.

    Attributes:
        asked: When it was asked.
        duration: Until its answer, or until the asker gave up.
        status: HTTP status; None where no answer came.
    """

    asked: datetime
    duration: timedelta
    status: int | None

    @property
    def answered(self) -> datetime:
        """Return when the answer came, or the asker gave up."""
        return self.asked + self.duration

    @property
    def is_green(self) -> bool:
        """Return whether it said yes; no answer is a no."""
        return self.status == _OK


@dataclass(frozen=True, slots=True)
class TruthSpan:
    """A stretch in which the true answer was one and the same, and why."""

    window: Window
    is_green: bool
    because: str


@dataclass(frozen=True, slots=True)
class ProbeEvidence:
    """A probe's answers, and what was really so.

    Attributes:
        probe: `readiness` or `liveness`.
        answers: By time of asking.
        truth: By time, one joining the next where the truth changed.
    """

    probe: str
    answers: Sequence[ProbeAnswer]
    truth: Sequence[TruthSpan]


def judge(
    evidence: ProbeEvidence,
    basis: Basis,
    *,
    tolerance: timedelta,
    max_answer: timedelta,
    max_gap: timedelta = timedelta(seconds=1),
) -> tuple[Finding, Finding]:
    """Return whether the probe told the truth, and whether it answered in time: two findings.

    Args:
        evidence: Answers and truth.
        basis: What it rests on.
        tolerance: How long after the truth changed the old answer is still accepted.
        max_answer: How long an answer may take.
        max_gap: How long a stretch without an answer may be before "throughout" is not proven.
    """
    return _truth(evidence, basis, tolerance, max_gap), _in_time(evidence, basis, max_answer)


def _truth(evidence: ProbeEvidence, basis: Basis, tolerance: timedelta, max_gap: timedelta) -> Finding:
    claim = f"{evidence.probe} tells the truth"
    expected = "; ".join(
        f"{_colour(is_green=span.is_green)} while {span.because}" for span in evidence.truth
    ) or "a truth to compare with"  # fmt: skip
    wrong: list[tuple[str, ...]] = []
    uncovered: list[str] = []
    judged = 0
    for index, span in enumerate(evidence.truth):
        # Only where the truth changed is the old answer still right for a while; not where watching began.
        changed = index > 0 and evidence.truth[index - 1].is_green != span.is_green
        since = span.window.start + tolerance if changed else span.window.start
        inside = [one for one in evidence.answers if since <= one.asked and one.answered <= span.window.end]
        judged += len(inside)
        wrong += [
            (instant_text(one.asked), _answer(one), _colour(is_green=span.is_green), span.because)
            for one in inside
            if one.is_green != span.is_green
        ]
        gap = _longest_gap(inside, Window(min(since, span.window.end), span.window.end))
        if not inside:
            uncovered.append(f"no answer while {span.because} ({window_text(span.window)})")
        elif gap > max_gap:
            uncovered.append(f"{duration_text(gap)} without an answer while {span.because}")
    events = (
        f"{count_of(len(evidence.answers), 'answer')}, {judged} judged, "
        f"the rest within {duration_text(tolerance)} of a change or across one"
    )
    rows = (
        ("wrong answers", table(("asked", "answer", "truth", "because"), wrong)),
        ("borders", _borders(evidence)),
        ("events", events),
    )
    measured = f"{len(wrong)} of {count_of(judged, 'answer')} wrong"
    if not wrong and (uncovered or not judged):
        return basis.inconclusive(
            CHECK, claim, expected=expected, evidence=rows,
            measured="; ".join([measured, *uncovered]) if evidence.truth else "nothing is known of what was so",
            hint=f"ask the probe at least every {duration_text(max_gap)} throughout",
        )  # fmt: skip
    return basis.judged(
        CHECK, claim, holds=not wrong, expected=expected, measured=measured, evidence=rows,
        hint=_hint(evidence, wrong),
    )  # fmt: skip


def _in_time(evidence: ProbeEvidence, basis: Basis, max_answer: timedelta) -> Finding:
    claim = f"{evidence.probe} always answers in time"
    expected = f"every answer within {duration_text(max_answer)}"
    if not evidence.answers:
        return basis.inconclusive(
            CHECK, claim, expected=expected, measured="the probe was not asked", hint="ask it while the load runs"
        )
    late = [one for one in evidence.answers if one.status is None or one.duration > max_answer]
    slowest = max(one.duration for one in evidence.answers)
    return basis.judged(
        CHECK,
        claim,
        holds=not late,
        expected=expected,
        measured=f"{len(late)} of {count_of(len(evidence.answers), 'answer')} late or missing; "
        f"slowest {duration_text(slowest)}",
        hint="probes wait behind traffic: give them a thread, or a worker, that slow requests cannot take",
        evidence=(
            ("late", table(("asked", "answer", "took"),
                           ((instant_text(one.asked), _answer(one), duration_text(one.duration)) for one in late))),
        ),
    )  # fmt: skip


def _longest_gap(inside: Sequence[ProbeAnswer], stretch: Window) -> timedelta:
    moments = [stretch.start, *(moment for one in inside for moment in (one.asked, one.answered)), stretch.end]
    # From answer to next ask; while an ask is under way the probe is being watched.
    pairs = zip(moments[::2], moments[1::2], strict=True)
    return max(later - earlier for earlier, later in pairs)


def _borders(evidence: ProbeEvidence) -> str:
    """Return, for each change of the truth, when the probe first followed."""
    rows = []
    for before, after in pairwise(evidence.truth):
        if before.is_green == after.is_green:
            continue
        border = after.window.start
        first = next((one for one in evidence.answers if one.asked >= border and one.is_green == after.is_green), None)
        delay = "never" if first is None else f"{duration_text(first.answered - border)} after"
        rows.append((instant_text(border), after.because, _colour(is_green=after.is_green), delay))
    return table(("changed", "because", "should be", "first so"), rows)


def _hint(evidence: ProbeEvidence, wrong: Sequence[tuple[str, ...]]) -> str:
    if any(row[1].startswith("no answer") for row in wrong):
        return "a probe that does not answer counts as red: it may be starved by traffic"
    if evidence.probe == "liveness":
        return "liveness must not depend on anything outside the process: red here makes restarts, not repairs"
    if any(row[2] == "red" for row in wrong):
        return "green while it cannot serve: the probe does not look at what it should, or looks at an old answer"
    return "red while it can serve: look at the reason in the probe's own answer"


def _colour(*, is_green: bool) -> str:
    return "green" if is_green else "red"


def _answer(one: ProbeAnswer) -> str:
    return "no answer" if one.status is None else str(one.status)
