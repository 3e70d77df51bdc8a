"""Claims about dashboards: every panel's query answers with fresh data, and with the true number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sloproof.barrier import LOGS, METRICS
from sloproof.checks import dashboard_panels
from sloproof.checks.dashboard_panels import Independent, PanelAnswer, PanelEvidence
from sloproof.checks.evidence import Basis
from sloproof.checks.pipeline_alive import blocked_by
from sloproof.checks.selectors import selectors
from sloproof.claims.service import max_age
from sloproof.dashboards import Dashboard, ResolvedQuery, TimeRange, resolve
from sloproof.errors import FeatureError, QueryError
from sloproof.finding import Finding, Query
from sloproof.harness import Harness
from sloproof.model import Sample, Series, Window
from sloproof.observation import Observation

# The uids that provisioning gives the datasources, here and in the charts.
DATASOURCES: Mapping[str, str] = {"prometheus": "prometheus", "loki": "loki"}
_PIPELINES: Mapping[str, str] = {"prometheus": METRICS, "loki": LOGS}
_STEP = timedelta(seconds=2)


def time_range(harness: Harness) -> TimeRange:
    """Return what the built-in variables stand for when panels are asked here."""
    return TimeRange(span=timedelta(minutes=15), step=_STEP, scrape_interval=harness.scrape_interval)


def answer(
    harness: Harness,
    dashboard: Dashboard,
    seen: Observation,
    panel: str | None = None,
    may_be_empty: Sequence[str] = (),
) -> list[PanelAnswer]:
    """Return what each query of a dashboard, or of one panel of it, answers at the observation's instant.

    Raises:
        FeatureError: There is no panel of that title.
    """
    titles = [query.panel for query in dashboard.queries]
    if panel is not None and panel not in titles:
        raise FeatureError(
            f"expected dashboard {dashboard.title!r} to have a panel {panel!r}",
            known=", ".join(titles),
            hint="the title is compared to the letter",
        )
    answers = []
    for query in dashboard.queries:
        if panel is None or query.panel == panel:
            resolved = resolve(query, dashboard, time_range(harness))
            answers.append(_ask(harness, resolved, seen, may_be_empty=query.panel in may_be_empty))
    return answers


def _ask(harness: Harness, resolved: ResolvedQuery, seen: Observation, *, may_be_empty: bool) -> PanelAnswer:
    clients, at = harness.clients, seen.at
    kind = DATASOURCES.get(resolved.datasource, "")
    if resolved.unresolved or not kind:
        return PanelAnswer(resolved, may_be_empty=may_be_empty)
    try:
        if kind == "prometheus":
            series = clients.prometheus.query(resolved.expression, at).series
            return PanelAnswer(
                resolved,
                series=series,
                data_time=_data_time(harness, resolved.expression, at),
                may_be_empty=may_be_empty,
            )
        window = Window(seen.before.covers - timedelta(minutes=1), seen.after.covers + timedelta(seconds=1))
        if resolved.expression.lstrip().startswith("{"):
            streams = clients.loki.query_range(resolved.expression, window)
            newest = max((entry.time for stream in streams for entry in stream.entries), default=None)
            return PanelAnswer(resolved, streams=streams, data_time=newest, may_be_empty=may_be_empty)
        series = clients.loki.query(resolved.expression, at)
        return PanelAnswer(resolved, series=series, data_time=at if series else None, may_be_empty=may_be_empty)
    except QueryError as error:
        return PanelAnswer(resolved, error=str(error), may_be_empty=may_be_empty)


def _data_time(harness: Harness, expression: str, at: datetime) -> datetime | None:
    """Return when the youngest raw sample behind a query was taken: an instant query repeats an old one for 5 min."""
    times = []
    for selector in selectors(expression):
        matchers = ", ".join(f'{one.label}{one.operator}"{one.value}"' for one in selector.matchers)
        window = Window(at - timedelta(minutes=1), at)
        for series in harness.clients.prometheus.samples(f"{selector.metric}{{{matchers}}}", window).series:
            times += [sample.time for sample in series.samples[-1:]]
    return max(times, default=None)


def panels_tell(
    harness: Harness, dashboard: Dashboard, seen: Observation, answers: Sequence[PanelAnswer]
) -> tuple[Finding, ...]:
    """Judge each answer: something is there, fresh, from series that exist, and the independent number."""
    prometheus = harness.clients.prometheus
    window = Window(seen.at - timedelta(minutes=10), seen.at)
    evidence = PanelEvidence(
        at=seen.at,
        answers=answers,
        datasources=DATASOURCES,
        metrics=prometheus.metric_names(window),
        variable_values={
            variable.name: prometheus.label_values(variable.name, window, [seen.request_selector])
            for variable in dashboard.variables
            if variable.kind == "query"
        },
    )
    queries = tuple(Query(one.query.query.datasource_kind or "prometheus", one.query.expression) for one in answers)
    basis = Basis(at=seen.at, window=seen.window, queries=queries if len(queries) == 1 else ())
    found = dashboard_panels.judge(evidence, basis, max_age=max_age(harness.scrape_interval))
    if not answers:
        return found
    return tuple(
        blocked_by(finding, (_PIPELINES.get(DATASOURCES.get(one.query.datasource, ""), METRICS),), seen.dead)
        for finding, one in zip(found, answers, strict=True)
    )


def with_truth(answers: Sequence[PanelAnswer], truth: Independent) -> list[PanelAnswer]:
    """Return the answers with an independent number to compare each with."""
    return [replace(one, independent=(truth,)) for one in answers]


def ledger_rate(seen: Observation, window: timedelta, *, only_5xx: bool = False) -> float:
    """Return how many requests a second ended in the last stretch before the instant, by the ledger alone."""
    start = (seen.at - window).timestamp() * 1e9
    end = seen.at.timestamp() * 1e9
    count = sum(
        start < entry.start_ns + entry.duration_ns <= end
        and not entry.failure
        and (not only_5xx or entry.status >= 500)  # noqa: PLR2004 - HTTP
        for entry in seen.entries
    )
    return count / window.total_seconds()


def summed(answer: PanelAnswer) -> PanelAnswer:
    """Return the answer with its series added up into one, as a reader adds a stacked panel up."""
    samples = [series.samples[-1] for series in answer.series if series.samples]
    if not samples:
        return answer
    whole = Series({}, (Sample(samples[0].time, sum(sample.value for sample in samples)),))
    return replace(answer, series=(whole,))
