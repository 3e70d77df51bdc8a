"""Catalogues of alerting windows as data, in the form that Sloth reads (kind AlertWindows)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Literal

from sloproof.duration import format_duration
from sloproof.errors import SettingsError
from sloproof.slo.calendar import nominal_length
from sloproof.slo.documents.annotations import parsed, positive_duration
from sloproof.slo.documents.locating import Located, documents_of
from sloproof.slo.documents.openslo import Part
from sloproof.slo.documents.problem import Problems, refuse
from sloproof.slo.documents.shape import fit
from sloproof.slo.model import AlertRow, Period, Place, Severity
from sloproof.slo.rows import RowWindows, row_of

KIND = "AlertWindows"
API_VERSION = "sloth.slok.dev/v1"


class Windows(Part, frozen=True, kw_only=True):
    """Of one row."""

    error_budget_percent: Fraction
    short_window: str
    long_window: str


class Speeds(Part, frozen=True, kw_only=True):
    """The rows of one severity."""

    quick: Windows
    slow: Windows


class AlertWindowsSpec(Part, frozen=True, kw_only=True):
    """A catalogue for one period."""

    slo_period: str
    page: Speeds
    ticket: Speeds


class AlertWindowsDocument(Part, frozen=True, kw_only=True):
    """The document that holds a catalogue."""

    api_version: Literal["sloth.slok.dev/v1"]
    kind: Literal["AlertWindows"]
    spec: AlertWindowsSpec


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The rows of objectives over one period that name none themselves."""

    period: timedelta
    windows: tuple[RowWindows, ...]
    place: Place

    def rows(self) -> tuple[AlertRow, ...]:
        """Return its rows, windows as they are written, whether a budget can reach them or not."""
        return tuple(row_of(one, self.period) for one in self.windows)


def read_windows(path: Path) -> tuple[Catalogue, ...]:
    """Return the catalogues of a file.

    Raises:
        SettingsError: The file has another document or none, or a catalogue is not valid; every problem is told.
    """
    problems = Problems()
    documents = documents_of(path, problems)
    found = [catalogue_of(one, problems) for one in documents]
    refuse(problems.found, what="the alert windows")
    if not found:
        raise SettingsError(
            f"expected alert windows in {path}, but it is empty", hint=f"write a document of kind {KIND}"
        )
    return tuple(one for one in found if one is not None)


def is_windows(located: Located) -> bool:
    """Return whether a document is a catalogue of windows."""
    return located.text("kind") == KIND


def catalogue_of(located: Located, problems: Problems) -> Catalogue | None:
    """Return the catalogue that a document holds; None, with problems added, where it is not valid."""
    document = fit(located.root, AlertWindowsDocument, located.file, problems)
    if document is None:
        return None
    spec = document.spec
    period = parsed(spec.at("sloPeriod"), spec.slo_period, positive_duration, problems, None)
    rows = []
    for severity, speeds in ((Severity.PAGE, spec.page), (Severity.TICKET, spec.ticket)):
        for name, one in (("quick", speeds.quick), ("slow", speeds.slow)):
            rows.append(_row(f"{severity.value}-{name}", severity, one, period, problems))
    windows = tuple(row for row in rows if row is not None)
    return Catalogue(period, windows, spec.at("sloPeriod")) if period and len(windows) == len(rows) else None


def catalogue_for(period: Period, catalogues: tuple[Catalogue, ...]) -> Catalogue | None:
    """Return the catalogue that is for periods of this length; None where there is none."""
    return next((one for one in catalogues if one.period == nominal_length(period)), None)


def _row(
    name: str, severity: Severity, windows: Windows, period: timedelta | None, problems: Problems
) -> RowWindows | None:
    percent = windows.error_budget_percent
    long = parsed(windows.at("longWindow"), windows.long_window, positive_duration, problems, None)
    short = parsed(windows.at("shortWindow"), windows.short_window, positive_duration, problems, None)
    if not 0 < percent <= 100:  # noqa: PLR2004 - percent
        problems.add(
            windows.at("errorBudgetPercent"), "wrong-value",
            f"expected a percentage above 0 and up to 100, got {float(percent):g}", "write 2 for 2 %",
        )  # fmt: skip
        return None
    if long is None or short is None or period is None:
        return None
    if not short <= long <= period:
        problems.add(
            windows.at("longWindow"), "wrong-value",
            f"expected shortWindow <= longWindow <= sloPeriod, got {format_duration(short)}, {format_duration(long)}, "
            f"{format_duration(period)}", "order them so",
        )  # fmt: skip
        return None
    return RowWindows(name, severity, percent / 100, long, short)
