"""By how much counters rose in each step, exactly: from their last and lowest sample a step, and raw samples at resets.

Within a step without a reset a counter's lowest sample is its first, so two numbers a step tell every rise: that from
the step before to the first sample, and that from there to the last. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from sloproof.model import Labels
from sloproof.slo.lint.filters import is_outcome

Number = int | Fraction
Key = tuple[tuple[str, str], ...]
_Rise = tuple[Labels, Number]

_NAME = "__name__"
_TARGET = ("job", "instance")
# By which two readers of one and the same thing are told apart.
_READERS = frozenset(
    {"replica", "prometheus", "prometheus_replica", "__replica__", "receive_replica", "thanos_replica"}
)
# Two readers of one counter differ by what it rises between their scrapes.
_SAME = 50


@dataclass(slots=True)
class Counter:
    """One series of a counter over all steps; step 0 stands for what was before the first.

    Attributes:
        last: Its last sample of each step that has one.
        low: Its lowest, where that is another.
        resets: The steps within which it began anew.
        raw: All samples of those steps that were asked for.
        samples: How many samples it has in a step before which it had none.
    """

    labels: Labels
    last: dict[int, float] = field(default_factory=dict)
    low: dict[int, float] = field(default_factory=dict)
    resets: set[int] = field(default_factory=set)
    raw: dict[int, Sequence[float]] = field(default_factory=dict)
    samples: dict[int, float] = field(default_factory=dict)

    @property
    def target(self) -> Key:
        """Return what tells the target that it comes from."""
        return target_of(self.labels)

    def values(self, step: int) -> list[Number]:
        """Return samples of a step from which its rise can be told; numbers only."""
        if step in self.raw:
            return [exact(one) for one in self.raw[step] if math.isfinite(one)]
        last = self.last[step]
        return [exact(one) for one in (self.low.get(step, last), last) if math.isfinite(one)]


@dataclass(frozen=True, slots=True)
class Looks:
    """How often each target was looked at with success, by step; a target that nothing is known of is not in it.

    Attributes:
        starts: When the process began that a target is, in Unix seconds, by the step it is first seen in.
        begin: When the first step begins, in Unix seconds.
    """

    counts: Mapping[Key, Mapping[int, float]]
    starts: Mapping[Key, Mapping[int, float]] = field(default_factory=dict)
    begin: float = 0.0

    def before(self, counter: Counter, step: int) -> bool:
        """Return whether a counter that appears in a step was 0 before, within the steps.

        So it was if its target was seen without it, in this step or the last, or if its process is younger.
        """
        if self.starts.get(counter.target, {}).get(step, -math.inf) >= self.begin:
            return True
        return self.knew(counter, step)

    def knew(self, counter: Counter, step: int) -> bool:
        """Return whether a counter's target was seen before its first sample of a step, in that step or the last."""
        seen = self.counts.get(counter.target, {})
        return seen.get(step - 1, 0) > 0 or seen.get(step, 0) > counter.samples.get(step, math.inf)

    def between(self, target: Key, earlier: int, later: int) -> bool:
        """Return whether a target was seen in a step between two."""
        seen = self.counts.get(target, {})
        return any(seen.get(step, 0) > 0 for step in range(earlier + 1, later))


def rises(counter: Counter, looks: Looks, before: Number | None = None) -> dict[int, Number]:
    """Return by how much a counter rose, by step; steps in which it did not are left out.

    A counter that appears where its target was seen without it began at 0, and all that it holds counts. Of one whose
    target was not seen before, nobody knows what it held when the step began, and its first sample counts for nothing.

    Args:
        counter: With raw samples of every step that holds a reset.
        looks: At the targets.
        before: What it continues, under other labels.
    """
    found: dict[int, Number] = {}
    previous, known = before, -1
    for step in sorted(counter.last):
        values = counter.values(step)
        if not values:
            continue
        rise: Number = 0
        if step:
            first = values[0]
            if previous is None:
                rise = first if looks.before(counter, step) else 0
            elif first < previous:
                rise = first
            elif known > 0 and looks.between(counter.target, known, step):
                rise = first  # gone from good scrapes, and there again
            else:
                rise = first - previous
            for earlier, later in pairwise(values):
                rise += later if later < earlier else later - earlier
            if rise:
                found[step] = rise
        previous, known = values[-1], step
    return found


def continuations(counters: Sequence[Counter]) -> dict[int, Number]:
    """Return what each counter continues that only changed its labels, by its place in the sequence.

    It is one of the same target that ends where the other begins, with a value no higher, and is the same but for
    labels that do not tell how an event ended.
    """
    ends: dict[tuple[Key, int], list[Counter]] = {}
    for one in counters:
        if one.last:
            ends.setdefault((one.target, max(one.last)), []).append(one)
    found: dict[int, Number] = {}
    taken: set[int] = set()
    for place, one in enumerate(counters):
        begin = min(one.last, default=0)
        if begin == 0 or not one.target:
            continue
        first = one.values(begin)[:1]
        candidates = [*ends.get((one.target, begin), ()), *ends.get((one.target, begin - 1), ())]
        for other in candidates:
            if other is one or id(other) in taken or not first or not _is_renamed(one.labels, other.labels):
                continue
            end = other.values(max(other.last))[-1:]
            if end and end[0] <= first[0] and len(other.last) + len(one.last) > 1:
                found[place] = end[0]
                taken.add(id(other))
                break
    return found


def doubled(found: Iterable[tuple[Labels, Number]]) -> tuple[Labels, Labels] | None:
    """Return two series that tell the same events twice; None where there are none.

    They differ only in who read them, a pair of servers or two jobs on one instance, and rose by nearly the same.
    """
    seen: dict[tuple[str, Key], list[_Rise]] = {}
    for labels, rise in found:
        if rise <= 0:
            continue
        if _READERS & labels.keys():
            seen.setdefault(("reader", _without(labels, _READERS | {_NAME})), []).append((labels, rise))
        if labels.get("instance"):
            seen.setdefault(("job", _without(labels, {"job", _NAME})), []).append((labels, rise))
    for group in seen.values():
        ordered = sorted(group, key=lambda pair: pair[1])
        for (one, rise), (other, other_rise) in pairwise(ordered):
            if _SAME * (other_rise - rise) <= other_rise:
                return one, other
    return None


def exact(value: float) -> Number:
    """Return a floating-point number as what it is, exactly."""
    return int(value) if value.is_integer() else Fraction(value)


def key_of(labels: Labels) -> Key:
    """Return labels without the metric's name, to tell series apart."""
    return _without(labels, {_NAME})


def target_of(labels: Labels) -> Key:
    """Return the labels that tell which target a series comes from; none where it has none of them."""
    return tuple((name, labels[name]) for name in _TARGET if labels.get(name))


def _is_renamed(one: Labels, other: Labels) -> bool:
    # Both are of one selector; whether an answer has the metric's name depends on the question.
    names = (one.keys() | other.keys()) - {_NAME}
    changed = {name for name in names if one.get(name, "") != other.get(name, "")}
    # The spelling of a bucket's bound is no other bound.
    if "le" in changed and _same_bound(one.get("le", ""), other.get("le", "")):
        return changed == {"le"}
    return bool(changed) and not any(is_outcome(name) or name in _TARGET for name in changed)


def _same_bound(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _without(labels: Labels, names: Iterable[str]) -> Key:
    left_out = set(names)
    return tuple(sorted((name, value) for name, value in labels.items() if name not in left_out))
