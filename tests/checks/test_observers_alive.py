from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sloproof.checks.evidence import Bounds
from sloproof.checks.observers_alive import ClockReading, ObserverEvidence, SelfMetric, judge
from sloproof.finding import Finding, Verdict
from tests.checks.facts import BASIS, exactly, fails, named, passes, seconds, unclear, window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.model import Series

DROPPED = SelfMetric("promtail", "promtail_dropped_entries_total", exactly(0))
REJECTED = SelfMetric("loki", "loki_discarded_samples_total", exactly(0))


def up(values: dict[float, float] | None = None) -> Series:
    return named("up", values or {number * 0.25: 1 for number in range(1, 40)}, instance="a:1")


def judged(
    *, meters: Sequence[SelfMetric] = (DROPPED, REJECTED), series: Sequence[Series] | None = None,
    clocks: Sequence[ClockReading] = (),
) -> tuple[Finding, ...]:  # fmt: skip
    found = [up()] if series is None else series
    return judge(ObserverEvidence(meters, found, seconds(0.25), window(0, 10), clocks), BASIS)


def test_observers_alive_passes_when_nothing_is_lost_and_every_scrape_is_there() -> None:
    found = judged(clocks=[ClockReading("loki", seconds(0.01))])

    assert [one.verdict for one in found] == [Verdict.PASS] * 3


@pytest.mark.parametrize("increase", [exactly(1), Bounds(0, 3)], ids=["certain", "possible"])
def test_observers_alive_says_so_when_a_rate_limit_rejects_lines(increase: Bounds) -> None:
    losses = judged(meters=[DROPPED, SelfMetric("loki", "loki_discarded_samples_total", increase)])[0]

    assert fails(losses)
    assert "loki_discarded_samples_total" in dict(losses.evidence)["risen"]


def test_observers_alive_does_not_pass_when_a_counter_of_losses_is_absent() -> None:
    losses = judged(meters=[DROPPED, SelfMetric("loki", "loki_discarded_samples_total", None)])[0]

    assert unclear(losses)
    assert "loki" in dict(losses.evidence)["absent"]


def test_observers_alive_puts_a_loss_before_an_absent_counter() -> None:
    assert fails(judged(meters=[SelfMetric("a", "b", None), SelfMetric("c", "d", exactly(2))])[0])


def test_observers_alive_says_so_when_one_scrape_failed() -> None:
    scrapes = judged(series=[up({number * 0.25: 0 if number == 9 else 1 for number in range(1, 40)})])[1]

    assert fails(scrapes)
    assert "1 failed" in scrapes.measured


def test_observers_alive_says_so_when_one_scrape_is_missing() -> None:
    scrapes = judged(series=[up({number * 0.25: 1 for number in range(1, 40) if number != 9})])[1]

    assert fails(scrapes)
    assert "0.500 s from" in dict(scrapes.evidence)["scrapes"]


@pytest.mark.parametrize("kept", [range(4, 40), range(1, 37)], ids=["first ones", "last ones"])
def test_observers_alive_says_so_when_scrapes_are_missing_at_an_end(kept: range) -> None:
    assert fails(judged(series=[up({number * 0.25: 1 for number in kept})])[1])


def test_observers_alive_says_so_when_one_target_of_two_has_no_sample() -> None:
    assert fails(judged(series=[up(), named("up", {}, instance="b:1")])[1])


def test_observers_alive_says_so_when_a_clock_is_off() -> None:
    for ahead in (1.5, -1.5):
        assert fails(judged(clocks=[ClockReading("loki", seconds(ahead), seconds(0.1))])[2])


def test_observers_alive_does_not_pass_on_a_clock_read_too_roughly() -> None:
    assert unclear(judged(clocks=[ClockReading("loki", seconds(0.2), seconds(0.1))])[2])


def test_observers_alive_is_inconclusive_without_data() -> None:
    losses, scrapes = judged(meters=[], series=[])

    assert unclear(losses)
    assert unclear(scrapes)
    assert not passes(losses)
