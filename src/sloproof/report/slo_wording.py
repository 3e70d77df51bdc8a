"""How documents word the numbers of SLOs: ratios, burn rates, lengths of windows, instants beside their bounds."""

from __future__ import annotations

from datetime import datetime, timedelta

from sloproof.report.wording import ABSENT, seconds_text

_DAY = 86_400
_UNITS = ((86_400, "d", 10_000), (3600, "h", 48), (60, "min", 120), (1, "s", 120))  # and up to how many it is used
_HUGE = 1000


def ratio_text(ratio: float | None) -> str:
    """Return a ratio as percent, in digits enough to tell it from its neighbours; an absent one as a dash."""
    return ABSENT if ratio is None else f"{ratio * 100:.6g} %"


def budget_text(part: float | None) -> str:
    """Return a part of a budget as percent, to a tenth; a little below 0 never reads as 0."""
    if part is None:
        return ABSENT
    percent = part * 100
    if percent and abs(percent) < 0.05:  # noqa: PLR2004 - what a tenth rounds away
        return "< 0.1 %" if percent > 0 else "> -0.1 %"
    return f"{percent:,.0f} %" if abs(percent) >= _HUGE else f"{percent:.1f} %"


def times_text(rate: float | None) -> str:
    """Return a burn rate: how many times as fast as would spend the budget in just its period."""
    return ABSENT if rate is None else f"{rate:.3g}\u00d7" if rate < _HUGE else f"{rate:,.0f}\u00d7"


def events_text(count: float | None) -> str:
    """Return a count of events; where parts of events were weighed, to a tenth."""
    if count is None:
        return ABSENT
    return f"{count:,.0f}" if count == int(count) else f"{count:,.1f}"


def length_text(seconds: float | None) -> str:
    """Return the length of a window: round ones in one unit (`30 d`, `6 h`, `5 min`), others in two (`3 d 4 h`)."""
    if seconds is None:
        return ABSENT
    for unit, name, most in _UNITS:
        if unit <= seconds < most * unit and seconds % unit == 0:
            return f"{seconds / unit:.0f} {name}"
    if seconds >= _DAY:
        hours = round(seconds / 3600)
        return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"
    return seconds_text(seconds)


def short_instant(when: datetime | None, beside: datetime | None) -> str:
    """Return an instant to the second; with its day only where that is not the day of the instant it is read beside."""
    if when is None:
        return ABSENT
    if beside is not None and when.date() == beside.date():
        return f"{when:%H:%M:%S}"
    return f"{when:%d %b %H:%M}"


def against_bound(when: datetime | None, bound: datetime | None, now: datetime | None) -> tuple[str, bool]:
    """Return how an instant stands to its bound, and whether it missed it.

    Args:
        when: The instant; None while it has not come.
        bound: The latest allowed; None where there is none.
        now: When that was looked at.
    """
    if bound is None:
        return "no bound", False
    if when is not None:
        early = bound - when
        if early >= timedelta(0):
            return f"kept by {seconds_text(early.total_seconds())}", False
        return f"late by {seconds_text(-early.total_seconds())}", True
    if now is not None and now > bound:
        return f"missed, {seconds_text((now - bound).total_seconds())} overdue at the judgement", True
    return "not yet due", False
