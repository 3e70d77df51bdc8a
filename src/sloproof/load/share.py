"""One process's share of one load: takes its arrivals from the schedule, sends them, and writes each one down.

It knows nothing of who calls it; the child program's Locust users do.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from sloproof.load.answer_shape import AnswerShapes
from sloproof.load.connection import AnswerParser, Connection, Outcome
from sloproof.load.ledger_file import LedgerWriter, Row
from sloproof.load.line import MakeLine
from sloproof.load.request import RequestTemplate
from sloproof.load.schedule import Arrival, arrivals
from sloproof.load.strain import StrainGauge
from sloproof.load.target import Target
from sloproof.load.wire import Advanced, Begin, Finished
from sloproof.model import NANOSECONDS

_RECENT = 1000
_SERVER_ERROR = 500
_CUT_SHORT = Outcome(0, "timeout", 0, TimeoutError("the load was cut short"))


class Listener(Protocol):
    """Who is told of requests that are over."""

    @property
    def wants_each(self) -> bool:
        """Return whether it wants to hear of each at once; else it is told of many at a time."""

    def hear(self, template: RequestTemplate, start: int, end: int, outcome: Outcome) -> None:
        """Take in one request; times are monotonic nanoseconds."""

    def hear_all(self, rows: Sequence[Row]) -> None:
        """Take in many requests."""


class Share:
    """The arrivals of one process, and the account of what became of them. Instants are monotonic nanoseconds.

    Args:
        job: What is asked for.
        make_parser: Makes the reader of an answer to a method.
        make_line: Makes the way to wait for a socket.
        listener: Told of every request that is over.
        turn_seconds: How often `keep` is called.

    Raises:
        LedgerError: The ledger file cannot be written.
    """

    def __init__(
        self,
        job: Begin,
        make_parser: Callable[[str], AnswerParser],
        make_line: MakeLine,
        listener: Listener,
        turn_seconds: float,
    ) -> None:
        profile = job.profile
        self.job = job
        self.begin_ns = 0
        self.is_begun = False
        self.gauge = StrainGauge(job.clock, turn_seconds)
        self._turn_seconds = turn_seconds
        self.is_open = profile.users is None
        self._make_parser = make_parser
        self._make_line = make_line
        self._listener = listener
        self._target = Target(job.base_url)
        self._templates = [RequestTemplate(spec, self._target, job.header) for spec in profile.mix]
        self._shapes = [AnswerShapes() for _ in profile.mix]
        self._arrivals = arrivals(profile, job.process)
        self._timeout_ns = round(profile.timeout_seconds * NANOSECONDS)
        length = profile.duration_seconds if profile.users is not None else profile.length_seconds
        self._length_ns = None if length is None else round(length * NANOSECONDS)
        self._unix_ns = job.clock.unix_ns(0)
        self._stop_ns: int | None = None
        self._idle: list[Connection] = []
        self._rows: list[Row] = []  # over, and not yet in the file
        self._untold: list[Row] = []
        self._recent: list[int] = []
        self._failures: Counter[str] = Counter()
        self._requests = self._unsent = self._in_flight = 0
        self._first_ns: int | None = None
        self._last_start_ns = self._end_ns = self._due_ns = 0
        self._writer = LedgerWriter(
            Path(job.ledger),
            run_id=job.run_id,
            load=job.name,
            process=job.process,
            clock=job.clock,
            horizon_ns=self._timeout_ns + NANOSECONDS,
        )

    def begin(self) -> None:
        """Begin the schedule: now, or when the job says."""
        now = time.monotonic_ns()
        self.gauge = StrainGauge(self.job.clock, self._turn_seconds)
        self.begin_ns = self._due_ns = self._last_start_ns = self._end_ns = self.job.begin_ns or now
        self.is_begun = True

    def stop(self) -> None:
        """End arrivals now."""
        self._stop_ns = self._stop_ns or time.monotonic_ns()

    def is_cancelled(self, arrival: Arrival) -> bool:
        """Return whether arrivals were ended before this one was due."""
        return self._stop_ns is not None and (arrival.offset_ns is None or self.due_ns(arrival) > self._stop_ns)

    def due_ns(self, arrival: Arrival) -> int:
        """Return when an arrival is due; the schedule's begin for one that has no instant of its own."""
        return self.begin_ns + (arrival.offset_ns or 0)

    def take(self) -> Arrival | None:
        """Return the next arrival to be sent; None when there is no more."""
        while self._stop_ns is None and (arrival := next(self._arrivals, None)) is not None:
            elapsed = time.monotonic_ns() - self.begin_ns
            if arrival.offset_ns is None:
                return arrival if self._length_ns is None or elapsed < self._length_ns else None
            # Behind the schedule, an arrival waits for a connection, at the longest until a timeout after the end.
            if elapsed <= max(self._length_ns or 0, arrival.offset_ns) + self._timeout_ns:
                return arrival
            self.give_up(arrival)
        return None

    def give_up(self, arrival: Arrival) -> None:
        """Note an arrival that was not sent as unsent, if it was due before the arrivals were ended."""
        now = time.monotonic_ns()
        due = self.due_ns(arrival)
        if arrival.offset_ns is None or due > now or self.is_cancelled(arrival):
            return
        self._unsent += 1
        self._due_ns = max(self._due_ns, due)
        self._rows.append(self._row(arrival, due, now, now, Outcome(0, "unsent", 0)))

    def send(self, arrival: Arrival) -> None:
        """Send one request and write down what became of it."""
        kind = arrival.kind
        template = self._templates[kind]
        request = template.with_id(f"{self.job.id_prefix}-{arrival.number}")
        idle = self._idle
        connection = idle.pop() if idle else self._connection()
        # Cut short from outside, its outcome is as unknown as that of a timeout.
        outcome = _CUT_SHORT
        self._in_flight += 1
        start = time.monotonic_ns()
        try:
            outcome = connection.exchange(request, template.method, self._shapes[kind])
        finally:
            end = time.monotonic_ns()
            self._in_flight -= 1
            idle.append(connection)
            due = start if arrival.offset_ns is None else self.begin_ns + arrival.offset_ns
            row = self._row(arrival, due, start, end, outcome)
            self._rows.append(row)
            if outcome.failure:
                self._failures[outcome.failure] += 1
            elif outcome.status >= _SERVER_ERROR:
                self._failures["http_5xx"] += 1
        if self._listener.wants_each:
            self._listener.hear(template, start, end, outcome)
        else:
            self._untold.append(row)

    def _connection(self) -> Connection:
        return Connection(self._target, self._make_parser, self.job.profile.timeout_seconds, self._make_line)

    def _row(self, arrival: Arrival, due: int, start: int, end: int, outcome: Outcome) -> Row:
        spec = self._templates[arrival.kind].spec
        unix_ns = self._unix_ns
        return (
            unix_ns + due,
            unix_ns + start,
            end - start,
            spec.method,
            spec.path,
            spec.endpoint,
            outcome.status,
            outcome.failure,
            f"{self.job.id_prefix}-{arrival.number}",
            outcome.bytes,
        )

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
        first = min(start_ns) - self._unix_ns
        self._first_ns = first if self._first_ns is None else min(self._first_ns, first)
        self._last_start_ns = max(self._last_start_ns, max(start_ns) - self._unix_ns)
        self._end_ns = max(self._end_ns, start_ns[-1] + duration_ns[-1] - self._unix_ns)
        self._due_ns = max(self._due_ns, max(intended_ns) - self._unix_ns)
        self._requests += len(sent)
        self._recent = [*self._recent, *duration_ns[-_RECENT:]][-_RECENT:]

    def keep(self) -> None:
        """Bring the ledger up to date for its readers, and close connections that nobody will use again."""
        self._settle()
        if self.is_begun:
            self.gauge.look()
        for connection in self._idle:
            if connection.is_stale:
                connection.close()
        self._idle = [one for one in self._idle if not one.is_stale]

    def progress(self) -> Advanced:
        """Return how far the load is."""
        recent = sorted(self._recent)
        return Advanced(
            id=self.job.id,
            requests=self._requests,
            failures=sum(self._failures.values()),
            p95_ns=recent[int(len(recent) * 0.95)] if recent else None,
            in_flight=self._in_flight,
            elapsed_ns=time.monotonic_ns() - self.begin_ns,
            strain=self.gauge.read(),
        )

    def finish(self) -> Finished:
        """Close the ledger and return what the load did; arrivals that were due and never taken are unsent."""
        if self._stop_ns is not None:
            for arrival in self._arrivals:
                if self.is_cancelled(arrival):
                    break
                self.give_up(arrival)
        self.close()
        strain = self.gauge.read()
        return Finished(
            id=self.job.id,
            begin_ns=self.begin_ns,
            first_ns=self._first_ns,
            last_start_ns=self._last_start_ns,
            end_ns=self._end_ns,
            due_ns=self._due_ns,
            stop_ns=self._stop_ns,
            requests=self._requests,
            unsent=self._unsent,
            failures=dict(self._failures),
            cpu_ns=strain.cpu_ns,
            wall_ns=strain.wall_ns,
            stepped_ns=strain.stepped_ns,
            strain=strain,
        )

    def close(self) -> None:
        """Close the ledger and every connection; safe to call twice."""
        self._settle()
        self._writer.close()
        while self._idle:
            self._idle.pop().close()
