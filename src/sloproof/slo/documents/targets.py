"""The ratio that an objective promises, exactly."""

from __future__ import annotations

from fractions import Fraction

from sloproof.slo.documents.openslo import ObjectiveSpec
from sloproof.slo.documents.problem import Problems

_PERCENT = 100


def target_of(objective: ObjectiveSpec, problems: Problems) -> Fraction | None:
    """Return the target as a ratio below 1; None, with a problem added, where it is missing, twice or no such ratio."""
    if (objective.target is None) == (objective.target_percent is None):
        seen = "neither" if objective.target is None else "both"
        problems.add(
            objective.at("targetPercent"), "target", f"expected target or targetPercent, got {seen}",
            "keep exactly one of them, such as target: 0.999",
        )  # fmt: skip
        return None
    if objective.target is not None:
        return _ratio(objective.target, objective, problems)
    assert objective.target_percent is not None
    return _percent(objective.target_percent, objective, problems)


def decimal_text(number: Fraction) -> str:
    """Return a number in decimals, exactly where it has an end."""
    rest, twos, fives = number.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{float(number):g}"
    digits = max(twos, fives)
    whole = abs(number.numerator) * 10**digits // number.denominator
    text = f"{whole:0{digits + 1}d}"
    sign = "-" if number < 0 else ""
    return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)


def _ratio(target: Fraction, objective: ObjectiveSpec, problems: Problems) -> Fraction | None:
    if 0 <= target < 1:
        return target
    if target == 1:
        problems.add(objective.at("target"), "target", *_whole("1"))
    elif 1 < target < _PERCENT:
        problems.add(
            objective.at("target"), "percent", f"expected target as a ratio below 1, got {decimal_text(target)}",
            f"if that is a percentage, write target: {decimal_text(target / _PERCENT)}",
        )  # fmt: skip
    elif target == _PERCENT:
        problems.add(objective.at("target"), "target", *_whole("100"))
    else:
        problems.add(
            objective.at("target"), "target", f"expected target from 0 to below 1, got {decimal_text(target)}",
            "write a ratio such as 0.999",
        )  # fmt: skip
    return None


def _percent(percent: Fraction, objective: ObjectiveSpec, problems: Problems) -> Fraction | None:
    place = objective.at("targetPercent")
    if percent == _PERCENT:
        problems.add(place, "target", *_whole("100 %"))
    elif not 0 <= percent < _PERCENT:
        problems.add(
            place, "target", f"expected targetPercent from 0 to below 100, got {decimal_text(percent)}",
            "write a percentage such as 99.9",
        )  # fmt: skip
    elif 0 < percent <= 1:
        problems.add(
            place, "percent", f"expected targetPercent as a percentage, got {decimal_text(percent)}, like a ratio",
            f"write targetPercent: {decimal_text(percent * _PERCENT)} or target: {decimal_text(percent)}",
        )  # fmt: skip
    else:
        return percent / _PERCENT
    return None


def _whole(seen: str) -> tuple[str, str]:
    return (
        f"expected a target below 100 %, got {seen}: without a budget every single failure is a breach",
        "write what users would accept, such as 0.9999",
    )
