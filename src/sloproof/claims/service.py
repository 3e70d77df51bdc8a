"""Claims about the service itself: its targets, its gauge, its label values, its counters across a restart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from sloproof.barrier import METRICS, Anchor
from sloproof.checks import bounded_cardinality, gauge_at_rest, restart_continuity, single_scrape
from sloproof.checks.evidence import Basis, Bounds
from sloproof.checks.pipeline_alive import blocked_by
from sloproof.clients.prometheus import PrometheusClient
from sloproof.errors import SettingsError
from sloproof.finding import Finding, Query
from sloproof.model import Labels, Series, Window
from sloproof.observation import Observation
from sloproof.settings import Settings

# How old a sample may be before it says nothing: four scrapes, and never less than two seconds.
_MIN_AGE = timedelta(seconds=2)


def max_age(interval: timedelta) -> timedelta:
    """Return how old a sample of a target scraped at this interval may be before it proves nothing."""
    return max(4 * interval, _MIN_AGE)


def scraped_once(
    prometheus: PrometheusClient, settings: Settings, anchor: Anchor, instances: Collection[str], interval: timedelta
) -> Finding:
    """Judge whether each running instance has exactly one fresh `up` series, over all jobs."""
    selector = f'up{{app="{settings.service.name}"}}'
    window = Window(anchor.at - max_age(interval), anchor.at)
    evidence = single_scrape.ScrapeEvidence(
        metric="up", series=prometheus.samples(selector, window).series, instances=instances, at=anchor.at
    )
    basis = Basis(at=anchor.at, queries=(Query("prometheus", selector, prometheus.query_url(selector, anchor.at)),))
    return blocked_by(single_scrape.judge(evidence, basis, max_age=max_age(interval)), (METRICS,), anchor.dead)


def at_rest(seen: Observation, interval: timedelta) -> Finding:
    """Judge whether the in-flight gauge is at 0 in a sample taken after the last answer."""
    gauge = in_flight(seen.settings)
    selector = f"{gauge}{{{seen.job_selector}}}"
    evidence = gauge_at_rest.RestEvidence(
        gauge=gauge,
        series=seen.samples(selector),
        at=seen.at,
        rest_since=seen.after.covers,
        events=len(seen.entries),
    )
    basis = Basis(
        at=seen.at,
        window=seen.window,
        queries=(Query("prometheus", selector, seen.prometheus.query_url(selector, seen.at)),),
    )
    return blocked_by(gauge_at_rest.judge(evidence, basis, max_age=max_age(interval)), (METRICS,), seen.dead)


def in_flight(settings: Settings) -> str:
    """Return the name of the in-flight gauge.

    Raises:
        SettingsError: The service is said to have none.
    """
    if settings.metrics.in_flight is None:
        raise SettingsError("expected an in-flight gauge, but tool.sloproof.metrics.in_flight is not set")
    return settings.metrics.in_flight


def own_series(seen: Observation, anchor: Anchor) -> Sequence[Labels]:
    """Return the label sets of every series of the service at an anchor.

    What rules make of them is left out, though it bears the service's labels: alerts, and records (by their colons).
    """
    found = seen.prometheus.query(f'{{{seen.job_selector}, __name__!~"up|ALERTS|ALERTS_FOR_STATE|.*:.*"}}', anchor.at)
    return [series.labels for series in found.series]


def label_values_bounded(seen: Observation, allowed: Mapping[str, Collection[str]]) -> Finding:
    """Judge whether no metric of the service got a label value that it did not have before."""
    evidence = bounded_cardinality.CardinalityEvidence(
        before=own_series(seen, seen.before), after=own_series(seen, seen.after), sent=len(seen.sent_entries)
    )
    selector = f"{{{seen.job_selector}}}"
    basis = Basis(
        at=seen.at,
        window=seen.window,
        queries=(Query("prometheus", selector, seen.prometheus.query_url(selector, seen.at)),),
    )
    return blocked_by(bounded_cardinality.judge(evidence, basis, allowed=allowed), (METRICS,), seen.dead)


def counted_across_restart(seen: Observation, restarts: int, max_gap: timedelta) -> tuple[Finding, ...]:
    """Judge whether the request counter tells every request across restarts, and how long the service was unseen."""
    up: tuple[Series, ...] = tuple(
        Series(series.labels, tuple(sample for sample in series.samples if sample.time >= seen.before.at))
        for series in seen.samples(f"up{{{seen.job_selector}}}")
    )
    tally = seen.tally
    certain = sum(tally.certain.values())
    evidence = restart_continuity.RestartEvidence(
        deltas=seen.increase(seen.request_selector),
        truth=Bounds(certain, certain + sum(tally.unknown.values())),
        restarts=restarts,
        up=up,
        window=seen.window,
    )
    basis = Basis(at=seen.at, window=seen.window, queries=(seen.query_of(seen.request_selector),))
    found = restart_continuity.judge(evidence, basis, max_gap=max_gap)
    return tuple(blocked_by(finding, (METRICS,), seen.dead) for finding in found)
