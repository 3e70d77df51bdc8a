"""Claims about requests: that they are counted, logged and visible exactly as they were sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from sloproof.barrier import LOGS, METRICS
from sloproof.checks import error_visibility, id_join, log_delivery, quantile_bracket, three_way_count
from sloproof.checks.evidence import NOTHING, Basis, Bounds, RequestKey, total
from sloproof.checks.pipeline_alive import blocked_by
from sloproof.errors import SettingsError
from sloproof.finding import Finding, Query
from sloproof.observation import Observation


def basis(seen: Observation, *, metrics: bool = False, logs: bool = False) -> Basis:
    """Return what a judgement of this observation rests on."""
    queries: tuple[Query, ...] = ()
    if metrics:
        queries += (seen.query_of(seen.request_selector),)
    if logs:
        queries += (seen.log_query,)
    return Basis(at=seen.at, window=seen.window, queries=queries)


def counts_agree(seen: Observation, *, by_status_only: bool = False) -> Finding:
    """Judge whether ledger, request counter and logs hold the same numbers.

    Args:
        seen: The observation.
        by_status_only: Compare per status, over all endpoints and methods: for traffic of which the driver cannot know
            how the service routes it.
    """
    tally = seen.tally
    counted = (seen.request_counts or None) if METRICS not in seen.dead else None
    logged = seen.logged_counts if LOGS not in seen.dead else None
    sent, unknown = seen.sent_counts, tally.unknown
    if by_status_only:
        sent, unknown = _by_status(sent), {_ANY: sum(unknown.values())}
        logged = None if logged is None else _by_status(logged)
        if counted is not None:
            merged: dict[RequestKey, Bounds] = {}
            for key, bounds in counted.items():
                merged[_status_key(key)] = merged.get(_status_key(key), NOTHING).plus(bounds)
            counted = merged
    evidence = three_way_count.CountEvidence(
        sent=sent,
        unknown=unknown,
        counted=counted,
        logged=logged,
        never_arrived=tally.refused + tally.unsent,
    )
    found = three_way_count.judge(evidence, basis(seen, metrics=True, logs=True))
    return blocked_by(found, (METRICS, LOGS), seen.dead)


_WIRE_SECONDS = 0.02
_ANY = ("any", "any")


def _status_key(key: RequestKey) -> RequestKey:
    return RequestKey(*_ANY, key.status)


def _by_status(counts: Mapping[RequestKey, int]) -> Mapping[RequestKey, int]:
    merged: Counter[RequestKey] = Counter()
    for key, count in counts.items():
        merged[_status_key(key)] += count
    return merged


def lines_delivered(seen: Observation, max_lag: timedelta) -> tuple[Finding, ...]:
    """Judge whether every request's line arrived exactly once, in order and in time."""
    evidence = log_delivery.DeliveryEvidence(sent=seen.entries, streams=seen.request_lines_by_stream)
    found = log_delivery.judge(evidence, basis(seen, logs=True), max_lag=max_lag)
    return tuple(blocked_by(finding, (LOGS,), seen.dead) for finding in found)


def ids_join(seen: Observation) -> Finding:
    """Judge whether each answered request's id is found once in the logs, with the same facts."""
    answered = [entry for entry in seen.entries if not entry.failure]
    evidence = id_join.JoinEvidence(sampled=answered, lines=seen.request_lines)
    return blocked_by(id_join.judge(evidence, basis(seen, logs=True)), (LOGS,), seen.dead)


def errors_visible(seen: Observation, *, unhandled_paths: Collection[str] = ()) -> Finding:
    """Judge whether every error is in the request counter, in the error counter and in the log.

    Args:
        seen: The observation.
        unhandled_paths: Paths whose requests end in an unhandled exception, so that a traceback is owed.

    Raises:
        SettingsError: The service is said to have no error counter.
    """
    names = seen.settings.metrics.errors
    if names is None:
        raise SettingsError("expected an error counter, but tool.sloproof.metrics.errors is not set")
    errors: dict[str, Bounds] = {}
    selector = f"{names.name}{{{seen.job_selector}}}"
    for delta in seen.increase(selector):
        endpoint = delta.labels.get(names.endpoint, "")
        errors[endpoint] = total((errors.get(endpoint, NOTHING), Bounds(delta.low, delta.high)))
    statuses = {entry.status for entry in seen.entries if 400 <= entry.status < 500}  # noqa: PLR2004 - HTTP
    evidence = error_visibility.ErrorEvidence(
        requests=seen.entries,
        counted=(seen.request_counts or None) if METRICS not in seen.dead else None,
        errors_counted=errors or None,
        lines=seen.lines if LOGS not in seen.dead else None,
        unhandled={entry.request_id for entry in seen.entries if entry.path in unhandled_paths},
    )
    found = error_visibility.judge(
        evidence,
        basis(seen, metrics=True, logs=True),
        client_statuses=statuses,
        error_levels=seen.settings.logs.error_levels,
    )
    return blocked_by(found, (METRICS, LOGS), seen.dead)


def quantile_agrees(seen: Observation, quantile: float, endpoint: str) -> Finding:
    """Judge whether the histogram and the client put a quantile of an endpoint between the same bucket edges."""
    names = seen.settings.metrics.latency
    if names is None:
        raise SettingsError("expected a latency histogram, but tool.sloproof.metrics.latency is not set")
    selector = f'{names.name}_bucket{{{seen.job_selector}, {names.endpoint}="{endpoint}"}}'
    buckets: dict[float, Bounds] = {}
    for delta in seen.increase(selector):
        edge = float(delta.labels["le"])
        buckets[edge] = total((buckets.get(edge, NOTHING), Bounds(delta.low, delta.high)))
    durations = durations_of(seen, endpoint)
    evidence = quantile_bracket.QuantileEvidence(
        buckets=buckets,
        durations=durations,
        unknown=sum(count for (of, _), count in seen.tally.unknown.items() if of == endpoint),
    )
    found = quantile_bracket.judge(
        evidence,
        Basis(at=seen.at, window=seen.window, queries=(seen.query_of(selector),)),
        quantile=quantile,
        # What the client waits for and the service does not time: connection, queue and the wire. A driver that cannot
        # even send on time cannot time answers better than that either.
        tolerance_seconds=_WIRE_SECONDS + _lateness_seconds(seen, endpoint),
    )
    return blocked_by(found, (METRICS,), seen.dead)


def _lateness_seconds(seen: Observation, endpoint: str) -> float:
    """Return by how much the driver was late with 19 of 20 requests: how far its own clock can be trusted."""
    late = sorted(entry.start_ns - entry.intended_ns for entry in seen.entries if entry.endpoint == endpoint)
    return late[int(len(late) * 0.95)] / 1e9 if late else 0.0


def durations_of(seen: Observation, endpoint: str) -> Sequence[float]:
    """Return the client's seconds of each answered request to an endpoint."""
    return [entry.duration_ns / 1e9 for entry in seen.entries if entry.endpoint == endpoint and not entry.failure]
