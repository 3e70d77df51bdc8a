"""Turns what a session holds at its end into the record that the report is made from."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from sloproof.errors import SloproofError
from sloproof.load.ledger import Ledger
from sloproof.model import Window
from sloproof.plugin.run_latency import Edges, LatencyViews, edges_by_second
from sloproof.plugin.session import RunSession
from sloproof.report.record import (
    ComponentRecord,
    EnvironmentRecord,
    LoadRecord,
    LogLagRecord,
    RunRecord,
    ScenarioRecord,
    SecondRecord,
    SloRecord,
)
from sloproof.report.run_verdict import run_verdict
from sloproof.slo_records import server_links, slo_record


def run_record(session: RunSession, scenarios: Sequence[ScenarioRecord], problems: Sequence[str]) -> RunRecord:
    """Return the record of a run. The environment must still be up, so that Prometheus can be asked for the traffic."""
    now = datetime.now(UTC)
    slos = _slos(session)
    return RunRecord(
        verdict=run_verdict(scenarios, slos, problems),
        run_id=session.run_id,
        started=session.started.isoformat(),
        duration_seconds=(now - session.started).total_seconds(),
        service=session.settings.service.name,
        scenarios=tuple(scenarios),
        loads=_loads(session),
        traffic=_traffic(session, now),
        log_lags=tuple(
            LogLagRecord(at=anchor.covers.isoformat(), lag_seconds=anchor.log_lag.total_seconds())
            for anchor in session.anchors
            if anchor.log_lag is not None
        ),
        environment=_environment(session),
        timings={name: spent.total_seconds() for name, spent in session.timings.items()},
        problems=tuple(problems),
        evidence_files=tuple(f"evidence/{path.name}/" for path in sorted(session.evidence.glob("*")) if path.is_dir()),
        slos=slos,
    )


def _slos(session: RunSession) -> tuple[SloRecord, ...]:
    """Return what scenarios judged of objectives, in the order they did."""
    if session.harness is None:
        return ()
    clients = session.harness.clients
    links = server_links(clients.prometheus, clients.loki, log_lines=f'{{app="{session.settings.service.name}"}}')
    return tuple(
        slo_record(found, links=links, root=session.root, scenario=scenario) for scenario, found in session.judgements
    )


def _loads(session: RunSession) -> tuple[LoadRecord, ...]:
    records = []
    views = _views(session)
    for scenario, load in session.loads:
        quantiles = [load.ledger.quantile(q) for q in (0.5, 0.95, 0.99)]
        p50, p95, p99 = (None if one is None else one.total_seconds() for one in quantiles)
        records.append(
            LoadRecord(
                name=load.name,
                scenario=scenario,
                started=load.window.start.isoformat(),
                duration_seconds=load.window.duration.total_seconds(),
                requests=load.requests,
                failures=dict(load.failures),
                asked_rate=load.asked_rate,
                achieved_rate=load.achieved_rate,
                unsent=load.unsent,
                p50_seconds=p50,
                p95_seconds=p95,
                p99_seconds=p99,
                endpoints=() if views is None else views.of(load.window),
            )
        )
    return tuple(records)


def _views(session: RunSession) -> LatencyViews | None:
    if session.harness is None:
        return None
    names, job = session.settings.metrics.latency, f'job="{session.settings.service.name}"'
    harness = session.harness
    return LatencyViews(harness.clients.prometheus, names, job, harness.ledger, session.anchors)


def _traffic(session: RunSession, now: datetime) -> tuple[SecondRecord, ...]:
    """Return the run second by second: as the ledger has it, and as Prometheus counted it."""
    if session.harness is None:
        return ()
    seconds = Ledger.open(session.evidence / "ledger").per_second(Window(session.started, now))
    # Whole seconds, as the ledger's are.
    window = Window(session.started.replace(microsecond=0), now)
    counted, failed = _counted(session, window)
    p50, p99 = _told_edges(session, window)
    records = []
    for one in seconds:
        second = int(one.at.timestamp())
        p50_above, p50_up_to = p50.get(second, (None, None))
        p99_above, p99_up_to = p99.get(second, (None, None))
        records.append(
            SecondRecord(
                at=one.at.isoformat(),
                sent=one.sent,
                failed=one.failed,
                p50_seconds=_seconds(one.p50),
                p99_seconds=_seconds(one.p99),
                intended_p50_seconds=_seconds(one.intended_p50),
                intended_p99_seconds=_seconds(one.intended_p99),
                counted=counted.get(second),
                counted_failed=failed.get(second),
                told_p50_above_seconds=p50_above,
                told_p50_up_to_seconds=p50_up_to,
                told_p99_above_seconds=p99_above,
                told_p99_up_to_seconds=p99_up_to,
            )
        )
    return tuple(records)


def _counted(session: RunSession, window: Window) -> tuple[dict[int, float], dict[int, float]]:
    """Return by how much the request counter rose in each second, in all and for 5xx, by Unix second."""
    assert session.harness is not None
    names = session.settings.metrics.requests
    job = f'job="{session.settings.service.name}"'
    answers: list[dict[int, float]] = []
    for matchers in (job, f'{job}, {names.status}=~"5.."'):
        # A difference of two instant values a second apart: `increase` would extrapolate.
        selector = f"{names.name}{{{matchers}}}"
        expression = f"sum({selector}) - sum({selector} offset 1s)"
        try:
            found = session.harness.clients.prometheus.query_range(expression, window, timedelta(seconds=1)).series
        except SloproofError:
            found = ()
        # The value at the end of a second tells of that second.
        answers.append(
            {int(sample.time.timestamp()) - 1: max(sample.value, 0.0) for series in found for sample in series.samples}
        )
    return answers[0], answers[1]


def _told_edges(session: RunSession, window: Window) -> Sequence[Mapping[int, Edges]]:
    """Return between which bucket edges the histogram puts median and 99th percentile in each second."""
    names = session.settings.metrics.latency
    if names is None or session.harness is None:
        return {}, {}
    job = f'job="{session.settings.service.name}"'
    return edges_by_second(session.harness.clients.prometheus, names, job, window, (0.5, 0.99))


def _environment(session: RunSession) -> EnvironmentRecord | None:
    environment = session.environment
    if environment is None:
        return None
    tools = session.tools
    try:
        names = tuple(status.name for status in environment.status())
    except SloproofError:  # it is dead, which is what the run reports; where it was is known all the same
        names = tuple(environment.addresses)
    return EnvironmentRecord(
        backend=environment.name,
        capabilities=tuple(sorted(environment.capabilities)),
        components=tuple(
            ComponentRecord(
                name=name,
                version=tools[name].version if name in tools else "",
                origin=tools[name].origin if name in tools else "project",
                ready_seconds=_seconds(environment.timings.get(name)),
                address=environment.addresses.get(name, ""),
            )
            for name in names
        ),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        sloproof=version("sloproof"),
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
