"""From an SLO's document to its objectives: references followed, defaults set, what people only read kept as notes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

from sloproof.slo.documents.annotations import extensions_of
from sloproof.slo.documents.library import Library
from sloproof.slo.documents.metrics import MetricReader
from sloproof.slo.documents.notes import Notes, label_text
from sloproof.slo.documents.openslo import (
    AlertCondition,
    AlertPolicy,
    DataSource,
    IndicatorSpec,
    Metadata,
    MetricHolder,
    ObjectiveSpec,
    Service,
    Slo,
    SloSpec,
)
from sloproof.slo.documents.openslo import Indicator as IndicatorDocument
from sloproof.slo.documents.periods import period_of
from sloproof.slo.documents.policies import PolicyReader
from sloproof.slo.documents.problem import Problem, Problems
from sloproof.slo.documents.slices import slices_of
from sloproof.slo.documents.targets import target_of
from sloproof.slo.documents.windows import Catalogue, catalogue_for
from sloproof.slo.label_names import label_name
from sloproof.slo.model import (
    AlertRow,
    Budgeting,
    Indicator,
    Objective,
    Period,
    Source,
)
from sloproof.slo.rows import default_rows, is_reachable


@dataclass(frozen=True, slots=True)
class SloReader:
    """Reads the SLOs of a library; what is wrong with them goes to the problems.

    Attributes:
        catalogues: Rows for SLOs without policies, by the length of their period.
        scrape_interval: Of what is measured.
    """

    library: Library
    problems: Problems
    catalogues: tuple[Catalogue, ...]
    scrape_interval: timedelta

    def objectives(self, document: Slo) -> tuple[Objective, ...]:
        """Return the objectives of one SLO; none, with problems added, where a part of it is wrong."""
        before = len(self.problems)
        spec, metadata = document.spec, document.metadata
        notes = Notes()
        extensions = extensions_of(metadata, self.problems)
        notes.annotations(f"SLO {metadata.name}", metadata)
        service = self._service(spec, notes)
        period = period_of(spec, self.problems)
        indicator = self._indicator_spec(spec, notes)
        policies = PolicyReader(self.library, self.problems)
        rows = policies.rows(spec.alert_policies, notes) if spec.alert_policies is not None else None
        if not spec.objectives:
            self.problems.add(
                spec.at("objectives"), "missing-field", "expected an objective, got none", "add one with a target"
            )
        self._refuse_labels(metadata, service)
        labels = self._labels(metadata, service, notes)
        several = len(spec.objectives) > 1
        found = []
        for number, objective in enumerate(spec.objectives, 1):
            self._refuse_composite(objective)
            target = target_of(objective, self.problems)
            slices = slices_of(spec, objective, period, self.problems)
            measured = self._measured(indicator, objective)
            if target is None or slices is None or measured is None or period is None:
                continue
            own_rows = rows if rows is not None else self._default_rows(period, 1 - target)
            one = Objective(
                service=spec.service,
                slo=f"{metadata.name}-{number}" if several else metadata.name,
                target=target,
                indicator=measured,
                period=period,
                budgeting=Budgeting(spec.budgeting_method),
                place=objective.at(),
                title=": ".join(filter(None, (metadata.display_name, objective.display_name))),
                description=spec.description or "",
                slice_length=slices.length,
                slice_target=slices.target,
                rows=own_rows,
                min_events=extensions.min_events,
                no_data=extensions.no_data,
                labels=labels,
                truth=extensions.truth,
                fault=extensions.fault,
                notes=tuple(notes.found),
            )
            found.append(replace(one, missing_after=_missing_after(extensions.missing_after, own_rows, one.source)))
        return tuple(found) if len(self.problems) == before else ()

    def unused(self) -> list[Problem]:
        """Return notes on documents that nothing refers to, whose own problems are told all the same."""
        policies, metrics = PolicyReader(self.library, self.problems), MetricReader(self.library, self.problems)
        unused = list(self.library.unused())
        for _, document in unused:
            if isinstance(document, AlertPolicy):
                policies.policy(document)
            elif isinstance(document, AlertCondition):
                policies.burn(document.spec)
            elif isinstance(document, IndicatorDocument):
                metrics.check(document.spec)
        return [
            Problem(
                document.metadata.at("name"), "unused", f"no document refers to {word} {document.metadata.name}",
                "refer to it, or remove it", is_note=True,
            )
            for word, document in unused
        ]  # fmt: skip

    def _service(self, spec: SloSpec, notes: Notes) -> Service | None:
        """Return the document of the SLO's service; a name alone will do where no service has a document."""
        if not self.library.known.get(Service):
            return None
        found = self.library.find(Service, spec.service, spec.at("service"), self.problems)
        if found is not None:
            owner = f"Service {found.metadata.name}"
            notes.add(f"{owner}.metadata.displayName", found.metadata.display_name)
            notes.annotations(owner, found.metadata)
            notes.add(f"{owner}.spec.description", found.spec.description)
        return found

    def _indicator_spec(self, spec: SloSpec, notes: Notes) -> IndicatorSpec | None:
        inline, reference = spec.indicator, spec.indicator_ref
        if (inline is None) == (reference is None):
            seen = "neither" if inline is None else "both"
            self.problems.add(
                spec.at("indicatorRef"), "indicator", f"expected indicator or indicatorRef, got {seen}",
                "keep exactly one of them",
            )  # fmt: skip
            return None
        metadata: Metadata | None
        if inline is not None:
            metadata, found = inline.metadata, inline.spec
        else:
            document = self.library.find(IndicatorDocument, reference or "", spec.at("indicatorRef"), self.problems)
            if document is None:
                return None
            metadata, found = document.metadata, document.spec
        owner = "SLI" if metadata is None else f"SLI {metadata.name}"
        notes.metadata(owner, metadata, named=True)
        notes.add(f"{owner}.spec.description", found.description)
        self._note_sources(found, notes)
        return found

    def _note_sources(self, spec: IndicatorSpec, notes: Notes) -> None:
        ratio = spec.ratio_metric
        holders: list[MetricHolder | None] = [spec.threshold_metric]
        holders += [ratio.good, ratio.bad, ratio.total, ratio.raw] if ratio is not None else []
        names = {one.metric_source.metric_source_ref for one in holders if one is not None}
        for name, document in self.library.all(DataSource).items():
            if name in names:
                owner = f"DataSource {name}"
                notes.metadata(owner, document.metadata)
                notes.add(f"{owner}.spec.description", document.spec.description)
                # Addresses come from the command line, and these may hold secrets: only their names are kept.
                notes.add(f"{owner}.spec.connectionDetails", f"not used: {_keys(document.spec.connection_details)}")

    def _measured(self, spec: IndicatorSpec | None, objective: ObjectiveSpec) -> Indicator | None:
        return MetricReader(self.library, self.problems).indicator(spec, objective) if spec is not None else None

    def _refuse_composite(self, objective: ObjectiveSpec) -> None:
        fields = {
            "indicator": objective.indicator,
            "indicatorRef": objective.indicator_ref,
            "compositeWeight": objective.composite_weight,
        }
        for name, value in fields.items():
            if value is not None:
                self.problems.add(
                    objective.at(name), "composite",
                    f"expected one indicator for the SLO, got {name} in an objective: composites are not read, because "
                    "OpenSLO v1 does not say what the weights do to counts of events",
                    "write an SLO for each indicator",
                )  # fmt: skip

    def _default_rows(self, period: Period, budget: Fraction) -> tuple[AlertRow, ...]:
        own = catalogue_for(period, self.catalogues)
        if own is not None:
            return tuple(row for row in own.rows() if is_reachable(row, budget))
        return default_rows(period, budget, self.scrape_interval)

    def _refuse_labels(self, metadata: Metadata, service: Service | None) -> None:
        """Tell labels that no alert can carry: rules would be refused as a whole, or one label lost in another."""
        seen: dict[str, str] = {}
        for owner in (metadata, service.metadata if service is not None else None):
            for name in (owner.labels or {}) if owner is not None else {}:
                label, place = label_name(name), owner.at(f"labels.{name}") if owner is not None else metadata.at()
                if not label or label.startswith("__"):
                    self.problems.add(
                        place, "label", f"expected a label that an alert can carry, got {name!r}",
                        "rename it: Prometheus keeps names that begin with two underscores for itself",
                    )  # fmt: skip
                elif seen.setdefault(label, name) != name:
                    self.problems.add(
                        place, "label", f"expected labels that differ on alerts, got {seen[label]} and {name}, "
                        f"which are both {label} there", "rename or remove one of them",
                    )  # fmt: skip

    def _labels(self, metadata: Metadata, service: Service | None, notes: Notes) -> tuple[tuple[str, str], ...]:
        """Return the SLO's labels, and those of its service that it does not set itself."""
        own = metadata.labels or {}
        inherited: dict[str, str | list[str]] = {}
        for name, value in ((service.metadata.labels or {}) if service is not None else {}).items():
            if name in own and service is not None:
                notes.add(f"Service {service.metadata.name}.metadata.labels.{name}", label_text(value))
            else:
                inherited[name] = value
        return tuple((name, label_text(value)) for name, value in {**inherited, **own}.items())


def _missing_after(said: timedelta | None, rows: tuple[AlertRow, ...], source: Source) -> timedelta | None:
    """Return after how long without data someone is told: the shortest window of a row, unless it is said."""
    if said is not None:
        return said or None
    return None if source is Source.LEDGER else min((row.short for row in rows), default=None)


def _keys(details: object) -> str:
    if isinstance(details, dict):
        return ", ".join(map(str, details)) or "empty"
    if isinstance(details, list):
        return ", ".join(filter(None, map(_keys, details))) or "empty"
    return "a value"
