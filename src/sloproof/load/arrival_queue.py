"""The arrivals of one process, taken in order by whoever is free to send; none is dropped in silence."""

from __future__ import annotations

import time
from collections.abc import Callable

from sloproof.load.account import Account
from sloproof.load.schedule import Arrival, arrivals
from sloproof.load.wire import Begin
from sloproof.model import NANOSECONDS

What = tuple[str, str, str]
"""Method, path and endpoint."""


class ArrivalQueue:
    """What is still to be sent. Instants are monotonic nanoseconds.

    Args:
        job: What is asked for.
        account: Takes what could not be sent.
        what_of: Returns what an arrival would have sent; empty texts where only its sender would have known.
    """

    def __init__(self, job: Begin, account: Account, what_of: Callable[[Arrival], What]) -> None:
        profile = job.profile
        self._job = job
        self._account = account
        self._what_of = what_of
        self._arrivals = arrivals(profile, job.process)
        self._timeout_ns = round(profile.timeout_seconds * NANOSECONDS)
        length = profile.length_seconds if profile.users is None else profile.duration_seconds
        self._length_ns = None if length is None else round(length * NANOSECONDS)

    def is_cancelled(self, arrival: Arrival) -> bool:
        """Return whether arrivals were ended before this one was due."""
        stop_ns = self._account.stop_ns
        return stop_ns is not None and (arrival.offset_ns is None or self.due_ns(arrival) > stop_ns)

    def due_ns(self, arrival: Arrival) -> int:
        """Return when an arrival is due; the schedule's begin for one that has no instant of its own."""
        return self._account.begin_ns + (arrival.offset_ns or 0)

    def take(self) -> Arrival | None:
        """Return the next arrival to be sent; None when there is no more."""
        account = self._account
        while account.stop_ns is None and (arrival := next(self._arrivals, None)) is not None:
            elapsed = time.monotonic_ns() - account.begin_ns
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
        unix_ns = self._account.unix_ns
        request_id = f"{self._job.id_prefix}-{arrival.number}"
        self._account.take_unsent(
            (unix_ns + due, unix_ns + now, 0, *self._what_of(arrival), 0, "unsent", request_id, 0)
        )

    def give_up_rest(self) -> None:
        """Note every arrival that was due and that nobody took as unsent."""
        for arrival in self._arrivals:
            if self.is_cancelled(arrival) or self.due_ns(arrival) > time.monotonic_ns():
                break
            self.give_up(arrival)
