"""The load driver: keeps Locust resident in child processes and has them drive loads.

Importing Locust takes a third of a second and patches the process it happens in, so it happens once, elsewhere. A load
then starts within milliseconds, and several may run at the same time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from sloproof.errors import LoadError
from sloproof.load.child_process import CHILD_COMMAND, ChildProcess
from sloproof.load.ledger import Clock
from sloproof.load.profile import Profile
from sloproof.load.request import check_requests
from sloproof.load.running import LoadResult, Progress, RunningLoad
from sloproof.load.schedule import processes_of
from sloproof.load.target import Target
from sloproof.load.wire import Begin

__all__ = ["Driver", "LoadResult", "Progress", "RunningLoad"]

_READY_SECONDS = 30.0
# Processes begin their common schedule together: late enough for the slowest of them to have its users.
_LEAD_NS = 100_000_000


class Driver:
    """Drives loads at one service.

    Args:
        base_url: Where requests go.
        ledger_dir: Every load process keeps a file a load there.
        run_id: Begins every request id: `<run>-<load>-<process>-<arrival>`.
        request_id_header: Header that carries the id.
        command: The child program; another one must speak `sloproof.load.wire`.
        commands: The child program of each process, where they differ: on machines of their own, say.
    """

    def __init__(
        self,
        *,
        base_url: str,
        ledger_dir: Path,
        run_id: str,
        request_id_header: str = "X-Request-ID",
        command: Sequence[str] = CHILD_COMMAND,
        commands: Callable[[int], Sequence[str]] | None = None,
    ) -> None:
        Target(base_url)  # refuses an address that is none
        self._base_url = base_url
        self._ledger_dir = ledger_dir
        self._run_id = run_id
        self._header = request_id_header
        self._commands = commands or (lambda _: command)
        self._children: list[ChildProcess] = []
        self._numbers = itertools.count(1)
        self._is_closed = False

    def __enter__(self) -> Self:
        """Start the driver and return it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the driver."""
        self.close()

    def start(self) -> None:
        """Start the first child program without waiting for it; the first load does.

        Raises:
            LoadError: It cannot be started at all.
        """
        self._grow(1)

    def _grow(self, count: int) -> list[ChildProcess]:
        if self._is_closed:
            raise LoadError("expected a driver that is open, but it was closed")
        for number, child in enumerate(self._children[:count]):
            if child.is_dead:  # its loads were told; the next load gets a new one
                child.close()
                self._children[number] = ChildProcess(self._commands(number))
        while len(self._children) < count:
            self._children.append(ChildProcess(self._commands(len(self._children))))
        return self._children[:count]

    def begin(self, profile: Profile, name: str, *, base_url: str | None = None) -> RunningLoad:
        """Begin a load and return while it runs; others may run at the same time.

        Args:
            profile: What to drive.
            name: What it is called in the ledger and in reports.
            base_url: Where its requests go; None for where the driver's go.

        Raises:
            SettingsError: The profile cannot be driven, or one of its requests cannot be sent.
            LoadError: The child program does not start.
        """
        profile.check()
        check_requests(profile, self._header)
        children = self._grow(processes_of(profile))
        deadline = time.monotonic() + _READY_SECONDS
        for child in children:
            child.await_ready(max(deadline - time.monotonic(), 0.0))
        number = next(self._numbers)
        ledgers = [self._ledger_dir / f"load-{number:05}-{process}.jsonl" for process in range(len(children))]
        clock = Clock.anchored()
        begin_ns = time.monotonic_ns() + _LEAD_NS if len(children) > 1 else None
        running = RunningLoad(load=number, name=name, profile=profile, children=children, ledgers=ledgers, clock=clock)
        for process, child in enumerate(children):
            job = Begin(
                id=number,
                name=name,
                run_id=self._run_id,
                profile=profile,
                process=process,
                ledger=str(ledgers[process]),
                base_url=base_url or self._base_url,
                header=self._header,
                id_prefix=f"{self._run_id}-{number}-{process}",
                clock=clock,
                begin_ns=begin_ns,
            )
            child.begin(job, partial(running.hear, process))
        return running

    def run(
        self, profile: Profile, name: str, *, check_alive: Callable[[], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> LoadResult:  # fmt: skip
        """Drive a load to its end and return what it did; see `RunningLoad.wait`."""
        return self.begin(profile, name).wait(check_alive, on_progress)

    def close(self) -> None:
        """End every child program, with whatever still runs in it; safe to call twice."""
        self._is_closed = True
        children, self._children = self._children, []
        for child in children:
            child.close()
