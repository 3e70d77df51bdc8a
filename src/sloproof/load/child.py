"""The load's child program: real Locust, driving one load or several at a time, and writing each request down.

It lives as long as its standard input is open: commands come in there, a line each, and events go out on what was its
standard output. Nothing else in sloproof imports Locust, which patches sockets and threads of the whole process.
"""

from __future__ import annotations

import locust
from gevent import monkey

# isort: split
import itertools
import logging
import os
import signal

import gevent
import gevent.event
import gevent.os
import msgspec
from geventhttpclient._parser import HTTPResponseParser
from locust.env import Environment
from locust.exception import StopUser

from sloproof.errors import LoadError, SloproofError
from sloproof.load.connection import Outcome
from sloproof.load.ledger_file import Clock
from sloproof.load.request import RequestTemplate
from sloproof.load.schedule import Arrival, users_of
from sloproof.load.share import Share
from sloproof.load.wire import Begin, Command, Event, Failed, Ready, Started, to_line
from sloproof.model import NANOSECONDS

_TURN_SECONDS = 0.1
_READ_BYTES = 1 << 16
_FIRST_FINAL_STATUS = 200


class Answer(HTTPResponseParser):
    """Reads an answer with llhttp and keeps what the ledger needs of it; see `AnswerParser`."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self._is_head = method == "HEAD"
        self.complete = False
        self.reusable = False
        self.status = 0
        self.body_bytes = 0

    def feed(self, data: str | bytes, /) -> None:
        """Take bytes; those after the answer's end make the connection unusable, not the answer wrong."""
        try:
            super().feed(data)
        except Exception:
            if not self.complete:
                raise
            self.reusable = False

    def _on_message_begin(self) -> None:
        self.reusable = False

    def _on_status(self, text: str) -> None: ...

    def _on_header_field(self, text: str) -> None: ...

    def _on_header_value(self, text: str) -> None: ...

    def _on_headers_complete(self) -> bool:
        return self._is_head

    def _on_body(self, data: bytes) -> None:
        if not self.complete:
            self.body_bytes += len(data)

    def _on_message_complete(self) -> None:
        status = self.get_code()
        if status >= _FIRST_FINAL_STATUS and not self.complete:  # below: an interim answer, the final one follows
            self.complete = True
            self.status = status
            self.reusable = self.should_keep_alive()


class LoadEnvironment(Environment):
    """Locust's environment of one load."""

    share: Share
    begun: gevent.event.Event


class ScheduledUser(locust.User):
    """A Locust user whose wait time is the schedule: it takes the load's next arrival and sends it when it is due."""

    environment: LoadEnvironment
    arrival: Arrival | None = None

    def on_start(self) -> None:
        """Wait for the schedule's begin, and for the first arrival."""
        self.environment.begun.wait()
        self.wait()  # type: ignore[no-untyped-call]

    def wait_time(self) -> float:
        """Take the next arrival, and return the seconds until it is due."""
        share = self.environment.share
        self.arrival = share.take()
        if self.arrival is None:
            raise StopUser
        return share.seconds_until(self.arrival)

    @locust.task
    def send(self) -> None:
        """Send the arrival."""
        share, arrival = self.environment.share, self.arrival
        assert arrival is not None
        while (early := share.seconds_until(arrival)) > 0:  # a timer may fire early
            gevent.sleep(early)
        self.arrival = None
        if share.is_cancelled(arrival):
            raise StopUser
        share.send(arrival)

    def stop(self, force: bool = False) -> bool:  # noqa: FBT001, FBT002 - Locust's signature
        """Stop as Locust's users do, but never between an arrival's instant and its answer.

        Locust kills a user that waits. One whose arrival is due is about to send it, and would be killed while it does:
        it is left alone, and finds no further arrival.
        """
        if not force and self.arrival is not None and not self.environment.share.is_cancelled(self.arrival):
            return False
        return bool(super().stop(force))

    def on_stop(self) -> None:
        """Give back an arrival that was taken and not sent."""
        if self.arrival is not None:
            self.environment.share.give_up(self.arrival)


class Load:
    """A load as Locust runs it: an environment, a local runner, and users that share the schedule.

    Args:
        job: What is asked for.
    """

    def __init__(self, job: Begin) -> None:
        self._environment = LoadEnvironment(
            user_classes=[ScheduledUser],
            host=job.base_url.rstrip("/"),
            stop_timeout=job.profile.timeout_seconds + 1,
        )
        self._fire = self._environment.events.request.fire
        self.share = self._environment.share = Share(job, Answer, self._tell)
        self._environment.begun = gevent.event.Event()
        self._runner = self._environment.create_local_runner()
        self._stopping: gevent.Greenlet | None = None

    def _tell(self, template: RequestTemplate, start: int, end: int, outcome: Outcome) -> None:
        spec = template.spec
        self._fire(  # type: ignore[no-untyped-call]
            request_type=spec.method,
            name=spec.endpoint,
            response_time=(end - start) / 1_000_000,
            response_length=outcome.bytes,
            response=outcome,
            context={},
            exception=outcome.error,
            start_time=self.share.job.clock.unix_ns(start) / NANOSECONDS,
            url=f"{self._environment.host}{spec.path}",
        )

    def begin(self) -> Started:
        """Start the users, and begin the schedule once they are all there."""
        job = self.share.job
        users = users_of(job.profile, job.process)
        self._runner.start(users, spawn_rate=users)
        spawning = self._runner.spawning_greenlet
        assert spawning is not None
        spawning.join()
        self.share.begin()
        self._environment.begun.set()
        return Started(id=job.id, begin_ns=self.share.begin_ns)

    def stop(self) -> None:
        """End arrivals now: users that wait end at once, users in a request when it is answered."""
        self.share.stop()
        if self._stopping is None:
            self._stopping = gevent.spawn(self._runner.stop)

    def finish(self) -> Event:
        """Wait for the last answer and return what the load did."""
        self._runner.user_greenlets.join()
        if self._stopping is not None:
            self._stopping.join()
        finished = self.share.finish()
        self._runner.quit()
        return finished


class Program:
    """The child's loads, and its two pipes.

    Args:
        commands: File descriptor of the pipe that the driver writes to.
        events: File descriptor of the pipe that the driver reads.
    """

    def __init__(self, commands: int, events: int) -> None:
        self._commands = commands
        self._events = events
        self._loads: dict[int, Load] = {}

    def run(self) -> None:
        """Obey until the driver closes its end; then end at once, with all that is known in the ledger."""
        gevent.os.make_nonblocking(self._commands)
        gevent.spawn(self._turn)
        self._emit(Ready(locust=locust.__version__, clock=Clock.anchored()))
        decoder = msgspec.json.Decoder(Command)
        rest = b""
        while data := gevent.os.nb_read(self._commands, _READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._obey(decoder.decode(line))
        self._leave()

    def _obey(self, command: Command) -> None:
        if isinstance(command, Begin):
            gevent.spawn(self._drive, command)
        elif command.id in self._loads:
            self._loads[command.id].stop()

    def _drive(self, job: Begin) -> None:
        try:
            load = self._loads[job.id] = Load(job)
            self._emit(load.begin())
            self._emit(load.finish())
        except SloproofError as error:
            self._emit(Failed(id=job.id, message=str(error)))
        except Exception as error:  # noqa: BLE001 - told to the driver, whatever it is: it waits for this load
            self._emit(Failed(id=job.id, message=f"{type(error).__name__}: {error}"))
        finally:
            if job.id in self._loads:
                self._loads.pop(job.id).share.close()

    def _turn(self) -> None:
        for number in itertools.count():
            gevent.sleep(_TURN_SECONDS)
            for load in list(self._loads.values()):
                load.share.keep()
                if number % 2 and load.share.is_begun:
                    self._emit(load.share.progress())

    def _emit(self, event: Event) -> None:
        try:
            os.write(self._events, to_line(event))
        except OSError:
            self._leave()

    def _leave(self) -> None:
        for load in self._loads.values():
            load.share.keep()
        os._exit(0)


def main() -> None:
    """Run the child program.

    Raises:
        LoadError: Sockets are not gevent's, so that users would wait for one another.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which then closes the pipe
    if not monkey.is_module_patched("socket"):
        raise LoadError("expected Locust to patch sockets, but it did not", hint="unset LOCUST_SKIP_MONKEY_PATCH")
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.ERROR)
    events = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not look like an event
    Program(0, events).run()


if __name__ == "__main__":
    main()
