"""Sloth's own specifications (`version: prometheus/v1`, or a PrometheusServiceLevel): their users keep their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any, Literal

from sloproof.slo.documents.locating import Located
from sloproof.slo.documents.metrics import ANY_WINDOW, WINDOW
from sloproof.slo.documents.notes import Note
from sloproof.slo.documents.openslo import Part
from sloproof.slo.documents.periods import DEFAULT_PERIOD
from sloproof.slo.documents.problem import Problem, Problems
from sloproof.slo.documents.shape import fit
from sloproof.slo.documents.targets import decimal_text
from sloproof.slo.documents.windows import Catalogue, catalogue_for
from sloproof.slo.model import (
    AlertRow,
    Budgeting,
    Indicator,
    Metric,
    Objective,
    Place,
    Ratio,
    RawRatio,
    Severity,
    Source,
)
from sloproof.slo.rows import default_rows, is_reachable

FLAT, KUBERNETES = "prometheus/v1", "PrometheusServiceLevel"


class Events(Part, frozen=True, kw_only=True):
    """Errors by all events."""

    error_query: str
    total_query: str


class Raw(Part, frozen=True, kw_only=True):
    """An error ratio."""

    error_ratio_query: str


class Sli(Part, frozen=True, kw_only=True):
    """What is measured."""

    events: Events | None = None
    raw: Raw | None = None
    plugin: Any = None


class SeverityAlert(Part, frozen=True, kw_only=True):
    """Alerts of one severity."""

    disable: bool | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Alerting(Part, frozen=True, kw_only=True):
    """What alerts are called and carry."""

    name: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    page_alert: SeverityAlert | None = None
    ticket_alert: SeverityAlert | None = None


class SlothSlo(Part, frozen=True, kw_only=True):
    """One objective, in percent."""

    name: str
    objective: Fraction
    sli: Sli
    alerting: Alerting | None = None
    description: str | None = None
    labels: dict[str, str] | None = None
    plugins: Any = None


class SlothSpec(Part, frozen=True, kw_only=True):
    """What a service promises."""

    service: str
    slos: list[SlothSlo]
    labels: dict[str, str] | None = None
    slo_plugins: Any = None


class FlatDocument(SlothSpec, frozen=True, kw_only=True):
    """The form on the command line, whose fields have underscores."""

    version: Literal["prometheus/v1"]


class KubernetesDocument(Part, frozen=True, kw_only=True):
    """The form in a cluster."""

    api_version: Literal["sloth.slok.dev/v1"]
    kind: Literal["PrometheusServiceLevel"]
    metadata: Any
    spec: SlothSpec


@dataclass(slots=True)
class SlothReader:
    """Reads specifications of Sloth; what is wrong goes to the problems, what is not taken over to the notes."""

    problems: Problems
    catalogues: tuple[Catalogue, ...]
    scrape_interval: timedelta
    notes: list[Problem] = field(default_factory=list)

    def objectives(self, located: Located) -> tuple[Objective, ...]:
        """Return the objectives of a document; those with a problem are left out."""
        spec: SlothSpec | None
        if located.text("version") == FLAT:
            spec = fit(located.root, FlatDocument, located.file, self.problems, snake=True)
        else:
            document = fit(located.root, KubernetesDocument, located.file, self.problems)
            spec = document.spec if document is not None else None
        if spec is None:
            return ()
        self._refuse_plugins(spec, spec.slo_plugins, "sloPlugins", "slo_plugins")
        found = [self._objective(spec, slo) for slo in spec.slos]
        return tuple(one for one in found if one is not None)

    def _objective(self, spec: SlothSpec, slo: SlothSlo) -> Objective | None:
        self._refuse_plugins(slo, slo.plugins, "plugins")
        target = slo.objective / 100
        if not 0 < target < 1:
            self.problems.add(
                slo.at("objective"), "target",
                f"expected an objective above 0 and below 100 percent, got {decimal_text(slo.objective)}",
                "write a percentage such as 99.9: with 100 there is no budget",
            )  # fmt: skip
        elif slo.objective <= 1:
            self.problems.add(
                slo.at("objective"), "percent",
                f"expected a percentage, got {decimal_text(slo.objective)}, like a ratio",
                f"write objective: {decimal_text(slo.objective * 100)}",
            )  # fmt: skip
            return None
        indicator = self._indicator(slo.sli)
        if indicator is None or not 0 < target < 1 or slo.plugins is not None or spec.slo_plugins is not None:
            return None
        rows = self._rows(slo, 1 - target)
        return Objective(
            service=spec.service,
            slo=slo.name,
            target=target,
            indicator=indicator,
            period=DEFAULT_PERIOD,
            budgeting=Budgeting.OCCURRENCES,
            place=slo.at("name"),
            description=slo.description or "",
            rows=rows,
            missing_after=min((row.short for row in rows), default=None),
            labels=tuple({**(spec.labels or {}), **(slo.labels or {})}.items()),
            notes=tuple(self._alerting_notes(slo)),
        )

    def _indicator(self, sli: Sli) -> Indicator | None:
        given = [name for name in ("events", "raw", "plugin") if getattr(sli, name) is not None]
        if len(given) != 1:
            self.problems.add(
                sli.at(),
                "indicator",
                f"expected events or raw, got {' and '.join(given) or 'neither'}",
                "keep one of them",
            )
            return None
        if sli.events is not None:
            bad = self._metric(sli.events.error_query, _either(sli.events, "error_query", "errorQuery"))
            total = self._metric(sli.events.total_query, _either(sli.events, "total_query", "totalQuery"))
            return Ratio(total=total, bad=bad) if bad is not None and total is not None else None
        if sli.raw is not None:
            place = _either(sli.raw, "error_ratio_query", "errorRatioQuery")
            raw = self._metric(sli.raw.error_ratio_query, place, counter=False)
            return RawRatio(raw, failure=True) if raw is not None else None
        self._refuse_plugins(sli, sli.plugin, "plugin")
        return None

    def _metric(self, query: str, place: Place, *, counter: bool = True) -> Metric | None:
        text = ANY_WINDOW.sub(WINDOW, query.strip())
        if WINDOW not in text:
            self.problems.add(
                place, "window", f"expected {WINDOW} as the range, got none", f"write rate(requests_total[{WINDOW}])"
            )
            return None
        return Metric(Source.PROMETHEUS, text, place, counter)

    def _rows(self, slo: SlothSlo, budget: Fraction) -> tuple[AlertRow, ...]:
        own = catalogue_for(DEFAULT_PERIOD, self.catalogues)
        rows = (
            tuple(row for row in own.rows() if is_reachable(row, budget))
            if own is not None
            else default_rows(DEFAULT_PERIOD, budget, self.scrape_interval)
        )
        disabled = {
            severity for severity, alert in _alerts(slo.alerting).items() if alert is not None and alert.disable
        }
        return tuple(row for row in rows if row.severity not in disabled)

    def _alerting_notes(self, slo: SlothSlo) -> list[Note]:
        """Return what alerts were to carry: rules of ours have names and labels of their own, and a note says so."""
        alerting = slo.alerting
        if alerting is None:
            return []
        found = [("alerting.name", alerting.name)] if alerting.name else []
        parts: dict[str, Alerting | SeverityAlert | None] = {"alerting": alerting}
        parts |= {f"alerting.{severity.value}_alert": one for severity, one in _alerts(alerting).items()}
        for name, part in parts.items():
            for kind, values in (
                (("labels", part.labels), ("annotations", part.annotations)) if part is not None else ()
            ):
                found += [(f"{name}.{kind}.{key}", text) for key, text in (values or {}).items()]
        if found:
            names = ", ".join(name.removeprefix("alerting.") for name, _ in found)
            self.notes.append(
                Problem(
                    alerting.at(), "sloth-alerting",
                    f"alerts of {slo.name} do not carry {names}",
                    "route by severity (page or ticket), sloth_service and sloth_slo", is_note=True,
                )
            )  # fmt: skip
        return found

    def _refuse_plugins(self, owner: Part, plugins: object, *names: str) -> None:
        if plugins is not None:
            self.problems.add(
                _either(owner, *names), "sloth-plugin",
                f"expected no {names[0]}, got some: they are programs of Sloth, which are not run here",
                "write the query that the plugin makes",
            )  # fmt: skip


def is_sloth(located: Located) -> bool:
    """Return whether a document is one of Sloth's specifications."""
    return located.text("version") == FLAT or located.text("kind") == KUBERNETES


def _alerts(alerting: Alerting | None) -> Mapping[Severity, SeverityAlert | None]:
    return {
        Severity.PAGE: alerting.page_alert if alerting else None,
        Severity.TICKET: alerting.ticket_alert if alerting else None,
    }


def _either(owner: Part, *names: str) -> Place:
    """Return the place of a field that has a name in either form."""
    return next((owner.where.fields[name] for name in names if name in owner.where.fields), owner.where.place)
