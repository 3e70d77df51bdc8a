"""Mistakes that only show where the metrics are: selectors that match nothing, thresholds that are no bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sloproof.clients.prometheus import PrometheusClient
from sloproof.duration import format_duration
from sloproof.errors import SettingsError
from sloproof.model import Labels, Window
from sloproof.slo.documents.problem import Problem
from sloproof.slo.lint.filters import is_outcome
from sloproof.slo.lint.query_parts import Selected, promql_selectors
from sloproof.slo.model import Metric, Objective, Ratio, RawRatio, Source, Threshold

_LOOK_BACK = timedelta(hours=1)
# The ending that a counter's series have and its metadata may lack (OpenMetrics).
_TOTAL = "_total"


def live_problems(objectives: Sequence[Objective], client: PrometheusClient, at: datetime) -> Iterator[Problem]:
    """Yield what is wrong with the queries of objectives, by what a Prometheus holds.

    Args:
        objectives: Those of other data sources are left out.
        client: Of the server.
        at: Series with a sample in the hour before this instant count as existing.

    Raises:
        UnavailableError: The server does not answer.
        QueryError: It refuses a question.
    """
    live = _Live(client, Window(at - _LOOK_BACK, at))
    for objective in objectives:
        if objective.source is not Source.PROMETHEUS:
            continue
        for metric, is_part in _metrics(objective):
            try:
                selectors = promql_selectors(metric.query)
            except SettingsError:
                continue  # told already
            for one in selectors:
                yield from live.problems(metric, one, is_part=is_part)


def live_scrape_interval(client: PrometheusClient) -> timedelta | None:
    """Return the longest interval at which the server scrapes anything; None where it scrapes nothing.

    Raises:
        UnavailableError: The server does not answer.
        QueryError: It knows no targets.
    """
    return max((target.scrape_interval for target in client.targets()), default=None)


@dataclass(slots=True)
class _Live:
    client: PrometheusClient
    window: Window
    _series: dict[str, tuple[Labels, ...]] = field(default_factory=dict)

    def series(self, selector: str) -> tuple[Labels, ...]:
        if selector not in self._series:
            self._series[selector] = self.client.series([selector], self.window)
        return self._series[selector]

    def problems(self, metric: Metric, one: Selected, *, is_part: bool) -> Iterator[Problem]:
        bound = one.matcher("le")
        if one.name.endswith("_bucket") and bound is not None and bound.operator == "=":
            without = Selected(one.name, tuple(other for other in one.matchers if other is not bound))
            bounds = {labels.get("le", "") for labels in self.series(without.text)}
            if bounds:
                yield from _bound_problems(metric, bound.value, bounds)
                return
        if self.series(one.text):
            yield from self._kind_problems(metric, one)
            return
        yield self._nothing(metric, one, is_part=is_part)

    def _nothing(self, metric: Metric, one: Selected, *, is_part: bool) -> Problem:
        """Return the problem of a selector that matches nothing; a note where events of that sort may yet come."""
        outcomes = tuple(other for other in one.matchers if is_outcome(other.label))
        rest = Selected(one.name, tuple(other for other in one.matchers if other not in outcomes))
        known = self.series(rest.text) if outcomes and is_part else ()
        if known and all(any(other.label in labels for labels in known) for other in outcomes):
            return Problem(
                metric.place, "no-match",
                f"no series matches {one.text} yet, but {len(known)} match without {', '.join(map(str, outcomes))}",
                "right where no such event has happened; else mend the filter", is_note=True,
            )  # fmt: skip
        return Problem(
            metric.place, "no-match",
            f"expected a series with a sample in the last {format_duration(_LOOK_BACK)} for {one.text}, got none",
            self.client.nearest(one.text, self.window),
        )  # fmt: skip

    def _kind_problems(self, metric: Metric, one: Selected) -> Iterator[Problem]:
        kinds = {
            entry.kind for name in (one.name, one.name.removesuffix(_TOTAL)) for entry in self.client.metadata(name)
        }
        if metric.counter and kinds and kinds <= {"gauge"}:
            yield Problem(
                metric.place, "not-a-counter", f"expected a counter, got {one.name}, which its target calls a gauge",
                "write counter: false, or ask for a counter",
            )  # fmt: skip
        elif not metric.counter and kinds and kinds <= {"counter"} and not one.around and not one.in_window:
            yield Problem(
                metric.place, "a-counter", f"expected a quantity, got {one.name}, which its target calls a counter",
                "write counter: true, or a rate of it",
            )  # fmt: skip


def _bound_problems(metric: Metric, wanted: str, bounds: Iterable[str]) -> Iterator[Problem]:
    known = set(bounds)
    if wanted in known:
        return
    listed = ", ".join(sorted(known, key=_bound))
    spelt = [one for one in known if _bound(one) == _bound(wanted)]
    if spelt:
        yield Problem(
            metric.place, "le-spelling", f'the server stores le="{spelt[0]}", the query asks for le="{wanted}"',
            "rules ask for both; a query by hand must ask for what is stored", is_note=True,
        )  # fmt: skip
        return
    yield Problem(
        metric.place, "no-bucket", f'expected a bound that the histogram has, got le="{wanted}"; it has {listed}',
        "take one of these as the threshold, or add the bound to the service's histogram",
    )  # fmt: skip


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("inf")


def _metrics(objective: Objective) -> Iterator[tuple[Metric, bool]]:
    """Yield the queries of an objective, and whether they only ask for a part of the events."""
    match objective.indicator:
        case Ratio(total, good, bad):
            yield from ((one, True) for one in (good, bad) if one is not None)
            yield total, False
        case RawRatio(raw):
            yield raw, False
        case Threshold(metric):
            yield metric, False
