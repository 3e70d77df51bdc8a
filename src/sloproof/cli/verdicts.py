"""How a verdict ends a command, and how a terminal shows it."""

from __future__ import annotations

from sloproof.finding import Verdict

EXIT = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2, Verdict.BLOCKED: 2, Verdict.ERROR: 3}
_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.ERROR: "red"}


def style(verdict: Verdict) -> str:
    """Return the colour of a verdict, as rich names it."""
    return _STYLES.get(verdict, "yellow")
