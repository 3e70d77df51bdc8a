"""Objectives made by hand, for tests of what is made from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from sloproof.slo.model import (
    Budgeting,
    Metric,
    Objective,
    Place,
    Ratio,
    RawRatio,
    Rolling,
    Source,
    Threshold,
)
from sloproof.slo.rows import default_rows

PLACE = Place(Path("slo/checkout.yaml"), 7)
SCRAPE = timedelta(seconds=30)
BAD_QUERY, TOTAL_QUERY = 'sum(http_requests_total{job="shop", code=~"5.."})', 'sum(http_requests_total{job="shop"})'
IDS = '{sloth_id="shop-availability", sloth_service="shop", sloth_slo="availability"}'


def metric(query: str, source: Source = Source.PROMETHEUS, *, counter: bool = True) -> Metric:
    return Metric(source, query, PLACE, counter=counter)


def ratio(total: str, *, bad: str = "", good: str = "", source: Source = Source.PROMETHEUS) -> Ratio:
    return Ratio(metric(total, source), metric(good, source) if good else None, metric(bad, source) if bad else None)


def threshold(query: str, op: str, value: str) -> Threshold:
    return Threshold(metric(query), op, Fraction(value))


def raw(query: str, *, failure: bool = True) -> RawRatio:
    return RawRatio(metric(query, counter=False), failure)


def objective(**changes: Any) -> Objective:
    """Return an objective of 99.9 % over 30 days with the usual four rows, but for what is said."""
    made = Objective(
        service="shop",
        slo="availability",
        target=Fraction("0.999"),
        indicator=ratio(TOTAL_QUERY, bad=BAD_QUERY),
        period=Rolling(timedelta(days=30)),
        budgeting=Budgeting.OCCURRENCES,
        place=PLACE,
        missing_after=timedelta(minutes=10),
    )
    made = replace(made, **changes)
    return made if "rows" in changes else replace(made, rows=default_rows(made.period, made.budget, SCRAPE))


def sliced(**changes: Any) -> Objective:
    """Return an objective over slices of 5 minutes that are good from 95 %."""
    given = {
        "target": Fraction("0.99"),
        "budgeting": Budgeting.TIMESLICES,
        "slice_length": timedelta(minutes=5),
        "slice_target": Fraction("0.95"),
    }
    return objective(**{**given, **changes})
