"""Durations as Prometheus writes them: `1h30m`, `250ms`."""

from __future__ import annotations

import re
from datetime import timedelta

from sloproof.errors import SettingsError

_UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_PATTERN = re.compile(
    r"(?:(\d+)\s*y)?\s*(?:(\d+)\s*w)?\s*(?:(\d+)\s*d)?\s*(?:(\d+)\s*h)?\s*(?:(\d+)\s*m(?!s))?\s*"
    r"(?:(\d+(?:\.\d+)?)\s*s)?\s*(?:(\d+)\s*ms)?",
    re.ASCII,
)


def parse_duration(text: str) -> timedelta:
    """Return the duration that a text such as `1h30m`, `3 s` or `250ms` names.

    Units are y, w, d, h, m, s, ms, from large to small, each at most once; a blank before a unit is allowed, and
    seconds may have a fraction. A year is 365 days, as in Prometheus.

    Raises:
        SettingsError: The text is no such duration; a bare number is refused, because its unit would be a guess.
    """
    found = _PATTERN.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise SettingsError(
            f"expected a duration with a unit, got {text!r}",
            hint='write it as "250ms", "3 s", "1m30s" or "2h"; units are y w d h m s ms',
        )
    total = sum(
        float(number) * _UNITS_MS[unit] for number, unit in zip(found.groups(), _UNITS_MS, strict=True) if number
    )
    try:
        return timedelta(milliseconds=total)
    except OverflowError:
        raise SettingsError(f"expected a duration of at most {timedelta.max.days} days, got {text!r}") from None


def format_duration(duration: timedelta) -> str:
    """Return the duration as Prometheus writes it, to the millisecond: `1h30m`, `250ms`, `0s`."""
    rest = round(duration.total_seconds() * 1000)
    if rest < 0:
        return "-" + format_duration(-duration)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        number, rest = divmod(rest, _UNITS_MS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
