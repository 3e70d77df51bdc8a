"""Lines to draw: points in time, thinned out so that a chart of a long run stays small."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_POINTS = 300
_MANY = 1000  # a ratio above which three labels a power of ten would not fit on a phone

# How the points of one bin become one: the mean keeps totals true, the maximum keeps peaks in sight.
Fold = Literal["mean", "max"]
Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal stretches of time: from `start`, `count` of them, each `width` seconds long."""

    start: float
    width: float
    count: int

    def fold(self, points: Iterable[Point], how: Fold) -> tuple[Point, ...]:
        """Return one point a bin, at its beginning; None where the bin has no value."""
        held: list[list[float]] = [[] for _ in range(self.count)]
        for time, value in points:
            place = int((time - self.start) / self.width)
            if value is not None and math.isfinite(value) and 0 <= place < self.count:
                held[place].append(value)
        return tuple(
            (self.start + place * self.width, _folded(values, how) if values else None)
            for place, values in enumerate(held)
        )


def bins_over(times: Sequence[float], limit: int = MAX_POINTS) -> Bins:
    """Return at most `limit` bins of whole seconds over instants (Unix seconds); of none, no bin."""
    if not times:
        return Bins(0.0, 1.0, 0)
    start, end = math.floor(min(times)), math.floor(max(times)) + 1
    width = math.ceil((end - start) / limit)
    return Bins(float(start), float(width), math.ceil((end - start) / width))


def thinned(points: Sequence[Point], limit: int = MAX_POINTS) -> tuple[Point, ...]:
    """Return points at odd times as they are, or the maximum of each bin where there are more than `limit`."""
    ordered = tuple(sorted((time, value) for time, value in points if value is not None and math.isfinite(value)))
    if len(ordered) <= limit:
        return ordered
    folded = bins_over([time for time, _ in ordered], limit).fold(ordered, "max")
    return tuple(point for point in folded if point[1] is not None)


def ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Return round numbers that cover low to high, about as many as asked for."""
    if not (high - low) / about > sys.float_info.min:  # nor can steps be made of what is as good as 0
        high = low + 1
    raw = (high - low) / about
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(magnitude * factor for factor in (1, 2, 5, 10) if raw <= magnitude * factor * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(place * step, 12) for place in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return the numbers 1, 2 or 5 times a power of ten that cover low to high; both must be above 0."""
    if not 0 < low <= high:
        raise ValueError(f"expected 0 < low <= high, got {low} and {high}")
    factors = (1.0, 2.0, 5.0) if high / low < _MANY else (1.0,)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    every = [round(factor * 10.0**power, 12) for power in powers for factor in factors]
    first = max((place for place, value in enumerate(every) if value <= low), default=0)
    last = min((place for place, value in enumerate(every) if value >= high), default=len(every) - 1)
    return tuple(every[first : max(last, first + 1) + 1])


def time_ticks(start: float, end: float, about: int = 5) -> tuple[float, ...]:
    """Return instants (Unix seconds) at round times of day between start and end, about as many as asked for."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
    span = max(end - start, 1.0)
    step = next((one for one in steps if span / one <= about), steps[-1] * math.ceil(span / steps[-1] / about))
    first = math.ceil(start / step) * step
    return tuple(float(at) for at in range(int(first), math.floor(end) + 1, step))


def _folded(values: Sequence[float], how: Fold) -> float:
    return max(values) if how == "max" else math.fsum(values) / len(values)
