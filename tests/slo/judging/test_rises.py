from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sloproof.slo.judging.rises import Counter, Looks, continuations, doubled, rises

LABELS = {"job": "shop", "instance": "a:80", "code": "200"}
TARGET = (("job", "shop"), ("instance", "a:80"))
NOWHERE = Looks({})


def stored(samples: list[list[float]], labels: dict[str, str] = LABELS) -> Counter:
    """Return a counter as it is read: step 0 is what was before."""
    made = Counter(labels)
    for step, stored_values in enumerate(samples):
        values = [float(one) for one in stored_values]
        if not values:
            continue
        made.last[step] = values[-1]
        if min(values) < values[-1]:
            made.low[step] = min(values)
        if any(later < earlier for earlier, later in pairwise(values)):
            made.resets.add(step)
            made.raw[step] = values
        if not step or not samples[step - 1]:
            made.samples[step] = len(values)
    return made


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=120),
    st.sets(st.integers(1, 119)),
    st.integers(1, 7),
)
def test_resets_placed_anywhere_do_not_change_counts(increments: list[int], resets: set[int], per_step: int) -> None:
    value, values = 1000, [1000]
    for number, one in enumerate(increments, 1):
        value = one if number in resets else value + one
        values.append(value)
    samples: list[list[float]] = [[values[0]]]
    samples += [list(values[first : first + per_step]) for first in range(1, len(values), per_step)]
    # A reset that is outgrown before the next scrape is seen by nobody.
    hidden = sum(
        one - (values[number] - values[number - 1])
        for number, one in enumerate(increments, 1)
        if number in resets and values[number] >= values[number - 1]
    )
    found = rises(stored(samples), NOWHERE)
    assert sum(found.values()) == sum(increments) - hidden
    expected = [sum(increments[first - 1 : first - 1 + per_step]) for first in range(1, len(values), per_step)]
    if not hidden:
        assert [found.get(step, 0) for step in range(1, len(samples))] == expected


def test_pitfall_13_a_reset_between_steps_is_one() -> None:
    # Naive: the last sample less the first.
    samples: list[list[float]] = [[100], [150, 200], [30, 80], [90, 300]]
    assert samples[-1][-1] - samples[0][0] == 200
    assert sum(rises(stored(samples), NOWHERE).values()) == 100 + 80 + 220


def test_a_first_burst_counts_where_its_target_was_seen_without_it() -> None:
    born = stored([[], [], [50, 60]])
    assert rises(born, Looks({TARGET: {1: 4, 2: 4}})) == {2: 60}
    assert rises(born, Looks({TARGET: {2: 3}})) == {2: 60}  # scraped once without it
    assert rises(born, Looks({TARGET: {2: 2}})) == {2: 10}  # as old as the target: nobody knows
    assert rises(born, Looks({TARGET: {2: 2}}, {TARGET: {2: 500.0}}, 400.0)) == {2: 60}  # but it is young
    assert rises(born, Looks({TARGET: {2: 2}}, {TARGET: {2: 300.0}}, 400.0)) == {2: 10}


def test_a_series_that_was_gone_from_good_scrapes_began_anew() -> None:
    back = stored([[5], [7], [], [9]])
    assert rises(back, NOWHERE) == {1: 2, 3: 2}
    assert rises(back, Looks({TARGET: {1: 4, 2: 4, 3: 4}})) == {1: 2, 3: 9}


def test_no_number_is_no_sample() -> None:
    odd = stored([[5], [float("nan")], [9]])
    assert rises(odd, NOWHERE) == {2: 4}


def test_a_changed_label_continues_the_count() -> None:
    old = stored([[10], [20], []], {**LABELS, "team": "a"})
    new = stored([[], [], [25]], {**LABELS, "team": "b"})
    assert continuations([old, new]) == {1: 20}
    assert rises(new, Looks({TARGET: {1: 4, 2: 4}}), 20) == {2: 5}


def test_another_outcome_is_no_continuation() -> None:
    old = stored([[10], [20], []], {**LABELS, "code": "503"})
    new = stored([[], [], [25]], {**LABELS, "code": "500"})
    assert continuations([old, new]) == {}


def test_pitfall_21_a_pair_of_readers_is_noticed() -> None:
    def seen(**labels: str) -> dict[str, str]:
        return {**LABELS, **labels}

    assert doubled([(seen(replica="a"), 1000), (seen(replica="b"), 995)])
    assert doubled([(seen(job="one"), 1000), (seen(job="two"), 1000)])
    assert doubled([(seen(instance="a"), 1000), (seen(instance="b"), 1000)]) is None
    assert doubled([(seen(replica="a"), 1000), (seen(replica="b"), 400)]) is None
    assert doubled([(seen(job="one"), 0), (seen(job="two"), 0)]) is None


@given(st.integers(0, 10**6))
def test_order_of_series_does_not_matter(seed: int) -> None:
    chance = random.Random(seed)
    counters = [stored([[chance.randrange(9)], [chance.randrange(9, 99)]], {**LABELS, "n": str(n)}) for n in range(5)]
    total = sum(sum(rises(one, NOWHERE).values()) for one in counters)
    chance.shuffle(counters)
    assert sum(sum(rises(one, NOWHERE).values()) for one in counters) == total
