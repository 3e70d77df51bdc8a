"""The metrics client's own counter, gauge and histogram, with a short way in for numbers that are known to be sound.

The client checks at each call what was settled when the metric was made, which costs more than the counting: a request
has five numbers, and through the front door they take seventeen calls. What is stored and exposed is the client's.
"""

from __future__ import annotations

import itertools
import sys
from bisect import bisect_left
from functools import partial
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.samples import Exemplar

if TYPE_CHECKING:
    from collections.abc import Callable

# OpenMetrics allows 128 characters for the names and values of an exemplar's labels.
_LONGEST_EXEMPLAR_ID = 128 - len("request_id")
# How long a bucket keeps its exemplar: to replace it costs as much as all counting, and a scrape reads only the last.
_EXEMPLAR_SECONDS = 0.1


class _Ticks:
    """A number that mostly goes up by one, beside the metrics client's own, in the same way that it is read and set.

    One step is one call of the interpreter's own counter, which no other thread can come between: no lock, no frame.
    """

    def __init__(self, kept: Any) -> None:
        self._kept = kept
        self._ticks = itertools.count()
        self.tick: Callable[[], object] = self._ticks.__next__
        self.inc, self.set_exemplar, self.get_exemplar = kept.inc, kept.set_exemplar, kept.get_exemplar

    def _ticked(self) -> int:
        # Its text is what it would return next; there is no other way to look without counting.
        return int(repr(self._ticks)[len("count(") : -1])

    def set(self, value: float, timestamp: float | None = None) -> None:
        self._kept.set(value - self._ticked(), timestamp)

    def get(self) -> float:
        return float(self._kept.get() + self._ticked())


class _Difference(_Ticks):
    """A number that goes up and down by one."""

    def __init__(self, kept: Any) -> None:
        super().__init__(kept)
        self._downs = _Ticks(kept)
        self.untick = self._downs.tick

    def get(self) -> float:
        # Downs first: read the other way around, a request that comes and goes in between would hide another.
        downs = self._downs._ticked()  # noqa: SLF001 - of this very class
        return super().get() - downs

    def set(self, value: float, timestamp: float | None = None) -> None:
        downs = self._downs._ticked()  # noqa: SLF001 - as above
        super().set(value + downs, timestamp)


def _can_tick(value: Any) -> bool:
    """Return whether a number is this process's own, and no two threads of it ever run at once."""
    return not value._multiprocess and getattr(sys, "_is_gil_enabled", lambda: True)()  # noqa: SLF001 - no other way


class LeanCounter(Counter):
    """A counter.

    Attributes:
        tick: Counts one.
    """

    tick: Callable[[], object]

    def _metric_init(self) -> None:
        super()._metric_init()
        if _can_tick(self._value):
            self._value = _Ticks(self._value)
            self.tick = self._value.tick
        else:
            self.tick = partial(self._value.inc, 1.0)


class LeanGauge(Gauge):
    """A gauge without labels.

    Attributes:
        up: Adds one.
        down: Takes one away.
    """

    up: Callable[[], object]
    down: Callable[[], object]

    def _metric_init(self) -> None:
        super()._metric_init()
        if _can_tick(self._value):
            self._value = difference = _Difference(self._value)
            self.up, self.down = difference.tick, difference.untick
        else:
            self.up, self.down = partial(self._value.inc, 1.0), partial(self._value.inc, -1.0)


class LeanHistogram(Histogram):
    """A histogram of seconds whose buckets name a request that fell into them."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._add_seconds = self._sum.inc
        if all(map(_can_tick, self._buckets)):
            self._buckets = ticking = [_Ticks(bucket) for bucket in self._buckets]
            self._tick_in = [bucket.tick for bucket in ticking]
        else:
            self._tick_in = [partial(bucket.inc, 1.0) for bucket in self._buckets]
        self._due = [0.0] * len(self._buckets)

    def add(self, seconds: float, request_id: str = "") -> None:
        """Count a duration; with an id, its request may become the bucket's exemplar."""
        bucket = bisect_left(self._upper_bounds, seconds)
        self._add_seconds(seconds)
        self._tick_in[bucket]()
        if request_id:
            now = monotonic()
            if now >= self._due[bucket] and len(request_id) <= _LONGEST_EXEMPLAR_ID:
                self._due[bucket] = now + _EXEMPLAR_SECONDS
                self._buckets[bucket].set_exemplar(Exemplar({"request_id": request_id}, seconds, time()))
