"""The record of a run: what report.json holds, and what every other document is made from.

Instants are RFC 3339 texts in UTC, durations are seconds, ratios are ratios. The published JSON schema is made from
these classes, so a change here is a change of a public format: raise `SCHEMA_VERSION`.
"""

from __future__ import annotations

import msgspec

SCHEMA_VERSION = 1


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
    """One second of traffic: as the driver did it, and as Prometheus tells it (None where it has no sample).

    `counted` and `counted_failed` are requests of that second; `told_p50_seconds` and `told_p99_seconds` are what a
    histogram's buckets make of its latencies.
    """

    at: str
    sent: int
    failed: int
    p50_seconds: float | None
    p99_seconds: float | None
    counted: float | None = None
    counted_failed: float | None = None
    told_p50_seconds: float | None = None
    told_p99_seconds: float | None = None


class LoadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One load of the run. `failures` is by kind: `timeout`, `refused`, `http_5xx` and so on."""

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


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run. `timings` says where the time went: name of the part to seconds, in order."""

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
    schema_version: int = SCHEMA_VERSION
