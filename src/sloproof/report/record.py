"""The record of a run: what report.json holds, and what every other document is made from.

Instants are RFC 3339 texts in UTC, durations are seconds, ratios are ratios. The published JSON schema is made from
these classes, so a change here is a change of a public format: raise `SCHEMA_VERSION`.
"""

from __future__ import annotations

import msgspec

SCHEMA_VERSION = 3


class QueryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A question as it was asked; see `sloproof.finding.Query`."""

    source: str
    text: str
    url: str = ""


class FindingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One judged claim; see `sloproof.finding.Finding`."""

    check: str
    verdict: str
    claim: str
    expected: str
    measured: str
    at: str | None = None
    sample_age_seconds: float | None = None
    queries: tuple[QueryRecord, ...] = ()
    hint: str = ""
    evidence: tuple[tuple[str, str], ...] = ()


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a scenario. `outcome` is passed, failed, skipped or not run."""

    keyword: str
    text: str
    line: int
    outcome: str
    duration_seconds: float
    findings: tuple[FindingRecord, ...] = ()
    error: str = ""


class ScenarioRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario, or one row of an outline.

    `verdict` is one of the five verdicts, or `skipped` with its reason in `reason`.
    """

    node_id: str
    feature: str
    feature_file: str
    line: int
    name: str
    tags: tuple[str, ...]
    verdict: str
    reason: str
    started: str
    duration_seconds: float
    steps: tuple[StepRecord, ...]
    components: tuple[tuple[str, str], ...] = ()  # name and health, at the moment of a failure
    last_lines: tuple[tuple[str, str], ...] = ()  # component and the end of its log, at the moment of a failure


class SecondRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One second of traffic: as the driver did it, and as Prometheus tells it (null where it has no sample).

    `counted` and `counted_failed` are requests of that second. The client's quantiles are latencies that occurred, from
    the send and from the intended start. A histogram's lie above `told_..._above_seconds` and up to
    `told_..._up_to_seconds`, two neighbouring bucket edges; the second is null above the highest finite edge.
    """

    at: str
    sent: int
    failed: int
    p50_seconds: float | None
    p99_seconds: float | None
    intended_p50_seconds: float | None = None
    intended_p99_seconds: float | None = None
    counted: float | None = None
    counted_failed: float | None = None
    told_p50_above_seconds: float | None = None
    told_p50_up_to_seconds: float | None = None
    told_p99_above_seconds: float | None = None
    told_p99_up_to_seconds: float | None = None


class QuantileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A latency quantile of the requests to one endpoint, by the client's clock and by the service's histogram.

    Attributes:
        quantile: Between 0 and 1.
        intended_seconds: From the instant the schedule wanted a request sent; a latency that occurred.
        sent_seconds: From the send; the same.
        waited_seconds: The same quantile of the waits from the intended instant to the send.
        told_above_seconds: Lower edge of the bucket that holds the histogram's quantile; null where it has none.
        told_up_to_seconds: Upper edge of it; null above the highest finite one.
    """

    quantile: float
    intended_seconds: float
    sent_seconds: float
    waited_seconds: float
    told_above_seconds: float | None = None
    told_up_to_seconds: float | None = None


class EndpointRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Latency of one endpoint while a load ran, as its clients felt it and as the service tells.

    `timed` is how many requests the client timed, whoever sent them; `told` how many the histogram did in the same
    stretch, null where it was not asked or began anew.
    """

    endpoint: str
    timed: int
    told: float | None
    quantiles: tuple[QuantileRecord, ...]


class LoadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One load of the run. `failures` is by kind: `timeout`, `refused`, `http_5xx` and so on.

    `endpoints` is over the stretch between the two anchors around the load.
    """

    name: str
    scenario: str
    started: str
    duration_seconds: float
    requests: int
    failures: dict[str, int]
    asked_rate: float | None
    achieved_rate: float
    unsent: int
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    endpoints: tuple[EndpointRecord, ...] = ()


class LogLagRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How late log lines were in Loki, measured by the barrier's sentinels."""

    at: str
    lag_seconds: float


class ComponentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One program of the environment: where it came from and how long it took to be ready."""

    name: str
    version: str
    origin: str
    ready_seconds: float | None
    address: str


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the run ran on."""

    backend: str
    capabilities: tuple[str, ...]
    components: tuple[ComponentRecord, ...]
    python: str
    system: str
    sloproof: str


class IntervalRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A confidence interval of a ratio, ends included. `method` is wilson or clopper-pearson."""

    low: float
    high: float
    confidence: float
    method: str


class BurnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the budget burns in the two windows of one row; null where a window has no event or is not covered.

    The row's condition is that both are above `factor`; `is_burning` says whether it holds, by unrounded numbers.
    """

    row: str
    severity: str
    long_seconds: float
    short_seconds: float
    factor: float
    long: float | None
    short: float | None
    is_burning: bool


class MomentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A slice of an SLO's period: its begin, its events, the part of the budget left at its end (1 is all of it)."""

    start: str
    bad: float | None
    valid: float | None
    budget_left: float | None


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One alert through its life; null is what has not come.

    `bound` is the latest instant at which it may be told, `clear_bound` the latest at which its end may be.
    """

    row: str
    severity: str
    pending: str | None = None
    firing: str | None = None
    delivered: str | None = None
    cleared: str | None = None
    bound: str | None = None
    clear_bound: str | None = None


class WorstRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch in which much of the budget was spent, a minute where minutes are known, and where to look into it."""

    start: str
    seconds: float
    bad: float
    valid: float
    spent: float  # the part of the period's budget that went in it
    logs: QueryRecord | None = None
    queries: tuple[QueryRecord, ...] = ()


class SloRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One objective of an SLO, judged at one instant; see `sloproof.slo.verdicts.Judgement`.

    Ratios and parts of the budget are numbers near the exact ones that were compared. `place` is file:line of the
    document. `known_seconds` is how much of the period up to `at` there is data for. `scenario` is the node id of the
    scenario that judged it over its own load instead of the document's period; empty for none. In a `drill` a fault was
    planted to see the alerts: `verdict` is that of the alerts, and the budget was spent on purpose.
    """

    id: str
    service: str
    name: str
    title: str
    description: str
    target: float
    verdict: str
    reason: str
    at: str
    period_begin: str
    period_end: str
    events: float
    bad: float
    sli: float | None
    consumed: float | None
    remaining: float | None
    coverage: float
    known_seconds: float
    interval: IntervalRecord | None
    enough: int
    exact: bool
    budgeting: str
    source: str
    place: str
    burn_rates: tuple[BurnRecord, ...] = ()
    moments: tuple[MomentRecord, ...] = ()
    alerts: tuple[AlertRecord, ...] = ()
    queries: tuple[QueryRecord, ...] = ()
    worst: tuple[WorstRecord, ...] = ()
    scenario: str = ""
    drill: bool = False


class PastVerdictRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How a claim stood in one run: `remaining` is the part of an SLO's budget that was left, null for a scenario."""

    run_id: str
    verdict: str
    remaining: float | None = None


class PastClaimRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario or an SLO over the runs that are shown, oldest first; those in which it was not judged are left out.

    Attributes:
        kind: `scenario` or `slo`.
        failing_since: When the first run began of the unbroken row of runs, up to its newest, in which it was no pass;
            null where the newest is a pass. Of all runs that were ever stored, as is `first_failed`.
        first_failed: When the first run began in which it was no pass; null where there is none.
        changes: How often it went from pass to anything else, or back, from one of the runs shown to the next.
    """

    key: str
    kind: str
    name: str
    verdicts: tuple[PastVerdictRecord, ...]
    failing_since: str | None = None
    first_failed: str | None = None
    changes: int = 0


class PastRunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was before, or this one."""

    run_id: str
    started: str
    verdict: str
    duration_seconds: float


class HistoryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, oldest first, this one last. `problem` says why there is no history, where there should be one."""

    runs: tuple[PastRunRecord, ...] = ()
    claims: tuple[PastClaimRecord, ...] = ()
    problem: str = ""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run. `timings` says where the time went: name of the part to seconds, in order.

    A judgement of SLOs alone is a run without scenarios.
    """

    verdict: str
    run_id: str
    started: str
    duration_seconds: float
    service: str
    scenarios: tuple[ScenarioRecord, ...]
    loads: tuple[LoadRecord, ...] = ()
    traffic: tuple[SecondRecord, ...] = ()
    log_lags: tuple[LogLagRecord, ...] = ()
    environment: EnvironmentRecord | None = None
    timings: dict[str, float] = {}
    problems: tuple[str, ...] = ()  # what went wrong outside any scenario
    evidence_files: tuple[str, ...] = ()  # raw evidence, paths relative to the report's folder
    slos: tuple[SloRecord, ...] = ()
    history: HistoryRecord | None = None  # null where none is kept
    schema_version: int = SCHEMA_VERSION
