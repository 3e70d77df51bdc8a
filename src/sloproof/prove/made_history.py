"""Made-up services whose every request is known, and what a Prometheus would have stored of them.

Truth is kept apart from the samples: whole numbers of requests, added up by whoever compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from sloproof.model import Window
from sloproof.prove.scratch_server import Points, series_text

Traffic = Callable[[datetime], tuple[int, int]]
"""Good and bad requests of the scrape interval that ends at an instant."""

# How long a service ran before it was first looked at.
_OLD = timedelta(days=100)

Moment = Callable[[datetime], bool]


def _never(_: datetime) -> bool:
    return False


@dataclass(slots=True)
class _Recorded:
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, time: int, value: float) -> None:
        self.times.append(time)
        self.values.append(value)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is scraped, and what befalls it; everything is a function of the instant.

    Attributes:
        job: Its label.
        window: From its first scrape to its last.
        step: Between scrapes.
        traffic: Its requests.
        restarts: At which instants it began anew just after the scrape before: nothing is lost, its counters are 0.
        dead: When it does not run: nobody counts, and `up` is 0.
        unwatched: When Prometheus does not run: the service counts on, and nothing is stored.
        instance: Its name at an instant.
        labels: More labels at an instant.
        jobs: Under which further jobs the same instance is scraped.
    """

    job: str
    window: Window
    step: timedelta
    traffic: Traffic
    restarts: Moment = _never
    dead: Moment = _never
    unwatched: Moment = _never
    instance: Callable[[datetime], str] = lambda _: "a:80"
    labels: Callable[[datetime], dict[str, str]] = lambda _: {}
    jobs: tuple[str, ...] = ()

    def instants(self) -> Iterator[datetime]:
        """Yield the instants of its scrapes."""
        at = self.window.start
        while at <= self.window.end:
            yield at
            at += self.step

    def points(self) -> list[Points]:
        """Return what was stored: `requests_total` by code, and `up`."""
        stored: dict[str, _Recorded] = {}
        text = lru_cache(lambda name, labels: series_text(name, dict(labels)))
        good = bad = 0
        began, instance = self.window.start - _OLD, self.instance(self.window.start)
        for at in self.instants():
            if self.dead(at) or self.restarts(at) or self.instance(at) != instance:
                good = bad = 0
                began, instance = at - self.step, self.instance(at)
            if not self.dead(at):
                more_good, more_bad = self.traffic(at)
                good, bad = good + more_good, bad + more_bad
            if self.unwatched(at):
                continue
            time = round(at.timestamp() * 1000)
            for job in (self.job, *self.jobs):
                target = (("job", job), ("instance", instance))
                found: list[tuple[str, float]] = [(text("up", target), int(not self.dead(at)))]
                if not self.dead(at):
                    found.append((text("process_start_time_seconds", target), began.timestamp()))
                    more = tuple(self.labels(at).items())
                    for code, count in (("200", good), ("500", bad)):
                        if count or code == "200":
                            found.append((text("requests_total", (*target, ("code", code), *more)), count))
                for series, value in found:
                    stored.setdefault(series, _Recorded()).add(time, value)
        return [Points(series, tuple(one.times), one.values) for series, one in stored.items()]

    def truth(self, window: Window) -> tuple[int, int]:
        """Return the bad requests of a window, and all: those between the last scrapes at or before its two ends."""
        seen = [at for at in self.instants() if not self.unwatched(at)]
        first = max((at for at in seen if at <= window.start), default=None)
        last = max((at for at in seen if at <= window.end), default=None)
        bad = valid = 0
        for at in self.instants():
            if last is None or at > last or (first is not None and at <= first) or self.dead(at):
                continue
            good_now, bad_now = self.traffic(at)
            bad, valid = bad + bad_now, valid + good_now + bad_now
        return bad, valid

    def truth_of_slices(self, first: datetime, length: timedelta, count: int) -> list[tuple[int, int]]:
        """Return the bad requests and all of each slice, by the scrape that saw them."""
        found = [(0, 0)] * count
        for at in self.instants():
            # What a scrape sees at a slice's very end is of that slice.
            place = -((first - at) // length) - 1
            if 0 <= place < count:
                good_now, bad_now = self.traffic(at)
                found[place] = (found[place][0] + bad_now, found[place][1] + good_now + bad_now)
        return found


def in_hours(start: int, end: int) -> Moment:
    """Return a moment that holds in certain hours of each day, in UTC."""
    return lambda at: start <= at.hour < end


def during(start: datetime, length: timedelta) -> Moment:
    """Return a moment that holds from an instant on, for so long."""
    return lambda at: start <= at < start + length
