"""index.html: the run as one self-contained page that opens from disk, asks nobody and runs no foreign code."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from sloproof.report.charts import charts
from sloproof.report.drawing import Mark
from sloproof.report.latency_page import MOST_LOADS, latency_views
from sloproof.report.slo_page import MOST_CARDS, least_size, slo_filters, slo_values
from sloproof.report.summary import Failure, Summary, summarise
from sloproof.report.wording import (
    ABSENT,
    ORDER,
    SHAPES,
    clock_text,
    count_text,
    cut,
    day_text,
    instant,
    number_text,
    one_line,
    seconds_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.report.record import FindingRecord, RunRecord, ScenarioRecord

MAX_BYTES: Final = 3_000_000
_MOST_MARKS = 40
_MOST_UNCUT = 2000  # characters of a name, a tag, an address: far more than any has that is not an attack
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d(?:\.\d+)?)Z")
_SHORT = 110  # characters of evidence that need no box of their own


@dataclass(frozen=True, slots=True)
class Room:
    """How much is shown of what can be long. The first that makes the page small enough is taken.

    Attributes:
        text: Characters of one evidence text, query, error or log.
        passing: The same, where the claim holds.
        cards: Failures shown in full; the others are in the list and with their scenarios.
        slos: SLOs shown with their charts; the others are in the list.
    """

    text: int
    passing: int
    cards: int
    slos: int


ROOMS: Final = (
    Room(8_000, 2_000, 200, MOST_CARDS),
    Room(3_000, 400, 120, MOST_CARDS),
    Room(800, 160, 60, 150),
    Room(200, 80, 30, 60),
    Room(80, 40, 10, 20),
)


def page(record: RunRecord) -> str:
    """Return the page of a run, under 3 MB however long the texts of the record are."""
    summary = summarise(record)
    template = _environment().get_template("index.html.j2")
    style, script = _asset("style.css"), _asset("page.js")
    # By identity: a scenario that is run twice has one node id and two records.
    numbers = {id(scenario): number for number, scenario in enumerate(record.scenarios, start=1)}
    values: dict[str, Any] = {
        "record": record,
        "summary": summary,
        "charts": charts(record, _marks(summary)),
        "latency": latency_views(record.loads),
        "most_latency": MOST_LOADS,
        "style": Markup(style),  # noqa: S704 - a file of this package
        "script": Markup(script),  # noqa: S704 - a file of this package
        "policy": _policy(style, script),
        "strip": _strip(record.scenarios),
        "number_of": lambda scenario: numbers[id(scenario)],
        "by_node": {scenario.node_id: scenario for scenario in record.scenarios},
        "most_spent": max(record.timings.values(), default=0.0),
        **slo_values(record, summary.slos),
    }
    *roomy, last = ROOMS
    for room in roomy:
        if _least_size(record, room) < MAX_BYTES:
            text = template.render(values, room=room)
            if len(text.encode()) < MAX_BYTES:
                return text
    return template.render(values, room=last)


def _least_size(record: RunRecord, room: Room) -> int:
    """Return what the texts of findings and SLOs alone would take, so that a hopeless page is not rendered at all."""
    size = least_size(record.slos, text=room.text, queries=room.passing)
    for scenario in record.scenarios:
        for finding in (each for step in scenario.steps for each in step.findings):
            limit = room.passing if finding.verdict == "pass" else room.text
            texts = (finding.expected, finding.measured, *(text for _, text in finding.evidence))
            size += sum(min(len(text), limit) for text in texts)
    return size


@functools.cache  # templates are compiled once, however many pages are made
def _environment() -> Environment:
    """Return the template environment: everything printed is escaped, and made plain before."""
    environment = Environment(
        loader=PackageLoader("sloproof.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: cut(value, _MOST_UNCUT) if type(value) is str else value,
    )
    environment.filters.update(
        clock=lambda text: clock_text(instant(text)),
        count=count_text,
        clock_of=clock_text,
        cut=lambda text, limit: escape(cut(text, limit)),
        day=lambda text: day_text(instant(text)),
        local_url=_local_url,
        number=number_text,
        one_line=one_line,
        seconds=lambda value: seconds_text(value.total_seconds() if isinstance(value, timedelta) else value),
        share=_share,
        shape=lambda verdict: SHAPES.get(verdict, "!"),
        verdict_class=lambda verdict: verdict if verdict in ORDER else "error",
        web_url=_web_url,
        window=_window,
        evidence=_evidence,
        logs=_logs,
        unwell=_unwell,
        **slo_filters(),
    )
    environment.tests["short"] = _is_short
    return environment


def _asset(name: str) -> str:
    return files("sloproof.report").joinpath("templates", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return a content security policy that lets in this style and this script, and nothing else from anywhere."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _marks(summary: Summary) -> tuple[Mark, ...]:
    """Return where in time each failure was first judged."""
    marks = []
    for failure in summary.failures[:_MOST_MARKS]:
        when = instant(failure.finding.at)
        if when is not None:
            marks.append(Mark(when.timestamp(), str(failure.number)))
    return tuple(marks)


def _strip(scenarios: Sequence[ScenarioRecord]) -> tuple[tuple[int, ScenarioRecord], ...]:
    """Return the scenarios in the order they started, each with its number on the page."""
    numbered = enumerate(scenarios, start=1)
    return tuple(sorted(numbered, key=lambda item: item[1].started))


def _web_url(url: str) -> str:
    """Return an address that a link may lead to; nothing for any other (`javascript:` is an address too)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.netloc else ""


def _local_url(path: str) -> str:
    """Return a relative link to a file of the report's folder; nothing for a path that leaves it."""
    pure = PurePosixPath(path)
    return "" if pure.is_absolute() or ".." in pure.parts else quote(str(pure))


def _window(finding: FindingRecord) -> str:
    """Return the window that a finding was judged over, from its evidence; empty where it states none.

    The day is left out: it is the run's.
    """
    stated = next((text for name, text in finding.evidence if name == "window"), "")
    return _INSTANT.sub(r"\1", stated)


def _evidence(failure: Failure | FindingRecord) -> tuple[tuple[str, str], ...]:
    """Return the evidence without the window, which is shown with the other instants."""
    finding = failure.finding if isinstance(failure, Failure) else failure
    return tuple((name, text) for name, text in finding.evidence if name != "window")


def _is_short(text: str) -> bool:
    """Return whether a text of evidence reads as one line."""
    return len(text) <= _SHORT and "\n" not in text


def _unwell(scenario: ScenarioRecord) -> tuple[str, ...]:
    """Return the components that did not run."""
    return tuple(name for name, health in scenario.components if not health.startswith("running"))


def _logs(scenario: ScenarioRecord) -> tuple[tuple[str, str], ...]:
    """Return the ends of the logs that are not empty, those of components that did not run first."""
    unwell = _unwell(scenario)
    told = (row for row in scenario.last_lines if row[1].strip())
    return tuple(sorted(told, key=lambda row: row[0] not in unwell))


def _share(part: float, whole: float) -> str:
    """Return a part of a whole as percent, for people only."""
    if whole <= 0:
        return ABSENT
    percent = part / whole * 100
    return "< 1 %" if 0 < percent < 1 else f"{percent:.0f} %"
