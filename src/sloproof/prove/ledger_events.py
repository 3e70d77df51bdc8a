"""Reads what an objective counts from the load driver's ledger, through the questions that its document gives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sloproof.load.ledger import Ledger
from sloproof.model import Window
from sloproof.prove.timeline import Events
from sloproof.slo.ledger_query import parse_ledger_query
from sloproof.slo.model import Objective

# The service counts a request when it ends, so one that began before the window may still count in it.
_LEAD = timedelta(seconds=15)


def events_from(ledger: Ledger) -> Callable[[Objective, Window], Events]:
    """Return what reads an objective's events of a window, each at the end of its request.

    The objective must have a `truth`.
    """

    def events_of(objective: Objective, window: Window) -> Events:
        assert objective.truth is not None
        is_bad = parse_ledger_query(objective.truth.bad, objective.place).matches
        is_valid = parse_ledger_query(objective.truth.total, objective.place).matches
        bad, valid = [], []
        for entry in ledger.entries(Window(window.start - _LEAD, window.end)):
            if is_valid(entry):
                valid.append(entry.end_ns)
                if is_bad(entry):
                    bad.append(entry.end_ns)
        return Events.of(bad, valid)

    return events_of
