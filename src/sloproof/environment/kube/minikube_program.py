"""Running the minikube program: bounded in time, in a session of its own, and never outliving an interrupt."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

from sloproof.environment.build_process import end_leftovers
from sloproof.environment.leftovers import dying_with_parent
from sloproof.errors import ToolError, UnavailableError

_TURN_SECONDS = 0.1
_GRACE_SECONDS = 10.0
_CANNOT_RUN = (126, 127)
_LAST = 2000
# What `end_leftovers` looks for: the child that a killed run left, where the system does not end it by itself.
_MARK = ".child"
_QUIET = {"MINIKUBE_WANTUPDATENOTIFICATION": "false", "MINIKUBE_IN_STYLE": "false"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call of minikube ended.

    Attributes:
        status: Exit status; negative is the number of the signal that killed it.
        output: Its standard output.
        errors: The end of its standard error.
        seconds: How long it took.
    """

    status: int
    output: str
    errors: str
    seconds: float


@dataclass(frozen=True, slots=True)
class MinikubeProgram:
    """The program, and what it is always run with.

    Attributes:
        command: How it is started, its own name or path being the last word: what stands before may choose
            another network namespace or user.
        environ: Environment variables that it inherits.
        home: In the place of `MINIKUBE_HOME`; None for what it inherits.
    """

    command: tuple[str, ...]
    environ: Mapping[str, str]
    home: Path | None = None

    def by_hand(self, *arguments: str) -> str:
        """Return a command line for people to type."""
        home = (f"MINIKUBE_HOME={shlex.quote(str(self.home))}",) if self.home else ()
        return " ".join((*home, shlex.join((*self.command, *arguments))))

    def profile_folder(self, profile: str) -> Path:
        """Return where minikube keeps a profile, as far as our own variables tell; what stands before it may differ."""
        home = self.home or Path(self.environ.get("MINIKUBE_HOME") or self.environ.get("HOME") or "/nonexistent")
        return (home if home.name == ".minikube" else home / ".minikube") / "profiles" / profile

    def run(
        self,
        *arguments: str,
        folder: Path,
        kubeconfig: Path,
        seconds: float,
        on_line: Callable[[str], None] = lambda _: None,
    ) -> Ended:
        """Run it to its end; an exception that arrives meanwhile ends it, first kindly.

        Args:
            arguments: For minikube.
            folder: What minikube says is kept there until the next call of the same subcommand; one call at a time.
            kubeconfig: The only kubeconfig file that it reads and writes.
            seconds: How long it may take.
            on_line: Told each line of its standard output as it comes.

        Raises:
            ToolError: There is no such program.
            UnavailableError: It takes longer.
        """
        variables = _QUIET | {"KUBECONFIG": str(kubeconfig)}
        if self.home:
            variables["MINIKUBE_HOME"] = str(self.home)
        # Set behind what stands before minikube too, which may have an environment of its own.
        assignments = [f"{name}={value}" for name, value in variables.items()]
        command = [*dying_with_parent(), *self.command[:-1], "env", *assignments, self.command[-1], *arguments]
        end_leftovers(folder)
        begin = time.monotonic()
        # Files, not pipes: minikube starts programs that would keep a pipe open after its own end.
        name = arguments[0]
        with (folder / f"{name}.out").open("w+b") as output, (folder / f"{name}.err").open("w+b") as errors:
            try:
                status = self._wait(command, folder, (output, errors), Lines(Path(output.name), on_line), seconds)
            except FileNotFoundError as error:
                raise self._missing(str(error)) from error
            except TimeoutError as error:
                raise UnavailableError(
                    f"expected minikube {name} to be done within {seconds:g} s, but it was not",
                    kind="timeout",
                    command=self.by_hand(*arguments),
                    said=Path(errors.name).read_text("utf-8", "replace")[-_LAST:],
                ) from error
            said = Path(errors.name).read_text("utf-8", "replace")[-_LAST:]
        if status in _CANNOT_RUN:
            raise self._missing(said)
        return Ended(status, (folder / f"{name}.out").read_text("utf-8", "replace"), said, time.monotonic() - begin)

    def _wait(
        self,
        command: Sequence[str],
        folder: Path,
        streams: tuple[BinaryIO, BinaryIO],
        lines: Lines,
        seconds: float,
    ) -> int:
        deadline = time.monotonic() + seconds
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=streams[0],
            stderr=streams[1],
            env={**self.environ, **_QUIET},
            start_new_session=True,
        )
        mark = folder / _MARK
        try:
            with suppress(psutil.Error):
                mark.write_text(f"{child.pid} {psutil.Process(child.pid).create_time()}", encoding="ascii")
            while time.monotonic() < deadline:
                with suppress(subprocess.TimeoutExpired):
                    return child.wait(_TURN_SECONDS)
                lines.read()
            raise TimeoutError
        finally:
            if child.returncode is None:
                _end(child)
            lines.read()
            mark.unlink(missing_ok=True)

    def _missing(self, said: str) -> ToolError:
        return ToolError(
            "expected minikube to run, but it cannot be started",
            command=shlex.join(self.command),
            said=said,
            next="install minikube (minikube.sigs.k8s.io), or say how it is started",
        )


class Lines:
    """The lines of a file that grows, each told once; a last one without an end is told when it has one."""

    def __init__(self, file: Path, on_line: Callable[[str], None]) -> None:
        self._file = file
        self._on_line = on_line
        self._read = 0

    def read(self) -> None:
        """Tell what came since the last time."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            *whole, _ = file.read().split(b"\n")
        for line in whole:
            self._read += len(line) + 1
            self._on_line(line.decode("utf-8", "replace"))


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask a child's whole session to end, then make it; a second interrupt makes it at once."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
