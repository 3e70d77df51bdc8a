"""What the driver's ledger says about when an alert has to fire and to clear: the truth that live alerts are held to.

The same two-window condition that the rules ask, asked of the events themselves. No scrape, no extrapolation.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from sloproof.model import Window, instant_from_ns, ns_from_instant
from sloproof.slo.model import AlertRow

_WHOLE = Fraction(1)
_STEP_NS = 20_000_000  # how finely a crossing is looked for; a tenth of the fastest scrape in use


@dataclass(frozen=True, slots=True)
class Events:
    """When events happened, as Unix times in nanoseconds in ascending order: the bad ones, and all of them."""

    bad: array[int]
    valid: array[int]

    @classmethod
    def of(cls, bad: Iterable[int], valid: Iterable[int]) -> Events:
        """Return events from instants in any order."""
        return cls(array("q", sorted(bad)), array("q", sorted(valid)))

    def counts(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Return how many bad and how many valid events lie after `start_ns` and not after `end_ns`."""
        return _between(self.bad, start_ns, end_ns), _between(self.valid, start_ns, end_ns)


def _between(instants: array[int], start_ns: int, end_ns: int) -> int:
    return bisect_right(instants, end_ns) - bisect_right(instants, start_ns)


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of one row, over events.

    Attributes:
        budget: Of the objective.
        known_since: Since when the rules have had data; what lies before counts as good traffic at the same rate.
        min_events: Valid events in the long window below which the condition does not hold.
        unknown: Stretches since then in which the rules had no data, such as while the service was down.
    """

    row: AlertRow
    budget: Fraction
    known_since: datetime
    min_events: int = 0
    unknown: tuple[Window, ...] = ()

    def holds(self, events: Events, instant_ns: int, share: Fraction = _WHOLE) -> bool:
        """Return whether the budget burns faster than that share of what the row allows, in both windows to then."""
        threshold = share * self.row.factor * self.budget
        long_ns, short_ns = _ns(self.row.long), _ns(self.row.short)
        bad, valid = events.counts(instant_ns - short_ns, instant_ns)
        if not valid or Fraction(bad, valid) <= threshold:
            return False
        bad, valid = events.counts(instant_ns - long_ns, instant_ns)
        if not valid or valid < self.min_events:
            return False
        return Fraction(bad, valid) * Fraction(self._known_ns(instant_ns, long_ns), long_ns) > threshold

    def _known_ns(self, instant_ns: int, long_ns: int) -> int:
        """Return for how much of the long window the rules had data."""
        start_ns = max(ns_from_instant(self.known_since), instant_ns - long_ns)
        lost = (
            min(ns_from_instant(gap.end), instant_ns) - max(ns_from_instant(gap.start), start_ns)
            for gap in self.unknown
        )
        return max(instant_ns - start_ns - sum(max(one, 0) for one in lost), 0)

    def first(
        self, events: Events, start: datetime, end: datetime, *, holds: bool = True, share: Fraction = _WHOLE
    ) -> datetime | None:
        """Return when in a stretch the condition first holds, or first does not; None where that never is so.

        Args:
            events: What happened.
            start: Of the stretch.
            end: Of the stretch.
            holds: Which of the two.
            share: Of the threshold.
        """
        instant, last = ns_from_instant(start), ns_from_instant(end)
        while instant <= last:
            if self.holds(events, instant, share) is holds:
                return instant_from_ns(instant)
            instant += _STEP_NS
        return None


def _ns(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1) * 1000
