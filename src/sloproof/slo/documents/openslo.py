"""OpenSLO v1 as it is: one struct for each object of the specification, all seven kinds.

The structs say which fields there are and of what type; what values mean is for the reader. A field that may be
left out is None then. Numbers are fractions, exactly as the decimal text says.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import msgspec

from sloproof.slo.model import Place

API_VERSION = "openslo/v1"


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where an object and its fields stand; a field of a field that is free to choose as `annotations.name`."""

    place: Place
    fields: dict[str, Place]


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of all objects of a document."""

    where: Where

    def at(self, field: str = "") -> Place:
        """Return the place of a field by its name in the document; the object's own where it has no such field."""
        return self.where.fields.get(field, self.where.place)


class Metadata(Part, frozen=True, kw_only=True):
    """Name and remarks of any object."""

    name: str
    display_name: str | None = None
    labels: dict[str, str | list[str]] | None = None
    annotations: dict[str, str] | None = None


class Document(Part, frozen=True, kw_only=True):
    """Base of the seven kinds."""

    api_version: Literal["openslo/v1"]
    kind: str
    metadata: Metadata


class ServiceSpec(Part, frozen=True, kw_only=True):
    """What a service says of itself."""

    description: str | None = None


class Service(Document, frozen=True, kw_only=True):
    """A service that has objectives."""

    spec: ServiceSpec


class DataSourceSpec(Part, frozen=True, kw_only=True):
    """Which kind of system holds the metrics, and how it is reached."""

    type: str
    connection_details: Any
    description: str | None = None


class DataSource(Document, frozen=True, kw_only=True):
    """A system that holds metrics."""

    spec: DataSourceSpec


class MetricSource(Part, frozen=True, kw_only=True):
    """A query: which system, and what to ask it."""

    spec: dict[str, Any]
    metric_source_ref: str | None = None
    type: str | None = None


class MetricHolder(Part, frozen=True, kw_only=True):
    """What `good`, `bad`, `total`, `raw` and `thresholdMetric` hold."""

    metric_source: MetricSource


class RatioMetric(Part, frozen=True, kw_only=True):
    """Events of one sort by all events, or a ratio that is stored as such."""

    counter: bool | None = None
    good: MetricHolder | None = None
    bad: MetricHolder | None = None
    total: MetricHolder | None = None
    raw: MetricHolder | None = None
    raw_type: Literal["success", "failure"] | None = None


class IndicatorSpec(Part, frozen=True, kw_only=True):
    """How the level of service is measured."""

    description: str | None = None
    threshold_metric: MetricHolder | None = None
    ratio_metric: RatioMetric | None = None


class Indicator(Document, frozen=True, kw_only=True):
    """A service level indicator (kind SLI)."""

    spec: IndicatorSpec


class InlineIndicator(Part, frozen=True, kw_only=True):
    """A service level indicator that stands within an SLO."""

    spec: IndicatorSpec
    metadata: Metadata | None = None
    api_version: Literal["openslo/v1"] | None = None
    kind: Literal["SLI"] | None = None


class CalendarWindow(Part, frozen=True, kw_only=True):
    """Where the periods of the calendar begin."""

    start_time: str
    time_zone: str


class TimeWindow(Part, frozen=True, kw_only=True):
    """Which time the budget is for."""

    duration: str
    is_rolling: bool | None = None
    calendar: CalendarWindow | None = None


class ObjectiveSpec(Part, frozen=True, kw_only=True):
    """One objective of an SLO."""

    display_name: str | None = None
    op: Literal["lte", "gte", "lt", "gt"] | None = None
    value: Fraction | None = None
    target: Fraction | None = None
    target_percent: Fraction | None = None
    time_slice_target: Fraction | None = None
    time_slice_window: str | Fraction | None = None
    indicator: InlineIndicator | None = None
    indicator_ref: str | None = None
    composite_weight: Fraction | None = None


class BurnCondition(Part, frozen=True, kw_only=True):
    """The condition of an alert: a burn rate above a threshold."""

    kind: Literal["burnrate"]
    op: Literal["lte", "gte", "lt", "gt"]
    threshold: Fraction
    lookback_window: str
    alert_after: str | None = None


class AlertConditionSpec(Part, frozen=True, kw_only=True):
    """How bad it is, and when."""

    severity: str
    condition: BurnCondition
    description: str | None = None


class AlertCondition(Document, frozen=True, kw_only=True):
    """When someone is told."""

    spec: AlertConditionSpec


class ConditionEntry(Part, frozen=True, kw_only=True):
    """A condition of a policy: a reference, or the condition itself."""

    condition_ref: str | None = None
    api_version: Literal["openslo/v1"] | None = None
    kind: Literal["AlertCondition"] | None = None
    metadata: Metadata | None = None
    spec: AlertConditionSpec | None = None


class TargetSpec(Part, frozen=True, kw_only=True):
    """Which way someone is told."""

    target: str
    description: str | None = None


class AlertNotificationTarget(Document, frozen=True, kw_only=True):
    """Who is told."""

    spec: TargetSpec


class TargetEntry(Part, frozen=True, kw_only=True):
    """A notification target of a policy: a reference, or the target itself."""

    target_ref: str | None = None
    api_version: Literal["openslo/v1"] | None = None
    kind: Literal["AlertNotificationTarget"] | None = None
    metadata: Metadata | None = None
    spec: TargetSpec | None = None


class AlertPolicySpec(Part, frozen=True, kw_only=True):
    """When someone is told, and who."""

    conditions: list[ConditionEntry]
    notification_targets: list[TargetEntry]
    description: str | None = None
    alert_when_no_data: bool | None = None
    alert_when_resolved: bool | None = None
    alert_when_breaching: bool | None = None


class AlertPolicy(Document, frozen=True, kw_only=True):
    """One way in which someone is told that a budget burns."""

    spec: AlertPolicySpec


class PolicyEntry(Part, frozen=True, kw_only=True):
    """An alert policy of an SLO: a reference, or the policy itself."""

    alert_policy_ref: str | None = None
    api_version: Literal["openslo/v1"] | None = None
    kind: Literal["AlertPolicy"] | None = None
    metadata: Metadata | None = None
    spec: AlertPolicySpec | None = None


class SloSpec(Part, frozen=True, kw_only=True):
    """What a service promises."""

    service: str
    budgeting_method: Literal["Occurrences", "Timeslices", "RatioTimeslices"]
    objectives: list[ObjectiveSpec]
    description: str | None = None
    indicator: InlineIndicator | None = None
    indicator_ref: str | None = None
    time_window: list[TimeWindow] | None = None
    alert_policies: list[PolicyEntry] | None = None


class Slo(Document, frozen=True, kw_only=True):
    """A service level objective (kind SLO)."""

    spec: SloSpec


KINDS: dict[str, type[Document]] = {
    "Service": Service,
    "DataSource": DataSource,
    "SLI": Indicator,
    "SLO": Slo,
    "AlertPolicy": AlertPolicy,
    "AlertCondition": AlertCondition,
    "AlertNotificationTarget": AlertNotificationTarget,
}
