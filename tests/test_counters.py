from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.counters import CounterDelta, Range, increase_between, total
from sloproof.model import Labels, Sample, Series, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = {"job": "api", "instance": "a:1"}
LABELS = {"__name__": "requests_total", **OWN, "code": "200"}


def at(second: float) -> datetime:
    return BEGIN + timedelta(seconds=second)


def series(values: dict[float, float], labels: Labels = LABELS) -> Series:
    return Series(labels, tuple(Sample(at(second), value) for second, value in values.items()))


def up(values: dict[float, float], labels: Labels = OWN) -> Series:
    return series(values, {"__name__": "up", **labels})


ALWAYS = up(dict.fromkeys(range(-40, 60), 1))


def delta(
    values: dict[float, float], before: float, after: float, targets: Sequence[Series] = (ALWAYS,)
) -> CounterDelta | None:
    found = increase_between([series(values)], at(before), at(after), targets_up=targets)
    return found[0] if found else None


def bounds(
    values: dict[float, float], before: float, after: float, targets: Sequence[Series] = (ALWAYS,)
) -> tuple[float, float]:
    one = delta(values, before, after, targets)
    assert one is not None
    assert one.is_exact == (one.low == one.high)
    return one.low, one.high


def test_delta_is_the_difference_of_the_samples_at_the_anchors() -> None:
    one = delta({0: 5, 1: 7, 2: 10, 3: 99}, 0.5, 2.9)
    assert one == CounterDelta(LABELS, 5, 5, 0, Sample(at(0), 5), Sample(at(2), 10))
    assert one.is_exact


def test_delta_takes_a_sample_exactly_at_an_anchor_for_it() -> None:
    assert bounds({0: 5, 1: 7, 2: 10}, 1, 2) == (3, 3)


def test_delta_of_nothing_new_is_exactly_zero() -> None:
    assert bounds({0: 5}, 0, 5) == (0, 0)


def test_delta_follows_resets() -> None:
    one = delta({0: 5, 1: 7, 2: 2, 3: 4, 4: 1}, 0, 4)
    assert one is not None
    assert (one.low, one.high, one.resets) == (2 + 2 + 2 + 1, 7, 2)


def test_delta_of_a_series_born_under_watch_counts_from_zero() -> None:
    """The classic lost first sample: 137 requests in the burst that brought the series forth."""
    assert bounds({3: 137, 4: 137}, 2, 4) == (137, 137)


@pytest.mark.parametrize(
    "targets",
    [
        [],
        [up({2: 0, 3: 1})],
        [up({1: 1, 2: 0, 3: 1})],
        [up({-20: 1, 3: 1})],
        [up({3: 1, 4: 1})],
        [up({2: 1}, {"job": "api", "instance": "b:1"})],
        [up({2: 1}, {**OWN, "zone": "x"}), up({2: 1}, {**OWN, "zone": "y"})],
        [up({2: 1}), up({2: 1}, {**OWN, "code": "200"})],
    ],
    ids=["none", "down", "went down", "long ago", "only after", "another", "neither of two", "either of two"],
)
def test_delta_of_a_series_born_while_nobody_looked_is_bounded_not_guessed(targets: list[Series]) -> None:
    assert bounds({3: 137, 4: 140}, 2, 4, targets) == (3, 140)


def test_delta_finds_the_target_whose_labels_the_series_bears() -> None:
    looked, not_looked = up({2: 1}, {**OWN, "code": "200"}), up({2: 0}, {**OWN, "code": "500"})
    assert bounds({3: 137}, 2, 4, [not_looked, looked]) == (137, 137)


def test_delta_of_a_stale_baseline_is_bounded() -> None:
    """What happened between a sample of 20 s ago and the next may have been before the anchor or after it."""
    assert bounds({-20: 5, 3: 9, 4: 10}, 0, 4, [up({-20: 1, 3: 1, 4: 1})]) == (1, 5)


def test_delta_of_a_series_that_had_ended_is_none() -> None:
    assert delta({-20: 5}, 0, 4) is None
    assert delta({-3: 5}, 0, 4) is None, "two good scrapes without it"
    assert delta({7: 5}, 0, 4) is None
    assert delta({}, 0, 4) is None


def test_delta_of_a_series_that_was_missing_in_a_good_scrape_may_have_begun_anew() -> None:
    """After a restart it may have grown beyond its old value before it is seen again: 5, gone, 9 is 4 more or 9."""
    assert bounds({0: 5, 3: 9}, 0, 3) == (4, 9)
    assert bounds({0: 5, 3: 9}, 1, 3) == (4, 9)
    assert bounds({0: 5, 3: 9}, 0, 3, [up({0: 1, 1: 0, 2: 0, 3: 1})]) == (4, 4)
    assert bounds({0: 5, 3: 2}, 0, 3) == (2, 2)


def test_delta_of_a_series_with_timestamps_of_its_own_is_not_called_missing() -> None:
    assert bounds({0.4: 5, 2.4: 9}, 1, 3) == (4, 4)


def test_delta_names_the_stretches_in_which_nobody_looked() -> None:
    one = delta({0: 1, 1: 2, 30: 3}, 0, 45, [up({0: 1, 1: 1, 30: 1})])
    assert one is not None
    assert one.gaps == (Window(at(1), at(30)), Window(at(30), at(45)))
    gone = delta({0: 1, 1: 2}, 0, 45)
    assert gone is not None
    assert gone.gaps == (), "its target was looked at all the time"


def test_delta_leaves_nan_out() -> None:
    assert bounds({0: 5, 1: math.nan, 2: 8}, 0, 2, []) == (3, 3)
    assert delta({0: math.nan, 1: math.nan}, 0, 2) is None


LIVES = st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=12), min_size=1, max_size=4)


@given(LIVES, st.data())
def test_deltas_are_the_true_increments_between_any_two_scrapes(lives: list[list[int]], data: st.DataObject) -> None:
    """A counter that is scraped each second, and last right before each restart: what it counted is what is told."""
    values: dict[float, float] = {}
    truth: list[int] = []
    second = 0
    for number, life in enumerate(lives):
        value = 0
        # A life whose first scrape is not below the last one's end hides its reset from every reader.
        first = life[0] if not number else min(life[0], max(int(values[second - 1]) - 1, 0))
        if number and int(values[second - 1]) == 0:
            first = 0
        for increment in (first, *life[1:]):
            value += increment
            values[second] = value
            truth.append(increment)
            second += 1
    before = data.draw(st.integers(0, second - 1))
    after = data.draw(st.integers(before, second - 1))
    one = delta(values, before, after, [up(dict.fromkeys(range(second), 1))])
    assert one is not None
    assert one.low == one.high == sum(truth[before + 1 : after + 1])


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=20), st.lists(st.booleans(), max_size=20), st.data())
def test_deltas_are_never_negative_and_never_depend_on_order(
    seen: list[int | None], good: list[bool], data: st.DataObject
) -> None:
    values: dict[float, float] = {second: value for second, value in enumerate(seen) if value is not None}
    targets = [up({second: float(is_good) for second, is_good in enumerate(good)})]
    before = data.draw(st.integers(-1, 20))
    after = data.draw(st.integers(before, 21))
    other = {**LABELS, "code": "500"}
    both = [series(values), series(values, other)]
    found = increase_between(both, at(before), at(after), targets_up=targets)
    for one in found:
        assert 0 <= one.low <= one.high
        assert one.resets >= 0
    shuffler = random.Random(data.draw(st.integers()))
    mixed = [
        Series(one.labels, tuple(shuffler.sample(one.samples, len(one.samples)))) for one in (*reversed(both), *targets)
    ]
    again = increase_between(mixed[:2], at(before), at(after), targets_up=mixed[2:])
    assert tuple(reversed(again)) == found


@given(st.lists(st.integers(0, 5), min_size=3, max_size=20), st.data())
def test_deltas_of_two_stretches_add_up_to_that_of_both(increments: list[int], data: st.DataObject) -> None:
    values: dict[float, float] = {second: sum(increments[: second + 1]) for second in range(len(increments))}
    middle = data.draw(st.integers(0, len(increments) - 1))
    end = len(increments) - 1
    first, second, whole = (bounds(values, *ends) for ends in ((0, middle), (middle, end), (0, end)))
    assert first[0] + second[0] == whole[0]


def test_total_sums_bounds_by_label() -> None:
    def one(low: float, high: float, **labels: str) -> CounterDelta:
        return CounterDelta(labels, low, high, 0, None, None)

    deltas = [one(1, 1, code="200", pod="a"), one(2, 3, code="200", pod="b"), one(4, 4, pod="a")]
    assert total(deltas, by=["code"]) == {("200",): Range(3, 4), ("",): Range(4, 4)}
    assert total(deltas) == {(): Range(7, 8)}
    assert total([]) == {}
    assert Range(4, 4).is_exact
    assert not Range(3, 4).is_exact
