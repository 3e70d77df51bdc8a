"""The charts of one SLO: budget left, the ratio beside its objective, and the life of its alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from sloproof.report.charts import Chart
from sloproof.report.drawing import Line, Mark, draw
from sloproof.report.record import AlertRecord, MomentRecord, SloRecord
from sloproof.report.series import Point
from sloproof.report.slo_summary import SloView, moments_of
from sloproof.report.slo_wording import (
    against_bound,
    budget_text,
    events_text,
    length_text,
    ratio_text,
    short_instant,
)
from sloproof.report.wording import instant, one_line

MOST_POINTS = 180
_LEAST_POINTS = 24
_ALL_POINTS = 4800  # of all SLOs of a page together: what keeps 200 of them within 3 MB
_WORST, _POINTS_OF_WORST = 8, 120
_MOST_ALERTS = 12
_ROW_HEIGHT, _FRAME_HEIGHT = 30, 64

_Moments = Sequence[tuple[datetime, MomentRecord]]


@dataclass(frozen=True, slots=True)
class SloCharts:
    """Two charts over the period, one table behind both, and the timeline of the alerts where there was one."""

    over_period: tuple[Chart, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    timeline: Chart | None


def points_for(view: SloView, slos: int) -> int:
    """Return how many points an SLO may draw, one of so many: of many, the worst few have more than the others."""
    points = max(_LEAST_POINTS, min(MOST_POINTS, _ALL_POINTS // max(slos, 1)))
    return max(points, _POINTS_OF_WORST) if view.standing != "safe" and view.number <= _WORST else points


def slo_charts(view: SloView, points: int) -> SloCharts:
    """Return the charts of an SLO, each line of at most so many points."""
    slo = view.slo
    moments = moments_of(slo, points)
    budget_chart, ratio_chart = _budget(view, moments), _ratio(view, moments)
    found = tuple(chart for chart in (budget_chart, ratio_chart) if chart is not None)
    header = ("from (UTC)", "valid events", "bad", "good", "budget left at the end")
    rows = tuple(_row(one, with_seconds=_is_short(slo)) for _, one in moments) if found else ()
    merged = len(slo.moments) > len(moments)
    width = _width(moments)
    note = f"One point is {length_text(width)}." if found and merged and width else ""
    return SloCharts(found, header, rows, note, _timeline(slo))


def spark(slo: SloRecord, points: int = 40) -> Markup:
    """Return the budget left over the period as a bare line, for a table: the bar at the bottom is where none is left.

    Of the scale only this is promised: the top is the whole budget, the line at the bottom is nothing.
    """
    lefts = [one.budget_left for _, one in moments_of(slo, points)]
    known = [(place, left) for place, left in enumerate(lefts) if left is not None]
    if len(known) < 2:  # noqa: PLR2004 - two points make a line
        return Markup()
    step = 88 / max(len(lefts) - 1, 1)
    path = " ".join(f"{1 + place * step:.0f} {2 + 18 * (1 - max(left, -0.2)):.1f}" for place, left in known)
    # Only numbers go in.
    return Markup(  # noqa: S704 - see above
        '<svg class="spark" viewBox="0 0 90 25" aria-hidden="true"><path class="floor" d="M0 20H90"/>'
        f'<path class="run" d="M{path}"/></svg>'
    )


def _budget(view: SloView, moments: _Moments) -> Chart | None:
    begin = instant(view.slo.period_begin)
    points: list[Point] = [(end.timestamp(), one.budget_left) for end, one in moments]
    if begin is None or all(left is None for _, left in points):
        return None
    points.insert(0, (begin.timestamp(), 1.0))
    lines = [
        Line("nothing left", "limit", ((points[0][0], 0.0), (points[-1][0], 0.0))),
        Line("budget left", "left", tuple(points)),
    ]
    return _chart(view, "budget", "Error budget left", lines, moments, budget_tick)


def _ratio(view: SloView, moments: _Moments) -> Chart | None:
    points: list[Point] = []
    for _, one in moments:
        start = instant(one.start)
        if start is not None:
            points.append((start.timestamp(), _good(one)))
    if all(good is None for _, good in points):
        return None
    end = moments[-1][0].timestamp()
    target = view.slo.target
    lines = [
        Line(f"objective {ratio_text(target)}", "limit", ((points[0][0], target), (end, target))),
        Line("good events", "good", tuple(points)),
    ]
    return _chart(view, "ratio", "Good events (SLI)", lines, moments, ratio_text, from_zero=False)


def _chart(
    view: SloView,
    slug: str,
    title: str,
    lines: Sequence[Line],
    moments: _Moments,
    text: object,
    *,
    from_zero: bool = True,
) -> Chart:
    assert callable(text)
    danger = view.danger
    marks = [Mark(danger.since.timestamp(), "since")] if danger is not None and danger.since is not None else []
    gaps = _gaps(moments)
    drawing = draw(f"{title}: {view.name}", lines, marks, gaps, text=text, from_zero=from_zero)
    return Chart(
        slug=f"slo{view.number}-{slug}",
        title=title,
        lines=tuple((line.name, line.stroke) for line in lines),
        has_gaps=bool(gaps),
        svg=drawing.svg,
        note="",
        header=(),
        rows=(),
    )


def budget_tick(part: float) -> str:
    """Return a part of a budget for an axis."""
    return f"{part * 100:,.4g} %"


def _gaps(moments: _Moments) -> tuple[tuple[float, float], ...]:
    """Return the stretches without data, neighbours joined."""
    gaps: list[tuple[float, float]] = []
    for end, one in moments:
        start = instant(one.start)
        if one.valid is not None or start is None:
            continue
        if gaps and gaps[-1][1] == start.timestamp():
            gaps[-1] = (gaps[-1][0], end.timestamp())
        else:
            gaps.append((start.timestamp(), end.timestamp()))
    return tuple(gaps)


def _good(moment: MomentRecord) -> float | None:
    if moment.bad is None or not moment.valid:
        return None
    return 1 - moment.bad / moment.valid


def _row(moment: MomentRecord, *, with_seconds: bool) -> tuple[str, ...]:
    start = instant(moment.start)
    told = "" if start is None else f"{start:%H:%M:%S}" if with_seconds else f"{start:%m-%d %H:%M}"
    valid = "no data" if moment.valid is None else events_text(moment.valid)
    return told, valid, events_text(moment.bad), ratio_text(_good(moment)), budget_text(moment.budget_left)


def _width(moments: _Moments) -> float | None:
    starts = [instant(one.start) for _, one in moments[:2]]
    if len(starts) < 2 or starts[0] is None or starts[1] is None:  # noqa: PLR2004 - two make a distance
        return None
    return (starts[1] - starts[0]).total_seconds()


def _is_short(slo: SloRecord) -> bool:
    begin, end = instant(slo.period_begin), instant(slo.period_end)
    return begin is not None and end is not None and (end - begin).total_seconds() <= 7200  # noqa: PLR2004 - two hours


def _timeline(slo: SloRecord) -> Chart | None:
    """Return the life of each alert, one above the other, the first on top."""
    alerts = slo.alerts[:_MOST_ALERTS]
    now = instant(slo.at)
    lines: list[Line] = []
    for place, alert in enumerate(alerts):
        lines += _life(alert, float(len(alerts) - place), now)
    if not lines:
        return None
    strokes = dict.fromkeys((line.name, line.stroke) for line in lines)
    labels = [(float(len(alerts) - place), one_line(alert.row, 16)) for place, alert in enumerate(alerts)]
    drawing = draw(
        f"Alerts: {slo.title or slo.name}",
        lines,
        text=str,
        y_labels=[(0.4, ""), *sorted(labels), (len(alerts) + 0.6, "")],
        height=_FRAME_HEIGHT + _ROW_HEIGHT * len(alerts),
    )
    header = ("alert", "pending (UTC)", "firing", "delivered", "to be told by", "cleared", "to clear by")
    more = len(slo.alerts) - len(alerts)
    return Chart(
        slug="",
        title="Alerts",
        lines=tuple(strokes),
        has_gaps=False,
        svg=drawing.svg,
        note=f"{more} more in the table." if more else "",
        header=header,
        rows=tuple(_alert_row(alert, now) for alert in slo.alerts),
    )


def _life(alert: AlertRecord, height: float, now: datetime | None) -> list[Line]:
    came = {name: instant(getattr(alert, name)) for name in ("pending", "firing", "delivered", "cleared")}
    end = came["cleared"] or now
    lines = []
    for name, stroke, first, last in (
        ("pending", "pending", came["pending"], came["firing"] or end),
        ("firing", "firing", came["firing"], end),
    ):
        if first is not None and last is not None and last >= first:
            lines.append(Line(name, stroke, ((first.timestamp(), height), (last.timestamp(), height))))
    for name, stroke, when in (
        ("delivered", "delivered", came["delivered"]),
        ("cleared", "cleared", came["cleared"]),
        ("to be told by", "bound", instant(alert.bound)),
        ("to clear by", "clear-bound", instant(alert.clear_bound)),
    ):
        if when is not None:
            lines.append(Line(name, stroke, ((when.timestamp(), height),)))
    return lines


def _alert_row(alert: AlertRecord, now: datetime | None) -> tuple[str, ...]:
    name = alert.row if alert.row.startswith(alert.severity) else f"{alert.row} ({alert.severity})"
    pending = instant(alert.pending)
    return (
        one_line(name, 60),
        "never" if pending is None else f"{pending:%m-%d %H:%M:%S}",
        *(short_instant(instant(text), pending) for text in (alert.firing, alert.delivered)),
        _beside_bound(alert.delivered, alert.bound, now, pending or now),
        short_instant(instant(alert.cleared), pending),
        _beside_bound(alert.cleared, alert.clear_bound, now, pending or now),
    )


def _beside_bound(came: str | None, bound: str | None, now: datetime | None, beside: datetime | None) -> str:
    """Return a bound and how it was kept: `03:58:43, kept by 3.00 s`."""
    limit = instant(bound)
    told, _ = against_bound(instant(came), limit, now)
    return told if limit is None else f"{short_instant(limit, beside)}, {told}"
