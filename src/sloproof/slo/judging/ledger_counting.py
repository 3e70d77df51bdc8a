"""Counts an objective's events in the load driver's ledger: the truth, and a witness that outlives the service."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction
from typing import Protocol

from sloproof.finding import Query
from sloproof.model import Window, ns_from_instant
from sloproof.slo.judging.budget import Counted
from sloproof.slo.judging.steps import Plan
from sloproof.slo.ledger_query import Request
from sloproof.slo.ledger_witness import LedgerWitness
from sloproof.slo.model import Objective
from sloproof.slo.verdicts import Count


class SentRequest(Request, Protocol):
    """A request of the ledger, with its end as Unix time in nanoseconds."""

    @property
    def end_ns(self) -> int: ...  # noqa: D102 - described above


class Requests(Protocol):
    """A ledger: requests by the time they started in."""

    def entries(self, window: Window | None = None) -> Iterable[SentRequest]:
        """Return the requests that started in a window."""
        ...


# A request counts when it ends, so one that began before the window may still count in it.
_LEAD = timedelta(minutes=1)


def count_in_ledger(objective: Objective, plan: Plan, ledger: Requests) -> Counted:
    """Return an objective's events at each step; each event is at the end of its request.

    What a step covers is from the first request of the ledger to its last: outside nobody looked.

    Raises:
        SettingsError: The objective has no ledger queries: neither as its source nor as the truth beside it.
        LedgerError: The ledger is damaged.
    """
    witness = LedgerWitness.of(objective)
    windows = plan.windows()
    ends = [ns_from_instant(one.end) for one in windows]
    begin = ns_from_instant(plan.span.start)
    bad, valid = [0] * len(windows), [0] * len(windows)
    first = last = None
    for entry in ledger.entries(Window(plan.span.start - _LEAD, plan.span.end)):
        if not begin < entry.end_ns <= ends[-1]:
            continue
        first = entry.end_ns if first is None else min(first, entry.end_ns)
        last = entry.end_ns if last is None else max(last, entry.end_ns)
        if witness.valid.matches(entry):
            step = bisect_left(ends, entry.end_ns)
            valid[step] += 1
            bad[step] += witness.is_bad(entry)
    steps = tuple(
        Count(window, Fraction(bad[place]), Fraction(valid[place]), _covered(window, first, last))
        for place, window in enumerate(windows)
    )
    return Counted(steps, queries=(Query("ledger", witness.part.text), Query("ledger", witness.valid.text)))


def _covered(window: Window, first: int | None, last: int | None) -> timedelta:
    if first is None or last is None:
        return timedelta(0)
    start, end = max(first, ns_from_instant(window.start)), min(last, ns_from_instant(window.end))
    return timedelta(microseconds=max(0, end - start) // 1000)
