"""When each request is due and of which kind it is: one schedule a load, shared by its users and processes.

Everything is drawn from the profile's seed by the number of the arrival, so that two processes that know the same
profile agree on every arrival, and each takes its own without asking.
"""

from __future__ import annotations

import itertools
import math
import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sloproof.load.profile import Profile, Stage
from sloproof.model import NANOSECONDS

_ROUNDING = 1e-9  # of an arrival


class Arrival(NamedTuple):
    """One request to be sent.

    Attributes:
        number: Its number in the load, from 0, over all processes.
        offset_ns: When it is due after the load's begin; None in the closed model, where it is due when a user is free.
        kind: Its place in the profile's mix; 0 where a locustfile says what is sent.
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
    offsets: Iterator[int | None]
    if profile.recording is not None:
        offsets, kinds = iter(profile.recording.offsets_ns), iter(profile.recording.kinds)
    else:
        offsets = itertools.repeat(None) if profile.users is not None else _offsets(profile)
        kinds = _kinds(profile)
    every = itertools.islice(zip(itertools.count(), offsets, kinds, strict=False), profile.requests)
    own = itertools.islice(every, process, None, processes_of(profile))
    return itertools.starmap(Arrival, own)


def _offsets(profile: Profile) -> Iterator[int]:
    """Yield when arrivals are due, for a rate or for stages of rates.

    With a rate of one a second, even arrivals are due at 0, 1, 2 ...; a rate that changes stretches that time. The
    same holds for arrivals at random, which are then a Poisson process of that rate.
    """
    end = None if profile.duration_seconds is None else profile.duration_seconds * NANOSECONDS
    at_units = _stretched(profile.stages, _units(profile)) if profile.stages else _even(profile)
    for at in at_units:
        if end is not None and at >= end:
            return
        yield round(at)


def _units(profile: Profile) -> Iterator[float]:
    if profile.arrivals != "poisson":
        yield from map(float, itertools.count())
    draw = random.Random(f"{profile.seed} arrivals")  # noqa: S311 - repeatable, not secret
    at = 0.0
    while True:
        at += draw.expovariate(1.0)
        yield at


def _even(profile: Profile) -> Iterator[float]:
    # Counted, never summed up, so that even arrivals cannot drift.
    scale = NANOSECONDS / (profile.rate or math.inf)
    if profile.arrivals == "poisson":
        return (unit * scale for unit in _units(profile))
    rate = profile.rate or math.inf
    return (number * NANOSECONDS / rate for number in itertools.count())


def _stretched(stages: Sequence[Stage], units: Iterator[float]) -> Iterator[float]:
    begin = passed = 0.0  # seconds and arrivals before the stage
    unit = next(units)
    for stage in stages:
        slope = 0.0 if stage.to_rate is None else (stage.to_rate - stage.rate) / stage.seconds
        # An arrival that rounding puts at the very end of a stage belongs to the next one, or to none.
        while (due := unit - passed) < stage.arrivals - _ROUNDING:
            root = math.sqrt(max(stage.rate**2 + 2 * slope * due, 0.0))
            yield (begin + (2 * due / (stage.rate + root) if due > 0 else 0.0)) * NANOSECONDS
            unit = next(units)
        begin += stage.seconds
        passed += stage.arrivals


def _kinds(profile: Profile) -> Iterator[int]:
    if len(profile.mix) <= 1:  # none: a locustfile says what is sent
        yield from itertools.repeat(0)
    draw = random.Random(f"{profile.seed} mix")  # noqa: S311 - repeatable, not secret
    bounds = list(itertools.accumulate(spec.weight for spec in profile.mix))
    last = len(bounds) - 1
    while True:
        yield min(bisect(bounds, draw.random() * bounds[-1]), last)
