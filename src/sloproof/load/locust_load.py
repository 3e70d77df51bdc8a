"""One load as Locust runs it: an environment, a local runner, and users that share the load's schedule."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

import gevent
import gevent.event
import locust
from locust.env import Environment
from locust.event import EventHook
from locust.exception import StopUser
from locust.stats import RequestStats, StatsEntry, bucket_response_time

from sloproof.load.account import Account
from sloproof.load.answer import Answer
from sloproof.load.connection import Outcome
from sloproof.load.greenlets import Alarm, Lines
from sloproof.load.ledger_file import Row
from sloproof.load.request import RequestTemplate
from sloproof.load.schedule import Arrival, users_of
from sloproof.load.share import Share
from sloproof.load.wire import Begin, Finished, Started
from sloproof.model import NANOSECONDS

_MILLISECOND = 1_000_000


class RequestHook(EventHook):
    """Locust's `request` event, which knows whether anyone but Locust's own statistics listens."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_heard = False

    def add_listener(self, handler: Callable[..., None]) -> Callable[..., None]:
        """Add a listener; from now on the event is fired for each request."""
        self.is_heard = True
        super().add_listener(handler)  # type: ignore[no-untyped-call]
        return handler


class LoadEnvironment(Environment):
    """Locust's environment of one load."""

    share: Share
    alarm: Alarm
    begun: gevent.event.Event


class ScheduledUser(locust.User):
    """A Locust user that takes the load's next arrival and sends it when it is due, until there is none."""

    environment: LoadEnvironment
    arrival: Arrival | None = None
    is_leaving = False

    def on_start(self) -> None:
        """Wait for the schedule's begin."""
        self.environment.begun.wait()
        self.environment.alarm.sleep_until(self.environment.share.account.begin_ns)

    @locust.task
    def send_all(self) -> None:
        """Send arrivals until there are no more."""
        share, alarm = self.environment.share, self.environment.alarm
        queue, send, is_open = share.queue, share.send, share.is_open
        take = queue.take
        while not self.is_leaving and (arrival := take()) is not None:
            if is_open:
                self.arrival = arrival
                due = queue.due_ns(arrival)
                is_early = time.monotonic_ns() < due
                if is_early:
                    alarm.sleep_until(due)
                self.arrival = None
                if queue.is_cancelled(arrival):
                    break
                if is_early:
                    share.account.gauge.note(time.monotonic_ns() - due)
            send(arrival)
        raise StopUser

    def stop(self, force: bool = False) -> bool:  # noqa: FBT001, FBT002 - Locust's signature
        """Leave once the arrival at hand is answered, whoever asks for it: a master, the web interface, the driver."""
        self.is_leaving = True
        return bool(super().stop(force))

    def on_stop(self) -> None:
        """Give back an arrival that was taken and not sent."""
        if self.arrival is not None:
            self.environment.share.queue.give_up(self.arrival)


class Telling:
    """Tells Locust of requests: its event, where someone listens, else its statistics, many at a time.

    Args:
        environment: Locust's.
        job: The load.
        hook: The event, where it is heard from the beginning, as under Locust's own program; else one is made.
    """

    def __init__(self, environment: LoadEnvironment, job: Begin, hook: EventHook | None = None) -> None:
        self._own = RequestHook() if hook is None else None
        if self._own is not None:
            environment.events.request = self._own
        self._hook: EventHook = environment.events.request
        self._stats: RequestStats = environment.stats
        self._host = environment.host
        self._job = job

    def begin(self) -> None:
        """Take the listeners that there are by now for Locust's own."""
        if self._own is not None:
            self._own.is_heard = False

    @property
    def wants_each(self) -> bool:
        """See `Listener`."""
        return self._own is None or self._own.is_heard

    def hear(self, template: RequestTemplate, start: int, end: int, outcome: Outcome) -> None:
        """Fire the event."""
        spec = template.spec
        self._hook.fire(  # type: ignore[no-untyped-call]
            request_type=spec.method,
            name=spec.endpoint,
            response_time=(end - start) / _MILLISECOND,
            response_length=outcome.bytes,
            response=outcome,
            context={},
            exception=outcome.error,
            start_time=self._job.clock.unix_ns(start) / NANOSECONDS,
            url=f"{self._host}{spec.path}",
        )

    def hear_all(self, rows: Sequence[Row]) -> None:
        """Add to the statistics that the web interface and a master show, as a worker's report is added."""
        of: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            of.setdefault((row[5], row[3]), []).append(row)
        for (name, method), own in of.items():
            entry = _entry(self._stats, name, method, own)
            self._stats.entries[name, method].extend(entry)
            self._stats.total.extend(entry)
        for row in rows:
            if row[7]:
                self._stats.log_error(row[3], row[5], row[7])


def _entry(stats: RequestStats, name: str, method: str, rows: Sequence[Row]) -> StatsEntry:
    entry = StatsEntry(stats, name, method)
    times = [row[2] / _MILLISECOND for row in rows]
    entry.start_time = rows[0][1] / NANOSECONDS
    entry.last_request_timestamp = max(row[1] + row[2] for row in rows) / NANOSECONDS
    entry.num_requests = len(rows)
    # Locust says whole milliseconds of these three, and puts fractions into them.
    entry.total_response_time = cast("int", sum(times))
    entry.min_response_time, entry.max_response_time = cast("int", min(times)), cast("int", max(times))
    entry.total_content_length = sum(row[9] for row in rows)
    for milliseconds, count in Counter(map(round, times)).items():
        entry.response_times[bucket_response_time(milliseconds)] += count
    for second, count in Counter((row[1] + row[2]) // NANOSECONDS for row in rows).items():
        entry.num_reqs_per_sec[second] += count
    return entry


class Load:
    """A load that is being driven.

    Args:
        job: What is asked for.
    """

    def __init__(self, job: Begin) -> None:
        self._environment = environment = LoadEnvironment(
            user_classes=[ScheduledUser],
            host=job.base_url.rstrip("/"),
            stop_timeout=job.profile.timeout_seconds + 1,
        )
        telling = Telling(environment, job)
        self._lines = Lines(job.profile.timeout_seconds)
        self.share = environment.share = Share(job, Answer, self._lines.make, telling)
        environment.alarm = Alarm()
        environment.begun = gevent.event.Event()
        self._runner = environment.create_local_runner()
        telling.begin()
        self._stopping: gevent.Greenlet | None = None

    def begin(self) -> Started:
        """Start the users, and begin the schedule once they are all there."""
        job = self.share.job
        users = users_of(job.profile, job.process)
        self._runner.start(users, spawn_rate=users)
        spawning = self._runner.spawning_greenlet
        assert spawning is not None
        spawning.join()
        self.share.account.begin()
        self._environment.begun.set()
        return Started(id=job.id, begin_ns=self.share.account.begin_ns)

    def stop(self) -> None:
        """End arrivals now: users that wait end at once, users in a request when it is answered."""
        self.share.stop()
        self._environment.alarm.wake_all()
        if self._stopping is None:
            self._stopping = gevent.spawn(self._runner.stop)

    def finish(self) -> Finished:
        """Wait for the last answer and return what the load did."""
        self._runner.user_greenlets.join()
        if self._stopping is not None:
            self._stopping.join()
        finished = self.share.finish()
        self._runner.quit()
        return finished

    @property
    def account(self) -> Account:
        """Return the account of what was sent."""
        return self.share.account

    def keep(self) -> None:
        """Bring the ledger up to date; see `Share`."""
        self.share.keep()

    def close(self) -> None:
        """Give back what the load holds."""
        self.share.close()
        self._lines.close()
        self._environment.alarm.close()
