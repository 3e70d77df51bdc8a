"""Time slices: how long they are, and how good one must be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from sloproof.errors import SettingsError
from sloproof.slo.calendar import nominal_length
from sloproof.slo.documents.openslo import ObjectiveSpec, SloSpec
from sloproof.slo.documents.openslo_duration import openslo_length
from sloproof.slo.documents.problem import Problems
from sloproof.slo.model import Budgeting, Period


@dataclass(frozen=True, slots=True)
class Slices:
    """Length and target of an objective's slices; None where it has none."""

    length: timedelta | None = None
    target: Fraction | None = None


def slices_of(spec: SloSpec, objective: ObjectiveSpec, period: Period | None, problems: Problems) -> Slices | None:
    """Return an objective's slices; None, with problems added, where they do not go with its budgeting method."""
    method = Budgeting(spec.budgeting_method)
    wanted = {
        "timeSliceWindow": method is not Budgeting.OCCURRENCES,
        "timeSliceTarget": method is Budgeting.TIMESLICES,
    }
    given = {"timeSliceWindow": objective.time_slice_window, "timeSliceTarget": objective.time_slice_target}
    whole = True
    for name, value in given.items():
        if wanted[name] and value is None:
            problems.add(
                objective.at(name), "time-slice", f"expected {name} for budgetingMethod {method}, got nothing",
                f"add {name}: "
                + ("the length, such as 1m" if name == "timeSliceWindow" else "a good slice's ratio, such as 0.95"),
            )  # fmt: skip
            whole = False
        elif value is not None and not wanted[name]:
            problems.add(
                objective.at(name), "time-slice", f"expected no {name} for budgetingMethod {method}, got one",
                f"remove {name}, or change budgetingMethod",
            )  # fmt: skip
            whole = False
    target = objective.time_slice_target
    if target is not None and not 0 < target <= 1:
        problems.add(
            objective.at("timeSliceTarget"), "percent" if target > 1 else "target",
            f"expected timeSliceTarget above 0 and up to 1, got {float(target):g}", "write it as a ratio, such as 0.95",
        )  # fmt: skip
        whole = False
    if not whole:
        return None
    length = _length(objective, problems) if objective.time_slice_window is not None else timedelta(0)
    if length is None:
        return None
    if period is not None and length >= nominal_length(period):
        problems.add(
            objective.at("timeSliceWindow"), "time-slice",
            f"expected slices shorter than the period, got {objective.time_slice_window}", "write 1m or 5m",
        )  # fmt: skip
        return None
    return Slices(length or None, target)


def _length(objective: ObjectiveSpec, problems: Problems) -> timedelta | None:
    said = objective.time_slice_window
    place = objective.at("timeSliceWindow")
    if isinstance(said, Fraction):  # minutes, as the specification allows
        if said.denominator == 1 and 0 < said < 1_000_000:  # noqa: PLR2004 - nearly two years
            return timedelta(minutes=int(said))
        problems.add(place, "duration", f"expected whole minutes, got {float(said):g}", "write it as 1m")
        return None
    try:
        return openslo_length(said or "")
    except SettingsError as error:
        problems.add(place, "duration", f"{error.headline} as timeSliceWindow", error.details["hint"])
        return None
