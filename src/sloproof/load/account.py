"""The account of one process's part of a load: every request that is over, counted and written down."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sloproof.load.connection import Outcome
from sloproof.load.ledger_file import LedgerWriter, Row
from sloproof.load.strain import StrainGauge
from sloproof.load.wire import Advanced, Begin, Finished
from sloproof.model import NANOSECONDS

TURN_SECONDS = 0.1
"""How often `Account.keep` is called."""

_RECENT = 1000
_SERVER_ERROR = 500


class Listener(Protocol):
    """Who is told of requests that are over."""

    @property
    def wants_each(self) -> bool:
        """Return whether it wants to hear of each at once; else it is told of many at a time."""

    def hear_all(self, rows: Sequence[Row]) -> None:
        """Take in many requests."""


class Account:
    """Takes rows in as they come, and deals with them many at a time. Instants are monotonic nanoseconds.

    Args:
        job: The load.
        listener: Told of requests that are over.

    Raises:
        LedgerError: The ledger file cannot be written.
    """

    def __init__(self, job: Begin, listener: Listener) -> None:
        self.begin_ns = 0
        self.is_begun = False
        self.in_flight = 0
        self.stop_ns: int | None = None
        self.unix_ns = job.clock.unix_ns(0)
        self.gauge = StrainGauge(job.clock, TURN_SECONDS)
        self._job = job
        self._listener = listener
        self._rows: list[Row] = []  # over, and not yet in the file
        self._untold: list[Row] = []
        self._recent: list[int] = []
        self._failures: Counter[str] = Counter()
        self._requests = self._unsent = 0
        self._first_ns: int | None = None
        self._last_start_ns = self._end_ns = self._due_ns = 0
        self._writer = LedgerWriter(
            Path(job.ledger),
            run_id=job.run_id,
            load=job.name,
            process=job.process,
            clock=job.clock,
            horizon_ns=round((job.profile.timeout_seconds + 1) * NANOSECONDS),
        )

    def begin(self) -> None:
        """Begin: now, or when the job says."""
        now = time.monotonic_ns()
        self.gauge = StrainGauge(self._job.clock, TURN_SECONDS)
        self.begin_ns = self._due_ns = self._last_start_ns = self._end_ns = self._job.begin_ns or now
        self.is_begun = True

    def take(self, row: Row, outcome: Outcome) -> bool:
        """Take in a request that is over; return whether the listener wants to be told of it at once."""
        self._rows.append(row)
        if outcome.failure:
            self._failures[outcome.failure] += 1
        elif outcome.status >= _SERVER_ERROR:
            self._failures["http_5xx"] += 1
        if self._listener.wants_each:
            return True
        self._untold.append(row)
        return False

    def take_unsent(self, row: Row) -> None:
        """Take in an arrival that was due and could not be sent."""
        self._rows.append(row)
        self._unsent += 1
        self._due_ns = max(self._due_ns, row[0] - self.unix_ns)

    def _settle(self) -> None:
        """Write down and count what is over; many at a time, which costs a fraction of one by one."""
        rows, self._rows = self._rows, []
        untold, self._untold = self._untold, []
        if untold:
            self._listener.hear_all(untold)
        self._writer.write_rows(rows)
        sent = [
            (intended, start, duration)
            for intended, start, duration, _, _, _, _, failure, _, _ in rows
            if failure != "unsent"
        ]
        if not sent:
            return
        intended_ns, start_ns, duration_ns = (list(values) for values in zip(*sent, strict=True))
        first = min(start_ns) - self.unix_ns
        self._first_ns = first if self._first_ns is None else min(self._first_ns, first)
        self._last_start_ns = max(self._last_start_ns, max(start_ns) - self.unix_ns)
        self._end_ns = max(self._end_ns, start_ns[-1] + duration_ns[-1] - self.unix_ns)
        self._due_ns = max(self._due_ns, max(intended_ns) - self.unix_ns)
        self._requests += len(sent)
        self._recent = [*self._recent, *duration_ns[-_RECENT:]][-_RECENT:]

    def keep(self) -> None:
        """Bring the ledger up to date for its readers."""
        self._settle()
        if self.is_begun:
            self.gauge.look()

    def progress(self) -> Advanced:
        """Return how far the load is."""
        recent = sorted(self._recent)
        return Advanced(
            id=self._job.id,
            requests=self._requests,
            failures=sum(self._failures.values()),
            p95_ns=recent[int(len(recent) * 0.95)] if recent else None,
            in_flight=self.in_flight,
            elapsed_ns=time.monotonic_ns() - self.begin_ns,
            strain=self.gauge.read(),
        )

    def finish(self) -> Finished:
        """Close the ledger and return what the load did."""
        self.close()
        strain = self.gauge.read()
        return Finished(
            id=self._job.id,
            begin_ns=self.begin_ns,
            first_ns=self._first_ns,
            last_start_ns=self._last_start_ns,
            end_ns=self._end_ns,
            due_ns=self._due_ns,
            stop_ns=self.stop_ns,
            requests=self._requests,
            unsent=self._unsent,
            failures=dict(self._failures),
            cpu_ns=strain.cpu_ns,
            wall_ns=strain.wall_ns,
            stepped_ns=strain.stepped_ns,
            strain=strain,
        )

    def close(self) -> None:
        """Close the ledger; safe to call twice."""
        self._settle()
        self._writer.close()
