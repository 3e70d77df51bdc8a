"""Under Locust's own program, with its web interface, alone or as a master with workers: our users, and the ledger.

A locustfile takes the user class and says what to drive; `locust -f` runs it as any other:

    from sloproof.load.locust_program import ScheduledUser, keep_ledger
    from sloproof.load.profile import Profile, RequestSpec

    mix = (RequestSpec(path="/api/users", endpoint="/api/users"),)
    keep_ledger(Profile(mix=mix, rate=200, duration_seconds=60, processes=2), "ledger")
"""

from __future__ import annotations

import itertools
from pathlib import Path

import gevent
import gevent.event
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from sloproof.errors import LoadError
from sloproof.load.account import TURN_SECONDS
from sloproof.load.answer import Answer
from sloproof.load.greenlets import Alarm, Lines
from sloproof.load.ledger_file import Clock
from sloproof.load.locust_load import LoadEnvironment, ScheduledUser, Telling
from sloproof.load.profile import Profile
from sloproof.load.request import check_requests
from sloproof.load.schedule import processes_of
from sloproof.load.share import Share
from sloproof.load.wire import Begin

__all__ = ["ScheduledUser", "keep_ledger"]


class _Kept:
    """The part of a load that one process of Locust's own program has, from the test's start to its end.

    Args:
        environment: Locust's.
        job: The load.
    """

    def __init__(self, environment: LoadEnvironment, job: Begin) -> None:
        self._environment = environment
        self._lines = Lines(job.profile.timeout_seconds)
        self._share = environment.share = Share(
            job, Answer, self._lines.make, Telling(environment, job, environment.events.request)
        )
        environment.alarm = Alarm()
        environment.begun = gevent.event.Event()
        self._share.account.begin()
        environment.begun.set()
        self._turning = gevent.spawn(self._turn)

    def _turn(self) -> None:
        while True:
            gevent.sleep(TURN_SECONDS)
            self._share.keep()

    def close(self) -> None:
        """Bring the ledger to its end, with every arrival that was due and that nobody was free to send."""
        self._turning.kill()
        self._share.stop()
        self._share.finish()
        self._share.close()
        self._lines.close()
        self._environment.alarm.close()


def keep_ledger(
    profile: Profile, ledger_dir: Path | str, *, run_id: str = "locust", request_id_header: str = "X-Request-ID"
) -> None:
    """Have `ScheduledUser` drive a profile under Locust's own program; to be called in a locustfile.

    Each process that sends keeps a ledger file for each test. The number of users is Locust's business: in the open
    model it is how many requests can be in flight. Worker number n of a master takes the share n of the schedule, so
    `profile.processes` must be the number of workers; its clock begins when the master's word to start gets there.

    Args:
        profile: What to drive. Its duration bounds arrivals; when the test ends is Locust's business, too.
        ledger_dir: Where the files go; one folder for the workers of a machine.
        run_id: Begins every request id: `<run>-<test>-<worker>-<arrival>`.
        request_id_header: Header that carries it.

    Raises:
        FeatureError: The profile cannot be driven.
    """
    profile.check()
    check_requests(profile, request_id_header)
    kept: list[_Kept] = []

    def begin(environment: LoadEnvironment, **_: object) -> None:
        end()
        runner = environment.runner
        if isinstance(runner, MasterRunner):
            return  # it sends nothing itself
        process = runner.worker_index if isinstance(runner, WorkerRunner) else 0
        if not 0 <= process < processes_of(profile):
            raise LoadError(
                f"expected at most {processes_of(profile)} workers, as the profile says, got one with number {process}",
                hint="set `processes` to the number of workers",
            )
        folder = Path(ledger_dir)
        number = next(n for n in itertools.count(1) if not (folder / f"load-{n:05}-{process}.jsonl").exists())
        job = Begin(
            id=number,
            name=run_id,
            run_id=run_id,
            profile=profile,
            process=process,
            ledger=str(folder / f"load-{number:05}-{process}.jsonl"),
            base_url=environment.host or ScheduledUser.host or "",
            header=request_id_header,
            id_prefix=f"{run_id}-{number}-{process}",
            clock=Clock.anchored(),
        )
        kept.append(_Kept(environment, job))

    def end(**_: object) -> None:
        while kept:
            kept.pop().close()

    for hook, handler in ((events.test_start, begin), (events.test_stop, end), (events.quitting, end)):
        hook.add_listener(handler)  # type: ignore[no-untyped-call]
