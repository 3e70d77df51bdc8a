"""Draws lines over time as a small static SVG that takes its colours and strokes from the page around it.

pygal lays the chart out; its own style sheet, script and links are left out, because the page has one sheet for all of
them, follows the reader's colour scheme, and may not touch the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET  # noqa: S405 - only writes

import pygal
from markupsafe import Markup
from pygal.style import Style

from sloproof.report.series import Point, log_ticks, ticks, time_ticks

_WIDTH, _HEIGHT = 520, 220
# Room for labels, in the size that they have on a phone.
_STYLE = Style(label_font_size=14, major_label_font_size=14)
_LOG_WORTH = 20  # below this ratio of the highest to the lowest value a linear scale shows more
_MARKS_APART = 16.0  # in units of the drawing: the width of a mark's number
_MARK_TOP = 11.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, the class of its stroke, its points (Unix seconds, value); None breaks it."""

    name: str
    stroke: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """An instant (Unix seconds) to point out, and the number that stands there."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG element to put into a page, and the scale that was chosen."""

    svg: Markup
    is_log: bool


def draw(
    title: str,
    lines: Sequence[Line],
    marks: Sequence[Mark] = (),
    *,
    is_log: bool,
    text: Callable[[float | None], str],
    span: Sequence[float] = (),
) -> Drawing:
    """Return lines drawn over time.

    Args:
        title: What a screen reader says of it.
        lines: Drawn in this order, the first at the bottom.
        marks: Upright lines with a number; those outside the time drawn are left out.
        is_log: Allow a logarithmic scale; it is taken where the values span far enough and none is 0.
        text: Words a value for the axis.
        span: Further instants that the time axis must cover.
    """
    values = [value for line in lines for _, value in line.points if value is not None]
    times = [at for line in lines for at, _ in line.points] + list(span)
    start, end = min(times, default=0.0), max(times, default=1.0)
    logarithmic = is_log and min(values, default=0.0) > 0 and max(values) / min(values) >= _LOG_WORTH
    heights = log_ticks(min(values), max(values)) if logarithmic else ticks(0.0, max(values, default=1.0) or 1.0, 4)
    chart: Any = pygal.XY(
        width=_WIDTH,
        height=_HEIGHT,
        style=_STYLE,
        css=[],
        js=[],
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        show_dots=False,
        show_x_guides=False,
        allow_interruptions=True,
        logarithmic=logarithmic,
        margin=2,
        margin_top=14,
        margin_right=10,
        x_labels=list(time_ticks(start, end)) or [start],
        y_labels=list(heights),
        range=(heights[0], heights[-1]),
        xrange=(start, max(end, start + 1)),
        x_value_formatter=lambda at: f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}",
        value_formatter=text,
    )
    for line in lines:
        chart.add(line.name, list(line.points))

    def finish(root: ET.Element) -> ET.Element:
        _strip(root)
        for number, line in enumerate(lines):
            _name_stroke(root, number, line)
        _add_marks(root, chart, [mark for mark in marks if start <= mark.at <= end])
        root.attrib = {"class": "chart", "viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img", "aria-label": title}
        return root

    chart.add_xml_filter(finish)
    # Everything in it was escaped by the XML writer.
    return Drawing(Markup(chart.render(is_unicode=True)), logarithmic)  # noqa: S704 - see above


def _strip(root: ET.Element) -> None:
    """Leave the axes and the lines: no style sheet, script, comment, tooltip, inline style or id."""
    for parent in list(root.iter()):
        for child in list(parent):
            wanted = isinstance(child.tag, str) and child.tag.rpartition("}")[2] not in {"style", "script", "desc", "title"}
            overlay = "overlay" in child.get("class", "") if isinstance(child.tag, str) else False
            if not wanted or overlay:
                parent.remove(child)
        parent.attrib.pop("style", None)
        parent.attrib.pop("id", None)
        if parent.get("d"):
            parent.set("d", _short(parent.get("d", "")))


def _short(path: str) -> str:
    """Return a path to a tenth of a unit: no eye sees more, and it halves the size."""
    words = path.split(" ")
    return " ".join(word if not word[-1:].isdigit() else _tenth(word) for word in words)


def _tenth(word: str) -> str:
    letter = word[0] if word[0].isalpha() else ""
    return f"{letter}{float(word[len(letter):]):.1f}"


def _name_stroke(root: ET.Element, number: int, line: Line) -> None:
    """Mark the line's group with its stroke; draw a lone point as a dot, because a path of one point shows nothing."""
    for group in root.iter("g"):
        if f"serie-{number}" in group.get("class", "").split():
            group.set("class", f"line-{line.stroke}")


def _add_marks(root: ET.Element, chart: Any, marks: Sequence[Mark]) -> None:
    plot = next((group for group in root.iter("g") if group.get("class") == "plot"), None)
    if plot is None or not marks:
        return
    layer = ET.SubElement(plot, "g", {"class": "marks"})
    placed: list[tuple[float, list[str]]] = []
    for mark in sorted(marks, key=lambda one: one.at):
        x = chart.view.x(mark.at)
        if placed and x - placed[-1][0] < _MARKS_APART:
            placed[-1][1].append(mark.label)
        else:
            placed.append((x, [mark.label]))
    for x, labels in placed:
        top, bottom = chart.view.y(chart.view.box.ymax), chart.view.y(chart.view.box.ymin)
        ET.SubElement(layer, "path", {"d": f"M{x:.1f} {top:.1f} V{bottom:.1f}"})
        text = ET.SubElement(layer, "text", {"x": f"{x:.1f}", "y": f"{top - (_MARK_TOP - 8):.1f}"})
        text.text = labels[0] if len(labels) == 1 else f"{labels[0]}+{len(labels) - 1}"
