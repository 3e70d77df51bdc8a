"""The faults that can be planted from outside, in force in every worker from one moment on."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.strict_json import MalformedJsonError, parse

if TYPE_CHECKING:
    from service.shared import SharedMemory

MAX_ADDED_LATENCY_SECONDS = 600.0
_RECORD = struct.Struct("=dd???")


class UnfitFaultsError(Exception):
    """A body that is no set of faults; its text says what was expected and what was seen."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is broken on purpose.

    Attributes:
        error_ratio: Share of users queries that fail; None leaves the setting in force, 0 makes none fail.
        added_latency_seconds: Added to every users query.
        dependency_down: Whether the database is away: queries fail, readiness says no.
        hang: Whether API requests wait until this ends.
        log_silence: Whether no line is written to the log.
    """

    error_ratio: float | None = None
    added_latency_seconds: float = 0.0
    dependency_down: bool = False
    hang: bool = False
    log_silence: bool = False

    def as_json(self) -> dict[str, object]:
        """Return the faults that are set, and only those."""
        given = {name: getattr(self, name) for name in Faults.__slots__}
        return {
            name: value
            for name, value in given.items()
            if value is not None and value is not False and (value != 0 or name == "error_ratio")
        }


def parse_faults(body: bytes) -> Faults:
    """Return the faults that a JSON body asks for; those it does not name are not set.

    Raises:
        UnfitFaultsError: No JSON object, an unknown key, or a value that cannot be.
    """
    try:
        parse(body)
        given = json.loads(body)
    except (MalformedJsonError, ValueError, RecursionError) as error:
        raise UnfitFaultsError(f"expected a JSON object of faults: {error}") from error
    if not isinstance(given, dict):
        raise UnfitFaultsError(f"expected a JSON object of faults, saw {type(given).__name__}")
    unknown = sorted(given.keys() - set(Faults.__slots__))
    if unknown:
        raise UnfitFaultsError(f"expected only {', '.join(Faults.__slots__)}; saw {unknown[0][:80]!r}")
    for name, value in given.items():
        if name == "error_ratio":
            _require(name, value, fits=_between(value, 1.0), expected="a number from 0 to 1")
        elif name == "added_latency_seconds":
            limit = MAX_ADDED_LATENCY_SECONDS
            _require(name, value, fits=_between(value, limit), expected=f"seconds from 0 to {limit:g}")
        else:
            _require(name, value, fits=isinstance(value, bool), expected="true or false")
    return Faults(**given)


def _between(value: Any, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= high


def _require(name: str, value: object, *, fits: bool, expected: str) -> None:
    if not fits:
        raise UnfitFaultsError(f"{name}: expected {expected}, saw {json.dumps(value)[:80]}")


class FaultSwitch:
    """Holds the faults in force. Reading them costs a fraction of a microsecond, so that every request may ask.

    Args:
        memory: Where they are kept, for all workers.
    """

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._seen = (b"", Faults())
        self.set(Faults())

    def set(self, faults: Faults) -> None:
        """Put these faults in force and end all others; every worker obeys before this returns."""
        ratio = math.nan if faults.error_ratio is None else faults.error_ratio
        self._memory.publish(
            _RECORD.pack(ratio, faults.added_latency_seconds, faults.dependency_down, faults.hang, faults.log_silence)
        )

    @property
    def current(self) -> Faults:
        """The faults in force now."""
        record = self._memory.record(_RECORD.size)
        known, faults = self._seen
        if record != known:
            ratio, latency, down, hang, silence = _RECORD.unpack(record)
            faults = Faults(None if math.isnan(ratio) else ratio, latency, down, hang, silence)
            self._seen = (record, faults)
        return faults
