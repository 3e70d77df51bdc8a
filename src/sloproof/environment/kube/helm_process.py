"""Running the helm command: in a process group of its own, stopped so that it can put its release in order."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from tempfile import TemporaryFile
from typing import IO

from sloproof.environment.leftovers import dying_with_parent

_TURN_SECONDS = 0.25
_INTERRUPT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and what it said."""

    status: int
    output: str
    errors: str
    is_late: bool = False


def silent(_elapsed: timedelta) -> None:
    """Do nothing with how long a program has been at work."""


def run(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    seconds: float,
    data: bytes | None = None,
    on_progress: Callable[[timedelta], None] = silent,
) -> Ended:
    """Run a program to its end and return how it ended.

    A Ctrl-C of the user reaches this process alone, never the program half-way through its work. Whatever is raised
    here, by it or by `on_progress`, interrupts the program, which then has a while to mark its release as failed.

    Args:
        command: Program and arguments.
        environ: Its whole environment.
        seconds: After which it is stopped.
        data: Its standard input.
        on_progress: Called several times a second with the time since the start; what it raises stops the program.
    """
    begin = time.monotonic()
    is_late = False
    # A file, not a pipe: `communicate` never goes on with what a first call that ran out of time has not written.
    with (
        TemporaryFile() as given,
        subprocess.Popen(
            [*dying_with_parent(), *command],
            stdin=_filled(given, data),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            start_new_session=True,
        ) as process,
    ):
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    output, errors = process.communicate(timeout=_TURN_SECONDS)
                    break
                elapsed = time.monotonic() - begin
                on_progress(timedelta(seconds=elapsed))
                if elapsed > seconds and not is_late:
                    is_late = True
                    stop(process)
        finally:
            stop(process)
    return Ended(process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"), is_late)


def _filled(file: IO[bytes], data: bytes | None) -> IO[bytes] | int:
    """Return a file that these bytes can be read from; where there are none, what nothing can be read from."""
    if data is None:
        return subprocess.DEVNULL
    file.write(data)
    file.seek(0)
    return file


def stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a program and its children, and kill them if that is no use; one that has ended is left alone."""
    if process.poll() is not None:
        return
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_INTERRUPT_SECONDS)
    finally:
        # Also when a second Ctrl-C ends the patience.
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
