"""What the page of a run needs for its SLOs and its history: values and filters for the templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sloproof.report.history import claim_key, is_unsteady
from sloproof.report.history_view import past_of, past_view
from sloproof.report.record import AlertRecord, RunRecord, SloRecord
from sloproof.report.slo_charts import points_for, slo_charts, spark
from sloproof.report.slo_summary import SloSummary
from sloproof.report.slo_wording import against_bound, budget_text, events_text, length_text, ratio_text, times_text
from sloproof.report.wording import day_text, instant

MOST_CARDS: Final = 200
"""SLOs that are shown with charts at most; of more, those with the most trouble."""

_MANY = 60  # SLOs from which on less is shown of each


@dataclass(frozen=True, slots=True)
class Depth:
    """How much of one SLO is shown: of its worst stretches and of its queries. report.json has all of both."""

    worst: int
    queries: int


_FEW, _IN_DANGER, _SAFE = Depth(5, 12), Depth(3, 3), Depth(1, 0)


def slo_values(record: RunRecord, slos: SloSummary) -> dict[str, Any]:
    """Return the values that the templates of SLOs and of the history use."""
    count = len(slos.views)
    claims = past_of(record)
    return {
        "slos": slos,
        "slo_charts": {view.number: slo_charts(view, points_for(view, count)) for view in slos.views[:MOST_CARDS]},
        "depth_of": lambda view: _FEW if count <= _MANY else _SAFE if view.standing == "safe" else _IN_DANGER,
        "past": past_view(record),
        "past_of": lambda kind, key: claims.get((kind, key)),
        "past_of_slo": lambda slo: None if slo.drill else claims.get(("slo", claim_key(slo))),
    }


def slo_filters() -> dict[str, Callable[..., Any]]:
    """Return the filters that the templates of SLOs and of the history use."""
    return {
        "ratio": ratio_text,
        "budget": budget_text,
        "times": times_text,
        "events": events_text,
        "lasting": length_text,
        "gauge": _gauge,
        "kept": _kept,
        "moment": _moment,
        "day_of": day_text,
        "spark": lambda view: spark(view.slo),
        "unsteady": is_unsteady,
    }


def least_size(slos: tuple[SloRecord, ...], *, text: int, queries: int) -> int:
    """Return what the texts of SLOs alone would take, cut to so many characters each."""
    shown = _FEW.queries if len(slos) <= _MANY else 0
    return sum(
        min(len(slo.reason), text)
        + min(len(slo.description), text)
        + sum(min(len(query.text), queries) for query in slo.queries[:shown])
        for slo in slos[:MOST_CARDS]
    )


def _gauge(rate: float, factor: float) -> str:
    """Return the length of a burn rate's bar: its threshold stands at half, and the end is twice the threshold."""
    return f"{min(rate / factor * 50, 100) if factor > 0 else 100:.0f}"


def _kept(alert: AlertRecord, came: str, bound: str, now: str) -> str:
    """Return when a part of an alert's life came and how its bound was kept: `09:41:07, kept by 1.20 s`."""
    when = instant(getattr(alert, came))
    told, _ = against_bound(when, instant(getattr(alert, bound)), instant(now))
    return told if when is None else f"{when:%H:%M:%S}, {told}"


def _moment(when: datetime) -> str:
    return f"{when:%d %b %H:%M:%S}"
