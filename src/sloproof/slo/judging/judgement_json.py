"""Judgements as JSON: every number as it is exactly, and beside it as a decimal for whoever only reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

import msgspec

from sloproof.duration import format_duration
from sloproof.finding import worst
from sloproof.slo.verdicts import BurnRate, Judgement


class ExactJson(msgspec.Struct):
    """A number: exactly, as `3/1000`, and nearly."""

    exact: str
    value: float


class QueryJson(msgspec.Struct):
    """A question that was asked."""

    source: str
    text: str
    url: str


class IntervalJson(msgspec.Struct):
    """A confidence interval."""

    low: float
    high: float
    confidence: float
    method: str


class BurnJson(msgspec.Struct):
    """One row; burn rates are null where a window holds no event or is not covered."""

    row: str
    severity: str
    long_window: str
    short_window: str
    factor: ExactJson
    long: ExactJson | None
    short: ExactJson | None
    burning: bool


class MomentJson(msgspec.Struct):
    """One slice of the period; null where there is no data."""

    start: datetime
    bad: float | None
    valid: float | None
    budget_left: float | None


class JudgementJson(msgspec.Struct):
    """One objective, judged."""

    id: str
    service: str
    slo: str
    place: str
    at: datetime
    verdict: str
    reason: str
    target: ExactJson
    period_start: datetime
    period_end: datetime
    bad: ExactJson
    valid: ExactJson
    coverage: ExactJson
    sli: ExactJson | None
    consumed: ExactJson | None
    remaining: ExactJson | None
    interval: IntervalJson | None
    events_needed: int
    exact: bool
    burn_rates: list[BurnJson]
    moments: list[MomentJson]
    queries: list[QueryJson]


class JudgementsJson(msgspec.Struct):
    """All objectives, judged at one instant."""

    at: datetime
    verdict: str
    objectives: list[JudgementJson]


def judgements_json(found: Sequence[Judgement], at: datetime) -> bytes:
    """Return judgements as JSON, indented.

    Args:
        found: In the order to show them.
        at: The instant that was asked for.
    """
    made = JudgementsJson(at, worst(one.verdict for one in found).value, [_judgement(one) for one in found])
    return msgspec.json.format(msgspec.json.encode(made))


def _judgement(one: Judgement) -> JudgementJson:
    interval = one.interval
    return JudgementJson(
        id=one.objective.id,
        service=one.objective.service,
        slo=one.objective.slo,
        place=str(one.objective.place),
        at=one.at,
        verdict=one.verdict.value,
        reason=one.reason,
        target=_exact(one.objective.target),
        period_start=one.count.window.start,
        period_end=one.count.window.end,
        bad=_exact(one.count.bad),
        valid=_exact(one.count.valid),
        coverage=_exact(one.count.coverage),
        sli=_maybe(one.sli),
        consumed=_maybe(one.consumed),
        remaining=_maybe(one.remaining),
        interval=IntervalJson(interval.low, interval.high, interval.confidence, interval.method) if interval else None,
        events_needed=one.enough,
        exact=one.exact,
        burn_rates=[_burn(rate) for rate in one.burn_rates],
        moments=[
            MomentJson(moment.start, _float(moment.bad), _float(moment.valid), _float(moment.budget_left))
            for moment in one.moments
        ],
        queries=[QueryJson(query.source, query.text, query.url) for query in one.queries],
    )


def _burn(rate: BurnRate) -> BurnJson:
    row = rate.row
    return BurnJson(
        row.name, row.severity.value, format_duration(row.long), format_duration(row.short), _exact(row.factor),
        _maybe(rate.long), _maybe(rate.short), rate.is_burning,
    )  # fmt: skip


def _exact(number: Fraction) -> ExactJson:
    return ExactJson(str(number), float(number))


def _maybe(number: Fraction | None) -> ExactJson | None:
    return None if number is None else _exact(number)


def _float(number: Fraction | None) -> float | None:
    return None if number is None else float(number)
