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
import gevent.os
import msgspec

from sloproof.errors import LoadError, SloproofError
from sloproof.load.account import TURN_SECONDS
from sloproof.load.ledger_file import Clock
from sloproof.load.locust_load import Load
from sloproof.load.own_load import OwnLoad
from sloproof.load.wire import Begin, Command, Event, Failed, Ready, to_line

_READ_BYTES = 1 << 16


class Program:
    """The child's loads, and its two pipes.

    Args:
        commands: File descriptor of the pipe that the driver writes to.
        events: File descriptor of the pipe that the driver reads.
    """

    def __init__(self, commands: int, events: int) -> None:
        self._commands = commands
        self._events = events
        self._loads: dict[int, Load | OwnLoad] = {}

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
            kind = Load if job.profile.locustfile is None else OwnLoad
            load = self._loads[job.id] = kind(job)
            self._emit(load.begin())
            self._emit(load.finish())
        except SloproofError as error:
            self._emit(Failed(id=job.id, message=str(error)))
        except Exception as error:  # noqa: BLE001 - told to the driver, whatever it is: it waits for this load
            self._emit(Failed(id=job.id, message=f"{type(error).__name__}: {error}"))
        finally:
            if job.id in self._loads:
                self._loads.pop(job.id).close()

    def _turn(self) -> None:
        for number in itertools.count():
            gevent.sleep(TURN_SECONDS)
            for load in list(self._loads.values()):
                load.keep()
                if number % 2 and load.account.is_begun:
                    self._emit(load.account.progress())

    def _emit(self, event: Event) -> None:
        try:
            os.write(self._events, to_line(event))
        except OSError:
            self._leave()

    def _leave(self) -> None:
        for load in self._loads.values():
            load.keep()
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
