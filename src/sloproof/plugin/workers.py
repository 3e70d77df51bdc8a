"""A run on many workers (pytest-xdist): each has an environment of its own, the controller makes one report of all.

A worker's scenarios come with its test reports; the rest of what it knows comes as one record when it ends, the
scenarios that it has not run among it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from sloproof.environment.backends import CAPABILITIES_OF
from sloproof.environment.toolchain import Tool
from sloproof.plugin.not_run import never_run
from sloproof.plugin.options import read_options
from sloproof.report.record import EnvironmentRecord, LogLagRecord, RunRecord, ScenarioRecord, SecondRecord
from sloproof.report.run_verdict import run_verdict

_RUN_ID = "sloproof_run_id"  # in what the controller gives a worker
_STAGE = "sloproof_stage"
_NODE = "sloproof_node"
_RECORD = "sloproof_run"  # in what a worker gives back
_SENT, _COUNTED = ("sent", "failed"), ("counted", "counted_failed")
_QUANTILES = ("p50_seconds", "p99_seconds", "intended_p50_seconds", "intended_p99_seconds")
_TOLD = tuple(f"told_{quantile}_{edge}_seconds" for quantile in ("p50", "p99") for edge in ("above", "up_to"))


class Shared(Protocol):
    """What is known of an environment that all workers use.

    Attributes:
        stage: Folder where they meet.
        tools: Its programs, by name.
        timings: How many seconds its start took, by part.
    """

    stage: Path
    tools: Mapping[str, Tool]
    timings: dict[str, float]


@dataclass(frozen=True, slots=True)
class KeptProfile:
    """A Minikube profile that a controller keeps for its workers.

    Attributes:
        node_ip: Of its control plane.
        took: How long it took to bring it up.
    """

    node_ip: str
    took: timedelta


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker stands.

    Attributes:
        run_id: Of the whole run.
        worker: The worker's own name, such as `gw0`.
        stage: Folder where it meets the others on one environment; None where each has its own.
        node_ip: Of the Minikube profile that the controller keeps for all; empty where there is none.
    """

    run_id: str
    worker: str
    stage: Path | None = None
    node_ip: str = ""

    @property
    def own_id(self) -> str:
        """Return the worker's own run id: requests of two workers must never have the same id."""
        return f"{self.run_id}-{self.worker}"

    def folder(self, reports: Path) -> Path:
        """Return where the worker keeps its evidence: within the one report folder."""
        return reports / self.run_id / self.worker


def place_of(config: pytest.Config) -> Place | None:
    """Return where this worker stands; None in a process that is no worker."""
    given: Mapping[str, Any] | None = getattr(config, "workerinput", None)
    if given is None:
        return None
    stage = Path(given[_STAGE]) if given[_STAGE] else None
    return Place(given[_RUN_ID], given["workerid"], stage, given[_NODE])


def hand_over(config: pytest.Config, record: RunRecord) -> None:
    """Give the controller what this worker knows; xdist sends it when the worker's session ends."""
    output: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined]  # xdist puts it there
    output[_RECORD] = msgspec.json.encode(record).decode()


def refuse_shared(config: pytest.Config) -> None:
    """Refuse options that would have many workers use or leave behind what they cannot.

    Raises:
        UsageError: It names the option.
    """
    options = read_options(config)
    asked = "--env-reuse" if options.reuse else "--env-keep" if options.keep else ""
    if options.shared and options.environment != "local":
        raise pytest.UsageError(
            f"--env-shared: expected the local environment, got --env {options.environment}; without it each worker "
            "has a namespace of its own in a cluster"
        )
    # In a cluster each worker finds again what it kept, by its name.
    if asked and "kubernetes" not in CAPABILITIES_OF.get(options.environment, ()):
        raise pytest.UsageError(
            f"{asked} and the workers of xdist do not go together: "
            f"each worker counts on an environment of its own; leave out -n or {asked}"
        )


class Controller:
    """What the controller learns from its workers.

    Args:
        run_id: Of the whole run.
        started: When it began.
        shared: The environment that all workers use; None where each has its own.
        profile: The Minikube profile that is kept for all workers; None where there is none.
    """

    def __init__(
        self, run_id: str, started: datetime, shared: Shared | None = None, profile: KeptProfile | None = None
    ) -> None:
        self.run_id = run_id
        self._shared = shared
        self._profile = profile
        self._started = started
        self._handed: dict[str, RunRecord] = {}
        self._asked: dict[str, str] = {}  # worker to what went wrong with it

    def welcome(self, worker: str, given: dict[str, Any]) -> None:
        """Tell a worker, before it starts, of the run it is a part of."""
        given[_RUN_ID] = self.run_id
        given[_STAGE] = "" if self._shared is None else str(self._shared.stage)
        given[_NODE] = "" if self._profile is None else self._profile.node_ip
        self._asked[worker] = "it has not ended in an orderly way"

    def farewell(self, worker: str, output: Mapping[str, Any], error: object) -> None:
        """Take what a worker hands over when it has ended; `error` is how it died, if it did."""
        if error is not None:
            # Of a worker that was interrupted xdist tells twice: that it ended, then why.
            if worker in self._asked:
                self._asked[worker] = str(error)
            return
        self._asked.pop(worker, None)
        if _RECORD in output:
            self._handed[worker] = msgspec.json.decode(output[_RECORD], type=RunRecord)

    def record(self, service: str, scenarios: Sequence[ScenarioRecord], problems: Iterable[str]) -> RunRecord:
        """Return the one record of the run.

        Args:
            service: Its name.
            scenarios: Those of all workers; with them come those that no worker has come to.
            problems: What the controller itself has to tell.
        """
        lost = (f"worker {name} was lost: {why.strip()}" for name, why in self._asked.items())
        handed = self._handed.items()
        told = [*lost, *(f"worker {name}: {each}" for name, one in handed for each in one.problems)]
        told = list(dict.fromkeys([*told, *problems]))
        # A worker hands over what it did not run itself, and most of that has run on another one.
        not_run = (one for _, record in handed for one in record.scenarios)
        why = told[0].partition("\n")[0] if told else "the run ended"
        scenarios = [*scenarios, *never_run(not_run, scenarios, why)]
        slos = tuple(slo for _, one in handed for slo in one.slos)
        return RunRecord(
            verdict=run_verdict(scenarios, slos, told),
            run_id=self.run_id,
            started=self._started.isoformat(),
            duration_seconds=(datetime.now(UTC) - self._started) / timedelta(seconds=1),
            service=service,
            scenarios=tuple(scenarios),
            loads=tuple(sorted((load for _, one in handed for load in one.loads), key=lambda load: load.started)),
            traffic=tuple(
                _together((second for _, one in handed for second in one.traffic), is_one=self._shared is not None)
            ),
            log_lags=_log_lags(one for _, one in handed),
            environment=_environment(self._handed) if self._shared is None else _one(self._handed, self._shared),
            timings=_longest([*(one.timings for _, one in handed), *self._own_timings()]),
            problems=tuple(told),
            evidence_files=tuple(f"{name}/{file}" for name, one in handed for file in one.evidence_files),
            slos=slos,
        )

    def _own_timings(self) -> Iterator[Mapping[str, float]]:
        """Yield what took time before there were workers."""
        if self._shared is not None:
            yield self._shared.timings
        if self._profile is not None:
            yield {"Minikube profile": self._profile.took.total_seconds()}


def _together(seconds: Iterable[SecondRecord], *, is_one: bool) -> Iterator[SecondRecord]:
    """Yield one second where several workers have it: what is sent adds up, quantiles do not.

    Args:
        seconds: Of all workers.
        is_one: Whether they are of one environment: then each worker that asked was told of the whole.
    """
    by_time: dict[str, SecondRecord] = {}
    for one in seconds:
        other = by_time.get(one.at)
        if other is None:
            by_time[one.at] = one
            continue
        changes: dict[str, Any] = dict.fromkeys(_QUANTILES)
        for name in _SENT:
            changes[name] = getattr(one, name) + getattr(other, name)
        for name in _COUNTED + _TOLD:
            pair = (getattr(one, name), getattr(other, name))
            if is_one:
                changes[name] = max((value for value in pair if value is not None), default=None)
            else:
                changes[name] = sum(pair) if name in _COUNTED and None not in pair else None
        by_time[one.at] = msgspec.structs.replace(one, **changes)
    for at in sorted(by_time):
        yield by_time[at]


def _log_lags(handed: Iterable[RunRecord]) -> tuple[LogLagRecord, ...]:
    """Return every anchor's lag once: workers of one environment take over each other's anchors."""
    lags = {(lag.at, lag.lag_seconds): lag for one in handed for lag in one.log_lags}
    return tuple(lag for _, lag in sorted(lags.items(), key=lambda item: item[0]))


def _one(handed: Mapping[str, RunRecord], shared: Shared) -> EnvironmentRecord | None:
    """Return the environment that all workers used, with what only who started it knows."""
    found = next((one.environment for one in handed.values() if one.environment is not None), None)
    if found is None:
        return None
    tools = shared.tools
    components = tuple(
        msgspec.structs.replace(each, version=tools[each.name].version, origin=tools[each.name].origin)
        if each.name in tools
        else each
        for each in found.components
    )
    return msgspec.structs.replace(found, components=components)


def _environment(handed: Mapping[str, RunRecord]) -> EnvironmentRecord | None:
    """Return all environments as one, each component with the name of its worker."""
    found = {name: one.environment for name, one in handed.items() if one.environment is not None}
    if not found:
        return None
    components = tuple(
        msgspec.structs.replace(each, name=f"{each.name} ({name})")
        for name, one in found.items()
        for each in one.components
    )
    return msgspec.structs.replace(next(iter(found.values())), components=components)


def _longest(timings: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the longest time of each part: workers work at the same time."""
    longest: dict[str, float] = {}
    for one in timings:
        for part, spent in one.items():
            longest[part] = max(spent, longest.get(part, 0.0))
    return longest
