"""What Prometheus answers, as it stands on the wire, and the values it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import msgspec

from sloproof.duration import parse_duration
from sloproof.model import Alert, MetricMetadata, Rule, RuleGroup, Sample, Series, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")

# Go writes the year 1 for never.
_NEVER_YEAR = 1


class Answer(msgspec.Struct, Generic[T]):
    """The envelope of every answer."""

    status: Literal["success", "error"]
    data: T | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


Pair = tuple[float, str]


class VectorItem(msgspec.Struct):
    """One series of a vector; a native histogram has no `value`."""

    metric: dict[str, str]
    value: Pair | None = None


class MatrixItem(msgspec.Struct):
    """One series of a matrix; native histograms are not among its `values`."""

    metric: dict[str, str]
    values: tuple[Pair, ...] = ()
    histograms: tuple[msgspec.Raw, ...] = ()


class Vector(msgspec.Struct, tag_field="resultType", tag="vector"):
    """The result of an instant query."""

    result: list[VectorItem]


class Matrix(msgspec.Struct, tag_field="resultType", tag="matrix"):
    """The result of a range query, or of an instant query for a range."""

    result: list[MatrixItem]


class Scalar(msgspec.Struct, tag_field="resultType", tag="scalar"):
    """One number without labels."""

    result: Pair


class Text(msgspec.Struct, tag_field="resultType", tag="string"):
    """A text, which is no measurement."""

    result: Pair


class TargetJson(msgspec.Struct, rename="camel"):
    """One target."""

    labels: dict[str, str]
    scrape_pool: str
    scrape_url: str
    health: Literal["up", "down", "unknown"]
    last_scrape: datetime
    last_scrape_duration: float
    last_error: str = ""
    scrape_interval: str = "0s"
    scrape_timeout: str = "0s"

    def value(self) -> Target:
        """Return what it means."""
        return Target(
            labels=self.labels,
            scrape_pool=self.scrape_pool,
            scrape_url=self.scrape_url,
            health=self.health,
            last_scrape=moment(self.last_scrape),
            last_scrape_duration=timedelta(seconds=self.last_scrape_duration),
            last_error=self.last_error or None,
            scrape_interval=parse_duration(self.scrape_interval),
            scrape_timeout=parse_duration(self.scrape_timeout),
        )


class TargetsJson(msgspec.Struct, rename="camel"):
    """All targets."""

    active_targets: list[TargetJson]


class AlertJson(msgspec.Struct, rename="camel"):
    """One alert that is pending or firing."""

    labels: dict[str, str]
    state: Literal["inactive", "pending", "firing"]
    annotations: dict[str, str] = {}
    active_at: datetime | None = None
    value: str = ""

    def meaning(self) -> Alert:
        """Return what it means."""
        return Alert(
            labels=self.labels,
            annotations=self.annotations,
            state=self.state,
            active_at=moment(self.active_at),
            value=float(self.value) if self.value else None,
        )


class AlertsJson(msgspec.Struct):
    """All alerts."""

    alerts: list[AlertJson]


class RuleJson(msgspec.Struct, rename="camel"):
    """One rule; what only alerting rules have is at its default in a recording rule."""

    name: str
    type: Literal["recording", "alerting"]
    query: str
    health: Literal["ok", "err", "unknown"] = "unknown"
    last_error: str = ""
    last_evaluation: datetime | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    duration: float = 0.0
    keep_firing_for: float = 0.0
    state: Literal["inactive", "pending", "firing", "unknown"] | None = None
    alerts: list[AlertJson] = []

    def value(self) -> Rule:
        """Return what it means."""
        return Rule(
            name=self.name,
            kind=self.type,
            query=self.query,
            health=self.health,
            last_error=self.last_error or None,
            last_evaluation=moment(self.last_evaluation),
            labels=self.labels,
            annotations=self.annotations,
            hold=timedelta(seconds=self.duration),
            keep_firing=timedelta(seconds=self.keep_firing_for),
            state=self.state,
            alerts=tuple(alert.meaning() for alert in self.alerts),
        )


class GroupJson(msgspec.Struct, rename="camel"):
    """One rule group."""

    name: str
    file: str
    interval: float
    rules: list[RuleJson]
    last_evaluation: datetime | None = None
    evaluation_time: float = 0.0

    def value(self) -> RuleGroup:
        """Return what it means."""
        return RuleGroup(
            name=self.name,
            file=self.file,
            interval=timedelta(seconds=self.interval),
            last_evaluation=moment(self.last_evaluation),
            evaluation_duration=timedelta(seconds=self.evaluation_time),
            rules=tuple(rule.value() for rule in self.rules),
        )


class GroupsJson(msgspec.Struct):
    """All rule groups."""

    groups: list[GroupJson]


class MetadataJson(msgspec.Struct):
    """What one target says of a metric."""

    type: str
    help: str = ""
    unit: str = ""


class ConfigJson(msgspec.Struct):
    """The running configuration."""

    yaml: str


class BuildJson(msgspec.Struct):
    """The build."""

    version: str


def metadata_values(found: Mapping[str, Iterable[MetadataJson]]) -> tuple[MetricMetadata, ...]:
    """Return one value a differing answer, by metric name."""
    return tuple(MetricMetadata(name, one.type, one.help, one.unit) for name in sorted(found) for one in found[name])


def moment(instant: datetime | None) -> datetime | None:
    """Return an instant in UTC; None for the zero time, by which Go says never."""
    if instant is None or instant.year == _NEVER_YEAR:
        return None
    return instant.astimezone(UTC)


def sample(pair: Pair) -> Sample:
    """Return a sample; `NaN`, `+Inf` and `-Inf` are floats.

    Timestamps are milliseconds written as decimal seconds. Until the year 2106 a float holds them within a quarter of
    a microsecond, and rounding to the microsecond gives the millisecond back exactly.
    """
    return Sample(datetime.fromtimestamp(pair[0], UTC), float(pair[1]))


def matrix_series(items: Iterable[MatrixItem]) -> list[Series]:
    """Return the series of a matrix that have samples."""
    # Most series of a target rest at the same value and bear the same timestamps, so few of their samples differ.
    made: dict[Pair, Sample] = {}
    series = []
    for one in items:
        samples = []
        for pair in one.values:
            known = made.get(pair)
            if known is None:
                known = made[pair] = sample(pair)
            samples.append(known)
        if samples:
            series.append(Series(one.metric, tuple(samples)))
    return series
