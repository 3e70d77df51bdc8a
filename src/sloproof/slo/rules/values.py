"""Rule groups as values, and the times that they are made for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sloproof.slo.model import Objective

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """What rules are made for.

    Attributes:
        interval: Between two evaluations; as often are the targets scraped.
        log_delay: How long a log line may take to arrive: so much later it is counted, and once.
    """

    interval: timedelta = timedelta(seconds=30)
    log_delay: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is recorded at each evaluation."""

    record: str
    expr: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class Alerting:
    """An alert, with how long its expression has to hold (`for`)."""

    alert: str
    expr: str
    hold: timedelta
    labels: Labels
    annotations: Labels


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, in order, once an interval."""

    name: str
    interval: timedelta
    rules: tuple[Recording | Alerting, ...]


@dataclass(frozen=True, slots=True)
class ObjectiveRules:
    """The groups of one objective: for Prometheus, and for Loki's ruler."""

    objective: Objective
    prometheus: tuple[Group, ...] = ()
    loki: tuple[Group, ...] = ()
