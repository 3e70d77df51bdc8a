"""Latency as clients felt it beside what the service's histogram tells of the same requests.

A histogram knows between which two bucket edges a quantile lies, and no more; nothing here interpolates.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from sloproof.barrier import METRICS, Anchor, is_sentinel
from sloproof.clients.prometheus import PrometheusClient
from sloproof.errors import SloproofError
from sloproof.load.ledger import Ledger
from sloproof.model import NANOSECONDS, Window
from sloproof.report.record import EndpointRecord, QuantileRecord
from sloproof.settings import LatencySettings

QUANTILES = (0.5, 0.9, 0.99)

Edges = tuple[float, float | None]
"""Above the first and up to the second, in seconds; None: above the highest finite edge."""

_Buckets = Mapping[float, float]


def edges_of(rises: _Buckets, quantile: float) -> Edges | None:
    """Return the bucket edges between which a histogram's quantile lies; None where it counted nothing or began anew.

    Args:
        rises: By how much each cumulative bucket rose, by its upper edge in seconds; `inf` is the whole.
        quantile: Between 0 and 1.
    """
    whole = rises.get(math.inf, 0.0)
    edges = sorted(rises)
    if not whole > 0 or any(rises[lower] > rises[upper] for lower, upper in pairwise(edges)) or rises[edges[0]] < 0:
        return None
    rank = max(1, math.ceil(round(quantile * whole, 9)))
    place = next(place for place, edge in enumerate(edges) if rises[edge] >= rank)
    upper = edges[place]
    return (edges[place - 1] if place else 0.0), (None if math.isinf(upper) else upper)


def edges_by_second(
    prometheus: PrometheusClient, names: LatencySettings, job: str, window: Window, quantiles: Sequence[float]
) -> tuple[Mapping[int, Edges], ...]:
    """Return, for each quantile, the bucket edges around it in each second, by Unix second; empty without an answer.

    Args:
        prometheus: Where the histogram is.
        names: What it is called.
        job: Matcher of the service's own series.
        window: From when to when; it begins with a whole second.
        quantiles: Between 0 and 1.
    """
    # A difference of instant values: `rate` would extrapolate.
    selector = f"{names.name}_bucket{{{job}}}"
    expression = f"sum by (le) ({selector}) - sum by (le) ({selector} offset 1s)"
    try:
        found = prometheus.query_range(expression, window, timedelta(seconds=1)).series
    except SloproofError:
        found = ()
    by_second: dict[int, dict[float, float]] = defaultdict(dict)
    for series in found:
        for sample in series.samples:
            # The value at the end of a second tells of that second.
            by_second[int(sample.time.timestamp()) - 1][float(series.labels["le"])] = sample.value
    return tuple(
        {
            second: edges
            for second, rises in by_second.items()
            if (edges := edges_of(rises, quantile)) is not None
        }
        for quantile in quantiles
    )  # fmt: skip


class LatencyViews:
    """Compares client and service, endpoint by endpoint, over the stretch between the two anchors around a load.

    Args:
        prometheus: Where the service's histogram is.
        names: What it is called; None where there is none, and only the client's side is told.
        job: Matcher of the service's own series.
        ledger: All that was sent, whoever sent it.
        anchors: Those of the run, in any order.
    """

    def __init__(
        self, prometheus: PrometheusClient, names: LatencySettings | None, job: str, ledger: Ledger,
        anchors: Iterable[Anchor],
    ) -> None:  # fmt: skip
        self._prometheus = prometheus
        self._names = names
        self._job = job
        self._ledger = ledger
        self._anchors = sorted((one for one in anchors if METRICS not in one.dead), key=lambda one: one.covers)
        self._seen: dict[datetime, Mapping[str, _Buckets]] = {}
        self._known: dict[tuple[datetime, datetime], tuple[EndpointRecord, ...]] = {}

    def of(self, load: Window) -> tuple[EndpointRecord, ...]:
        """Return each endpoint's latencies while a load ran; nothing where no anchor lies on one side of it."""
        before = next((one for one in reversed(self._anchors) if one.covers <= load.start), None)
        after = next((one for one in self._anchors if one.covers >= load.end), None)
        if before is None or after is None:
            return ()
        key = (before.at, after.at)
        if key not in self._known:
            self._known[key] = self._between(before, after)
        return self._known[key]

    def _between(self, before: Anchor, after: Anchor) -> tuple[EndpointRecord, ...]:
        sent: dict[str, tuple[array[int], array[int], array[int]]] = {}
        asked: set[str] = set()  # endpoints that had more than the barrier's own requests
        for one in self._ledger.entries(Window(before.covers, after.covers)):
            # As `Ledger.quantile` does: what timed out was waited for, and leaving it out would make an outage fast.
            if one.failure in {"", "timeout"}:
                if not is_sentinel(one.request_id):
                    asked.add(one.endpoint)
                known = sent.setdefault(one.endpoint, (array("q"), array("q"), array("q")))
                for values, value in zip(
                    known, (one.end_ns - one.intended_ns, one.duration_ns, one.start_ns - one.intended_ns), strict=True
                ):
                    values.append(value)
        first, last = self._buckets(before.at), self._buckets(after.at)
        records = []
        for endpoint, clocks in sorted(sent.items()):
            if endpoint not in asked:
                continue
            start, end = first.get(endpoint, {}), last.get(endpoint, {})
            rises = {edge: value - start.get(edge, 0.0) for edge, value in end.items()}
            is_known = edges_of(rises, 1.0) is not None
            records.append(
                EndpointRecord(
                    endpoint=endpoint,
                    timed=len(clocks[0]),
                    told=rises[math.inf] if is_known else 0.0 if rises and not any(rises.values()) else None,
                    quantiles=_quantiles([sorted(values) for values in clocks], rises),
                )
            )
        return tuple(records)

    def _buckets(self, at: datetime) -> Mapping[str, _Buckets]:
        """Return the histogram's cumulative buckets at an instant, by endpoint and upper edge, over all else."""
        if self._names is None:
            return {}
        if at not in self._seen:
            buckets: dict[str, dict[float, float]] = defaultdict(dict)
            expression = f"sum by ({self._names.endpoint}, le) ({self._names.name}_bucket{{{self._job}}})"
            try:
                found = self._prometheus.query(expression, at).series
            except SloproofError:
                found = ()
            for series in found:
                edge = float(series.labels["le"])
                buckets[series.labels.get(self._names.endpoint, "")][edge] = series.samples[-1].value
            self._seen[at] = buckets
        return self._seen[at]


def _quantiles(clocks: Sequence[Sequence[int]], rises: _Buckets) -> tuple[QuantileRecord, ...]:
    records = []
    for quantile in QUANTILES:
        place = max(1, math.ceil(round(quantile * len(clocks[0]), 9))) - 1
        intended, sent, waited = (values[place] / NANOSECONDS for values in clocks)
        above, up_to = edges_of(rises, quantile) or (None, None)
        records.append(
            QuantileRecord(
                quantile=quantile,
                intended_seconds=intended,
                sent_seconds=sent,
                waited_seconds=waited,
                told_above_seconds=above,
                told_up_to_seconds=up_to,
            )
        )
    return tuple(records)
