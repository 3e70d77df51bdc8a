"""The charts of a run: what the driver did beside what the monitoring tells, each with the table behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sloproof.report.drawing import Line, Mark, draw
from sloproof.report.series import Bins, Fold, Point, bins_over, thinned
from sloproof.report.wording import instant, number_text, seconds_text, tick_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from markupsafe import Markup

    from sloproof.report.record import RunRecord, SecondRecord

_OWN = frozenset({"ledger", "ledger-low"})
_TOLD = frozenset({"told", "told-low"})


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as the page shows it.

    Attributes:
        slug: Its id on the page.
        title: What is drawn, with the unit.
        lines: The legend: name of a line and the class of its stroke.
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


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a chart of the traffic is made of: a line is its name, its stroke and where its value is found."""

    slug: str
    title: str
    fold: Fold
    lines: tuple[tuple[str, str, Callable[[SecondRecord], float | None]], ...]
    text: Callable[[float | None], str]
    tick: Callable[[float], str] = number_text
    log_allowed: bool = False


_PLANS = (
    _Plan("rate", "Requests per second", "mean", (
        ("sent (ledger)", "ledger", lambda one: float(one.sent)),
        ("counted (Prometheus)", "told", lambda one: one.counted),
    ), number_text),
    _Plan("errors", "Errors per second", "max", (
        ("failed (ledger)", "ledger", lambda one: float(one.failed)),
        ("counted as 5xx (Prometheus)", "told", lambda one: one.counted_failed),
    ), number_text),
    _Plan("latency", "Latency", "max", (
        ("p99 (ledger)", "ledger", lambda one: one.p99_seconds),
        ("p50 (ledger)", "ledger-low", lambda one: one.p50_seconds),
        ("p99 (Prometheus)", "told", lambda one: one.told_p99_seconds),
        ("p50 (Prometheus)", "told-low", lambda one: one.told_p50_seconds),
    ), seconds_text, tick_text, log_allowed=True),
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
    absent = [line.name for line in every if line not in lines]
    gaps = _gaps(
        [line for line in lines if line.stroke in _OWN], [line for line in lines if line.stroke in _TOLD], bins
    )
    drawing = draw(plan.title, lines, marks, gaps, log_allowed=plan.log_allowed, text=plan.tick)
    notes = ["logarithmic scale"] if drawing.is_log else []
    if bins.width > 1:
        notes.append(f"one point is the {plan.fold} of {bins.width:.0f} s")
    if absent:
        notes.append(f"no sample of {', '.join(absent)}")
    rows = [
        (_clock(at), *(plan.text(line.points[place][1]) for line in lines))
        for place, (at, _) in enumerate(bins.fold((), "max"))
    ]
    return Chart(
        slug=plan.slug,
        title=plan.title,
        lines=_legend(lines),
        has_gaps=bool(gaps),
        svg=drawing.svg,
        note=_sentence(notes),
        header=("time (UTC)", *(line.name for line in lines)),
        rows=tuple(rows),
    )


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


def _gaps(own: Sequence[Line], told: Sequence[Line], bins: Bins) -> tuple[tuple[float, float], ...]:
    """Return the stretches in which the driver knows a value and Prometheus none, neighbours joined."""
    if not told:
        return ()
    gaps: list[tuple[float, float]] = []
    for place in range(bins.count):
        at = bins.start + place * bins.width
        known = any(line.points[place][1] is not None for line in own)
        if not known or any(line.points[place][1] is not None for line in told):
            continue
        if gaps and gaps[-1][1] == at:
            gaps[-1] = (gaps[-1][0], at + bins.width)
        else:
            gaps.append((at, at + bins.width))
    return tuple(gaps)


def _legend(lines: Iterable[Line]) -> tuple[tuple[str, str], ...]:
    return tuple((line.name, line.stroke) for line in lines)


def _sentence(notes: Sequence[str]) -> str:
    text = "; ".join(notes)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
