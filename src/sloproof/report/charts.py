"""The charts of a run: what the driver did beside what the monitoring tells, each with the table behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sloproof.report.drawing import Band, Line, Mark, Step, draw
from sloproof.report.series import Bins, Fold, Point, bins_over, thinned
from sloproof.report.wording import bracket_text, instant, number_text, seconds_text, tick_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from markupsafe import Markup

    from sloproof.report.record import RunRecord, SecondRecord

_OWN = frozenset({"ledger", "ledger-low"})
_TOLD = frozenset({"told"})

_Value = Callable[["SecondRecord"], "float | None"]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as the page shows it.

    Attributes:
        slug: Its id on the page.
        title: What is drawn, with the unit.
        lines: The legend: name of a line and the class of its stroke.
        bands: The same of bands.
        has_gaps: Whether it shades where Prometheus has no sample.
        svg: The drawing.
        note: What a reader must know to trust it: scale, thinning.
        header: Of the table behind it.
        rows: Of that table.
    """

    slug: str
    title: str
    lines: tuple[tuple[str, str], ...]
    has_gaps: bool
    svg: Markup
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bands: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a chart of the traffic is made of: a line is its name, its stroke and where its value is found.

    `band` is the name of what is known by its bounds alone, and where those are found.
    """

    slug: str
    title: str
    fold: Fold
    lines: tuple[tuple[str, str, _Value], ...]
    text: Callable[[float | None], str]
    tick: Callable[[float], str] = number_text
    log_allowed: bool = False
    band: tuple[str, _Value, _Value] | None = None


_PLANS = (
    _Plan("rate", "Requests per second", "mean", (
        ("sent (ledger)", "ledger", lambda one: float(one.sent)),
        ("counted (Prometheus)", "told", lambda one: one.counted),
    ), number_text),
    _Plan("errors", "Errors per second", "max", (
        ("failed (ledger)", "ledger", lambda one: float(one.failed)),
        ("counted as 5xx (Prometheus)", "told", lambda one: one.counted_failed),
    ), number_text),
    _Plan("p99", "Latency, p99", "max", (
        ("client, from the send", "ledger", lambda one: one.p99_seconds),
        ("client, from the intended start", "ledger-low", lambda one: one.intended_p99_seconds),
    ), seconds_text, tick_text, log_allowed=True, band=(
        "service, between bucket edges", lambda one: one.told_p99_above_seconds, lambda one: one.told_p99_up_to_seconds,
    )),
    _Plan("p50", "Latency, p50", "max", (
        ("client, from the send", "ledger", lambda one: one.p50_seconds),
        ("client, from the intended start", "ledger-low", lambda one: one.intended_p50_seconds),
    ), seconds_text, tick_text, log_allowed=True, band=(
        "service, between bucket edges", lambda one: one.told_p50_above_seconds, lambda one: one.told_p50_up_to_seconds,
    )),
)  # fmt: skip


def charts(record: RunRecord, marks: Sequence[Mark] = ()) -> tuple[Chart, ...]:
    """Return the charts that a run has data for.

    Args:
        record: The run.
        marks: Instants to point out in every chart.
    """
    seconds = [(when.timestamp(), one) for one in record.traffic if (when := instant(one.at)) is not None]
    bins = bins_over([at for at, _ in seconds])
    drawn = [_traffic_chart(plan, seconds, bins, marks) for plan in _PLANS] if seconds else []
    lags: list[Point] = [
        (when.timestamp(), one.lag_seconds) for one in record.log_lags if (when := instant(one.at)) is not None
    ]
    if lags:
        drawn.append(_lag_chart(lags, marks, [at for at, _ in seconds]))
    return tuple(drawn)


def _traffic_chart(
    plan: _Plan, seconds: Sequence[tuple[float, SecondRecord]], bins: Bins, marks: Sequence[Mark]
) -> Chart:
    every = [
        Line(name, stroke, bins.fold(((at, value(one)) for at, one in seconds), plan.fold))
        for name, stroke, value in plan.lines
    ]
    lines = [line for line in every if any(value is not None for _, value in line.points)]
    band = _band(plan, seconds, bins) if plan.band else None
    absent = [line.name for line in every if line not in lines]
    absent += [band.name] if band is not None and not band.steps else []
    bands = [band] if band is not None and band.steps else []
    own = [line for line in lines if line.stroke in _OWN]
    gaps = _gaps(own, [line for line in lines if line.stroke in _TOLD], bands, bins)
    drawing = draw(plan.title, lines, marks, gaps, bands=bands, log_allowed=plan.log_allowed, text=plan.tick)
    notes = ["logarithmic scale"] if drawing.is_log else []
    if bands:
        notes.append("buckets are read at scrapes, so that a second's band holds a part of its neighbour's requests")
    if any(step.high is None for each in bands for step in each.steps):
        notes.append("where the band is open above, the value is beyond the highest bucket edge")
    if bins.width > 1:
        notes.append(f"one point is the {plan.fold} of {bins.width:.0f} s")
    if absent:
        notes.append(f"no sample of {', '.join(absent)}")
    steps = {step.begin: step for each in bands for step in each.steps}
    half = bins.width / 2
    rows = [
        (
            _clock(at),
            *(plan.text(line.points[place][1]) for line in lines),
            *([_bounds(steps.get(at - half))] if bands else []),
        )
        for place, (at, _) in enumerate(bins.fold((), "max"))
    ]
    return Chart(
        slug=plan.slug,
        title=plan.title,
        lines=_legend(lines),
        bands=_legend(bands),
        has_gaps=bool(gaps),
        svg=drawing.svg,
        note=_sentence(notes),
        header=("time (UTC)", *(line.name for line in lines), *(each.name for each in bands)),
        rows=tuple(rows),
    )


def _band(plan: _Plan, seconds: Sequence[tuple[float, SecondRecord]], bins: Bins) -> Band:
    """Return what a histogram tells; of many seconds, the bounds that the highest of their values lies between."""
    assert plan.band is not None
    name, lower, upper = plan.band
    told = [(at, lower(one), upper(one)) for at, one in seconds]
    lows = bins.fold(((at, low) for at, low, _ in told), "max")
    highs = bins.fold(((at, high) for at, low, high in told if low is not None), "max")
    beyond = bins.fold(((at, low if high is None else None) for at, low, high in told), "max")
    half = bins.width / 2
    return Band(name, "told", tuple(
        Step(at - half, at + half, low, None if open_low is not None else high)
        for (at, low), (_, high), (_, open_low) in zip(lows, highs, beyond, strict=True)
        if low is not None
    ))  # fmt: skip


def _bounds(step: Step | None) -> str:
    if step is None:
        return seconds_text(None)
    return bracket_text(step.low, step.high)


def _lag_chart(lags: Sequence[Point], marks: Sequence[Mark], times: Sequence[float]) -> Chart:
    points = thinned(lags)
    lines = [Line("lag of a sentinel line", "lag", points)]
    title = "Log lag: from written to found in Loki"
    drawing = draw(title, lines, marks, log_allowed=True, text=tick_text, span=times)
    notes = ["logarithmic scale"] if drawing.is_log else []
    if len(points) < len(lags):
        notes.append(f"{len(points)} of {len(lags)} points, the highest of their time")
    rows = tuple((_clock(at), seconds_text(value)) for at, value in points)
    return Chart(
        slug="lag",
        title=title,
        lines=_legend(lines),
        has_gaps=False,
        svg=drawing.svg,
        note=_sentence(notes),
        header=("time (UTC)", "lag"),
        rows=rows,
    )


def _gaps(
    own: Sequence[Line], told: Sequence[Line], bands: Sequence[Band], bins: Bins
) -> tuple[tuple[float, float], ...]:
    """Return the stretches in which the driver knows a value and Prometheus none, neighbours joined."""
    if not told and not bands:
        return ()
    covered = {step.begin + bins.width / 2 for band in bands for step in band.steps}
    gaps: list[tuple[float, float]] = []
    for place in range(bins.count):
        at = bins.start + place * bins.width
        known = any(line.points[place][1] is not None for line in own)
        if not known or at in covered or any(line.points[place][1] is not None for line in told):
            continue
        if gaps and gaps[-1][1] == at:
            gaps[-1] = (gaps[-1][0], at + bins.width)
        else:
            gaps.append((at, at + bins.width))
    return tuple(gaps)


def _legend(lines: Iterable[Line | Band]) -> tuple[tuple[str, str], ...]:
    return tuple((line.name, line.stroke) for line in lines)


def _sentence(notes: Sequence[str]) -> str:
    text = "; ".join(notes)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
