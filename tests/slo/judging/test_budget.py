from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sloproof.model import Window
from sloproof.slo.judging.budget import as_events, consumed, merge, moments, sli, within
from sloproof.slo.judging.steps import plan_of
from sloproof.slo.model import NoData, Rolling
from sloproof.slo.verdicts import Count
from tests.slo.counted import AT, judged, numbers, steps_of
from tests.slo.objectives import objective, sliced

F = Fraction
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SMALL = objective(period=Rolling(DAY))
counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10**6)), min_size=1, max_size=60)


def count(number: int, bad: int, good: int) -> Count:
    start = AT + number * HOUR
    return Count(Window(start, start + HOUR), F(bad), F(bad + good), HOUR)


@given(counts, st.randoms())
def test_merge_is_associative_and_knows_no_order(events: list[tuple[int, int]], chance: random.Random) -> None:
    made = [count(number, *one) for number, one in enumerate(events)]
    window = Window(made[0].window.start, made[-1].window.end)
    whole = merge(made, window)
    cut = chance.randrange(len(made) + 1)
    parts = [merge(part, window) for part in (made[:cut], made[cut:])]
    shuffled = made[:]
    chance.shuffle(shuffled)
    assert merge(parts, window) == whole == merge(shuffled, window)


@given(counts)
def test_nothing_is_rounded(events: list[tuple[int, int]]) -> None:
    made = [count(number, *one) for number, one in enumerate(events)]
    whole = merge(made, Window(made[0].window.start, made[-1].window.end))
    bad, valid = sum(b for b, _ in events), sum(b + g for b, g in events)
    if not valid:
        assert consumed(SMALL, whole, whole.window) is None is sli(whole)
        return
    spent = consumed(SMALL, whole, whole.window)
    assert spent == F(bad * 1000, valid)
    assert sli(whole) == F(valid - bad, valid)


@settings(max_examples=15)
@given(st.integers(0, 10**9))
def test_the_budget_never_rises_within_a_period(seed: int) -> None:
    chance = random.Random(seed)
    made = steps_of(SMALL, lambda _: (chance.choice([0, 0, 3]), chance.randrange(3, 900)))
    left = [one.budget_left for one in moments(SMALL, made, plan_of(SMALL, AT), 720)]
    assert all(later <= earlier for earlier, later in pairwise(left) if earlier is not None and later is not None)
    assert left[-1] == judged(SMALL, made).remaining


@settings(max_examples=15)
@given(st.integers(0, 10**9))
def test_judging_shuffled_steps_gives_the_same(seed: int) -> None:
    chance = random.Random(seed)
    made = list(steps_of(SMALL, lambda _: (chance.randrange(3), chance.randrange(3, 90))))
    before = judged(SMALL, made)
    chance.shuffle(made)
    assert judged(SMALL, made) == before


def test_a_burn_rate_at_the_factor_does_not_burn() -> None:
    row = SMALL.rows[0]
    threshold = row.factor * SMALL.budget
    events = threshold.denominator * 100
    at_factor = steps_of(SMALL, lambda _: (int(threshold * events), events))
    (rate, *_) = judged(SMALL, at_factor).burn_rates
    assert rate.long == row.factor
    assert not rate.is_burning
    above = steps_of(SMALL, lambda _: (int(threshold * events) + 1, events))
    assert judged(SMALL, above).burn_rates[0].is_burning


def test_a_slice_is_good_from_its_target_on() -> None:
    made = sliced(rows=(), period=Rolling(HOUR))
    at_target = as_events(made, steps_of(made, lambda _: (5, 100)))
    assert {one.bad for one in at_target} == {0}
    below = as_events(made, steps_of(made, lambda _: (6, 100)))
    assert {numbers(one.bad, one.valid) for one in below} == {(1, 1)}


def test_ratio_slices_weigh_by_how_good_they_were() -> None:
    made = replace(sliced(rows=(), period=Rolling(HOUR)), slice_target=None)
    steps = as_events(made, steps_of(made, lambda one: (1, 3) if one.start.minute < 30 else (0, 10**6)))
    found = within(steps, plan_of(made, AT).period)
    assert numbers(found.bad, found.valid) == (F(6, 3), 12)


def test_missing_time_counts_at_the_mean_rate_as_the_policy_says() -> None:
    for policy, bad in ((NoData.BAD, 120 + 1200), (NoData.GOOD, 120)):
        made = replace(SMALL, no_data=policy)
        steps = steps_of(
            made,
            lambda one: (int(one.duration / HOUR * 10 * 12), int(one.duration / HOUR * 1200)),
            covered=lambda one: one.start >= AT - 12 * HOUR,
        )
        found = within(as_events(made, steps), plan_of(made, AT).period)
        assert found.coverage == 1
        assert found.valid == 2 * merge(steps, found.window).valid
        assert (found.bad > merge(steps, found.window).bad) == (policy is NoData.BAD), bad


def test_no_policy_makes_something_of_nothing() -> None:
    for policy in NoData:
        made = replace(SMALL, no_data=policy)
        steps = steps_of(made, lambda _: (0, 0), covered=lambda _: False)
        assert judged(made, steps).verdict == "inconclusive"
