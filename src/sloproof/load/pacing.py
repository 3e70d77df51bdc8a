"""Lets requests of a locustfile's users go when the load's schedule has their turn: the file says what, this when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn, Protocol

from sloproof.load.account import Account
from sloproof.load.arrival_queue import ArrivalQueue
from sloproof.load.schedule import Arrival
from sloproof.load.wire import Begin


class Sleeper(Protocol):
    """Who can wait for an instant of the monotonic clock."""

    def sleep_until(self, instant_ns: int) -> None:
        """Sleep until then, or until everyone is woken."""

    def wake_all(self) -> None:
        """Wake everyone, early."""


class Pacer:
    """Hands out the turns of one load's schedule, one a request.

    A turn is taken before the user's own client starts its clock, so that Locust's figures do not hold the wait for it;
    the request that then goes over the wire uses it up. Each further one (a redirect) waits for a turn of its own.

    Args:
        job: The load.
        account: Its account.
        sleeper: Waits for turns.
        await_begin: Returns once the schedule has begun.
        who: Returns who asks, the same for all that one of several at once does.
        leave: Called by whoever asks when there are no more turns; ends them, whatever exceptions they catch.
    """

    def __init__(
        self, job: Begin, account: Account, sleeper: Sleeper, await_begin: Callable[[], object],
        who: Callable[[], object], leave: Callable[[], NoReturn],
    ) -> None:  # fmt: skip
        self.queue = ArrivalQueue(job, account, lambda _: ("", "", ""))
        self._account = account
        self._sleeper = sleeper
        self._await_begin = await_begin
        self._who = who
        self._leave = leave
        self._granted: dict[object, Arrival] = {}
        self._returned: list[Arrival] = []

    def grant(self) -> None:
        """Wait for a turn, and keep it for the next request of whoever asks."""
        self._granted[self._who()] = self._await_turn()

    def withdraw(self) -> None:
        """Take back a turn that no request came of; it goes to the next one who asks."""
        arrival = self._granted.pop(self._who(), None)
        if arrival is not None:
            self._returned.append(arrival)

    def use(self) -> Arrival:
        """Return the turn of a request that is about to be sent: the one that was granted, else a new one, when due."""
        return self._granted.pop(self._who(), None) or self._await_turn()

    def _await_turn(self) -> Arrival:
        self._await_begin()
        arrival = self._returned.pop() if self._returned else self.queue.take()
        if arrival is None:
            self._leave()
        due = self.queue.due_ns(arrival)
        if time.monotonic_ns() < due:
            try:
                self._sleeper.sleep_until(due)
            except BaseException:
                self.queue.give_up(arrival)
                raise
            if self.queue.is_cancelled(arrival):
                self._leave()
            self._account.gauge.note(time.monotonic_ns() - due)
        return arrival

    def finish(self) -> None:
        """Note every turn that was due and that nobody used as unsent."""
        for arrival in (*self._returned, *self._granted.values()):
            self.queue.give_up(arrival)
        self.queue.give_up_rest()
