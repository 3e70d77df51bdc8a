"""When a load's own numbers are worthless: then what is judged by them is neither true nor false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sloproof.load.strain import LATE_NS, Strain
from sloproof.model import NANOSECONDS

_SATURATED = 0.7
_STOLEN = 0.2
_SHORTFALL = 0.01
_STEP_NS = NANOSECONDS // 100
_PAUSE_NS = NANOSECONDS // 4
_LEAST_NS = NANOSECONDS // 2  # a shorter load is over before shares of its time mean anything


class DoubtKind(StrEnum):
    """What is in doubt."""

    TIME = "time"  # when requests were sent, and how long they took
    SHORTFALL = "shortfall"  # what it would have been like for those that were not sent
    CLOCK = "clock"  # at what instants anything happened


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason not to believe a load's numbers."""

    kind: DoubtKind
    text: str


def doubts_of(strains: Sequence[Strain], *, requests: int, unsent: int) -> tuple[Doubt, ...]:
    """Return every reason not to believe a load's numbers.

    Args:
        strains: Of each of its processes.
        requests: How many were sent.
        unsent: How many were due and could not be sent.
    """
    found = []
    for strain in strains:
        found += [Doubt(DoubtKind.TIME, text) for text in _starved(strain)]
    if unsent > _SHORTFALL * (requests + unsent):
        text = f"{unsent} of {requests + unsent} arrivals could not be sent: every connection was busy"
        found.append(Doubt(DoubtKind.SHORTFALL, text))
    step = max((one.stepped_ns for one in strains), key=abs, default=0)
    if abs(step) > _STEP_NS:
        text = f"the wall clock was stepped by {step / NANOSECONDS:+.3f} s during the load"
        found.append(Doubt(DoubtKind.CLOCK, text))
    return tuple(found)


def _starved(strain: Strain) -> list[str]:
    texts = []
    wall = max(strain.wall_ns, 1)
    used, waited = strain.cpu_ns / wall, strain.wait_ns / wall
    if wall >= _LEAST_NS and used + waited > _SATURATED:
        waiting = f" and waited for it {waited * 100:.0f} % of the time" if waited > _SATURATED / 10 else ""
        texts.append(
            f"the load source used {used * 100:.0f} % of its core{waiting} (limit {_SATURATED * 100:.0f} %): "
            "its latencies include its own queueing; use more processes, or leave it a core"
        )
    if strain.late > _SHORTFALL * strain.paced:
        texts.append(
            f"{strain.late} of {strain.paced} arrivals were sent more than {LATE_NS // 1_000_000} ms late "
            "with a connection free: the load source was held up"
        )
    if strain.pause_ns > _PAUSE_NS:
        texts.append(f"the load source stood still for {strain.pause_ns / NANOSECONDS:.2f} s")
    if wall >= _LEAST_NS and strain.stolen > _STOLEN:
        texts.append(
            f"the machine's host gave {strain.stolen * 100:.0f} % of its time to others (limit {_STOLEN * 100:.0f} %)"
        )
    return texts
