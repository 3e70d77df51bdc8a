"""By how much a counter really rose: differences of stored samples at two anchors, never `increase()`."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from sloproof.model import Labels, Sample, Series, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# How far before an anchor the sample that stands for it may lie.
MAX_AGE = timedelta(seconds=10)
_TIME = attrgetter("time")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Range:
    """A number known to lie in [low, high]."""

    low: float
    high: float

    @property
    def is_exact(self) -> bool:
        """Return whether both ends are the same."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class CounterDelta:
    """By how much one series rose between two anchors; the truth lies in [low, high].

    Attributes:
        labels: The series.
        low: At least so much.
        high: At most so much; equal to `low` where the rise is known exactly.
        resets: How often the counter began anew in between. What was counted after the last scrape before a reset is
            lost to every reader, so that exactness then holds only if nothing was.
        baseline: The sample at the first anchor; None for a series that was not there.
        last: The last sample at or before the second anchor.
        gaps: Stretches between the anchors in which nobody looked for longer than the age allowed. What was counted in
            one that is followed by a reset, or by the end, may be lost.
    """

    labels: Labels
    low: float
    high: float
    resets: int
    baseline: Sample | None
    last: Sample | None
    gaps: tuple[Window, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Return whether the rise is known exactly."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class _Scrapes:
    """When one target was looked at. `good` holds the instants of the scrapes that went well, oldest first."""

    times: tuple[datetime, ...]
    good: tuple[datetime, ...]

    def saw(self, at: datetime, max_age: timedelta) -> bool:
        """Return whether the last scrape at or before an instant went well and is not too old."""
        place = bisect_right(self.times, at)
        if not place or at - self.times[place - 1] > max_age:
            return False
        good = bisect_right(self.good, at)
        return good > 0 and self.good[good - 1] == self.times[place - 1]

    def missed(self, first: datetime, until: datetime) -> bool:
        """Return whether a series with a sample at `first` was absent in a good scrape between that and `until`.

        All samples of a scrape bear its timestamp, as `up` does. A series that brings timestamps of its own tells
        nothing this way, and is never said to be absent.
        """
        place = bisect_right(self.good, first)
        return place > 0 and self.good[place - 1] == first and place < len(self.good) and self.good[place] < until

    def between(self, first: datetime, until: datetime) -> Sequence[datetime]:
        """Return the good scrapes after an instant, up to another."""
        return self.good[bisect_right(self.good, first) : bisect_right(self.good, until)]


def increase_between(
    series: Sequence[Series],
    before: datetime,
    after: datetime,
    *,
    targets_up: Sequence[Series],
    max_age: timedelta = MAX_AGE,
) -> tuple[CounterDelta, ...]:
    """Return the rise of each series between two anchors, in the order given.

    A series that is not there at the first anchor counts from 0 if its target was scraped well then. Where nobody
    looked, it may have risen by anything from what is seen rising to all that it holds. A series that is missing in a
    good scrape and then there again may have begun anew, even if it has grown beyond its old value meanwhile: both are
    within its bounds. A series that had ended before the first anchor is left out.

    Args:
        series: Stored samples of a counter, from a little before the first anchor to the second.
        before: The first anchor.
        after: The second anchor; not before the first.
        targets_up: The `up` series of the targets that the counters come from, over the same time.
        max_age: How old the sample that stands for an anchor may be.
    """
    found = []
    for one in series:
        scrapes = _scrapes_of(one.labels, targets_up)
        delta = _delta(one, before, after, scrapes, max_age)
        if delta is not None:
            found.append(delta)
    return tuple(found)


def total(deltas: Iterable[CounterDelta], by: Sequence[str] = ()) -> Mapping[tuple[str, ...], Range]:
    """Return the sum of rises per value of some labels, over all others; a label that a series has not is empty."""
    sums: dict[tuple[str, ...], Range] = {}
    for delta in deltas:
        key = tuple(delta.labels.get(label, "") for label in by)
        known = sums.get(key, Range(0.0, 0.0))
        sums[key] = Range(known.low + delta.low, known.high + delta.high)
    return sums


def _delta(
    one: Series, before: datetime, after: datetime, scrapes: _Scrapes, max_age: timedelta
) -> CounterDelta | None:
    samples = sorted(one.samples, key=_TIME)
    place = bisect_right(samples, before, key=_TIME)
    # A client may write NaN, which is no count.
    within = [each for each in samples[place : bisect_right(samples, after, key=_TIME)] if _is_count(each)]
    baseline = next(filter(_is_count, reversed(samples[:place])), None)
    was_old = baseline is not None and before - baseline.time > max_age
    if not within and (baseline is None or was_old or scrapes.missed(baseline.time, before + _MICROSECOND)):
        return None

    path = within if baseline is None else [baseline, *within]
    lows, highs, resets = [], [], 0
    for previous, current in pairwise(path):
        is_reset = current.value < previous.value
        may_be_new = is_reset or scrapes.missed(previous.time, current.time)
        resets += is_reset
        lows.append(current.value if is_reset else current.value - previous.value)
        highs.append(current.value if may_be_new else current.value - previous.value)
    if was_old:
        # What it rose by before the first sample within may all have been before the anchor.
        lows[0] = 0.0
    low, high = math.fsum(lows), math.fsum(highs)
    if baseline is None:
        high += path[0].value
        low = low + path[0].value if scrapes.saw(before, max_age) else low
    looked = sorted({before, *(sample.time for sample in within), *scrapes.between(before, after), after})
    gaps = tuple(Window(left, right) for left, right in pairwise(looked) if right - left > max_age)
    return CounterDelta(one.labels, low, high, resets, baseline, path[-1], gaps)


def _is_count(sample: Sample) -> bool:
    return not math.isnan(sample.value)


def _scrapes_of(labels: Labels, targets_up: Sequence[Series]) -> _Scrapes:
    """Return when the target was scraped that a series comes from.

    It is the target whose every label the series bears. Of targets that cannot be told apart, nothing is known.
    """
    ups = [
        up
        for up in targets_up
        if up.labels.get("job") == labels.get("job") and up.labels.get("instance") == labels.get("instance")
    ]
    if len(ups) > 1:
        ups = [up for up in ups if all(labels.get(name) == up.labels[name] for name in up.labels if name != "__name__")]
    if len(ups) != 1:
        return _Scrapes((), ())
    samples = sorted(ups[0].samples, key=_TIME)
    return _Scrapes(
        tuple(sample.time for sample in samples), tuple(sample.time for sample in samples if sample.value == 1)
    )
