"""Which sentences a scenario may speak while others use the same environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])

_MARK = "__sloproof_shareable__"


def shareable(function: F) -> F:
    """Mark a step that leaves other scenarios alone, and judges nothing of theirs as its own.

    It may send and wait. It must not set a fault, stop a component, load in the background, or leave requests under
    way that nobody waits for any more. It must not expect a counter or a log to hold its own requests and no others:
    counts that it judges are those of all ledgers, and must be true of whatever others send. Nor may it judge how fast
    or how punctual something was that others slow down, other than the load source, which says so itself. A scenario
    whose steps are all of this kind runs beside others with `--env-shared`; every other scenario runs alone.
    """
    setattr(function, _MARK, True)
    return function


def is_shareable(function: Callable[..., object]) -> bool:
    """Return whether a step was marked so."""
    return bool(getattr(function, _MARK, False))
