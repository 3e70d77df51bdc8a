"""One row of one objective under a fault, and the bounds of what has to happen to its alert.

Each bound is counted from the instant at which, by the ledger, the row's condition came to hold or ceased to, and is
computed from what is running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from sloproof.checks.alert_lifecycle import SLACK, Bound
from sloproof.claims.alerts import alertmanager_waits
from sloproof.duration import format_duration
from sloproof.errors import SettingsError
from sloproof.harness import Harness
from sloproof.model import Notification, Window
from sloproof.polling import wait_until
from sloproof.prove.timeline import Condition
from sloproof.slo.model import AlertRow, Objective, Source

ALERT = "ErrorBudgetBurn"
# Evaluations come and go by a little; what is longer is a gap.
_SHORTEST_GAP = timedelta(seconds=1)
_RECOVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Case:
    """A row that a fault concerns, and its condition over the ledger's events."""

    objective: Objective
    row: AlertRow
    condition: Condition

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels that tell its alert from all others."""
        return {"sloth_id": self.objective.id, "row": self.row.name}

    @property
    def selector(self) -> str:
        """Return what selects its alert's history in Prometheus."""
        return f'ALERTS{{alertname="{ALERT}", sloth_id="{self.objective.id}", row="{self.row.name}"}}'

    def is_of(self, notification: Notification) -> bool:
        """Return whether a notification is about this row."""
        labels = notification.labels
        return notification.name == ALERT and all(labels.get(name) == text for name, text in self.labels.items())


def cases_of(harness: Harness, objective: Objective, outages: Sequence[Window] = ()) -> list[Case]:
    """Return the rows of an objective, each with its condition.

    Args:
        harness: On the environment that has the objective's rules loaded.
        objective: Compressed as they are.
        outages: When something was stopped on purpose; rules that had no data then are not blamed for it.

    Raises:
        SettingsError: The objective's rules have recorded nothing: they are not loaded, or select nothing.
        DeadlineError: They do not record again after an outage.
    """
    ended = max((one.end for one in outages), default=None)
    moments = wait_until(
        lambda: _recorded(harness, objective),
        # What is recorded after an outage says how long the gap was.
        lambda found: ended is None or found[-1] > ended,
        what=f"the rules of {objective.id} record again",
        timeout=_RECOVERY,
        interval=timedelta(milliseconds=100),
        check_alive=harness.environment.check_alive,
    ).value
    gaps = tuple(
        Window(earlier, later)
        for earlier, later in pairwise(moments)
        if any(earlier < one.end and one.start < later for one in outages) and later - earlier > _SHORTEST_GAP
    )
    return [
        Case(objective, row, Condition(row, objective.budget, moments[0], objective.min_events, gaps))
        for row in objective.rows
    ]


def _recorded(harness: Harness, objective: Objective) -> list[datetime]:
    """Return when the rules of an objective recorded how many events there were, in order."""
    shortest = format_duration(min(row.short for row in objective.rows))
    selector = f'slo:sli_valid:increase{shortest}{{sloth_id="{objective.id}"}}'
    now = datetime.now(UTC)
    prometheus = harness.clients.prometheus
    found = prometheus.samples(selector, Window(now - timedelta(hours=1), now)).series
    if not found:
        raise SettingsError(
            f"expected the rules of {objective.id} to have recorded something, but there is nothing",
            where=objective.place,
            query=selector,
            hint=prometheus.nearest(selector, Window(now - timedelta(minutes=5), now))
            or "are the rules loaded, and do their queries select series that exist? try: sloproof lint",
        )
    return sorted({sample.time for series in found for sample in series.samples})


class RowBounds:
    """How long after its trigger each part of a row's alert may come, on what is running."""

    def __init__(self, harness: Harness) -> None:
        self.scrape = harness.scrape_interval
        self.evaluation = max(group.interval for group in harness.clients.prometheus.rule_groups())
        self._ship = timedelta(seconds=harness.settings.logs.ship_seconds)
        self._group_wait, self._group_interval = alertmanager_waits(harness)

    @property
    def max_gap(self) -> timedelta:
        """Return how far apart evaluations may be before silence proves nothing."""
        return 4 * self.evaluation + SLACK

    def firing(self, case: Case) -> Bound:
        """Return the bound from the condition holding to the alert firing."""
        return self._sum(case, ("for", case.row.hold))

    def delivered(self, case: Case) -> Bound:
        """Return the bound from the condition holding to the receiver having the alert."""
        return self._sum(case, ("for", case.row.hold), ("group wait", self._group_wait))

    def cleared(self, case: Case) -> Bound:
        """Return the bound from the condition ceasing to the alert firing no more."""
        return self._sum(case)

    def resolved(self, case: Case) -> Bound:
        """Return the bound from the condition ceasing to the receiver having the all-clear."""
        return self._sum(case, ("group interval", self._group_interval))

    def _sum(self, case: Case, *more: tuple[str, timedelta]) -> Bound:
        parts = [("scrape", self.scrape), ("evaluation", self.evaluation), ("evaluation", self.evaluation)]
        if case.objective.source is Source.LOKI:
            parts.append(("shipping", self._ship))
        parts += [*more, ("slack", SLACK)]
        latest = sum((length for _, length in parts), timedelta(0))
        text = " + ".join(f"{name} {format_duration(length)}" for name, length in parts if length)
        return Bound(latest, f"{text} = {format_duration(latest)}")
