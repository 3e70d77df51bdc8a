"""How evidence is worded: numbers that lose nothing, instants, durations, and tables of a readable length."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sloproof.model import Window

MAX_ROWS = 20
_MAX_NAMES = 6
# Below this, floats hold every whole number exactly.
_EXACT = 2**53


def number(value: float) -> str:
    """Return a number so that two different ones never look alike: whole ones without a fraction."""
    if isinstance(value, int) or (value == value and abs(value) < _EXACT and value == int(value)):  # noqa: PLR0124 - NaN
        return str(int(value))
    return repr(value)


def signed(value: float) -> str:
    """Return a difference with its sign; 0 as `0`."""
    return f"+{number(value)}" if value > 0 else number(value)


def share_text(ratio: float) -> str:
    """Return a ratio as percent, for people only."""
    return f"{ratio * 100:.4g} %"


def count_of(amount: int, singular: str, plural: str = "") -> str:
    """Return an amount with its noun: `1 request`, `2 requests`."""
    return f"{amount} {singular if amount == 1 else plural or singular + 's'}"


def duration_text(duration: timedelta) -> str:
    """Return a duration in seconds, to the millisecond: `0.250 s`."""
    return f"{duration.total_seconds():.3f} s"


def instant_text(instant: datetime) -> str:
    """Return an instant as RFC 3339 in UTC, to the millisecond."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def window_text(window: Window) -> str:
    """Return a window with its length."""
    return f"{instant_text(window.start)} to {instant_text(window.end)} ({duration_text(window.duration)})"


def listing(names: Iterable[str], limit: int = _MAX_NAMES) -> str:
    """Return names side by side, as many as are readable, and how many more there are."""
    every = list(names)
    shown = ", ".join(every[:limit])
    return shown if len(every) <= limit else f"{shown} and {len(every) - limit} more"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], limit: int = MAX_ROWS) -> str:
    """Return rows of text in aligned columns under a header, as many as are readable; of no rows, nothing."""
    every = [tuple(row) for row in rows]
    if not every:
        return ""
    shown = [tuple(header), *every[:limit]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    if len(every) > limit:
        lines.append(f"and {len(every) - limit} more")
    return "\n".join(lines)


def nearest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Return the known names most like one that is not known, or that there is none like it."""
    candidates = sorted(set(known))
    close = difflib.get_close_matches(name, candidates, n=limit, cutoff=0.6)
    # A suffix such as `_total` on a short name is far by letters and near by sense.
    close += [one for one in candidates if one not in close and (one.startswith(name) or name.startswith(one))]
    return f"nearest: {listing(close[:limit])}" if close else "nothing like it exists"
