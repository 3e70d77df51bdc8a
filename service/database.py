"""The simulated database behind the users endpoint: it takes a drawn time, and fails now and then."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.faults import FaultSwitch
    from service.settings import Settings

USERS = (
    {"id": 1, "name": "Alice", "email": "alice@example.com"},
    {"id": 2, "name": "Bob", "email": "bob@example.com"},
)


class DatabaseError(Exception):
    """A query that failed."""


class UsersDatabase:
    """Answers queries for users.

    Args:
        settings: Times and failures, and the seed of both.
        faults: What is broken on purpose.
        sleep: Waits for seconds.
    """

    def __init__(self, settings: Settings, faults: FaultSwitch, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._faults = faults
        self._sleep = sleep
        self.draw_from_stream(0)

    def draw_from_stream(self, number: int) -> None:
        """Draw from a stream of chance of one's own: the same for the same seed and number, else unlike any other."""
        seed = self._settings.seed
        # Without a seed too, because processes that are forked from one would draw the same.
        self._random = random.Random() if seed is None else random.Random(f"{seed}/{number}")  # noqa: S311 - a simulation

    def all_users(self) -> tuple[dict[str, object], ...]:
        """Return every user.

        Raises:
            DatabaseError: The query failed.
        """
        faults = self._faults.current
        # Both are drawn for every query, so that a fault does not shift what is drawn after it.
        seconds, chance = self._draw_seconds(), self._random.random()
        if faults.dependency_down:
            raise DatabaseError("connection refused")
        self._sleep(seconds + faults.added_latency_seconds)
        ratio = self._settings.users_error_ratio if faults.error_ratio is None else faults.error_ratio
        if chance < ratio:
            raise DatabaseError("query failed")
        return USERS

    @property
    def is_up(self) -> bool:
        """Whether it can be reached."""
        return not self._faults.current.dependency_down

    def _draw_seconds(self) -> float:
        settings = self._settings
        if not settings.users_latency_median_seconds:
            return 0.0
        drawn = self._random.lognormvariate(
            math.log(settings.users_latency_median_seconds), settings.users_latency_sigma
        )
        return min(drawn, settings.users_latency_cap_seconds)
