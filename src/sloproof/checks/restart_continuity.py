"""Counters survive a restart: the reset is seen, nothing is lost or doubled, and the gap is short."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from sloproof.checks.evidence import Basis, Bounds, Delta, selector_text, total
from sloproof.checks.wording import count_of, duration_text, signed, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.finding import Finding
    from sloproof.model import Series, Window

CHECK = "restart_continuity"

_TOTAL = "a restart neither loses nor doubles what was counted"
_GAP = "the restart leaves only a short gap in the scrapes"


@dataclass(frozen=True, slots=True)
class RestartEvidence:
    """A counter and its targets across restarts.

    Attributes:
        deltas: By how much each series of the counter rose over the whole window, resets followed.
        truth: By how much all of them together really rose; a range where requests were of unknown outcome, or where
            some were answered after the last scrape before the kill.
        restarts: How often each process was restarted in the window.
        up: The `up` series of the targets, raw samples.
        window: From before the first restart to after the last.
    """

    deltas: Sequence[Delta]
    truth: Bounds
    restarts: int
    up: Sequence[Series]
    window: Window


def judge(evidence: RestartEvidence, basis: Basis, *, max_gap: timedelta) -> tuple[Finding, Finding]:
    """Return whether the counters stay whole, and whether the gap is within its budget: two findings.

    Args:
        evidence: Counter and targets.
        basis: What it rests on.
        max_gap: How long the time between two good scrapes of a target may be.
    """
    return _whole(evidence, basis), _gap(evidence, basis, max_gap)


def _whole(evidence: RestartEvidence, basis: Basis) -> Finding:
    expected = (
        f"a rise of {evidence.truth} over {count_of(evidence.restarts, 'restart')}, "
        f"each series reset {count_of(evidence.restarts, 'time')} at most, and at least one exactly so often"
    )
    if not evidence.deltas or evidence.truth.high <= 0:
        return basis.inconclusive(
            CHECK, _TOTAL, expected=expected,
            measured="the counter has no series" if not evidence.deltas else "nothing was counted",
            hint="send requests before and after the restart, and judge once both are scraped",
        )  # fmt: skip
    risen = total(Bounds(delta.low, delta.high) for delta in evidence.deltas)
    most = max(delta.resets for delta in evidence.deltas)
    wobbling = [delta for delta in evidence.deltas if delta.resets > evidence.restarts]
    negative = [delta for delta in evidence.deltas if delta.low < 0]
    rows = [
        (selector_text(delta.labels), str(Bounds(delta.low, delta.high)), str(delta.resets))
        for delta in (*wobbling, *(delta for delta in negative if delta not in wobbling))
    ]
    is_total_true = risen.meets(evidence.truth)
    return basis.judged(
        CHECK,
        _TOTAL,
        holds=is_total_true and not rows and most == evidence.restarts,
        expected=expected,
        measured=f"a rise of {risen}, {count_of(most, 'reset')} seen"
        + ("" if is_total_true else f"; off by {_off(risen, evidence.truth)}"),
        hint=_hint(risen, evidence, most, is_wobbling=bool(wobbling)),
        evidence=(
            ("series at fault", table(("series", "rise", "resets"), rows)),
            ("events", f"{count_of(len(evidence.deltas), 'series', 'series')}, truth {evidence.truth}"),
        ),
    )


def _off(risen: Bounds, truth: Bounds) -> str:
    return signed(risen.high - truth.low) if risen.high < truth.low else signed(risen.low - truth.high)


def _hint(risen: Bounds, evidence: RestartEvidence, resets: int, *, is_wobbling: bool) -> str:
    if is_wobbling:
        return "it falls without a restart: workers answer scrapes in turn, or one that ended took its counts with it"
    if resets < evidence.restarts:
        return "no reset was seen: the process did not restart, or the counter was carried over and counted on"
    if risen.low >= 2 * evidence.truth.low > 0:
        return "what was counted before is counted again: old files of a multiprocess registry were kept"
    if risen.high < evidence.truth.low:
        return "what was counted after the last scrape before the restart is gone: quiesce first, or widen the truth"
    return "the counter rose by requests nobody sent"


def _gap(evidence: RestartEvidence, basis: Basis, max_gap: timedelta) -> Finding:
    expected = f"at most {duration_text(max_gap)} between two good scrapes of each target"
    if not any(series.samples for series in evidence.up):
        return basis.inconclusive(
            CHECK, _GAP, expected=expected, measured="no sample of up", hint="is the service a target of Prometheus?"
        )
    rows = []
    longest = timedelta(0)
    for series in evidence.up:
        good = [sample.time for sample in series.samples if sample.value == 1 and sample.time in evidence.window]
        moments = [evidence.window.start, *good, evidence.window.end]
        gap, since = max((later - earlier, earlier) for earlier, later in pairwise(moments))
        longest = max(longest, gap)
        if gap > max_gap:
            rows.append((selector_text(series.labels), duration_text(gap), since.isoformat(timespec="milliseconds")))
    return basis.judged(
        CHECK,
        _GAP,
        holds=not rows,
        expected=expected,
        measured=f"longest gap {duration_text(longest)}",
        hint="the new process is ready late, or Prometheus looks for it at the old address",
        evidence=(("gaps", table(("target", "gap", "since"), rows)),),
    )
