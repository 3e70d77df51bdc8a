"""Draws lines over time as a small static SVG that takes its colours and strokes from the page around it.

pygal lays out the axes and the scale. Its style sheet, script and links are left out, because the page has one sheet
for all charts, follows the reader's colour scheme, and may not touch the network. The lines are drawn here: pygal's
own leave out a point that has no neighbour and bridge a gap on a logarithmic scale, and a gap is what must be seen.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pygal
from markupsafe import Markup
from pygal.style import Style

from sloproof.report.series import Point, log_ticks, ticks, time_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

# pygal leaves a finder for its plug-ins behind, of a kind that Python 3.11 warns of at every later import.
sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("pygal")]

_WIDTH, _HEIGHT = 520, 220
# Room for labels, in the size that they have on a phone.
_STYLE = Style(label_font_size=14, major_label_font_size=14)
_LOG_WORTH = 20  # below this ratio of the highest to the lowest value a linear scale shows more
_MARKS_APART = 26.0  # in units of the drawing: the width of a mark's numbers
_MOST_NUMBERS = 2
_HOURS, _DAYS = 2 * 3600.0, 3 * 86_400.0  # from here on seconds, or the time of day, are no matter
_LONG = re.compile(r"\d+\.\d{2,}")
_DROPPED = frozenset({"style", "script", "desc", "title", "defs"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, the class of its stroke, its points (Unix seconds, value); None breaks it."""

    name: str
    stroke: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """From when to when (Unix seconds) a value lies above one bound and up to another; None: no upper bound."""

    begin: float
    end: float
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Band:
    """Where a value lies that is known by its bounds alone: its name, the class of its fill, and its steps in order."""

    name: str
    stroke: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """An instant (Unix seconds) to point out, and the number that stands there."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG element to put into a page, and whether the scale is logarithmic."""

    svg: Markup
    is_log: bool


def draw(
    title: str,
    lines: Sequence[Line],
    marks: Sequence[Mark] = (),
    gaps: Sequence[tuple[float, float]] = (),
    *,
    bands: Sequence[Band] = (),
    log_allowed: bool = False,
    text: Callable[[float], str],
    span: Sequence[float] = (),
    from_zero: bool = True,
    x_labels: Sequence[tuple[float, str]] | None = None,
    y_labels: Sequence[tuple[float, str]] | None = None,
    height: int = _HEIGHT,
) -> Drawing:
    """Return lines drawn over time.

    Args:
        title: What a screen reader says of it.
        lines: Drawn in this order, the first at the bottom.
        marks: Upright lines with a number; those outside the time drawn are left out.
        gaps: Stretches of time to shade, behind all else: where something did not tell.
        bands: Drawn below the lines; one without an upper bound reaches to the top.
        log_allowed: Take a logarithmic scale where the values span far enough and none is 0.
        text: Words a value for the axis.
        span: Further instants that the time axis must cover.
        from_zero: Begin the linear scale at 0; else at the lowest value, so that small differences are seen.
        x_labels: What stands along the axis below, where that is no time of day.
        y_labels: What stands along the axis on the left, where that is no number; the first and the last bound it.
        height: Of the drawing, in its own units; its width is 520.
    """
    values = [value for line in lines for _, value in line.points if value is not None]
    bounds = [step.high or step.low for band in bands for step in band.steps]
    values += [bound for bound in bounds if bound > 0]
    times = [at for line in lines for at, _ in line.points] + list(span)
    start = min(times, default=0.0)
    end = max(max(times, default=1.0), start + 1)
    is_log = log_allowed and min(values, default=0.0) > 0 and max(values) / min(values) >= _LOG_WORTH
    heights = [at for at, _ in y_labels] if y_labels else _heights(values, is_log=is_log, from_zero=from_zero)
    scale: Callable[[float], float] = math.log10 if is_log else float
    low, high = scale(heights[0]), scale(heights[-1])
    below = x_labels if x_labels is not None else _times(start, end)
    beside = y_labels or [(each, text(each)) for each in heights]
    chart: Any = pygal.XY(
        width=_WIDTH,
        height=height,
        style=_STYLE,
        css=[],
        js=[],
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        margin=2,
        margin_top=16,
        margin_right=12,
        x_labels=[{"value": at, "label": label} for at, label in below],
        y_labels=[{"value": scale(each), "label": label} for each, label in beside],
        range=(low, high),
        xrange=(start, end),
    )
    chart.add("", [(start, low), (end, high)])

    def finish(root: ET.Element) -> ET.Element:
        root.attrib = {"class": "chart", "viewBox": f"0 0 {_WIDTH} {height}", "role": "img", "aria-label": title}
        _strip(root)
        plot = next(group for group in root.iter("g") if group.get("class") == "plot")
        for group in [each for each in plot if "series" in each.get("class", "").split()]:
            plot.remove(group)
        _add_gaps(plot, chart.view, [(max(first, start), min(last, end)) for first, last in gaps], (low, high))
        _add_marks(plot, chart.view, [mark for mark in marks if start <= mark.at <= end], (low, high))
        for band in bands:
            _add_band(plot, chart.view, band, scale, (low, high), (start, end))
        for line in lines:
            points = [(at, None if value is None else scale(value)) for at, value in line.points]
            group = ET.SubElement(plot, "g", {"class": f"line-{line.stroke}"})
            ET.SubElement(group, "path", {"d": _path(points, chart.view)})
        return root

    chart.add_xml_filter(finish)
    # Everything in it was escaped by the XML writer.
    svg = Markup(chart.render(is_unicode=True))  # noqa: S704 - see above
    return Drawing(svg, is_log)


def _heights(values: Sequence[float], *, is_log: bool, from_zero: bool) -> tuple[float, ...]:
    if is_log:
        return log_ticks(min(values), max(values))
    lowest, highest = min(values, default=0.0), max(values, default=0.0)
    return ticks(min(lowest, 0.0) if from_zero else lowest, highest, 4)


def _times(start: float, end: float) -> list[tuple[float, str]]:
    """Return round times with as much of day and time as tells them apart."""
    span = end - start
    pattern = "%H:%M:%S" if span < _HOURS else "%H:%M" if span < _DAYS else "%d %b"
    about = 5 if span < _DAYS else 4
    return [(at, f"{datetime.fromtimestamp(at, UTC):{pattern}}") for at in time_ticks(start, end, about)]


def _strip(root: ET.Element) -> None:
    """Leave the frame and the axes: no style sheet, script, comment, tooltip, inline style or id."""
    for parent in list(root.iter()):
        for child in list(parent):
            tag = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else "style"
            if tag in _DROPPED or "overlay" in child.get("class", "") or child.get("class") == "titles":
                parent.remove(child)
        parent.attrib.pop("style", None)
        parent.attrib.pop("id", None)
        for name in ("x", "y"):
            if name in parent.attrib:
                parent.set(name, f"{float(parent.attrib[name]):.1f}")
        if "d" in parent.attrib:
            parent.set("d", _LONG.sub(lambda found: f"{float(found[0]):.1f}", parent.attrib["d"]))
        if not parent.get("class", "-"):
            del parent.attrib["class"]


def _path(points: Sequence[Point], view: Any) -> str:
    """Return the path through points, broken at absent values; a point alone is a stroke of no length, a dot."""
    words: list[str] = []
    run: list[str] = []
    for at, value in [*points, (0.0, None)]:
        if value is not None:
            run.append(f"{view.x(at):.1f} {view.y(value):.1f}")
            continue
        if run:
            words.append(f"M{run[0]}L{' '.join(run[1:] or run)}")
        run = []
    return "".join(words)


def _add_band(
    plot: ET.Element, view: Any, band: Band, scale: Callable[[float], float], heights: tuple[float, float],
    ends: tuple[float, float],
) -> None:  # fmt: skip
    """Draw what lies between the bounds, and each bound where there is one; steps that meet are one outline."""
    fills, edges = [], []
    last: tuple[float, tuple[float, float]] | None = None  # where the step before ends, and its heights
    for step in _joined(band.steps):
        left, right = (view.x(min(max(at, ends[0]), ends[1])) for at in (step.begin, step.end))
        if right <= left:
            continue
        bottom = view.y(max(scale(step.low), heights[0]) if step.low > 0 else heights[0])
        top = view.y(heights[1] if step.high is None else min(scale(step.high), heights[1]))
        fills.append(f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}Z")
        bounds = ((top, step.high is not None), (bottom, step.low > 0))
        edges += [f"M{left:.1f} {y:.1f}H{right:.1f}" for y, is_bound in bounds if is_bound]
        if last is not None and last[0] >= step.begin:
            edges += [f"M{left:.1f} {old:.1f}V{y:.1f}" for old, (y, _) in zip(last[1], bounds, strict=True) if old != y]
        last = (step.end, (top, bottom))
    group = ET.SubElement(plot, "g", {"class": f"band-{band.stroke}"})
    ET.SubElement(group, "path", {"class": "within", "d": "".join(fills)})
    ET.SubElement(group, "path", {"class": "bound", "d": "".join(edges)})


def _joined(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps with those as one that meet and have the same bounds: a dashed line must not begin anew at each."""
    last: Step | None = None
    for step in steps:
        if last is not None and (last.end, last.low, last.high) == (step.begin, step.low, step.high):
            last = Step(last.begin, step.end, step.low, step.high)
            continue
        if last is not None:
            yield last
        last = step
    if last is not None:
        yield last


def _add_gaps(plot: ET.Element, view: Any, gaps: Sequence[tuple[float, float]], heights: tuple[float, float]) -> None:
    bottom, top = (view.y(height) for height in heights)
    layer = ET.SubElement(plot, "g", {"class": "gaps"})
    for first, last in gaps:
        left, width = view.x(first), view.x(last) - view.x(first)
        size = {"width": f"{width:.1f}", "height": f"{bottom - top:.1f}"}
        ET.SubElement(layer, "rect", {"x": f"{left:.1f}", "y": f"{top:.1f}", **size})


def _add_marks(plot: ET.Element, view: Any, marks: Sequence[Mark], heights: tuple[float, float]) -> None:
    """Draw the marks; those too close together share one line, at the first of them."""
    layer = ET.SubElement(plot, "g", {"class": "marks"})
    placed: list[tuple[float, list[str]]] = []
    for mark in sorted(marks, key=lambda one: one.at):
        x = view.x(mark.at)
        if placed and x - placed[-1][0] < _MARKS_APART:
            placed[-1][1].append(mark.label)
        else:
            placed.append((x, [mark.label]))
    bottom, top = (view.y(height) for height in heights)
    for x, labels in placed:
        ET.SubElement(layer, "path", {"d": f"M{x:.1f} {top:.1f}V{bottom:.1f}"})
        text = ET.SubElement(layer, "text", {"x": f"{x:.1f}", "y": f"{top - 4:.1f}"})
        text.text = ",".join(labels[:_MOST_NUMBERS]) + ("…" if len(labels) > _MOST_NUMBERS else "")
