"""What an objective counts, as it really was: from the driver's ledger, or from what was stopped and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sloproof.harness import Harness
from sloproof.model import Window, ns_from_instant
from sloproof.prove.timeline import Events
from sloproof.slo.ledger_witness import LedgerWitness
from sloproof.slo.model import Objective

# The service counts a request when it ends, so one that began before the window may still count in it.
_LEAD = timedelta(seconds=15)


def events_from(harness: Harness) -> Callable[[Objective, Window], Events]:
    """Return what reads an objective's events of a window from the ledger, as far as it is written.

    Each event is at the end of its request. An objective that no ledger can speak of is a `SettingsError`.
    """

    def events_of(objective: Objective, window: Window) -> Events:
        witness = LedgerWitness.of(objective)
        bad, valid = [], []
        for entry in harness.ledger.entries(Window(window.start - _LEAD, window.end)):
            if witness.valid.matches(entry):
                valid.append(entry.end_ns)
                if witness.is_bad(entry):
                    bad.append(entry.end_ns)
        return Events.of(bad, valid)

    return events_of


@dataclass(slots=True)
class Outage:
    """A component that is stopped: what a scrape finds, one event an interval, bad from its stop to its end.

    Attributes:
        start: When it was told to stop.
        scrape: How often it is scraped.
        end: When it was ready again; None while it is stopped.
    """

    start: datetime
    scrape: timedelta
    end: datetime | None = None

    def events_of(self, _objective: Objective, window: Window) -> Events:
        """Return what the scrapes of a window find."""
        step = self.scrape // timedelta(microseconds=1) * 1000
        valid = range(ns_from_instant(window.start), ns_from_instant(window.end) + 1, step)
        first = ns_from_instant(self.start)
        last = ns_from_instant(self.end or window.end)
        return Events.of((at for at in valid if first <= at <= last), valid)
