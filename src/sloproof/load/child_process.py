"""The driver's end of a load child program: its pipes, what it says, and how it died."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event as Flag
from threading import Lock, Thread
from typing import IO, cast

import msgspec

from sloproof.errors import LoadError
from sloproof.load.wire import Begin, Command, Event, Ready, Stop, to_line

# -W ignore: a test run's warnings-as-errors is not meant for this program. -P: the caller's folder is not its own.
CHILD_COMMAND = (sys.executable, "-P", "-W", "ignore", "-m", "sloproof.load.child")

_LEAVE_SECONDS = 2.0
_LAST_LINES = 20


class ChildProcess:
    """A running child program. Starting it does not wait for it.

    Args:
        command: Program and arguments.

    Raises:
        LoadError: It cannot be started at all.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._lock = Lock()
        self._write_lock = Lock()
        self._listeners: dict[int, Callable[[Event | None], None]] = {}
        self._settled = Flag()  # it is ready, or dead
        self._is_ready = self._is_dead = False
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,  # a terminal's Ctrl-C goes to the driver alone, which ends the child in its own time
            )
        except OSError as error:
            raise LoadError(
                "expected the load's child program to start", command=" ".join(command), error=error
            ) from error
        self._stdin, output, errors = (cast("IO[bytes]", pipe) for pipe in self._pipes)
        self._threads = [
            Thread(target=self._read_errors, args=(errors,), daemon=True, name="load stderr"),
            Thread(target=self._read_events, args=(output,), daemon=True, name="load events"),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def _pipes(self) -> tuple[IO[bytes] | None, IO[bytes] | None, IO[bytes] | None]:
        return self._process.stdin, self._process.stdout, self._process.stderr

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def is_dead(self) -> bool:
        """Return whether it has ended."""
        return self._is_dead

    def await_ready(self, seconds: float) -> None:
        """Wait until it takes commands.

        Raises:
            LoadError: It ended, or is not ready in time.
        """
        if not self._settled.wait(seconds):
            raise LoadError(
                f"expected the load's child program to be ready within {seconds:g} s, but it is not",
                last_lines="\n".join(self._last_lines),
            )
        if not self._is_ready:
            raise self.death()

    def begin(self, job: Begin, listener: Callable[[Event | None], None]) -> None:
        """Begin a load.

        Args:
            job: The load.
            listener: Called from another thread with each event of the load, the last one included; with None if the
                child ends before that.

        Raises:
            LoadError: The child has ended.
        """
        with self._lock:
            if self._is_dead:
                raise self.death()
            self._listeners[job.id] = listener
        self._say(job)

    def stop(self, load: int) -> None:
        """End a load's arrivals."""
        self._say(Stop(id=load))

    def forget(self, load: int) -> None:
        """Listen to a load no more."""
        with self._lock:
            self._listeners.pop(load, None)

    def _say(self, command: Command) -> None:
        # A child that is gone is noticed, and told to the listeners, by the thread that reads from it.
        with suppress(OSError, ValueError), self._write_lock:
            self._stdin.write(to_line(command))
            self._stdin.flush()

    def _read_errors(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._last_lines.append(line.decode(errors="replace").rstrip())

    def _read_events(self, stream: IO[bytes]) -> None:
        decoder = msgspec.json.Decoder(Event)
        for line in stream:
            try:
                event = decoder.decode(line)
            except msgspec.MsgspecError:
                self._last_lines.append(line.decode(errors="replace").rstrip())
                continue
            if isinstance(event, Ready):
                self._is_ready = True
                self._settled.set()
                continue
            with self._lock:
                listener = self._listeners.get(event.id)
            if listener is not None:
                listener(event)
        self._process.wait()
        self._threads[0].join(1)  # its last words
        with self._lock:
            self._is_dead = True
            self._is_ready = False
            listeners, self._listeners = list(self._listeners.values()), {}
        self._settled.set()
        for listener in listeners:
            listener(None)

    def death(self) -> LoadError:
        """Return the error that tells of its end."""
        status = self._process.poll()
        how = "with unknown status" if status is None else f"with status {status}"
        if status is not None and status < 0:
            how = f"killed by signal {-status}"
        return LoadError(
            f"the load's child program was expected to run, but it ended {how}",
            pid=self.pid,
            last_lines="\n".join(self._last_lines),
            hint="the ledger up to then can be read",
        )

    def close(self) -> None:
        """End it, and wait for that; safe to call twice."""
        with suppress(OSError), self._write_lock:
            self._stdin.close()
        if not self._settled.is_set() and not self._listeners:
            # Still coming up, it would not hear of its end for a while; and it has nothing that could be lost.
            self._process.kill()
        try:
            self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(_LEAVE_SECONDS)
        for stream in self._pipes[1:]:
            cast("IO[bytes]", stream).close()
