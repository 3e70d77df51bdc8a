"""One process's share of one load: takes its arrivals from the schedule, sends them, and writes each one down.

It knows nothing of who calls it; the child program's Locust users do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from sloproof.load.account import Account, Listener
from sloproof.load.answer_shape import AnswerShapes
from sloproof.load.arrival_queue import ArrivalQueue, What
from sloproof.load.connection import AnswerParser, Connection, Outcome
from sloproof.load.ledger_file import Row
from sloproof.load.line import MakeLine
from sloproof.load.request import RequestTemplate
from sloproof.load.schedule import Arrival
from sloproof.load.target import Target
from sloproof.load.wire import Begin, Finished

_CUT_SHORT = Outcome(0, "timeout", 0, TimeoutError("the load was cut short"))


class EachListener(Listener, Protocol):
    """Who may want to be told of each request when it is over."""

    def hear(self, template: RequestTemplate, start: int, end: int, outcome: Outcome) -> None:
        """Take in one request; times are monotonic nanoseconds."""


class Share:
    """The arrivals of one process. Instants are monotonic nanoseconds.

    Args:
        job: What is asked for.
        make_parser: Makes the reader of an answer to a method.
        make_line: Makes the way to wait for a socket.
        listener: Told of every request that is over.

    Raises:
        LedgerError: The ledger file cannot be written.
    """

    def __init__(
        self, job: Begin, make_parser: Callable[[str], AnswerParser], make_line: MakeLine, listener: EachListener
    ) -> None:
        profile = job.profile
        self.job = job
        self.is_open = profile.users is None
        self._make_parser = make_parser
        self._make_line = make_line
        self._listener = listener
        self._target = Target(job.base_url)
        self._templates = [RequestTemplate(spec, self._target, job.header) for spec in profile.mix]
        self._shapes = [AnswerShapes() for _ in profile.mix]
        self._idle: list[Connection] = []
        self.account = Account(job, listener)
        self.queue = ArrivalQueue(job, self.account, self._what_of)

    def stop(self) -> None:
        """End arrivals now."""
        self.account.stop_ns = self.account.stop_ns or time.monotonic_ns()

    def send(self, arrival: Arrival) -> None:
        """Send one request and write down what became of it."""
        kind = arrival.kind
        template = self._templates[kind]
        request = template.with_id(f"{self.job.id_prefix}-{arrival.number}")
        account, idle = self.account, self._idle
        connection = idle.pop() if idle else self._connection()
        # Cut short from outside, its outcome is as unknown as that of a timeout.
        outcome = _CUT_SHORT
        account.in_flight += 1
        start = time.monotonic_ns()
        try:
            outcome = connection.exchange(request, template.method, self._shapes[kind])
        finally:
            end = time.monotonic_ns()
            account.in_flight -= 1
            idle.append(connection)
            due = start if arrival.offset_ns is None else account.begin_ns + arrival.offset_ns
            is_awaited = account.take(self._row(arrival, due, start, end, outcome), outcome)
        if is_awaited:
            self._listener.hear(template, start, end, outcome)

    def _connection(self) -> Connection:
        return Connection(self._target, self._make_parser, self.job.profile.timeout_seconds, self._make_line)

    def _what_of(self, arrival: Arrival) -> What:
        spec = self._templates[arrival.kind].spec
        return spec.method, spec.path, spec.endpoint

    def _row(self, arrival: Arrival, due: int, start: int, end: int, outcome: Outcome) -> Row:
        spec = self._templates[arrival.kind].spec
        unix_ns = self.account.unix_ns
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

    def keep(self) -> None:
        """Bring the ledger up to date for its readers, and close connections that nobody will use again."""
        self.account.keep()
        for connection in self._idle:
            if connection.is_stale:
                connection.close()
        # In place: who is sending holds this very list.
        self._idle[:] = [one for one in self._idle if not one.is_stale]

    def finish(self) -> Finished:
        """Close the ledger and return what the load did; arrivals that were due and never taken are unsent."""
        if self.account.stop_ns is not None:
            self.queue.give_up_rest()
        return self.account.finish()

    def close(self) -> None:
        """Close the ledger and every connection; safe to call twice."""
        self.account.close()
        while self._idle:
            self._idle.pop().close()
