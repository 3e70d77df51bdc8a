"""What every environment offers, whatever runs it."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, Protocol

# What a scenario may need beyond the plain environment; its tag is `@needs_<capability>`.
CAPABILITIES: Mapping[str, str] = {
    "kubernetes": "a Kubernetes API: rolling updates, EndpointSlices, evictions",
    "grafana": "a running Grafana",
    "replicas": "more than one instance of the service",
    "faults": "planting faults in the service",
    "stopping": "stopping components of the environment and starting them again",
    "processes": "signals to single programs of the environment: freezing, killing a worker, restarting in place",
}


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """How one program of the environment is doing.

    `state` is `running`, `stopped` (on request) or `exited` (by itself). Times are of this environment's clock.
    """

    name: str
    state: Literal["running", "stopped", "exited"]
    pid: int | None
    exit_status: int | None
    restarts: int


class Environment(Protocol):
    """A running system: the service, and the monitoring that watches it.

    `addresses` gives the base URL of each component: always `service`, `prometheus` and `loki`; `alertmanager`,
    `receiver`, `promtail` and `grafana` where there is one.
    """

    @property
    def name(self) -> str:
        """Return the backend's name."""

    @property
    def run_id(self) -> str:
        """Return the name of the run it was made for."""

    @property
    def capabilities(self) -> frozenset[str]:
        """Return what scenarios may do on it beyond the plain environment; see `CAPABILITIES`."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Return the base URL of each component."""

    @property
    def timings(self) -> Mapping[str, timedelta]:
        """Return how long after the start each component was ready."""

    @property
    def instances(self) -> tuple[str, ...]:
        """Return the `instance` label of every instance of the service that runs now."""

    def start(self) -> None:
        """Bring everything up and return once every component is ready.

        Raises:
            EnvironmentStartError: A component was not ready in time; carries its last lines.
            ComponentExitedError: A component ended while starting.
        """

    def stop(self) -> None:
        """End everything and leave nothing behind; safe to call at any time, and twice."""

    def detach(self) -> None:
        """Let go of it and leave it running."""

    def check_alive(self) -> None:
        """Return at once if every component that should run does.

        Raises:
            ComponentExitedError: One has ended by itself. Every wait calls this on each turn, so that a wait ends
                when what it waits for cannot come.
        """

    def status(self) -> Sequence[ComponentStatus]:
        """Return the state of every component, in the order they were declared."""

    def last_lines(self, component: str, count: int = 20) -> tuple[str, ...]:
        """Return the end of a component's own log, oldest first."""

    def stop_component(self, component: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End one component on purpose and wait for it; `check_alive` does not mind (needs `stopping`)."""

    def start_component(self, component: str) -> None:
        """Start a component that was stopped, on its old address, and wait until it is ready (needs `stopping`)."""

    def pause_component(self, component: str) -> None:
        """Freeze one component where it stands: it keeps its connections and answers nothing (needs `processes`)."""

    def resume_component(self, component: str) -> None:
        """Let a paused component go on (needs `processes`)."""

    def load_command(self, process: int) -> tuple[str, ...] | None:
        """Return the command that is a load's process by its number; None for one on this machine, as usual."""

    def keep_evidence(self, folder: Path) -> None:
        """Write down, in a folder, what is gone with the environment and says how it was beyond each log's end."""

    def file(self, name: str) -> Path | None:
        """Return a file that this environment keeps, if it does: `service.log` is the log that is shipped."""
