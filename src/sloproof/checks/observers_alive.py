"""The observers themselves are well: nothing dropped, nothing refused, no scrape failed or missed, clocks agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from sloproof.checks.evidence import Basis, Bounds, selector_text
from sloproof.checks.wording import count_of, duration_text, instant_text, listing, number, table
from sloproof.finding import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sloproof.model import Series, Window

CHECK = "observers_alive"

_DROPS = "no observer dropped, refused or failed anything"
_SCRAPES = "no scrape failed and none was missed"
_CLOCKS = "the clocks of all observers agree"


@dataclass(frozen=True, slots=True)
class SelfMetric:
    """A counter by which an observer admits a loss.

    Attributes:
        observer: `prometheus`, `loki`, `promtail`.
        name: The counter and what selects its series.
        increase: By how much it rose in the window, over its series; None where it has none, so that nothing is known.
        allowed: How much it may rise.
    """

    observer: str
    name: str
    increase: Bounds | None
    allowed: float = 0


@dataclass(frozen=True, slots=True)
class ClockReading:
    """How far an observer's clock is ahead of the driver's, and by how much the reading may be wrong."""

    observer: str
    ahead: timedelta
    uncertainty: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class ObserverEvidence:
    """What the observers say of themselves.

    Attributes:
        meters: Counters of losses.
        up: The `up` series of all targets that count, raw samples.
        interval: How often they are scraped.
        window: The stretch judged.
        clocks: Clock readings, if any were taken.
        slower: By job, how often its targets are scraped where that is less often.
    """

    meters: Sequence[SelfMetric]
    up: Sequence[Series]
    interval: timedelta
    window: Window
    clocks: Sequence[ClockReading] = ()
    slower: Mapping[str, timedelta] = field(default_factory=dict)


def judge(
    evidence: ObserverEvidence,
    basis: Basis,
    *,
    gap_factor: float = 1.75,
    clock_tolerance: timedelta = timedelta(milliseconds=250),
) -> tuple[Finding, ...]:
    """Return findings on losses, on scrapes and, where readings were taken, on clocks.

    Args:
        evidence: What the observers say.
        basis: What it rests on.
        gap_factor: A gap of more than so many scrape intervals is a missed scrape; above 1 and below 2.
        clock_tolerance: How far two clocks may be apart.
    """
    found = [_losses(evidence, basis), _scrapes(evidence, basis, gap_factor)]
    if evidence.clocks:
        found.append(_clocks(evidence, basis, clock_tolerance))
    return tuple(found)


def _losses(evidence: ObserverEvidence, basis: Basis) -> Finding:
    rows = []
    absent = []
    for meter in evidence.meters:
        if meter.increase is None:
            absent.append(f"{meter.observer}: {meter.name}")
        elif meter.increase.high > meter.allowed:
            rows.append((meter.observer, meter.name, str(meter.increase), number(meter.allowed)))
    expected = f"{count_of(len(evidence.meters), 'counter')} of losses, none risen"
    verdict = Verdict.FAIL if rows else Verdict.INCONCLUSIVE if absent or not evidence.meters else Verdict.PASS
    hints = {
        Verdict.FAIL: "what was dropped here is missing everywhere else: read the observer's own log in the window",
        Verdict.INCONCLUSIVE: "scrape the observers themselves; a counter born at its first loss must be known by name",
    }
    return basis.finding(
        CHECK,
        verdict,
        _DROPS,
        expected=expected,
        measured=f"{len(rows)} risen, {len(absent)} absent" if evidence.meters else "no counter was read",
        hint=hints.get(verdict, ""),
        evidence=(
            ("risen", table(("observer", "counter", "rise", "allowed"), rows)),
            ("absent", "\n".join(absent)),
            ("read", listing(f"{meter.observer} {meter.name}" for meter in evidence.meters)),
        ),
    )


def _scrapes(evidence: ObserverEvidence, basis: Basis, gap_factor: float) -> Finding:
    def most(series: Series) -> timedelta:
        """Return the longest time between two scrapes of a target in which none is missing."""
        slower = evidence.slower.get(series.labels.get("job", ""), evidence.interval)
        return max(evidence.interval, slower) * gap_factor

    least, longest = evidence.interval, max([evidence.interval, *evidence.slower.values()])
    every = duration_text(least) if least == longest else f"{duration_text(least)} to {duration_text(longest)}"
    expected = f"every target answers every {every}, no gap above {gap_factor:g} of its intervals"
    inside = [
        (series, [sample for sample in series.samples if sample.time in evidence.window]) for series in evidence.up
    ]
    count = sum(len(samples) for _, samples in inside)
    if not count:
        return basis.inconclusive(
            CHECK, _SCRAPES, expected=expected, measured="no sample of up in the window",
            hint="Prometheus has no target, or has scraped nothing: look at its targets page",
        )  # fmt: skip
    rows = []
    failed = missed = 0
    for series, samples in inside:
        name = selector_text(series.labels)
        bad = [sample for sample in samples if sample.value != 1]
        failed += len(bad)
        rows += [(name, "failed", instant_text(sample.time)) for sample in bad]
        # Window ends lie anywhere between two scrapes, so the stretches beside them may be a gap, not more.
        moments = [evidence.window.start, *(sample.time for sample in samples), evidence.window.end]
        for earlier, later in pairwise(moments):
            if later - earlier > most(series):
                missed += 1
                rows.append((name, "missed", f"{duration_text(later - earlier)} from {instant_text(earlier)}"))
    return basis.judged(
        CHECK,
        _SCRAPES,
        holds=not rows,
        expected=expected,
        measured=f"{count_of(count, 'scrape')} of {count_of(len(evidence.up), 'target')}: "
        f"{failed} failed, {count_of(missed, 'gap')}",
        hint="a target that is slow or gone, or a Prometheus that is starved: its last error tells which",
        evidence=(("scrapes", table(("target", "what", "when"), rows)),),
    )


def _clocks(evidence: ObserverEvidence, basis: Basis, tolerance: timedelta) -> Finding:
    # Each reading is against the driver's clock, which is one of the clocks that must agree.
    wrong = [one for one in evidence.clocks if abs(one.ahead) - one.uncertainty > tolerance]
    unclear = [
        one for one in evidence.clocks if one not in wrong and abs(one.ahead) + one.uncertainty > tolerance
    ]  # fmt: skip
    rows = [
        (one.observer, f"{one.ahead.total_seconds():+.3f} s", f"+-{duration_text(one.uncertainty)}")
        for one in evidence.clocks
    ]
    verdict = Verdict.FAIL if wrong else Verdict.INCONCLUSIVE if unclear else Verdict.PASS
    return basis.finding(
        CHECK,
        verdict,
        _CLOCKS,
        expected=f"each within {duration_text(tolerance)} of the driver's",
        measured=f"{len(wrong)} of {count_of(len(rows), 'clock')} off, {len(unclear)} read too roughly to say",
        hint="" if verdict is Verdict.PASS else "instants of different machines cannot be compared until they agree",
        evidence=(("clocks", table(("observer", "ahead", "uncertainty"), rows)),),
    )
