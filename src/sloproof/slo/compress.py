"""Objectives with their time compressed: every window divided by one factor, so that months pass in minutes.

Factors and budgets stay what they are, so the same rules hold at the same error ratios.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from sloproof.duration import format_duration
from sloproof.errors import SettingsError
from sloproof.slo.calendar import nominal_length
from sloproof.slo.model import AlertRow, Objective, Rolling

_MILLISECOND = timedelta(milliseconds=1)


def compress(objective: Objective, factor: Fraction | int) -> Objective:
    """Return an objective whose every duration is divided by a factor and rounded to the millisecond.

    A calendar period becomes a rolling one of its nominal length. Durations that stand in queries stay.

    Raises:
        SettingsError: The factor is not above 0, or so large that a window rounds to nothing.
    """
    if factor <= 0:
        raise SettingsError(
            f"expected a factor above 0 to divide times by, got {factor}", next="60 makes hours minutes"
        )
    if factor == 1:
        return objective

    def shorter(duration: timedelta) -> timedelta:
        made = round(Fraction(duration // _MILLISECOND) / factor) * _MILLISECOND
        if duration and not made:
            raise SettingsError(
                f"expected windows of at least 1 ms, but {format_duration(duration)} divided by {factor} is less",
                where=objective.place,
                next="use a smaller factor",
            )
        return made

    def faster(row: AlertRow) -> AlertRow:
        return replace(row, long=shorter(row.long), short=shorter(row.short), hold=shorter(row.hold))

    return replace(
        objective,
        period=Rolling(shorter(nominal_length(objective.period))),
        rows=tuple(faster(row) for row in objective.rows),
        slice_length=None if objective.slice_length is None else shorter(objective.slice_length),
        missing_after=None if objective.missing_after is None else shorter(objective.missing_after),
    )
