"""The faults that documents name: what makes the service miss an objective, for real."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sloproof.errors import SettingsError
from sloproof.harness import Harness
from sloproof.slo.model import Objective

_STOP = "stop"


@dataclass(slots=True)
class Fault:
    """A fault that can be set and ended.

    Attributes:
        stopped: A component that is stopped; empty for a fault of the service's own switch.
        switch: What the service's fault switch is told.
    """

    stopped: str = ""
    switch: dict[str, Any] = field(default_factory=dict)

    def admits(self, other: Fault) -> bool:
        """Return whether both can be set at once without one changing what the other does."""
        if self.stopped or other.stopped:
            return self.stopped == other.stopped
        return all(self.switch.get(key, value) == value for key, value in other.switch.items())

    def set(self, harness: Harness) -> None:
        """Break the service; it is broken when this returns."""
        if self.stopped:
            harness.stop_component(self.stopped)
        else:
            harness.clients.service.set_faults(self.switch)

    def end(self, harness: Harness) -> None:
        """Mend it; it is mended when this returns."""
        if self.stopped:
            harness.revive_component(self.stopped)
        else:
            harness.clients.service.clear_faults()

    def __str__(self) -> str:
        """Return it in a few words."""
        return f"{self.stopped} is stopped" if self.stopped else f"faults {json.dumps(self.switch)} are set"


def read_fault(objective: Objective) -> Fault:
    """Return the fault that an objective's document names: `{"stop": "service"}`, or an object for the fault switch.

    Raises:
        SettingsError: It is neither.
    """
    told: Mapping[str, Any] = json.loads(objective.fault)
    if _STOP not in told:
        return Fault(switch=dict(told))
    if len(told) > 1 or not isinstance(told[_STOP], str):
        raise SettingsError(
            "expected a fault that stops a component to be nothing else",
            where=objective.place,
            seen=objective.fault,
            hint='write it as {"stop": "service"}',
        )
    return Fault(stopped=told[_STOP])


def rounds_of(objectives: Sequence[Objective]) -> list[tuple[Fault, list[Objective]]]:
    """Return objectives in groups whose faults can be set at once, each with its faults as one.

    What stops a component comes first: its alerts then clear while the others burn.
    """
    rounds: list[tuple[Fault, list[Objective]]] = []
    for one in objectives:
        fault = read_fault(one)
        for merged, group in rounds:
            if merged.admits(fault):
                merged.switch.update(fault.switch)
                group.append(one)
                break
        else:
            rounds.append((fault, [one]))
    return sorted(rounds, key=lambda entry: not entry[0].stopped)
