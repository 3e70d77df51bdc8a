"""How hard a load process had it: what it says of itself, so that others can tell when its numbers are worthless."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from sloproof.load.ledger_file import Clock
from sloproof.model import NANOSECONDS

LATE_NS = 50_000_000
_SCHEDULER = Path("/proc/self/schedstat")
_MACHINE = Path("/proc/stat")


class Strain(msgspec.Struct, frozen=True, kw_only=True):
    """One load process from its schedule's begin on. All times are nanoseconds.

    Attributes:
        wall_ns: Time that passed.
        cpu_ns: CPU time that the process used.
        wait_ns: Time that it was ready to run and had no core.
        pause_ns: The longest that it stood still.
        paced: Arrivals for which a user was waiting when they were due.
        late: Those of them that were sent more than 50 ms late all the same.
        stolen: Share of the machine's time that its host gave to others, 0 to 1.
        stepped_ns: The furthest that the wall clock was off from where it had been; forward is positive.
    """

    wall_ns: int
    cpu_ns: int
    wait_ns: int = 0
    pause_ns: int = 0
    paced: int = 0
    late: int = 0
    stolen: float = 0.0
    stepped_ns: int = 0


class StrainGauge:
    """Measures the strain of this process. `look` is called every `turn_seconds`.

    Args:
        clock: Against which the wall clock is held.
        turn_seconds: How long it is between two looks.
    """

    def __init__(self, clock: Clock, turn_seconds: float) -> None:
        self._clock = clock
        self._turn_ns = round(turn_seconds * NANOSECONDS)
        self._begin_ns = self._looked_ns = time.monotonic_ns()
        self._cpu_ns = time.process_time_ns()
        self._wait_ns = _waited_ns()
        self._machine = _machine_time()
        self._pause_ns = self._stepped_ns = 0
        self.paced = self.late = 0

    def note(self, late_ns: int) -> None:
        """Note by how much an arrival was late although somebody waited to send it."""
        self.paced += 1
        if late_ns > LATE_NS:
            self.late += 1

    def look(self) -> None:
        """Look at the clocks: a step or a pause that is over shows in no later reading."""
        now = time.monotonic_ns()
        self._pause_ns = max(self._pause_ns, now - self._looked_ns - self._turn_ns)
        self._looked_ns = now
        self._stepped_ns = max(self._stepped_ns, self._clock.stepped_ns(), key=abs)

    def read(self) -> Strain:
        """Return the strain so far."""
        self.look()
        stolen, whole = (now - then for now, then in zip(_machine_time(), self._machine, strict=True))
        return Strain(
            wall_ns=time.monotonic_ns() - self._begin_ns,
            cpu_ns=time.process_time_ns() - self._cpu_ns,
            wait_ns=_waited_ns() - self._wait_ns,
            pause_ns=self._pause_ns,
            paced=self.paced,
            late=self.late,
            stolen=stolen / whole if whole else 0.0,
            stepped_ns=self._stepped_ns,
        )


def _waited_ns() -> int:
    """Return how long this process had to wait for a core, where the system tells."""
    try:
        return int(_SCHEDULER.read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _machine_time() -> tuple[int, int]:
    """Return the time stolen from the machine and its whole time, in ticks, where the system tells."""
    try:
        ticks = [int(word) for word in _MACHINE.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return 0, 0
    return (ticks[7], sum(ticks)) if len(ticks) == 8 else (0, 0)  # noqa: PLR2004 - user to steal; guests are in user
