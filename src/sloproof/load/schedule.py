"""When each request is due and of which kind it is: one schedule a load, shared by its users and processes.

Everything is drawn from the profile's seed by the number of the arrival, so that two processes that know the same
profile agree on every arrival, and each takes its own without asking.
"""

from __future__ import annotations

import itertools
import random
from bisect import bisect
from collections.abc import Iterator
from typing import NamedTuple

from sloproof.load.profile import Profile
from sloproof.model import NANOSECONDS


class Arrival(NamedTuple):
    """One request to be sent.

    Attributes:
        number: Its number in the load, from 0, over all processes.
        offset_ns: When it is due after the load's begin; None in the closed model, where it is due when a user is free.
        kind: Its place in the profile's mix.
    """

    number: int
    offset_ns: int | None
    kind: int


def processes_of(profile: Profile) -> int:
    """Return how many processes share the load: none of them without a user."""
    return min(profile.processes, profile.users if profile.users is not None else profile.connections)


def share(total: int, parts: int, part: int) -> int:
    """Return one part's share of a whole number; the parts add up to it."""
    return total // parts + (part < total % parts)


def users_of(profile: Profile, process: int) -> int:
    """Return how many users a process runs: its share of the users, or of the connections in the open model."""
    total = profile.users if profile.users is not None else profile.connections
    if profile.requests is not None:
        total = max(min(total, profile.requests), processes_of(profile))
    return share(total, processes_of(profile), process)


def arrivals(profile: Profile, process: int = 0) -> Iterator[Arrival]:
    """Yield a process's arrivals in order; endless where the profile bounds neither their number nor their time."""
    offsets = _offsets(profile) if profile.rate is not None else itertools.repeat(None)
    every = itertools.islice(zip(itertools.count(), offsets, _kinds(profile), strict=False), profile.requests)
    own = itertools.islice(every, process, None, processes_of(profile))
    return itertools.starmap(Arrival, own)


def _offsets(profile: Profile) -> Iterator[int]:
    rate = profile.rate or 0.0
    end = None if profile.duration_seconds is None else profile.duration_seconds * NANOSECONDS
    draw = random.Random(f"{profile.seed} arrivals")  # noqa: S311 - repeatable, not secret
    at = 0.0
    for number in itertools.count():
        if profile.arrivals == "poisson":
            at += draw.expovariate(rate) * NANOSECONDS
        else:
            at = number * NANOSECONDS / rate  # never summed up, so that it cannot drift
        if end is not None and at >= end:
            return
        yield round(at)


def _kinds(profile: Profile) -> Iterator[int]:
    if len(profile.mix) == 1:
        yield from itertools.repeat(0)
    draw = random.Random(f"{profile.seed} mix")  # noqa: S311 - repeatable, not secret
    bounds = list(itertools.accumulate(spec.weight for spec in profile.mix))
    last = len(bounds) - 1
    while True:
        yield min(bisect(bounds, draw.random() * bounds[-1]), last)
