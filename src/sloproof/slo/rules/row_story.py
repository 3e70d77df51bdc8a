"""The life of one alerting row as a story in stages, and the instants at which it has to be silent, firing or cleared.

Everything is counted in evaluations, and from formulas: which error ratio for how long is enough, and until when the
short window still holds what was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from math import ceil, floor

from sloproof.duration import format_duration
from sloproof.slo.model import AlertRow, Budgeting, Objective

_SHORT_PARTS = 10  # evaluations in a short window
_MILLISECOND = timedelta(milliseconds=1)
_NEAR = Fraction(95, 100)
_ABOVE = 6  # times the threshold, so that the fault takes a sixth of the long window to be told
_SLACK = 3  # a scrape and two evaluations


@dataclass(frozen=True, slots=True)
class Stage:
    """So many evaluations in which it is so: `usual` traffic, `idle`, or the series are `gone`."""

    steps: int
    bad_ratio: Fraction
    traffic: str = "usual"


@dataclass(frozen=True, slots=True)
class RowStory:
    """Healthy, just below the threshold, healthy, a fault, healthy again: a row's alert through all of it.

    Attributes:
        unit: Evaluations that an event lasts: 1, or a time slice.
        long_units: Events' lengths in the long window, as `unit`.
        error: The error ratio of the fault.
        fire_units: After how many units of the fault the long window exceeds the threshold.
        clear_units: After how many units without fault the short window does not exceed it any more.
    """

    objective: Objective
    row: AlertRow
    interval: timedelta
    unit: int
    long_units: int
    short_units: int
    error: Fraction

    @property
    def threshold(self) -> Fraction:
        """Return the error ratio that is exceeded."""
        return self.row.factor * self.objective.budget

    @property
    def long_steps(self) -> int:
        """Return the evaluations of the long window."""
        return self.long_units * self.unit

    @property
    def base_steps(self) -> int:
        """Return the evaluations of the shortest window."""
        return self.short_units * self.unit

    @property
    def hold_steps(self) -> int:
        """Return the evaluations of the row's hold."""
        return -(-self.row.hold // self.interval)

    @property
    def near(self) -> tuple[Stage, ...]:
        """Return a long window at 0.95 of the threshold; slices are whole, so there as many are bad as come nearest."""
        ratio = _NEAR * self.threshold
        if self.unit == 1:
            return (Stage(self.long_steps + _SLACK, ratio),)
        bad = floor(ratio * self.long_units)
        return (Stage(bad * self.unit, Fraction(1)), Stage((self.long_units - bad + 1) * self.unit, Fraction(0)))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return what happens."""
        return (
            Stage(self._calm_steps, Fraction(0)),
            *self.near,
            Stage(self._calm_steps, Fraction(0)),
            Stage(self._fault_steps, self.error),
            Stage(self._clear_steps + 2 * self.unit, Fraction(0)),
        )

    @property
    def calm_end(self) -> timedelta:
        """Return when the first healthy stage ends."""
        return self._calm_steps * self.interval

    @property
    def near_end(self) -> timedelta:
        """Return when the stage below the threshold ends."""
        return self.calm_end + sum(stage.steps for stage in self.near) * self.interval

    @property
    def fault_start(self) -> timedelta:
        """Return when the fault begins."""
        return self.near_end + self._calm_steps * self.interval

    @property
    def fault_end(self) -> timedelta:
        """Return when it ends."""
        return self.fault_start + self._fault_steps * self.interval

    @property
    def earliest(self) -> timedelta:
        """Return the last instant at which the alert must not fire: its budget is not spent yet, less a scrape."""
        return self.fault_start + max(0, ceil(self._fire_steps) - 2 + self.hold_steps) * self.interval

    @property
    def latest(self) -> timedelta:
        """Return the first evaluation by which the alert has to fire."""
        return self.fault_start + (ceil(self._fire_steps) + self.hold_steps + _SLACK) * self.interval

    @property
    def cleared(self) -> timedelta:
        """Return the first evaluation by which it has to have cleared."""
        return self.fault_end + self._clear_steps * self.interval

    @property
    def missing_steps(self) -> int:
        """Return within how many evaluations missing data has to be told, after the last sample."""
        after = self.objective.missing_after or timedelta(0)
        window = self.objective.slice_length or self.row.short
        return -(-max(after, window) // self.interval) + _SLACK

    @property
    def bound_text(self) -> str:
        """Return what the bound to fire is the sum of."""
        held = f" + for {format_duration(self.row.hold)}" if self.row.hold else ""
        detection = format_duration(ceil(self._fire_steps) * self.interval)
        return f"detection {detection}{held} + scrape + 2 evaluations of {format_duration(self.interval)}"

    @property
    def reset_text(self) -> str:
        """Return what the bound to clear is the sum of."""
        reset = format_duration((self._clear_steps - _SLACK) * self.interval)
        return f"reset {reset} + scrape + 2 evaluations of {format_duration(self.interval)}"

    def ratio_at(self, instant: timedelta, *, counted: bool) -> float:
        """Return the error ratio of the long window at an evaluation during the fault.

        Args:
            instant: Since the begin.
            counted: Whether events are increases between samples.
        """
        steps = (instant - self.fault_start) // self.interval
        if self.unit > 1:
            return steps // self.unit / self.long_units
        return float(self.error * steps / (self.long_steps - (1 if counted else 0)))

    @property
    def _calm_steps(self) -> int:
        # To the end of a slice, so that the stages after begin with one.
        return (self.long_units + -(-_SLACK // self.unit)) * self.unit

    @property
    def _fire_steps(self) -> Fraction:
        if self.unit == 1:
            return self.threshold / self.error * Fraction(self.row.long // _MILLISECOND, self.interval // _MILLISECOND)
        return Fraction((floor(self.threshold * self.long_units) + 1) * self.unit)

    @property
    def _fault_steps(self) -> int:
        enough = max(ceil(self._fire_steps) + self.hold_steps + _SLACK + 1, self.base_steps + _SLACK)
        return -(-enough // self.unit) * self.unit

    @property
    def _clear_steps(self) -> int:
        left = 1 - self.threshold / self.error
        return ceil(self.short_units * left) * self.unit + _SLACK


def story_of(objective: Objective, row: AlertRow) -> RowStory:
    """Return the story that a row's alert is tested by."""
    threshold = row.factor * objective.budget
    interval = max(row.short // _SHORT_PARTS // _MILLISECOND, 1) * _MILLISECOND
    unit, step = 1, interval
    if objective.budgeting is not Budgeting.OCCURRENCES and objective.slice_length:
        unit = max(2, -(-objective.slice_length // interval))
        interval = max(objective.slice_length // unit // _MILLISECOND, 1) * _MILLISECOND
        step = objective.slice_length
    error = Fraction(1) if unit > 1 else min(Fraction(1), _ABOVE * threshold)
    return RowStory(objective, row, interval, unit, -(-row.long // step), -(-row.short // step), error)
