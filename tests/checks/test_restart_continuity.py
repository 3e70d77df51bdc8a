from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sloproof.checks.evidence import Bounds
from sloproof.checks.restart_continuity import RestartEvidence, judge
from sloproof.model import Labels, Series
from tests.checks.facts import BASIS, exactly, fails, named, passes, seconds, unclear, window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.finding import Finding


HUNDRED = exactly(100)


@dataclass(frozen=True)
class Rise:
    low: float
    high: float
    resets: int
    labels: Labels = field(default_factory=lambda: {"__name__": "requests_total"})


def up(*down: int) -> Series:
    return named("up", {number * 0.25: 0 if number in down else 1 for number in range(41)}, instance="a:1")


def judged(
    deltas: Sequence[Rise], truth: Bounds = HUNDRED, *, restarts: int = 1, series: Sequence[Series] | None = None
) -> tuple[Finding, Finding]:
    found = [up(20, 21)] if series is None else series
    return judge(RestartEvidence(deltas, truth, restarts, found, window(0, 10)), BASIS, max_gap=seconds(1))


def test_restart_continuity_passes_when_the_reset_is_seen_and_the_total_is_true() -> None:
    whole, gap = judged([Rise(60, 60, 1), Rise(40, 40, 0)])

    assert passes(whole)
    assert passes(gap)
    assert "longest gap 0.750 s" in gap.measured


def test_restart_continuity_says_so_when_old_counts_are_counted_again() -> None:
    whole, _ = judged([Rise(200, 200, 1)])

    assert fails(whole)
    assert "counted again" in whole.hint


def test_restart_continuity_says_so_when_counts_before_the_restart_are_lost() -> None:
    whole, _ = judged([Rise(93, 93, 1)])

    assert fails(whole)
    assert "off by -7" in whole.measured


def test_restart_continuity_says_so_when_workers_recycle_without_a_shared_registry() -> None:
    """The counter falls whenever another worker answers the scrape: more resets than restarts."""
    whole, _ = judged([Rise(100, 100, 5)])

    assert fails(whole)
    assert "falls without a restart" in whole.hint


def test_restart_continuity_says_so_when_the_counter_falls_and_nothing_was_restarted() -> None:
    assert fails(judged([Rise(100, 100, 1)], restarts=0)[0])


def test_restart_continuity_says_so_when_no_reset_is_seen() -> None:
    assert fails(judged([Rise(100, 100, 0)])[0])


def test_restart_continuity_says_so_when_a_rise_is_negative() -> None:
    assert fails(judged([Rise(-20, -20, 0), Rise(120, 120, 1)])[0])


def test_restart_continuity_accepts_a_truth_within_the_bounds_only() -> None:
    assert passes(judged([Rise(95, 104, 1)])[0])
    assert passes(judged([Rise(95, 95, 1)], Bounds(90, 100))[0])
    assert fails(judged([Rise(101, 104, 1)])[0])


def test_restart_continuity_says_so_when_the_gap_is_too_long() -> None:
    _, gap = judged([Rise(100, 100, 1)], series=[up(*range(20, 26))])

    assert fails(gap)
    assert "1.750 s" in dict(gap.evidence)["gaps"]


def test_restart_continuity_says_so_when_scrapes_are_missing_instead_of_failing() -> None:
    full = up()
    holed = Series(full.labels, tuple(sample for number, sample in enumerate(full.samples) if not 20 <= number < 26))

    assert fails(judged([Rise(100, 100, 1)], series=[holed])[1])


def test_restart_continuity_says_so_when_the_target_never_comes_back() -> None:
    assert fails(judged([Rise(100, 100, 1)], series=[up(*range(30, 41))])[1])


def test_restart_continuity_is_inconclusive_without_data() -> None:
    assert unclear(judged([])[0])
    assert unclear(judged([Rise(0, 0, 1)], exactly(0))[0])
    assert unclear(judged([Rise(100, 100, 1)], series=[])[1])
