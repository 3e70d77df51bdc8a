"""Puts judged SLOs into the form that reports are made from, with the worst minutes and where to look into them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient
from sloproof.errors import SettingsError
from sloproof.finding import Query
from sloproof.model import Window
from sloproof.report.record import (
    AlertRecord,
    BurnRecord,
    IntervalRecord,
    MomentRecord,
    QueryRecord,
    SloRecord,
    WorstRecord,
)
from sloproof.slo.judging.budget import Counted
from sloproof.slo.judging.steps import Plan, Run
from sloproof.slo.model import Budgeting, Objective, Place, Ratio, Source
from sloproof.slo.rules.expressions import bad_and_valid
from sloproof.slo.verdicts import AlertEvent, BurnRate, Count, Interval, Judgement

MOST_WORST = 5
"""How many of the worst stretches a report shows."""

_MINUTE = timedelta(minutes=1)
_LOG_QUERY = re.compile(r"(\{.*)\[\s*\{\{\s*\.window\s*\}\}", re.DOTALL)
_MOST_SEARCHED = 3  # long stretches that are looked into by the minute: each costs the queries of a small judgement

# Counts an objective's events at the steps of a plan, as
# `sloproof.slo.judging.promql_counting.count_in_prometheus` does.
Counter = Callable[[Plan], Counted]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a period: its events, and the part of the period's budget that went in it."""

    window: Window
    bad: Fraction
    valid: Fraction
    spent: Fraction


@dataclass(frozen=True, slots=True)
class Links:
    """How a stretch of time is looked into. What is None is not offered.

    Attributes:
        logs: Gives the question for the log lines of an objective's bad events in a window, with its address.
        queries: Gives what shows its bad events by label, or the like.
    """

    logs: Callable[[Objective, Window], Query | None] | None = None
    queries: Callable[[Objective, Window], Sequence[Query]] | None = None


def server_links(prometheus: PrometheusClient | None, loki: LokiClient | None, *, log_lines: str = "") -> Links:
    """Return how stretches are looked into at running servers: nothing is asked here, only addresses are made.

    Args:
        prometheus: Asked for the bad events of objectives that it answers.
        loki: Asked for log lines.
        log_lines: A LogQL query for lines that tell of errors, such as `{app="shop"} |= "ERROR"`. Objectives judged
            from logs have their own. Empty where there is none.
    """

    def logs(objective: Objective, window: Window) -> Query | None:
        text = _own_lines(objective) or log_lines
        if loki is None or not text:
            return None
        return Query("loki", text, loki.query_range_url(text, window))

    def queries(objective: Objective, window: Window) -> Sequence[Query]:
        if prometheus is None or objective.source is not Source.PROMETHEUS:
            return ()
        try:
            text = bad_and_valid(objective, window.duration).bad
        except SettingsError:  # it was judged without it
            return ()
        return (Query("prometheus", text, prometheus.query_url(text, window.end)),)

    return Links(logs, queries)


def _own_lines(objective: Objective) -> str:
    """Return the log query within an objective's query for bad events; empty where it has none."""
    if objective.source is not Source.LOKI or not isinstance(objective.indicator, Ratio):
        return ""
    query = (objective.indicator.bad or objective.indicator.total).query
    found = _LOG_QUERY.search(query)
    return "" if found is None else found[1].strip()


def slo_record(
    judgement: Judgement,
    *,
    worst: Sequence[Stretch] | None = None,
    links: Links | None = None,
    root: Path | None = None,
    scenario: str = "",
) -> SloRecord:
    """Return a judgement as reports have it.

    Args:
        judgement: Of any verdict.
        worst: The worst stretches of its period, such as `worst_minutes` finds; None for those of its moments.
        links: How they are looked into.
        root: The project's; the document's place is shown from there.
        scenario: Node id of the scenario that judged it; empty for none.
    """
    objective, count = judgement.objective, judgement.count
    worst = worst_moments(judgement) if worst is None else worst
    return SloRecord(
        id=objective.id,
        service=objective.service,
        name=objective.slo,
        title=objective.title,
        description=objective.description,
        target=float(objective.target),
        verdict=judgement.verdict.value,
        reason=judgement.reason,
        at=_text(judgement.at),
        period_begin=_text(count.window.start),
        period_end=_text(count.window.end),
        events=float(count.valid),
        bad=float(count.bad),
        sli=_float(judgement.sli),
        consumed=_float(judgement.consumed),
        remaining=_float(judgement.remaining),
        coverage=float(count.coverage),
        known_seconds=count.covered / timedelta(seconds=1),
        interval=_interval(judgement.interval),
        enough=judgement.enough,
        exact=judgement.exact,
        budgeting=objective.budgeting.value,
        source=objective.source.value,
        place=_place(objective.place, root),
        burn_rates=tuple(map(_burn, judgement.burn_rates)),
        moments=tuple(
            MomentRecord(
                start=_text(one.start),
                bad=_float(one.bad),
                valid=_float(one.valid),
                budget_left=_float(one.budget_left),
            )
            for one in judgement.moments
        ),
        alerts=tuple(map(_alert, judgement.alerts)),
        queries=tuple(map(_query, judgement.queries)),
        worst=tuple(_worst(objective, one, links or Links()) for one in worst),
        scenario=scenario,
        drill=judgement.drill,
    )


def worst_moments(judgement: Judgement, most: int = MOST_WORST) -> tuple[Stretch, ...]:
    """Return the moments in which most bad events were, the worst first; of equals the earlier."""
    return _ranked(_stretches(judgement), most)


def worst_minutes(judgement: Judgement, count: Counter, most: int = MOST_WORST) -> tuple[Stretch, ...]:
    """Return the worst minutes of a period, the worst first; of equals the earlier.

    Where the moments of a judgement are longer than a minute, the worst few of them are counted again by the minute, so
    that these are minutes of the worst hours, say. Slices are not cut up: what a slice counts as is a matter of the
    whole slice.

    Args:
        judgement: Of the objective that `count` counts.
        count: Counts at steps.
        most: How many at most.

    Raises:
        UnavailableError: A server does not answer.
        QueryError: It refuses a question.
    """
    if judgement.objective.budgeting is not Budgeting.OCCURRENCES:
        return worst_moments(judgement, most)
    found: list[Stretch] = []
    for one in worst_moments(judgement, _MOST_SEARCHED):
        if one.window.duration <= _MINUTE:
            return worst_moments(judgement, most)
        found += _by_the_minute(judgement, one, count)
    return _ranked(found, most)


def _by_the_minute(judgement: Judgement, stretch: Stretch, count: Counter) -> Iterator[Stretch]:
    steps = -(-stretch.window.duration // _MINUTE)
    end = stretch.window.end
    run = Run(end - steps * _MINUTE, _MINUTE, steps)
    for one in count(Plan(run.window, run.window, _MINUTE, (run,))).steps:
        if one.window.start >= stretch.window.start:
            yield _stretch(judgement, one)


def _stretches(judgement: Judgement) -> Iterator[Stretch]:
    starts = [*(one.start for one in judgement.moments), judgement.count.window.end]
    for one, (start, end) in zip(judgement.moments, pairwise(starts), strict=True):
        if one.bad is not None and one.valid is not None:
            yield _stretch(judgement, Count(Window(start, end), one.bad, one.valid, timedelta(0)))


def _stretch(judgement: Judgement, count: Count) -> Stretch:
    """Return a stretch with the part of the budget that went in it: bad events all cost the same."""
    total, consumed = judgement.count.bad, judgement.consumed
    spent = Fraction(0) if not total or consumed is None else count.bad / total * consumed
    return Stretch(count.window, count.bad, count.valid, spent)


def _ranked(stretches: Iterator[Stretch] | Sequence[Stretch], most: int) -> tuple[Stretch, ...]:
    bad = [one for one in stretches if one.bad > 0]
    return tuple(sorted(bad, key=lambda one: (-one.bad, one.window.start))[:most])


def _worst(objective: Objective, one: Stretch, links: Links) -> WorstRecord:
    logs = links.logs(objective, one.window) if links.logs else None
    queries = links.queries(objective, one.window) if links.queries else ()
    return WorstRecord(
        start=_text(one.window.start),
        seconds=one.window.duration / timedelta(seconds=1),
        bad=float(one.bad),
        valid=float(one.valid),
        spent=float(one.spent),
        logs=None if logs is None else _query(logs),
        queries=tuple(map(_query, queries)),
    )


def _burn(rate: BurnRate) -> BurnRecord:
    return BurnRecord(
        row=rate.row.name,
        severity=rate.row.severity.value,
        long_seconds=rate.row.long / timedelta(seconds=1),
        short_seconds=rate.row.short / timedelta(seconds=1),
        factor=float(rate.row.factor),
        long=_float(rate.long),
        short=_float(rate.short),
        is_burning=rate.is_burning,
    )


def _alert(event: AlertEvent) -> AlertRecord:
    return AlertRecord(
        row=event.row,
        severity=event.severity,
        pending=_maybe_text(event.pending),
        firing=_maybe_text(event.firing),
        delivered=_maybe_text(event.delivered),
        cleared=_maybe_text(event.cleared),
        bound=_maybe_text(event.bound),
        clear_bound=_maybe_text(event.clear_bound),
    )


def _interval(interval: Interval | None) -> IntervalRecord | None:
    if interval is None:
        return None
    return IntervalRecord(low=interval.low, high=interval.high, confidence=interval.confidence, method=interval.method)


def _query(query: Query) -> QueryRecord:
    return QueryRecord(source=query.source, text=query.text, url=query.url)


def _place(place: Place, root: Path | None) -> str:
    if root is not None and place.file.is_absolute() and place.file.is_relative_to(root):
        place = replace(place, file=place.file.relative_to(root))
    return str(place)


def _float(number: Fraction | None) -> float | None:
    return None if number is None else float(number)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()


def _maybe_text(instant: datetime | None) -> str | None:
    return None if instant is None else _text(instant)
