"""The metrics client's own counter, gauge and histogram, with a short way in for numbers that are known to be sound.

The client checks at each call what was settled when the metric was made, which costs more than the counting: a request
has five numbers, and through the front door they take seventeen calls. What is stored and exposed is the client's.
"""

from __future__ import annotations

from bisect import bisect_left
from time import monotonic, time
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.samples import Exemplar

if TYPE_CHECKING:
    from collections.abc import Callable

# OpenMetrics allows 128 characters for the names and values of an exemplar's labels.
_LONGEST_EXEMPLAR_ID = 128 - len("request_id")
# How long a bucket keeps its exemplar: to replace it costs as much as all counting, and a scrape reads only the last.
_EXEMPLAR_SECONDS = 0.1


class LeanCounter(Counter):
    """A counter.

    Attributes:
        add: Adds a number that is not negative.
    """

    add: Callable[[float], None]

    def _metric_init(self) -> None:
        super()._metric_init()
        self.add = self._value.inc


class LeanGauge(Gauge):
    """A gauge without labels.

    Attributes:
        add: Adds a number.
    """

    add: Callable[[float], None]

    def _metric_init(self) -> None:
        super()._metric_init()
        self.add = self._value.inc


class LeanHistogram(Histogram):
    """A histogram of seconds whose buckets name a request that fell into them."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._add_seconds = self._sum.inc
        self._add_to = [bucket.inc for bucket in self._buckets]
        self._due = [0.0] * len(self._buckets)

    def add(self, seconds: float, request_id: str = "") -> None:
        """Count a duration; with an id, its request may become the bucket's exemplar."""
        bucket = bisect_left(self._upper_bounds, seconds)
        self._add_seconds(seconds)
        self._add_to[bucket](1.0)
        if request_id:
            now = monotonic()
            if now >= self._due[bucket] and len(request_id) <= _LONGEST_EXEMPLAR_ID:
                self._due[bucket] = now + _EXEMPLAR_SECONDS
                self._buckets[bucket].set_exemplar(Exemplar({"request_id": request_id}, seconds, time()))
