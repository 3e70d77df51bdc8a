"""Sentences about the service as a whole: its exposition, its restart, its rate, its in-flight gauge at work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pytest_bdd import parsers, then, when

from sloproof.checks import exposition
from sloproof.checks.evidence import Basis
from sloproof.checks.exposition import Declared, ExpositionEvidence
from sloproof.claims import service
from sloproof.duration import format_duration
from sloproof.finding import Query
from sloproof.polling import wait_until
from sloproof.shareable import shareable
from sloproof.steps.types import TYPES
from sloproof.trial import Trial

SERVICE = "service"


@then("the service exposes")
@shareable
def exposes(trial: Trial, datatable: Sequence[Sequence[str]]) -> None:
    """Judge the service's own answer, read directly. Columns: metric, type, labels, buckets."""
    declared = [
        Declared(
            name=name if kind != "counter" else f"{name}_total",
            kind=kind,
            labels=[label.strip() for label in labels.split(",") if label.strip()],
            buckets=[float(edge) for edge in buckets.split()],
        )
        for name, kind, labels, buckets in datatable[1:]
    ]
    answer = trial.harness.clients.service.send("GET", trial.harness.settings.service.metrics)
    evidence = ExpositionEvidence(
        text=answer.body.decode(), content_type=answer.headers.get("Content-Type", ""), declared=declared
    )
    query = Query("http", f"GET {trial.harness.settings.service.metrics}")
    trial.harness.judge(exposition.judge(evidence, Basis(at=answer.started, queries=(query,))))


@when(
    parsers.parse('{count:d} requests are sent to {method:method} "{path:text}" around a restart of the service', TYPES)
)
def around_restart(trial: Trial, count: int, method: str, path: str) -> None:
    """Send that many requests, wait for the evidence, restart the service, send them again, and observe all of it."""
    trial.mark_beginning()
    spec = trial.harness.request(path, method)
    trial.harness.burst(count, spec)
    trial.harness.restart_component(SERVICE)
    trial.harness.burst(count, spec)


@then("the request counter tells all of them, across exactly one reset")
def told_across_restart(trial: Trial) -> None:
    """Judge the counter over the restart: the reset is seen, and nothing is lost or counted twice."""
    whole, _ = service.counted_across_restart(trial.observation, 1, timedelta(minutes=1))
    trial.harness.judge(whole)


@then(parsers.parse('the service was unseen for at most "{bound:duration}"', TYPES))
def unseen_at_most(trial: Trial, bound: timedelta) -> None:
    """Judge the longest time between two good scrapes of the service."""
    _, gap = service.counted_across_restart(trial.observation, 1, bound)
    trial.harness.judge(gap)


@then(parsers.parse('the gauge of requests in flight reaches at least {count:d} within "{bound:duration}"', TYPES))
def gauge_reaches(trial: Trial, count: int, bound: timedelta) -> None:
    """Judge that Prometheus has a sample of the gauge at this value or more since the load began."""
    harness = trial.harness
    gauge = service.in_flight(harness.settings)
    selector = f'sum({gauge}{{job="{harness.settings.service.name}"}})'
    seen = wait_until(
        lambda: max(
            (series.samples[-1].value for series in harness.clients.prometheus.query(selector, None).series),
            default=0.0,
        ),
        lambda value: value >= count,
        what=f"{gauge} at {count} or more",
        timeout=bound,
        interval=timedelta(milliseconds=50),
        check_alive=harness.environment.check_alive,
    )
    trial.expect(
        f"{gauge} reaches {count} within {format_duration(bound)}",
        check="gauge_at_rest",
        expected=f"at least {count}",
        measured=f"{seen.value:g} after {seen.waited.total_seconds():.2f} s",
        holds=seen.value >= count,
        queries=(Query("prometheus", selector),),
    )


@then(parsers.parse("the rate that Prometheus sees over the load is within {percent:g} % of the real one", TYPES))
def rate_is_real(trial: Trial, percent: float) -> None:
    """Judge the sum of rates over all series against the ledger: a double scrape makes it twice the real one."""
    seen, load = trial.observation, trial.harness.last_load
    assert load is not None
    window = max(int(load.window.duration.total_seconds()) - 1, 1)
    names = seen.settings.metrics.requests
    expr = f'sum(rate({names.name}{{app="{seen.settings.service.name}"}}[{window}s]))'
    at = load.window.end
    found = seen.prometheus.query(expr, at).series
    real = load.achieved_rate
    rate = found[0].samples[-1].value if found else 0.0
    trial.expect(
        f"the sum of the rates is within {percent:g} % of the real rate",
        check="single_scrape",
        expected=f"{real:.1f} requests a second, as the ledger has it",
        measured=f"{rate:.1f}",
        at=at,
        holds=abs(rate / real - 1) * 100 <= percent,
        queries=(Query("prometheus", expr, seen.prometheus.query_url(expr, at)),),
    )


@when(parsers.parse('the service is told to end after "{delay:duration}" of that load', TYPES))
def told_to_end(trial: Trial, delay: timedelta) -> None:
    """Let the load run for a while, then stop the service as a rollout does, watching its readiness meanwhile."""
    trial.harness.linger(delay)
    trial.drain = trial.harness.drain_service()


@then("every request that it had accepted was answered")
def drained(trial: Trial) -> None:
    """Judge the ledger: no request was cut off; after the end, connections are refused and nothing else."""
    load = trial.harness.end_load()
    assert load is not None
    cut = {kind: count for kind, count in load.failures.items() if kind in {"reset", "protocol", "timeout"} and count}
    trial.expect(
        "no accepted request was cut off by the drain",
        check="probe_truth",
        expected="none reset or unanswered",
        measured=", ".join(f"{count} x {kind}" for kind, count in cut.items()) or "none",
        holds=not cut,
        queries=(Query("ledger", "failure of every request of the load"),),
    )


@then("readiness was red before the service was gone")
def red_before_gone(trial: Trial) -> None:
    """Judge readiness while the service drained: at least one red answer came before the first refusal."""
    drain = trial.drain
    said = [str(sample.status or sample.failure) for sample in drain]
    red = [sample for sample in drain if sample.status is not None and sample.status != 200]  # noqa: PLR2004 - HTTP
    trial.expect(
        "readiness was red before the service was gone",
        check="probe_truth",
        expected="a red answer, then none",
        measured=" ".join(said),
        holds=bool(red),
    )
