"""How much of each step there is data for, told from how many samples it holds beside its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction

from sloproof.model import Window

# How far a step looks for what is usual: far enough to see past a gap, near enough for another scrape interval.
_NEIGHBOURS = 2
# Prometheus' lookback: what is shorter is seen by no query, and steps may be shorter than the scrape interval.
_GAP = timedelta(minutes=5)


def coverage(
    windows: Sequence[Window],
    samples: Sequence[Mapping[int, float]],
    scrapes: Mapping[int, tuple[float, float]],
) -> tuple[timedelta, ...]:
    """Return how much of each step there is data for.

    Where two samples of a step are as far apart as in its neighbours, all of it is covered; a step with half as many is
    half covered. Steps are compared by samples a second, so narrow ones may stand beside wide ones.

    Args:
        windows: The steps, oldest first; they are numbered from 1 on.
        samples: How many samples each step has, in ways of looking at it of which the kindest is right: of the series
            that has most, and of all targets together, for one may take over from another within a step. Steps without
            any are left out.
        scrapes: How many scrapes of its targets went well, and how many there were; empty where nothing is known.
    """
    looked = [_parts(windows, one) for one in samples]
    found = []
    for number, window in enumerate(windows, 1):
        part = max((parts[number - 1] for parts in looked), default=Fraction(0))
        good, asked = scrapes.get(number, (0.0, 0.0))
        if asked:
            part = min(part, Fraction(good) / Fraction(asked))
        found.append(_part_of(window.duration, part))
    return tuple(found)


def _parts(windows: Sequence[Window], samples: Mapping[int, float]) -> list[Fraction]:
    usual, bridged = _usual(windows, samples), _bridged(windows, samples)
    found = []
    for number, window in enumerate(windows, 1):
        count = samples.get(number, 0.0)
        if not count:
            found.append(Fraction(number in bridged))
            continue
        most, sure = (rate * window.duration.total_seconds() for rate in usual[number - 1])
        # Which samples fall into a step is chance, by one; in the step that has most of them, too.
        found.append(Fraction(1) if count + 1 >= sure else Fraction((count + 1) / most))
    return found


def _bridged(windows: Sequence[Window], samples: Mapping[int, float]) -> set[int]:
    """Return the steps without a sample that are no gap: too few in a row to be one, near a step that has some."""
    found: set[int] = set()
    empty: list[int] = []
    for number, window in enumerate(windows, 1):
        if number not in samples:
            empty.append(number)
        if empty and (number in samples or number == len(windows)):
            length = sum((windows[one - 1].duration for one in empty), window.duration * 0)
            if length < _GAP and len(empty) < len(windows):
                found.update(empty)
            empty = []
    return found


def _usual(windows: Sequence[Window], samples: Mapping[int, float]) -> list[tuple[float, float]]:
    """Return the most samples, and the most intervals between two, a second around each step.

    They are told by steps at least half as wide as the widest near it.
    """
    lengths = [one.duration.total_seconds() for one in windows]
    counts = [samples.get(number, 0.0) for number in range(1, len(windows) + 1)]
    rates = []
    for place in range(len(windows)):
        near = range(max(0, place - _NEIGHBOURS), min(len(windows), place + _NEIGHBOURS + 1))
        seen = [(lengths[one], counts[one]) for one in near if counts[one]]
        widest = max(seen)[0] if seen else 0.0
        wide = [(length, count) for length, count in seen if 2 * length >= widest]
        most = max((count / length for length, count in wide), default=0.0)
        rates.append((most, max(((count - 1) / length for length, count in wide), default=0.0)))
    return rates


def _part_of(length: timedelta, part: Fraction) -> timedelta:
    return length if part >= 1 else timedelta(microseconds=int(part * (length // timedelta(microseconds=1))))
