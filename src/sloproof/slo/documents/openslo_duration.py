"""Durations as OpenSLO writes them: a whole number and one unit, of which `m` is minutes and `M` is months."""

from __future__ import annotations

import re
from datetime import timedelta

from sloproof.errors import SettingsError
from sloproof.slo.calendar import unit_length

_PATTERN = re.compile(r"(\d{1,7})([mhdwMQY])", re.ASCII)
_WRITTEN = ("w", "d", "h", "m")


def parse_openslo_duration(text: str) -> tuple[int, str]:
    """Return number and unit of a duration such as `30d`; the unit is one of m h d w M Q Y.

    Raises:
        SettingsError: The text is no such duration, or it is zero.
    """
    found = _PATTERN.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise SettingsError(
            f"expected a duration of OpenSLO, got {text!r}",
            hint="write a whole number and a unit: m minutes, h hours, d days, w weeks, M months, Q quarters, Y years",
        )
    return int(found[1]), found[2]


def openslo_length(text: str) -> timedelta:
    """Return the length of a duration; a month is 30 days, a quarter 90 and a year 365.

    Raises:
        SettingsError: The text is no such duration, or it is zero.
    """
    number, unit = parse_openslo_duration(text)
    return number * unit_length(unit)


def format_openslo_duration(duration: timedelta) -> str:
    """Return a length in OpenSLO's words: in the largest of weeks, days, hours and minutes that it is a multiple of.

    Raises:
        SettingsError: It is no whole number of minutes, which OpenSLO has no words for.
    """
    for unit in _WRITTEN:
        number, rest = divmod(duration, unit_length(unit))
        if number > 0 and not rest:
            return f"{number}{unit}"
    raise SettingsError(f"expected whole minutes, got {duration}", hint="OpenSLO knows no unit below the minute")
