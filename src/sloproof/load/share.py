"""One process's share of one load: takes its arrivals from the schedule, sends them, and writes each one down.

It knows nothing of who calls it; the child program's Locust users do.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from sloproof.load.connection import AnswerParser, Connection, Outcome, Target
from sloproof.load.ledger_file import Entry, LedgerWriter
from sloproof.load.request import RequestTemplate
from sloproof.load.schedule import Arrival, arrivals
from sloproof.load.wire import Advanced, Begin, Finished
from sloproof.model import NANOSECONDS

_RECENT = 1000
_SERVER_ERROR = 500


class Share:
    """The arrivals of one process, and the account of what became of them. Instants are monotonic nanoseconds.

    Args:
        job: What is asked for.
        make_parser: Makes the reader of an answer to a method.
        on_request: Told of every request that is over: the job's template, start, end and outcome.

    Raises:
        LedgerError: The ledger file cannot be written.
    """

    def __init__(
        self,
        job: Begin,
        make_parser: Callable[[str], AnswerParser],
        on_request: Callable[[RequestTemplate, int, int, Outcome], None],
    ) -> None:
        profile = job.profile
        self.job = job
        self.begin_ns = 0
        self.is_begun = False
        self._make_parser = make_parser
        self._on_request = on_request
        self._target = Target(job.base_url)
        self._templates = [RequestTemplate(spec, self._target, job.header) for spec in profile.mix]
        self._arrivals = arrivals(profile, job.process)
        self._timeout_ns = round(profile.timeout_seconds * NANOSECONDS)
        self._length_ns = None if profile.duration_seconds is None else round(profile.duration_seconds * NANOSECONDS)
        self._stop_ns: int | None = None
        self._idle: list[Connection] = []
        self._recent: deque[int] = deque(maxlen=_RECENT)
        self._failures: Counter[str] = Counter()
        self._requests = self._unsent = self._in_flight = 0
        self._first_ns: int | None = None
        self._last_start_ns = self._end_ns = self._due_ns = 0
        self._cpu_ns = self._wall_ns = 0
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
        self._cpu_ns, self._wall_ns = time.process_time_ns(), now
        self.begin_ns = self._due_ns = self._last_start_ns = self._end_ns = self.job.begin_ns or now
        self.is_begun = True

    def stop(self) -> None:
        """End arrivals now."""
        self._stop_ns = self._stop_ns or time.monotonic_ns()

    def is_cancelled(self, arrival: Arrival) -> bool:
        """Return whether arrivals were ended before this one was due."""
        return self._stop_ns is not None and (arrival.offset_ns is None or self._due(arrival) > self._stop_ns)

    def seconds_until(self, arrival: Arrival) -> float:
        """Return the seconds until an arrival is due; 0 if it is, or has no instant of its own."""
        wait_ns = self._due(arrival) - time.monotonic_ns()
        return wait_ns / NANOSECONDS if wait_ns > 0 else 0.0

    def _due(self, arrival: Arrival) -> int:
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
        due = self._due(arrival)
        if arrival.offset_ns is None or due > now or self.is_cancelled(arrival):
            return
        self._unsent += 1
        self._due_ns = max(self._due_ns, due)
        self._write(arrival, due, now, now, Outcome(0, "unsent", 0))

    def send(self, arrival: Arrival) -> None:
        """Send one request and write down what became of it."""
        template = self._templates[arrival.kind]
        request = template.with_id(self._id(arrival))
        idle = self._idle
        connection = idle.pop() if idle else self._connection()
        # Cut short from outside, its outcome is as unknown as that of a timeout.
        outcome = Outcome(0, "timeout", 0, TimeoutError("the load was cut short"))
        self._in_flight += 1
        start = time.monotonic_ns()
        try:
            outcome = connection.exchange(request, template.spec.method)
        finally:
            end = time.monotonic_ns()
            self._in_flight -= 1
            self._idle.append(connection)
            self._count(start, end, outcome)
            due = start if arrival.offset_ns is None else self._due(arrival)
            self._due_ns = max(self._due_ns, due)
            self._write(arrival, due, start, end, outcome)
        self._on_request(template, start, end, outcome)

    def _connection(self) -> Connection:
        return Connection(self._target, self._make_parser, self.job.profile.timeout_seconds)

    def _id(self, arrival: Arrival) -> str:
        return f"{self.job.id_prefix}-{arrival.number}"

    def _count(self, start: int, end: int, outcome: Outcome) -> None:
        if self._first_ns is None or start < self._first_ns:
            self._first_ns = start
        self._last_start_ns = max(self._last_start_ns, start)
        self._end_ns = end
        self._requests += 1
        self._recent.append(end - start)
        if outcome.failure:
            self._failures[outcome.failure] += 1
        elif outcome.status >= _SERVER_ERROR:
            self._failures["http_5xx"] += 1

    def _write(self, arrival: Arrival, due: int, start: int, end: int, outcome: Outcome) -> None:
        spec = self._templates[arrival.kind].spec
        unix_ns = self.job.clock.unix_ns
        self._writer.write(
            Entry(
                unix_ns(due),
                unix_ns(start),
                end - start,
                spec.method,
                spec.path,
                spec.endpoint,
                outcome.status,
                outcome.failure,
                self._id(arrival),
                outcome.bytes,
            )
        )

    def keep(self) -> None:
        """Bring the ledger up to date for its readers, and close connections that nobody will use again."""
        self._writer.flush()
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
        )

    def finish(self) -> Finished:
        """Close the ledger and return what the load did; arrivals that were due and never taken are unsent."""
        if self._stop_ns is not None:
            for arrival in self._arrivals:
                if self.is_cancelled(arrival):
                    break
                self.give_up(arrival)
        self.close()
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
            cpu_ns=time.process_time_ns() - self._cpu_ns,
            wall_ns=time.monotonic_ns() - self._wall_ns,
            stepped_ns=self.job.clock.stepped_ns(),
        )

    def close(self) -> None:
        """Close the ledger and every connection; safe to call twice."""
        self._writer.close()
        while self._idle:
            self._idle.pop().close()
