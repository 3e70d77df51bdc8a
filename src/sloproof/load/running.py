"""A load that is being driven, and what came of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sloproof.duration import format_duration
from sloproof.errors import LoadError
from sloproof.load.child_process import ChildProcess
from sloproof.load.doubt import Doubt, doubts_of
from sloproof.load.ledger import Clock, Ledger
from sloproof.load.profile import Profile
from sloproof.load.strain import Strain
from sloproof.load.wire import Advanced, Event, Failed, Finished, Started
from sloproof.model import NANOSECONDS, Window, instant_from_ns

_LOOK_SECONDS = 0.1
_SHORTFALL = 0.01
_ROUND_TRIP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is.

    Attributes:
        requests: Sent so far.
        failures: Failed or answered with a 5xx so far.
        p95: Of the last requests, from the send; None before the first answer.
        in_flight: Waiting for an answer now.
        elapsed: Since the schedule's begin.
        remaining: Until its end; None where the profile does not say.
    """

    requests: int
    failures: int
    p95: timedelta | None
    in_flight: int
    elapsed: timedelta
    remaining: timedelta | None


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did.

    Attributes:
        name: The load's name.
        window: From the first send to the last answer.
        ledger: The record of this load alone.
        requests: How many were sent, whatever became of them.
        failures: How many failed, by kind; answers with a 5xx are `http_5xx`.
        asked_rate: Arrivals a second that were asked for; None in the closed model.
        achieved_rate: Requests a second that were sent, over the schedule or the time they really took, if longer.
        unsent: Arrivals that were due and could not be sent.
        cpu_share: Share of a core that the busiest load process used.
        cpu_seconds: CPU time that all load processes used from the begin to the end.
        warnings: Why the load's own numbers may not be trusted.
        doubts: Those of them for which what is judged by the numbers is inconclusive.
    """

    name: str
    window: Window
    ledger: Ledger
    requests: int
    failures: Mapping[str, int]
    asked_rate: float | None
    achieved_rate: float
    unsent: int
    cpu_share: float
    warnings: tuple[str, ...]
    cpu_seconds: float = 0.0
    doubts: tuple[Doubt, ...] = ()


class RunningLoad:
    """A load that is being driven by one child process or several.

    Args:
        load: Its id.
        name: Its name.
        profile: What was asked for.
        children: Who drives it, one a share.
        ledgers: The file each of them writes.
        clock: Their clock.
    """

    def __init__(
        self, *, load: int, name: str, profile: Profile, children: Sequence[ChildProcess], ledgers: Sequence[Path],
        clock: Clock,
    ) -> None:  # fmt: skip
        self.name = name
        self.profile = profile
        self.ledger = Ledger.open(ledgers)
        self._load = load
        self._children = tuple(children)
        self._clock = clock
        self._changed = threading.Condition()
        self._latest: dict[int, Advanced] = {}
        self._finished: dict[int, Finished] = {}
        self._error: LoadError | None = None
        self._begun_ns: int | None = None

    def hear(self, process: int, event: Event | None) -> None:
        """Take in what a child says; None is its end."""
        with self._changed:
            match event:
                case None:
                    self._error = self._error or self._children[process].death()
                case Failed():
                    self._error = self._error or LoadError(
                        f"the load {self.name!r} could not be driven", reason=event.message
                    )
                case Started():
                    self._begun_ns = event.begin_ns
                case Advanced():
                    self._latest[process] = event
                case Finished():
                    self._finished[process] = event
                case _:
                    pass
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        """Return whether there is a result, or an error, without waiting."""
        with self._changed:
            return self._is_over()

    def _is_over(self) -> bool:
        return self._error is not None or len(self._finished) == len(self._children)

    def progress(self) -> Progress:
        """Return how far the load is, as last heard: at most 0.2 s old."""
        with self._changed:
            latest = list(self._latest.values())
            done = list(self._finished.values())
            begun = self._begun_ns
        elapsed_ns = 0 if begun is None else time.monotonic_ns() - begun
        finished = {one.id for one in done} and len(done) == len(self._children)
        p95s = [one.p95_ns for one in latest if one.p95_ns is not None]
        return Progress(
            requests=sum(one.requests for one in (done if finished else latest)),
            failures=sum(sum(one.failures.values()) for one in done)
            if finished
            else sum(one.failures for one in latest),
            p95=_duration(max(p95s)) if p95s else None,
            in_flight=0 if finished else sum(one.in_flight for one in latest),
            elapsed=_duration(elapsed_ns),
            remaining=self._remaining(elapsed_ns),
        )

    def doubts(self) -> tuple[Doubt, ...]:
        """Return every reason up to now not to believe the load's numbers."""
        with self._changed:
            strains = [one.strain for one in self._latest.values() if one.strain is not None]
            requests = sum(one.requests for one in self._latest.values())
        return doubts_of(strains, requests=requests, unsent=0)

    def _remaining(self, elapsed_ns: int) -> timedelta | None:
        asked = self.profile.length_seconds
        return None if asked is None else max(timedelta(seconds=asked) - _duration(elapsed_ns), timedelta())

    def wait(
        self,
        check_alive: Callable[[], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> LoadResult:
        """Wait until the load has ended by itself, and return what it did.

        Args:
            check_alive: Called several times a second; what it raises ends the load and is raised here.
            on_progress: Told several times a second how far the load is.

        Raises:
            LoadError: A load process died, or could not drive the load. The ledger up to then can be read.
        """
        try:
            while not self._settle(_LOOK_SECONDS):
                if check_alive is not None:
                    check_alive()
                if on_progress is not None:
                    on_progress(self.progress())
        except BaseException:
            self.end_arrivals()
            raise
        return self._result()

    def end_arrivals(self) -> None:
        """End arrivals now, without waiting for what is in flight."""
        for child in self._children:
            child.stop(self._load)

    def stop(self) -> LoadResult:
        """End arrivals now, wait for what is in flight, and return what the load did.

        The wait is bounded by the profile's timeout, because no request outlasts it.

        Raises:
            LoadError: A load process died, or does not come to an end.
        """
        self.end_arrivals()
        bound = self.profile.timeout_seconds + _ROUND_TRIP_SECONDS
        if not self._settle(bound):
            raise LoadError(
                f"expected the load {self.name!r} to end within {bound:g} s of being stopped, but it runs on",
                hint="no request may outlast the profile's timeout_seconds: the load process is stuck or starved",
            )
        return self._result()

    def _settle(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(self._is_over, seconds)

    def _result(self) -> LoadResult:
        with self._changed:
            if self._error is not None:
                raise self._error
            shares = list(self._finished.values())
        for child in self._children:
            child.forget(self._load)
        return _merge(self.name, self.profile, self.ledger, self._clock, shares)


def _merge(name: str, profile: Profile, ledger: Ledger, clock: Clock, shares: Sequence[Finished]) -> LoadResult:
    begin = min(one.begin_ns for one in shares)
    first = min((one.first_ns for one in shares if one.first_ns is not None), default=begin)
    last = max((one.end_ns for one in shares if one.requests), default=first)
    failures: Counter[str] = Counter()
    for one in shares:
        failures.update(one.failures)
    requests = sum(one.requests for one in shares)
    unsent = sum(one.unsent for one in shares)
    cpu_share = max(one.cpu_ns / max(one.wall_ns, 1) for one in shares)
    start_ns, end_ns = clock.unix_ns(first), clock.unix_ns(last)
    schedule = last - first
    if profile.mean_rate is not None:
        due = max(one.due_ns for one in shares) - begin + round(NANOSECONDS / profile.mean_rate)
        if profile.stages and profile.requests is None:
            due = round((profile.length_seconds or 0.0) * NANOSECONDS)  # a stage may end in a pause
        stops = [one.stop_ns - begin for one in shares if one.stop_ns is not None]
        schedule = max(min([due, *stops]), 1)
        spent = max(schedule, max(one.last_start_ns for one in shares) - begin)
    else:
        spent = schedule
    doubts = doubts_of([_strain(one) for one in shares], requests=requests, unsent=unsent)
    return LoadResult(
        name=name,
        # Whole microseconds, outwards, so that every request lies inside.
        window=Window(instant_from_ns(start_ns), instant_from_ns(end_ns + 999)),
        ledger=ledger,
        requests=requests,
        failures=dict(failures),
        asked_rate=profile.mean_rate,
        achieved_rate=requests / (max(spent, 1) / NANOSECONDS),
        unsent=unsent,
        cpu_share=cpu_share,
        warnings=(*(one.text for one in doubts), *_warnings(schedule, spent)),
        doubts=doubts,
        cpu_seconds=sum(one.cpu_ns for one in shares) / NANOSECONDS,
    )


def _strain(share: Finished) -> Strain:
    if share.strain is not None:
        return share.strain
    return Strain(wall_ns=share.wall_ns, cpu_ns=share.cpu_ns, stepped_ns=share.stepped_ns)


def _warnings(schedule: int, spent: int) -> Iterator[str]:
    if spent > schedule * (1 + _SHORTFALL) + NANOSECONDS // 100:
        yield f"sending took {format_duration(_duration(spent))}, the schedule {format_duration(_duration(schedule))}"


def _duration(nanoseconds: int) -> timedelta:
    return timedelta(microseconds=nanoseconds / 1000)
