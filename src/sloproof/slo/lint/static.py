"""Finds what is valid and yet wrong: mistakes in SLO documents that no tool refuses and that nobody notices later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient
from sloproof.duration import format_duration
from sloproof.errors import SettingsError
from sloproof.slo.calendar import nominal_length
from sloproof.slo.documents.metrics import WINDOW
from sloproof.slo.documents.problem import Problem, in_order
from sloproof.slo.documents.reading import DEFAULT_SCRAPE, examine
from sloproof.slo.documents.targets import decimal_text
from sloproof.slo.lint.filters import difference
from sloproof.slo.lint.live import live_problems
from sloproof.slo.lint.live_logs import live_log_problems
from sloproof.slo.lint.query_parts import Selected, logql_offsets, logql_ranges, promql_ranges, promql_selectors
from sloproof.slo.model import Metric, Objective, Place, Ratio, RawRatio, Source, Threshold
from sloproof.slo.rows import MIN_SCRAPES, is_reachable, left_out_rows
from sloproof.slo.rules.expressions import counts_of

_INCREASES = {"rate", "increase", "irate", "delta", "idelta", "deriv"}
_AGGREGATIONS = {"sum", "avg", "min", "max", "count", "group", "topk", "bottomk", "quantile", "stddev", "stdvar"}


def lint(
    paths: Sequence[Path],
    *,
    scrape_interval: timedelta = DEFAULT_SCRAPE,
    prometheus: PrometheusClient | None = None,
    loki: LokiClient | None = None,
    at: datetime | None = None,
) -> tuple[Problem, ...]:
    """Return what is wrong with the documents in files and folders, and what is worth knowing, by file and line.

    Args:
        paths: As of `read_objectives`.
        scrape_interval: Of what is measured.
        prometheus: Where given, selectors are looked for in it, too, and the scrape intervals that it has count.
        loki: Where given, LogQL is asked of it, and streams are looked for in it.
        at: The instant to look at them; needed where one is given.

    Raises:
        SettingsError: A path leads nowhere.
        UnavailableError: A server does not answer.
        QueryError: Prometheus refuses a question.
    """
    reading = examine(paths, scrape_interval=scrape_interval)
    found = list(chain(reading.problems, reading.notes))
    if not (reading.objectives or reading.problems):
        found.append(
            Problem(
                Place(paths[0], 1), "no-slo", "no SLO is among the documents", "right where it is kept elsewhere",
                is_note=True,
            )
        )  # fmt: skip
    for objective in reading.objectives:
        found += objective_problems(objective, scrape_interval)
    if prometheus is not None and at is not None:
        found += live_problems(reading.objectives, prometheus, at)
    if loki is not None and at is not None:
        found += live_log_problems(reading.objectives, loki, at)
    return in_order(found)


def objective_problems(objective: Objective, scrape_interval: timedelta) -> tuple[Problem, ...]:
    """Return what is wrong with one objective, by its documents alone."""
    found = list(_row_problems(objective, scrape_interval))
    if objective.slice_length is not None and objective.slice_length < scrape_interval:
        found.append(
            Problem(
                objective.place, "short-slice",
                f"expected slices of at least one scrape ({format_duration(scrape_interval)}), got "
                f"{format_duration(objective.slice_length)}: slices without a sample say nothing",
                "lengthen timeSliceWindow, or scrape more often",
            )
        )  # fmt: skip
    metrics = metrics_of(objective)
    broken = [problem for one in metrics for problem in _syntax_problems(one)]
    if broken:
        return (*found, *broken)
    for metric in metrics:
        found += _range_problems(metric, scrape_interval)
        found += _shape_problems(metric, is_counted=isinstance(objective.indicator, Ratio))
    if isinstance(objective.indicator, Ratio):
        found += _ratio_problems(objective.indicator)
    if not found and objective.source is not Source.LEDGER:
        found += _rule_problems(objective, scrape_interval)
    return tuple(found)


def metrics_of(objective: Objective) -> tuple[Metric, ...]:
    """Return the queries of an objective."""
    match objective.indicator:
        case Ratio(total, good, bad):
            return tuple(one for one in (good, bad, total) if one is not None)
        case RawRatio(raw):
            return (raw,)
        case Threshold(metric):
            return (metric,)


def _rule_problems(objective: Objective, scrape_interval: timedelta) -> Iterator[Problem]:
    """Yield why no rules can be made of the queries, where no other mistake says it better."""
    try:
        counts_of(objective, scrape_interval, timedelta(0))
    except SettingsError as error:
        place = metrics_of(objective)[0].place
        yield Problem(place, "no-rule", error.headline, error.details.get("next", "write the counters alone"))


def _row_problems(objective: Objective, scrape_interval: timedelta) -> Iterator[Problem]:
    if not any(row.place for row in objective.rows):
        for row in left_out_rows(objective.period, objective.budget, scrape_interval):
            yield Problem(
                objective.place, "row-left-out",
                f"the default row {row.name} is left out: its burn rate {decimal_text(row.factor)} would be an error "
                f"ratio of {decimal_text(row.factor * objective.budget)}",
                "nothing need be done: the other rows tell of such a fault", is_note=True,
            )  # fmt: skip
    for row in objective.rows:
        place = row.place or objective.place
        if not is_reachable(row, objective.budget):
            yield Problem(
                place, "unreachable",
                f"expected a threshold that an error ratio can exceed, got "
                f"{decimal_text(row.factor * objective.budget)} (burn rate {decimal_text(row.factor)} * budget "
                f"{decimal_text(objective.budget)}) in {row.name} for {objective.id}",
                f"it can never alert: lower the burn rate below {decimal_text(1 / objective.budget)}",
            )  # fmt: skip
        if row.long > nominal_length(objective.period):
            yield Problem(
                place, "long-window",
                f"expected a window within the period, got {format_duration(row.long)} in {row.name} for "
                f"{objective.id}", "shorten lookbackWindow, or lengthen the period",
            )  # fmt: skip
        if objective.slice_length and objective.min_events * objective.slice_length > row.long:
            yield Problem(
                place, "min-events",
                f"expected a minimum of events that a window can hold, got {objective.min_events} beside the "
                f"{row.long // objective.slice_length} slices of {format_duration(row.long)} in {row.name} for "
                f"{objective.id}", "it can never alert: each slice is one event; lower sloproof/min-events",
            )  # fmt: skip
        if objective.source is Source.PROMETHEUS and row.short < MIN_SCRAPES * scrape_interval:
            yield _short_range(place, f"the short window of {row.name}", row.short, scrape_interval)


def _short_range(place: Place, what: str, window: timedelta, scrape_interval: timedelta) -> Problem:
    return Problem(
        place, "short-range",
        f"expected a range of at least {MIN_SCRAPES} scrapes ({format_duration(MIN_SCRAPES * scrape_interval)} at a "
        f"scrape interval of {format_duration(scrape_interval)}), got {format_duration(window)} in {what}",
        "lengthen it, or scrape more often: an increase over fewer samples is mostly extrapolation",
    )  # fmt: skip


def _syntax_problems(metric: Metric) -> Iterator[Problem]:
    if metric.source is Source.PROMETHEUS:
        try:
            promql_selectors(metric.query)
        except SettingsError as error:
            yield Problem(metric.place, "promql", error.headline, error.details["hint"])


def _range_problems(metric: Metric, scrape_interval: timedelta) -> Iterator[Problem]:
    if metric.source is Source.PROMETHEUS:
        for window in promql_ranges(metric.query):
            if window < MIN_SCRAPES * scrape_interval:
                yield _short_range(metric.place, "the query", window, scrape_interval)
        fixed = [format_duration(one) for one in promql_ranges(metric.query)] if metric.counter else []
    else:
        fixed = list(logql_ranges(metric.query)) if metric.source is Source.LOKI else []
    if fixed:
        yield Problem(
            metric.place, "fixed-range",
            f"expected {WINDOW} as the range, or none, got {', '.join(fixed)}: every row would see the same window",
            f"write {WINDOW} instead" + (", or the counters alone" if metric.source is Source.PROMETHEUS else ""),
        )  # fmt: skip


def _shape_problems(metric: Metric, *, is_counted: bool) -> Iterator[Problem]:
    if metric.source is not Source.PROMETHEUS:
        return
    for one in promql_selectors(metric.query):
        if one.is_fixed:
            yield Problem(
                metric.place, "fixed-instant",
                f"expected the events of each window, got {one.text} at an instant of its own (@): its count is the "
                "same whenever one asks", "remove @",
            )  # fmt: skip
        if _is_summed_first(one):
            yield Problem(
                metric.place, "sum-before-increase",
                f"expected the increase of each series before they are added, got "
                f"{' of '.join(reversed(one.around))} of {one.text}: a restart of one instance is events of all",
                f"write sum(increase({one.text}[{WINDOW}])), or the counters alone: sum({one.text})",
            )  # fmt: skip
        if (
            is_counted
            and one.name.endswith("_bucket")
            and one.matcher("le") is None
            and "histogram_quantile" not in one.around
        ):
            yield Problem(
                metric.place, "bucket-without-le",
                f"expected a bound (le) for {one.text}, got none: every event is in several buckets",
                'add le="0.5" or another bound, or ask for the _count',
            )  # fmt: skip


def _is_summed_first(one: Selected) -> bool:
    """Return whether something takes the increase of a sum of counters, which no order of samples can make right."""
    sums = [position for position, name in enumerate(one.around) if name in _AGGREGATIONS]
    increases = [position for position, name in enumerate(one.around) if name in _INCREASES]
    return bool(sums) and bool(increases) and min(sums) < max(increases)


def _offsets(metric: Metric) -> frozenset[timedelta]:
    """Return by how much earlier events a query asks for."""
    if metric.source is Source.PROMETHEUS:
        return frozenset(one.offset for one in promql_selectors(metric.query))
    return logql_offsets(metric.query) if metric.source is Source.LOKI else frozenset()


def _offsets_text(metric: Metric) -> str:
    shown = [
        f"offset {'-' if one < timedelta(0) else ''}{format_duration(abs(one))}"
        for one in sorted(_offsets(metric))
        if one
    ]
    return " and ".join(shown) or "no offset"


def _ratio_problems(ratio: Ratio) -> Iterator[Problem]:
    part = ratio.good or ratio.bad
    if part is not None and part.query == ratio.total.query:
        what = "never be missed" if ratio.good else "always be missed"
        yield Problem(
            part.place, "same-query", f"expected two queries, got the same twice: the objective could {what}",
            "let one of them select good or bad events",
        )  # fmt: skip
    if part is not None and _offsets(part) != _offsets(ratio.total):
        yield Problem(
            part.place, "different-times",
            f"expected good or bad events of the same time as all events, got {_offsets_text(part)} beside "
            f"{_offsets_text(ratio.total)}", f"give both queries the same offset; the other is at {ratio.total.place}",
        )  # fmt: skip
    apart = difference(ratio)
    if part is not None and apart:
        yield Problem(
            part.place, "different-filters",
            f"expected good or bad events to be some of all events, but {apart}",
            f"give both queries the same filters; the other is at {ratio.total.place}",
        )  # fmt: skip
