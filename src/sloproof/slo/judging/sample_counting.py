"""Counts samples as events, exactly: of a quantity each is good or bad, of a ratio each weighs the same.

Three numbers a step tell most of them: where the lowest and the highest sample are on one side of the threshold, all
are. Only steps that hold both kinds are read sample by sample.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import promql_parser

from sloproof.model import Window
from sloproof.slo.judging.asking import Trail
from sloproof.slo.judging.rises import Key, Number, exact, key_of, target_of
from sloproof.slo.judging.series_steps import MARK, Selected, marked, neighbours, numbered
from sloproof.slo.judging.steps import Plan
from sloproof.slo.model import Indicator, Ratio, RawRatio, Threshold
from sloproof.slo.rules.series import window_text

_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(slots=True)
class Samples:
    """Samples by step: bad ones, and all."""

    bad: dict[int, Number] = field(default_factory=dict)
    valid: dict[int, Number] = field(default_factory=dict)
    selected: Selected = field(default_factory=Selected)

    def add(self, step: int, bad: Number, valid: Number) -> None:
        """Add samples of a step."""
        self.bad[step] = self.bad.get(step, 0) + bad
        self.valid[step] = self.valid.get(step, 0) + valid


def plain_selector(indicator: Indicator) -> str | None:
    """Return the selector that an indicator is, such as `up{job="api"}`; None where it is any other expression."""
    if isinstance(indicator, Ratio):
        return None
    metric = indicator.raw if isinstance(indicator, RawRatio) else indicator.metric
    try:
        parsed = promql_parser.parse(metric.query)
    except ValueError:
        return None
    is_plain = isinstance(parsed, promql_parser.VectorSelector) and parsed.offset is None and parsed.at is None
    return metric.query.strip() if is_plain else None


def count_samples(indicator: Indicator, selector: str, plan: Plan, trail: Trail) -> Samples:
    """Return how many samples are bad, and how many there are.

    Raises:
        UnavailableError: The server does not answer.
        QueryError: It refuses the question.
    """
    found = Samples()
    windows = plan.windows()
    mixed: set[int] = set()
    for first, run in numbered(plan):
        text = window_text(run.step)
        # Lowest and highest leave out what is no number; a sum does not.
        parts = {
            "low": "min_over_time",
            "high": "max_over_time",
            "sum": "sum_over_time",
            "count": "count_over_time",
        }
        query = " or ".join(
            f'label_replace({function}({selector}[{text}]), "{MARK}", "{part}", "", "")'
            for part, function in parts.items()
        )
        numbers: dict[int, dict[Key, dict[str, float]]] = {}
        for steps, part, one in marked(trail.at_steps(query, run), run, first):
            for sample in one.samples:
                step = steps[sample.time]
                numbers.setdefault(step, {}).setdefault(key_of(one.labels), {})[part] = sample.value
                if part == "count":
                    own = found.selected.samples.setdefault(target_of(one.labels), {})
                    own[step] = max(own.get(step, 0.0), sample.value)
        for step, here in numbers.items():
            counted = [_at_once(indicator, one) for one in here.values()]
            if None in counted:
                mixed.add(step)
                continue
            for pair in counted:
                assert pair is not None
                found.add(step, *pair)
    for group in neighbours(sorted(mixed)):
        _read(indicator, selector, group, windows, trail, found)
    return found


def _read(
    indicator: Indicator, selector: str, group: Sequence[int], windows: Sequence[Window], trail: Trail, found: Samples
) -> None:
    """Add the samples of steps that follow each other, one by one; those that are no events are no data either."""
    ends = [windows[step - 1].end for step in group]
    events: dict[Key, dict[int, dict[Key, int]]] = {}
    for series in trail.samples(selector, Window(windows[group[0] - 1].start, ends[-1])):
        own = events.setdefault(target_of(series.labels), {})
        for sample in series.samples:
            step, bad = group[bisect_left(ends, sample.time)], _badness(indicator, sample.value)
            here = own.setdefault(step, {})
            here.setdefault(key_of(series.labels), 0)
            if bad is not None:
                here[key_of(series.labels)] += 1
                found.add(step, bad, 1)
    for target, steps in events.items():
        counts = found.selected.samples.setdefault(target, {})
        for step, here in steps.items():
            counts[step] = float(max(here.values()))
            if not counts[step]:
                del counts[step]


def _at_once(indicator: Indicator, numbers: Mapping[str, float]) -> tuple[Number, Number] | None:
    """Return the bad and all samples of a step by its numbers; None where they do not tell."""
    if any(not math.isfinite(one) for one in numbers.values()):
        return None
    count = exact(numbers["count"])
    low, high = _badness(indicator, numbers["low"]), _badness(indicator, numbers["high"])
    if isinstance(indicator, RawRatio):
        if numbers["low"] != numbers["high"]:
            return None  # a sum in floating point is not the sum
        return (low * count, count) if low is not None else None
    return (low * count, count) if low is not None and low == high else None


def _badness(indicator: Indicator, value: float) -> Number | None:
    """Return how bad one sample is, from 0 to 1; None for one that is no event."""
    if isinstance(indicator, Threshold):
        return None if math.isnan(value) else int(not _COMPARED[indicator.op](value, float(indicator.value)))
    assert isinstance(indicator, RawRatio)
    if not math.isfinite(value) or value < 0:
        return None
    share = Fraction(value)
    return share if indicator.failure else 1 - share
