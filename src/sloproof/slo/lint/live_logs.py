"""Mistakes in LogQL that only a Loki shows: what it cannot read, streams it has not, filters that no line passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sloproof.clients.loki import LokiClient
from sloproof.duration import format_duration
from sloproof.errors import QueryError
from sloproof.model import Window
from sloproof.nearest import Matcher
from sloproof.slo.documents.metrics import WINDOW
from sloproof.slo.documents.problem import Problem
from sloproof.slo.documents.shape import nearest_text
from sloproof.slo.lint.query_parts import logql_selectors
from sloproof.slo.model import Metric, Objective, Ratio, RawRatio, Source

_LOOK_BACK = timedelta(hours=1)


def live_log_problems(objectives: Sequence[Objective], client: LokiClient, at: datetime) -> Iterator[Problem]:
    """Yield what is wrong with the log queries of objectives, by what a Loki holds.

    Args:
        objectives: Those of other data sources are left out.
        client: Of the server.
        at: Lines of the hour before this instant count as existing.

    Raises:
        UnavailableError: The server does not answer.
    """
    window = Window(at - _LOOK_BACK, at)
    for objective in objectives:
        if objective.source is not Source.LOKI:
            continue
        for metric, is_part in _metrics(objective):
            yield from _problems(metric, client, window, is_part=is_part)


def _problems(metric: Metric, client: LokiClient, window: Window, *, is_part: bool) -> Iterator[Problem]:
    length = format_duration(_LOOK_BACK)
    try:
        counted = client.query(metric.query.replace(WINDOW, length), window.end)
    except QueryError as error:
        said = "; ".join([error.headline, *(text for name, text in error.details.items() if name == "answer")])
        yield Problem(metric.place, "logql", f"expected LogQL that counts, got {metric.query!r}: {said}", "mend it")
        return
    missing = [one for one in logql_selectors(metric.query) if not client.series([_text(one)], window)]
    for one in missing:
        yield Problem(
            metric.place, "no-match",
            f"expected a stream with a line in the last {length} for {_text(one)}, got none",
            _nearest(one, client, window),
        )  # fmt: skip
    if not missing and not is_part and not any(sample.value for series in counted for sample in series.samples):
        yield Problem(
            metric.place, "no-match", f"the streams have lines in the last {length}, but the query counts none of them",
            "right where nobody asked the service for anything; else mend its filters", is_note=True,
        )  # fmt: skip


def _nearest(matchers: Sequence[Matcher], client: LokiClient, window: Window) -> str:
    """Return which condition no stream fulfils, and what there is instead."""
    labels = client.labels(window)
    for one in matchers:
        if one.label not in labels:
            return f"no stream has a label {one.label}; {nearest_text(one.label, labels)}"
        values = client.label_values(one.label, window)
        if not any(one.matches({one.label: value}) for value in values):
            return f"no stream has {one}; {nearest_text(one.value, values)}"
    return "no stream fulfils all of these at once"


def _text(matchers: Sequence[Matcher]) -> str:
    return "{" + ", ".join(map(str, matchers)) + "}"


def _metrics(objective: Objective) -> Iterator[tuple[Metric, bool]]:
    """Yield the queries of an objective, and whether they only ask for a part of the events."""
    match objective.indicator:
        case Ratio(total, good, bad):
            yield from ((one, True) for one in (good, bad) if one is not None)
            yield total, False
        case RawRatio(raw):
            yield raw, False
