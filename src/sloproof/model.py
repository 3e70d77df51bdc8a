"""The frozen values that clients return and checks read.

Instants are aware UTC datetimes, windows and durations are timedeltas. Absent is None or empty, never -1, NaN or 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

Labels = Mapping[str, str]

NANOSECONDS = 1_000_000_000


def instant_from_ns(nanoseconds: int) -> datetime:
    """Return the instant of a Unix time in nanoseconds (microsecond precision)."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def ns_from_instant(instant: datetime) -> int:
    """Return the Unix time of an instant in nanoseconds, exact to its microsecond."""
    whole = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return ((whole.days * 86_400 + whole.seconds) * 1_000_000 + whole.microseconds) * 1000


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, both ends included."""

    start: datetime
    end: datetime

    @property
    def duration(self) -> timedelta:
        """Return the length of the window."""
        return self.end - self.start

    def __contains__(self, instant: datetime) -> bool:
        """Return whether an instant lies in the window."""
        return self.start <= instant <= self.end


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a series at one instant, as Prometheus stored it."""

    time: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """A label set (with `__name__` where the query keeps it) and its samples, oldest first."""

    labels: Labels
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of a stream. `time_ns` is Unix time in nanoseconds, as Loki stored it."""

    time_ns: int
    line: str

    @property
    def time(self) -> datetime:
        """Return the entry's instant."""
        return instant_from_ns(self.time_ns)


@dataclass(frozen=True, slots=True)
class Stream:
    """A Loki label set and its entries, oldest first."""

    labels: Labels
    entries: tuple[LogEntry, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What Prometheus scrapes, and how the last scrape went."""

    labels: Labels
    scrape_pool: str
    scrape_url: str
    health: Literal["up", "down", "unknown"]
    last_scrape: datetime | None
    last_scrape_duration: timedelta
    last_error: str | None
    scrape_interval: timedelta
    scrape_timeout: timedelta

    @property
    def job(self) -> str:
        """Return the target's job label."""
        return self.labels.get("job", "")

    @property
    def instance(self) -> str:
        """Return the target's instance label."""
        return self.labels.get("instance", "")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as Prometheus or Alertmanager reports it. `active_at` is when it became pending."""

    labels: Labels
    annotations: Labels
    state: Literal["inactive", "pending", "firing", "active", "suppressed", "unprocessed"]
    active_at: datetime | None
    value: float | None = None

    @property
    def name(self) -> str:
        """Return the alert's name."""
        return self.labels.get("alertname", "")


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording or alerting rule as Prometheus loaded it."""

    name: str
    kind: Literal["recording", "alerting"]
    query: str
    health: Literal["ok", "err", "unknown"]
    last_error: str | None
    last_evaluation: datetime | None
    labels: Labels
    annotations: Labels = field(default_factory=dict)
    hold: timedelta = timedelta(0)  # the rule's `for`
    keep_firing: timedelta = timedelta(0)
    state: Literal["inactive", "pending", "firing", "unknown"] | None = None
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that Prometheus evaluates together, in order."""

    name: str
    file: str
    interval: timedelta
    last_evaluation: datetime | None
    evaluation_duration: timedelta
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class MetricMetadata:
    """What a target says of a metric: its type and help text."""

    name: str
    kind: str
    help: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """One alert as the webhook receiver got it, and when it arrived there."""

    received: datetime
    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Labels
    starts_at: datetime
    ends_at: datetime | None
    receiver: str

    @property
    def name(self) -> str:
        """Return the alert's name."""
        return self.labels.get("alertname", "")
