from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest

from sloproof.model import ns_from_instant
from sloproof.prove.timeline import Condition, Events
from sloproof.slo.model import AlertRow, Severity
from tests.fakes import T0, after

ROW = AlertRow("page-quick", Severity.PAGE, timedelta(seconds=12), timedelta(seconds=1), Fraction(72, 5))
BUDGET = Fraction(1, 20)  # threshold 0.72


def steady(bad_from: float, bad_to: float, *, share: int = 1, until: float = 60, rate: int = 100) -> Events:
    """A request each hundredth of a second; in a stretch, each `share`th is bad."""
    at = [(n / rate, n) for n in range(int(until * rate))]
    valid = [ns_from_instant(after(t)) for t, _ in at]
    bad = [ns_from_instant(after(t)) for t, n in at if bad_from <= t < bad_to and n % share == 0]
    return Events.of(bad, valid)


@pytest.mark.parametrize("known", [0.0, 30.0])
def test_fires_at_the_formulas_time_with_warm_and_with_cold_windows(known: float) -> None:
    events = steady(40, 60, until=70)

    found = Condition(ROW, BUDGET, after(known)).first(events, after(40), after(60))

    assert found is not None
    assert (found - after(40)).total_seconds() == pytest.approx(0.72 * 12, abs=0.05)


def test_cold_windows_do_not_fire_early() -> None:
    """Of the first second all is bad: a ratio of 1, yet no budget to speak of is spent."""
    events = steady(0, 60)

    found = Condition(ROW, BUDGET, T0).first(events, T0, after(60))

    assert found is not None
    assert (found - T0).total_seconds() == pytest.approx(0.72 * 12, abs=0.05)


def test_clears_when_the_short_window_has_forgotten() -> None:
    events = steady(20, 40)

    found = Condition(ROW, BUDGET, T0).first(events, after(40), after(60), holds=False)

    assert found is not None
    assert (found - after(40)).total_seconds() == pytest.approx(1 - 0.72, abs=0.05)


def test_below_the_threshold_it_never_holds() -> None:
    assert Condition(ROW, BUDGET, T0).first(steady(0, 60, share=2), T0, after(60)) is None


def test_few_events_are_no_evidence() -> None:
    events = steady(0, 60, rate=2)

    assert Condition(ROW, BUDGET, T0, min_events=100).first(events, T0, after(60)) is None
    assert Condition(ROW, BUDGET, T0, min_events=10).first(events, T0, after(60)) is not None


def test_silence_is_no_burn() -> None:
    assert not Condition(ROW, BUDGET, T0).holds(Events.of([], []), ns_from_instant(after(30)))


def test_a_ratio_that_hovers_at_the_threshold_is_over_only_once_it_is_clearly_below() -> None:
    """The long window's ratio stays at 1.01 of the threshold, then at 0.99, until the short window has forgotten."""
    slow = AlertRow("ticket-slow", Severity.TICKET, timedelta(seconds=40), timedelta(seconds=10), Fraction(5))
    events, budget = steady(60, 70.1, until=100), Fraction(1, 20)
    condition = Condition(slow, budget, T0)
    hovering = [(70.2, True), (70.4, True)]
    assert [condition.holds(events, ns_from_instant(after(at))) for at, _ in hovering] == [one for _, one in hovering]

    fewer = Condition(slow, budget * Fraction(102, 100), T0)  # counts that differ by 2 %
    at_once, clearly = (
        fewer.first(events, after(70.1), after(100), holds=False, share=share)
        for share in (Fraction(1), Fraction(95, 100))
    )
    assert at_once == after(70.1)
    assert clearly is not None
    # A quarter of the short window is bad, times 0.95 and 1.02: what is left of ten seconds after 7.58 of them.
    assert (clearly - after(70.1)).total_seconds() == pytest.approx(10 * (1 - 0.25 * 1.02 * 0.95), abs=0.05)
