"""How the documents of a run word things: instants, durations, verdicts, and text that came from outside.

Texts of a record hold log lines and answers of servers, which are hostile input. `plain` makes such a text safe to look
at; escaping it for HTML or Markdown is the business of the document it goes into.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ABSENT = "\u2013"  # a dash, where there is no value

# The shape stands beside the word wherever a verdict is shown, so that nothing is told by colour alone.
SHAPES: Mapping[str, str] = {
    "pass": "✓",
    "fail": "✕",
    "error": "!",
    "blocked": "⊘",
    "inconclusive": "?",
    "skipped": ABSENT,
}
# What needs attention first: as `sloproof.finding.worst`, then what needs none.
ORDER: tuple[str, ...] = ("fail", "error", "blocked", "inconclusive", "pass", "skipped")

_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and cursor movement
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # window titles, hyperlinks
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # device control and the like
    r"|\x1b[ -/]*[0-~]"
)
# Controls that a terminal or a browser would obey or swallow, marks that reorder text, and halves of surrogate pairs.
_UNSEEN = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0x061C, 0x061C), (0x200B, 0x200B), (0x200E, 0x200F), (0x2028, 0x202E),
    (0x2060, 0x2069), (0xFEFF, 0xFEFF), (0xD800, 0xDFFF),
)  # fmt: skip
_ESCAPES = {
    code: f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - what two hex digits hold
    for first, last in _UNSEEN
    for code in range(first, last + 1)
}
# Every code of `_ANSI` begins with one, and a line that ends in `\r\n` has one.
_HAS_UNSEEN = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNSEEN) + "]")
_SHORT_ENOUGH = 10  # from here on one decimal less is enough
_ROOM_FOR_CODES = 20  # how much longer a text may be before its blanks and terminal codes are taken out
_MINUTE = 60
_HOUR = 3600


def rank(verdict: str) -> int:
    """Return a verdict's place in `ORDER`; a word that is none is as bad as an error."""
    return ORDER.index(verdict) if verdict in ORDER else ORDER.index("error")


def plain(text: str) -> str:
    r"""Return a text without terminal codes, each unseen character as its escape, such as `\x00` or `\u202e`."""
    if not _HAS_UNSEEN.search(text):  # as most texts, and looking each character up in a table takes far longer
        return text
    return _ANSI.sub("", text.replace("\r\n", "\n")).translate(_ESCAPES)


def cut(text: str, limit: int) -> str:
    """Return a text made plain, of at most `limit` of its characters, with a note of how many were left out, if any.

    Beginning and end are kept, because the end of a log or of a traceback is what tells most. It is cut before it is
    made plain, so that a text of many megabytes costs no more than what is shown of it.
    """
    if len(text) <= limit:
        return plain(text)
    head = max(limit * 2 // 3, 1)
    tail = max(limit - head, 1)
    note = f"[... {len(text) - head - tail:,} characters left out; report.json has them all ...]"
    return f"{plain(text[:head])}\n{note}\n{plain(text[-tail:])}"


def one_line(text: str, limit: int = 160) -> str:
    """Return a text as one line of at most `limit` characters, made plain."""
    flat = " ".join(plain(text[: limit * _ROOM_FOR_CODES]).split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def instant(text: str | None) -> datetime | None:
    """Return the instant of an RFC 3339 text; None where there is none, or none that can be read.

    A record that cannot be read in one place must still become a report.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def day_text(when: datetime | None) -> str:
    """Return day and time to the second: `2026-03-14 04:02:11 UTC`."""
    return "unknown" if when is None else f"{when:%Y-%m-%d %H:%M:%S} UTC"


def clock_text(when: datetime | None) -> str:
    """Return the time of day to the millisecond: `04:02:11.250 UTC`."""
    return "unknown" if when is None else f"{when:%H:%M:%S}.{when.microsecond // 1000:03d} UTC"


def seconds_text(seconds: float | None) -> str:
    """Return a duration as people read it, three digits or so: `250 ms`, `3.21 s`, `1 min 12 s`, `2 h 5 min`."""
    if seconds is None:
        return ABSENT
    if seconds < 0:
        return f"-{seconds_text(-seconds)}"
    if seconds >= _HOUR:
        minutes = round(seconds / _MINUTE)
        return f"{minutes // 60} h {minutes % 60} min"
    if seconds >= _MINUTE:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60} s" if whole < _HOUR else "1 h 0 min"
    if seconds >= 1:
        return f"{seconds:.1f} s" if seconds >= _SHORT_ENOUGH else f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= _SHORT_ENOUGH or not seconds else f"{milliseconds:.2g} ms"


def bracket_text(low: float, high: float | None) -> str:
    """Return the bounds of a duration: `10 to 50 ms`, `500 ms to 1.00 s`, `above 5.00 s`, `up to 10 ms`."""
    if high is None:
        return f"above {edge_text(low)}"
    if not low:
        return f"up to {edge_text(high)}"
    first, last = edge_text(low), edge_text(high)
    number, _, unit = first.rpartition(" ")
    return f"{number if last.endswith(f' {unit}') else first} to {last}"


def edge_text(seconds: float) -> str:
    """Return a bound as it is set, in as many digits as it has up to six: `250 ms`, `2.5 s`."""
    return f"{seconds:.6g} s" if seconds >= 1 else f"{seconds * 1000:.6g} ms"


def tick_text(seconds: float) -> str:
    """Return a round duration for an axis: `0`, `20 ms`, `1 s`, `0.5 ms`."""
    if not seconds:
        return "0"
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def number_text(value: float | None) -> str:
    """Return a number with its thousands apart and at most two decimals; an absent one as a dash."""
    if value is None:
        return ABSENT
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".")


def count_text(amount: int, singular: str, plural: str = "") -> str:
    """Return an amount with its noun: `1 claim`, `2 claims`."""
    return f"{amount:,} {singular if amount == 1 else plural or singular + 's'}"
