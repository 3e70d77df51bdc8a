"""SLOs as sloproof generates and judges them: OpenSLO documents with every reference resolved and every default set.

Targets, factors and budgets are fractions: nothing is rounded before a comparison. Durations are timedeltas.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo


class Source(StrEnum):
    """Who answers a metric's query."""

    PROMETHEUS = "prometheus"  # PromQL
    LOKI = "loki"  # LogQL
    LEDGER = "ledger"  # the load driver's own record; see `LedgerQuery`


class Budgeting(StrEnum):
    """What an event is. `RATIO_TIMESLICES` weighs each slice by how good it was."""

    OCCURRENCES = "Occurrences"
    TIMESLICES = "Timeslices"
    RATIO_TIMESLICES = "RatioTimeslices"


class NoData(StrEnum):
    """What a stretch without data counts as. Never silently: a report states what was applied to how much."""

    UNKNOWN = "unknown"  # it lowers the coverage, and so the verdict
    BAD = "bad"
    GOOD = "good"


class Severity(StrEnum):
    """Who is told: a page wakes someone, a ticket waits for the morning."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the documents something stands. `line` counts from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        """Return it as editors read it: `file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Metric:
    """One query of an indicator.

    Attributes:
        query: As the document has it. For Prometheus either an expression over counters without ranges
            (`sum(http_requests_total{code="500"})`: the increase of each counter is taken before anything else), or an
            expression that says itself what it does with a window, with `{{.window}}` where the range goes. For Loki
            always the latter. For the ledger a `LedgerQuery` in its text form.
        counter: Whether the series are monotonic counters; of others, samples are added up as they are.
        datasource: Name of the DataSource document; empty for one given inline.
    """

    source: Source
    query: str
    place: Place
    counter: bool = True
    datasource: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Good or bad events, and all of them: exactly one of `good` and `bad` is given."""

    total: Metric
    good: Metric | None = None
    bad: Metric | None = None


@dataclass(frozen=True, slots=True)
class RawRatio:
    """A query that is a ratio already; each of its samples weighs the same.

    Attributes:
        failure: Whether it is the ratio of what failed.
    """

    raw: Metric
    failure: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """A quantity that is good while `quantity OP value`; each of its samples is an event.

    Attributes:
        op: `<`, `<=`, `>` or `>=`.
    """

    metric: Metric
    op: str
    value: Fraction


Indicator = Ratio | RawRatio | Threshold


@dataclass(frozen=True, slots=True)
class Rolling:
    """The last so much time, always."""

    duration: timedelta


@dataclass(frozen=True, slots=True)
class Calendar:
    """Periods that begin where the calendar says: days, weeks, months, quarters, years of a place.

    Attributes:
        count: How many units a period is long.
        unit: One of h, d, w, M, Q, Y as in OpenSLO.
        start: When the first period began, by the clock on the wall there (naive).
        zone: Where.
    """

    count: int
    unit: str
    start: datetime
    zone: ZoneInfo


Period = Rolling | Calendar


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One condition that someone is told of: the budget burns faster than `factor` in both windows.

    Attributes:
        name: Of its policy; unique within the objective.
        factor: Burn rate that is exceeded; the budget that is spent when it fires, times period, by long window.
        hold: How long it must be so before the alert fires (`for`).
        resolved: Whether someone is told when it ends.
        targets: Names of the notification targets.
        missing: Whether the same are told when data is missing.
    """

    name: str
    severity: Severity
    long: timedelta
    short: timedelta
    factor: Fraction
    hold: timedelta = timedelta(0)
    resolved: bool = True
    targets: tuple[str, ...] = ()
    missing: bool = False
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """How the load driver's ledger tells what the objective counts: two ledger queries, bad events and all of them."""

    bad: str
    total: str


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective of one SLO: what rules are made for and what gets a verdict.

    Attributes:
        service: Name of the service.
        slo: Name of the SLO document; with its objective's place appended where it has several (`latency-1`).
        title: Display name for people.
        description: What it says of itself.
        target: The objective, as a ratio below 1.
        slice_length: Length of a time slice; None for Occurrences.
        slice_target: The ratio from which a slice is good; None but for Timeslices.
        rows: What someone is told of, most urgent first.
        min_events: Events in a row's long window below which nobody is told; 0 for no such floor.
        no_data: What missing data counts as.
        missing_after: After how long without data someone is told; None for never.
        labels: Of the document, each to its values joined by commas.
        truth: The same events as the driver sees them; None where nothing is said.
        fault: What makes the service miss the objective: a JSON object for its fault switch; empty where there is none.
        notes: What the documents say that changes no rule and no verdict, such as the description of a policy: where it
            stands and the text, in the order read.
    """

    service: str
    slo: str
    target: Fraction
    indicator: Indicator
    period: Period
    budgeting: Budgeting
    place: Place
    title: str = ""
    description: str = ""
    slice_length: timedelta | None = None
    slice_target: Fraction | None = None
    rows: tuple[AlertRow, ...] = ()
    min_events: int = 0
    no_data: NoData = NoData.UNKNOWN
    missing_after: timedelta | None = None
    labels: tuple[tuple[str, str], ...] = ()
    truth: Truth | None = None
    fault: str = ""
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """Return what tells it from all others: Sloth's `<service>-<name>`."""
        return f"{self.service}-{self.slo}"

    @property
    def budget(self) -> Fraction:
        """Return the ratio that may be bad."""
        return 1 - self.target

    @property
    def source(self) -> Source:
        """Return who answers its indicator's queries; a document whose queries are spread is refused when read."""
        match self.indicator:
            case Ratio(total=metric) | RawRatio(raw=metric) | Threshold(metric=metric):
                return metric.source
