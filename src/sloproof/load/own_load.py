"""A load that the users of a project's own locustfile drive, unchanged, with a ledger all the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import gevent
import gevent.event
from locust.env import Environment
from locust.user import User
from locust.util.load_locustfile import load_locustfile

from sloproof.errors import LoadError
from sloproof.load.account import Account
from sloproof.load.greenlets import Alarm
from sloproof.load.ledger_file import Row
from sloproof.load.pacing import Pacer
from sloproof.load.recorded_users import Recorder
from sloproof.load.schedule import users_of
from sloproof.load.wire import Begin, Finished, Started
from sloproof.model import NANOSECONDS


class _Told:
    """Locust has been told already: the file's own clients fire its event."""

    wants_each = False

    def hear_all(self, rows: Sequence[Row]) -> None: ...


class OwnLoad:
    """A load that is being driven; the file's events, user classes, tasks and waits are Locust's own business.

    Args:
        job: What is asked for.

    Raises:
        LoadError: The locustfile cannot be read, or has no such user class.
        LedgerError: The ledger file cannot be written.
    """

    def __init__(self, job: Begin) -> None:
        self._job = job
        classes = _user_classes(job)
        self.account = Account(job, _Told())
        self._alarm = Alarm()
        self._begun, self._over = gevent.event.Event(), gevent.event.Event()
        is_open = job.profile.users is None
        self._pacer = self._make_pacer() if is_open else None
        recorder = Recorder(job, self.account, self._pacer)
        self._environment = Environment(
            user_classes=[recorder.class_of(one) for one in classes],
            host=job.base_url.rstrip("/"),
            stop_timeout=job.profile.timeout_seconds + 1,
        )
        self._runner = self._environment.create_local_runner()
        self._ending: gevent.Greenlet | None = None
        self._stopping: gevent.Greenlet | None = None

    def _make_pacer(self) -> Pacer:
        def leave() -> NoReturn:
            self._over.set()
            # Not an Exception, which a locustfile may catch and go on after.
            raise gevent.GreenletExit

        return Pacer(self._job, self.account, self._alarm, self._begun.wait, gevent.getcurrent, leave)

    def begin(self) -> Started:
        """Start the users; in the open model, let their requests go once they are all there."""
        profile = self._job.profile
        if self._pacer is None:
            self.account.begin()
        users = users_of(profile, self._job.process)
        self._runner.start(users, spawn_rate=users)
        if self._pacer is not None:
            spawning = self._runner.spawning_greenlet
            assert spawning is not None
            spawning.join()
            self.account.begin()
            self._begun.set()
        self._ending = gevent.spawn(self._await_end)
        return Started(id=self._job.id, begin_ns=self.account.begin_ns)

    def _await_end(self) -> None:
        profile = self._job.profile
        end_ns = self.account.begin_ns + round((profile.length_seconds or 0.0) * NANOSECONDS)
        gevent.sleep(max(end_ns - time.monotonic_ns(), 0) / NANOSECONDS)
        if self._pacer is not None:
            # What is behind the schedule is still sent, at the longest for a timeout.
            self._over.wait(profile.timeout_seconds)
        self._end()

    def stop(self) -> None:
        """End the users now, once what they have sent is answered."""
        self.account.stop_ns = self.account.stop_ns or time.monotonic_ns()
        self._alarm.wake_all()
        if self._ending is not None:
            self._ending.kill(block=False)
        self._end()

    def _end(self) -> None:
        if self._stopping is None:
            self._stopping = gevent.spawn(self._runner.stop)

    def finish(self) -> Finished:
        """Wait for the last answer and return what the load did."""
        if self._ending is not None:
            self._ending.join()
        if self._stopping is not None:
            self._stopping.join()
        self._runner.user_greenlets.join()
        if self._pacer is not None:
            self._pacer.finish()
        finished = self.account.finish()
        self._runner.quit()
        return finished

    def keep(self) -> None:
        """Bring the ledger up to date for its readers."""
        self.account.keep()

    def close(self) -> None:
        """Close the ledger, and give back what the load holds."""
        self.account.close()
        self._alarm.close()


def _user_classes(job: Begin) -> list[type[User]]:
    wish = job.profile.locustfile
    assert wish is not None
    path = Path(wish.path)
    if not path.is_file():
        raise LoadError("expected a locustfile, found no such file", where=path)
    try:
        found = load_locustfile(str(path))[0]
    except Exception as error:
        raise LoadError(
            "the locustfile cannot be imported", where=path, error=f"{type(error).__name__}: {error}"
        ) from error
    missing = set(wish.user_classes) - found.keys()
    if missing or not found:
        raise LoadError(
            f"expected a locustfile with user classes {', '.join(sorted(missing))}".rstrip(),
            where=path,
            seen=", ".join(sorted(found)) or "none",
        )
    return [one for name, one in found.items() if not wish.user_classes or name in wish.user_classes]
