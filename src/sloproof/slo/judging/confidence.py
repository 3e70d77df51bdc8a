"""How sure a ratio is: confidence intervals of a proportion, and how many events could prove a target at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from statistics import NormalDist

from sloproof.slo.verdicts import Interval

CONFIDENCE = 0.95
_BISECTIONS = 200


def wilson(good: Fraction, valid: Fraction, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval of good by valid events, two-sided.

    It keeps to 0 and 1, and says something of ratios at either end. Counts may be fractions, where slices are weighed.

    Args:
        good: At most `valid`.
        valid: More than 0.
        confidence: Such as 0.95.
    """
    z2 = _z(confidence) ** 2
    n, p = float(valid), float(good / valid)
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low = 0.0 if good == 0 else max(0.0, middle - reach)
    high = 1.0 if good == valid else min(1.0, middle + reach)
    return Interval(low, high, confidence, "wilson")


def clopper_pearson(good: int, valid: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of Clopper and Pearson: by the binomial distribution itself, never held too seldom.

    Args:
        good: At most `valid`.
        valid: More than 0.
        confidence: Such as 0.95.
    """
    tail = (1 - confidence) / 2
    low = 0.0 if good == 0 else _bisect(lambda p: 1 - _at_most(good - 1, valid, p) < tail)
    high = 1.0 if good == valid else _bisect(lambda p: _at_most(good, valid, p) > tail)
    return Interval(low, high, confidence, "clopper-pearson")


def events_needed(target: Fraction, confidence: float = CONFIDENCE) -> int:
    """Return the fewest events, all of them good, whose Wilson interval reaches no lower than a target.

    Of n good events the lower end is n / (n + z²), so n >= z² * target / (1 - target): 3,838 for 99.9 %.

    Args:
        target: Ratio below 1.
        confidence: Such as 0.95.
    """
    z2 = Fraction(_z(confidence)) ** 2
    return max(1, math.ceil(z2 * target / (1 - target)))


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _bisect(is_below: Callable[[float], bool]) -> float:
    """Return where a condition that holds for small ratios ceases to hold."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2


def _at_most(successes: int, trials: int, p: float) -> float:
    """Return the chance of at most so many successes, summed from the larger terms' logarithms."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return 1.0 if successes >= trials else 0.0
    # The shorter tail is summed; the other is what is left.
    if successes > trials * p:
        return max(0.0, 1 - _tail(range(successes + 1, trials + 1), trials, p))
    return min(1.0, _tail(range(successes, -1, -1), trials, p))


def _tail(counts: range, trials: int, p: float) -> float:
    terms = []
    for count in counts:
        log = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
        term = math.exp(log + count * math.log(p) + (trials - count) * math.log1p(-p))
        terms.append(term)
        if term < 1e-18 * terms[0] or term == 0.0:
            break
    return math.fsum(terms)
