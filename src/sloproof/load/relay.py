"""Stands between the driver and a child program on another machine, so that neither notices the way between them.

The driver speaks to it as to a child of its own. It starts the real one by a command that carries standard input and
output there (`kubectl exec -i ...`), translates instants from that machine's monotonic clock to this one's, and brings
the ledger file home, whole, before it says that a load is over.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import IO, cast

import msgspec

from sloproof.errors import LedgerError, LoadError, SloproofError
from sloproof.load.ledger_file import Clock
from sloproof.load.wire import Begin, Command, Event, Failed, Finished, Ready, Started, to_line

_FETCHES = 3
_LEAVE_SECONDS = 1.0
_FETCH_SECONDS = 120.0


class Translation:
    """Instants of one load, from the far machine's monotonic clock to the driver's.

    Args:
        near: The driver's clock.
        far: The far child's.
    """

    def __init__(self, near: Clock, far: Clock) -> None:
        self._shift = far.unix_ns(0) - near.unix_ns(0)

    def to_near(self, far_ns: int) -> int:
        """Return an instant of the far machine as the driver's clock has it."""
        return far_ns + self._shift

    def to_far(self, near_ns: int) -> int:
        """Return an instant of the driver as the far machine's clock has it."""
        return near_ns - self._shift

    def event(self, event: Event) -> Event:
        """Return an event with its instants translated."""
        if isinstance(event, Started):
            return msgspec.structs.replace(event, begin_ns=self.to_near(event.begin_ns))
        if isinstance(event, Finished):
            return msgspec.structs.replace(
                event,
                begin_ns=self.to_near(event.begin_ns),
                first_ns=None if event.first_ns is None else self.to_near(event.first_ns),
                last_start_ns=self.to_near(event.last_start_ns),
                end_ns=self.to_near(event.end_ns),
                due_ns=self.to_near(event.due_ns),
                stop_ns=None if event.stop_ns is None else self.to_near(event.stop_ns),
            )
        return event


class Relay:
    """One far child.

    Args:
        reach: Command that runs another there, such as `kubectl exec -i pod --`.
        child: The far child program.
        folder: Where it keeps ledger files, on the far machine.
        base_url: Where requests go, as seen from there; empty for the driver's own.
        output: Where events go.
    """

    def __init__(
        self, *, reach: Sequence[str], child: Sequence[str], folder: str, base_url: str, output: IO[bytes]
    ) -> None:
        self._reach = tuple(reach)
        self._folder = folder
        self._base_url = base_url
        self._output = output
        self._far_clock: Clock | None = None
        self._jobs: dict[int, tuple[Begin, str, Translation]] = {}
        self._process = subprocess.Popen([*reach, *child], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._to_child, from_child = (cast("IO[bytes]", one) for one in (self._process.stdin, self._process.stdout))
        self._thread = Thread(target=self._hear_all, args=(from_child,), name="far child")

    def run(self, commands: IO[bytes]) -> None:
        """Pass commands on until there are no more; the process ends with the far child, with its exit status."""
        self._thread.start()
        decoder = msgspec.json.Decoder(Command)
        for line in commands:
            command = decoder.decode(line)
            with contextlib.suppress(OSError):  # it is gone; who reads from it tells
                self._to_child.write(to_line(self._begin(command) if isinstance(command, Begin) else command))
                self._to_child.flush()
        with contextlib.suppress(OSError):
            self._to_child.close()
        self._thread.join(_LEAVE_SECONDS)
        # The driver waits no longer than a moment; what carries the far child must not outlive this program, and the
        # far child ends by itself once its way here is gone.
        self._process.kill()
        self._thread.join()

    def _begin(self, job: Begin) -> Begin:
        """Return a load as the far child is asked for it."""
        far = self._far_clock
        assert far is not None, "nothing is asked of a child before it is ready"
        translation = Translation(job.clock, far)
        place = f"{self._folder}/{job.run_id}-{Path(job.ledger).name}"
        self._jobs[job.id] = (job, place, translation)
        return msgspec.structs.replace(
            job,
            ledger=place,
            base_url=self._base_url or job.base_url,
            clock=far,
            begin_ns=None if job.begin_ns is None else translation.to_far(job.begin_ns),
        )

    def _hear_all(self, stream: IO[bytes]) -> None:
        decoder = msgspec.json.Decoder(Event)
        for line in stream:
            try:
                event = decoder.decode(line)
            except msgspec.MsgspecError:
                sys.stderr.write(line.decode(errors="replace"))
                continue
            self._output.write(to_line(self._heard(event)))
            self._output.flush()
        # The driver takes the end of this program for the child's, so it must come at once; the other thread waits for
        # commands, and nothing but the end of the process wakes it.
        os._exit(self._process.wait())

    def _heard(self, event: Event) -> Event:
        if isinstance(event, Ready):
            self._far_clock = event.clock
            return event
        job, place, translation = self._jobs[event.id]
        if isinstance(event, Finished):
            try:
                self._bring_home(place, Path(job.ledger), event)
            except SloproofError as error:
                return Failed(id=event.id, message=str(error))
        return translation.event(event)

    def _bring_home(self, place: str, home: Path, finished: Finished) -> None:
        """Copy the far ledger file; a copy that is not whole is made again.

        Raises:
            LedgerError: No whole copy was to be had.
        """
        wanted = self._ask("wc", "-c", place).split()[0]
        part = home.with_name(f"{home.name}.part")
        got = 0
        for _ in range(_FETCHES):
            with part.open("wb") as file:
                subprocess.run(
                    [*self._reach, "cat", place],
                    stdin=subprocess.DEVNULL, stdout=file, timeout=_FETCH_SECONDS, check=False,
                )  # fmt: skip
            got = part.stat().st_size
            if got == int(wanted):
                part.replace(home)
                self._ask("rm", "-f", place)
                return
        part.unlink(missing_ok=True)
        raise LedgerError(
            f"expected {int(wanted)} bytes of the ledger of {finished.requests} requests, got {got}",
            where=place,
            tried=f"{_FETCHES} times",
        )

    def _ask(self, *words: str) -> str:
        done = subprocess.run(
            [*self._reach, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=_FETCH_SECONDS, check=False
        )
        if done.returncode:
            raise LoadError(
                "expected the far machine to answer, but it did not",
                command=shlex.join(words),
                said=done.stderr.decode(errors="replace")[-500:],
            )
        return done.stdout.decode(errors="replace")


def main() -> None:
    """Relay between standard input and output and a far child; see the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reach", required=True, help="command that runs another there, as a shell would read it")
    parser.add_argument("--child", required=True, help="the far child program, as a shell would read it")
    parser.add_argument("--folder", required=True, help="where the far child keeps ledger files")
    parser.add_argument("--base-url", default="", help="where requests go, as seen from there")
    given = parser.parse_args()
    relay = Relay(
        reach=shlex.split(given.reach),
        child=shlex.split(given.child),
        folder=given.folder,
        base_url=given.base_url,
        output=sys.stdout.buffer,
    )
    relay.run(sys.stdin.buffer)


if __name__ == "__main__":
    main()
