"""From an SLI's metric sources to the queries that rules and verdicts are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from sloproof.errors import SettingsError
from sloproof.slo.documents.library import Library
from sloproof.slo.documents.openslo import (
    DataSource,
    IndicatorSpec,
    MetricHolder,
    MetricSource,
    ObjectiveSpec,
    RatioMetric,
)
from sloproof.slo.documents.problem import Problems
from sloproof.slo.documents.shape import nearest_text
from sloproof.slo.ledger_query import parse_ledger_query
from sloproof.slo.model import Indicator, Metric, Ratio, RawRatio, Source, Threshold

WINDOW = "{{.window}}"
ANY_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}")
_OPERATORS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
# What tools that write OpenSLO call the field of a query, besides `query`.
_LANGUAGES: Mapping[Source, str] = {Source.PROMETHEUS: "promql", Source.LOKI: "logql", Source.LEDGER: "ledger"}


@dataclass(slots=True)
class MetricReader:
    """Reads metric sources; what is wrong with them goes to the problems."""

    library: Library
    problems: Problems

    def check(self, spec: IndicatorSpec) -> None:
        """Tell what is wrong with an indicator that no objective has."""
        if self._is_one(spec) and spec.ratio_metric is not None:
            self._ratio(spec.ratio_metric)
        elif spec.threshold_metric is not None:
            self._metric(spec.threshold_metric.metric_source, counter=False)

    def indicator(self, spec: IndicatorSpec, objective: ObjectiveSpec) -> Indicator | None:
        """Return what one objective counts; None where it cannot be told."""
        if not self._is_one(spec):
            return None
        if spec.ratio_metric is not None:
            self._refuse_comparison(objective)
            return self._ratio(spec.ratio_metric)
        assert spec.threshold_metric is not None
        return self._threshold(spec.threshold_metric, objective)

    def _is_one(self, spec: IndicatorSpec) -> bool:
        if (spec.ratio_metric is None) == (spec.threshold_metric is None):
            seen = "neither" if spec.ratio_metric is None else "both"
            self.problems.add(
                spec.at("thresholdMetric"), "indicator", f"expected ratioMetric or thresholdMetric, got {seen}",
                "keep exactly one of them",
            )  # fmt: skip
            return False
        return True

    def _refuse_comparison(self, objective: ObjectiveSpec) -> None:
        for name, value in (("op", objective.op), ("value", objective.value)):
            if value is not None:
                self.problems.add(
                    objective.at(name), "op-on-ratio",
                    f"expected no {name} with a ratioMetric, got {_shown(value)}: a ratio is not compared with a value",
                    f"remove {name}; the ratio that must be reached is target",
                )  # fmt: skip

    def _threshold(self, holder: MetricHolder, objective: ObjectiveSpec) -> Threshold | None:
        for name, value in (("op", objective.op), ("value", objective.value)):
            if value is None:
                self.problems.add(
                    objective.at(name), "missing-field", f"expected {name} with a thresholdMetric, got nothing",
                    f"add {name}: an event is good while the metric OP value",
                )  # fmt: skip
        metric = self._metric(holder.metric_source, counter=False)
        if metric is None or objective.op is None or objective.value is None:
            return None
        if metric.source is not Source.PROMETHEUS:
            self.problems.add(
                holder.metric_source.where.place, "source",
                f"expected a thresholdMetric from Prometheus, got {metric.source}",
                "count good and all events instead: ratioMetric with good and total",
            )  # fmt: skip
            return None
        if WINDOW in metric.query:
            self.problems.add(
                metric.place, "window", f"expected a query that gives a value an instant for a threshold, got {WINDOW}",
                "write a fixed range, or a ratioMetric",
            )  # fmt: skip
            return None
        return Threshold(metric, _OPERATORS[objective.op], objective.value)

    def _ratio(self, ratio: RatioMetric) -> Indicator | None:
        if ratio.raw is not None:
            return self._raw(ratio, ratio.raw)
        if ratio.raw_type is not None:
            self.problems.add(
                ratio.at("rawType"), "indicator", "expected rawType only beside raw, got it alone", "remove rawType"
            )
        if (ratio.good is None) == (ratio.bad is None):
            seen = "neither" if ratio.good is None else "both"
            self.problems.add(
                ratio.at("bad"), "indicator", f"expected good or bad, got {seen}", "keep exactly one of them"
            )
        if ratio.total is None:
            self.problems.add(
                ratio.at(), "missing-field", "expected total beside good or bad, got nothing", "add total: all events"
            )
            return None
        counted = {"total": ratio.total, "good": ratio.good, "bad": ratio.bad}
        found = {
            name: self._counted(holder.metric_source, ratio) for name, holder in counted.items() if holder is not None
        }
        metrics = {name: one for name, one in found.items() if one is not None}
        if len(metrics) != len(found) or len(found) != 2:  # noqa: PLR2004 - total and one other
            return None
        sources = {one.source for one in metrics.values()}
        if len(sources) > 1:
            self.problems.add(
                ratio.at("total"), "source",
                f"expected one data source for an indicator, got {' and '.join(sorted(sources))}",
                "ask one of them for both: counts of two systems are never taken at the same instant",
            )  # fmt: skip
            return None
        return Ratio(total=metrics["total"], good=metrics.get("good"), bad=metrics.get("bad"))

    def _raw(self, ratio: RatioMetric, holder: MetricHolder) -> RawRatio | None:
        whole = True
        others = {"good": ratio.good, "bad": ratio.bad, "total": ratio.total, "counter": ratio.counter}
        for name, value in others.items():
            if value is not None:
                self.problems.add(
                    ratio.at(name), "indicator", f"expected no {name} beside raw, got one", f"remove {name}, or raw"
                )
                whole = False
        if ratio.raw_type is None:
            self.problems.add(
                ratio.at("raw"), "missing-field", "expected rawType beside raw, got nothing",
                "add rawType: success for good by total, failure for bad by total",
            )  # fmt: skip
            whole = False
        metric = self._metric(holder.metric_source, counter=False)
        if metric is not None and metric.source is Source.LEDGER:
            self.problems.add(
                metric.place, "source", "expected raw from Prometheus or Loki, got the ledger",
                "the ledger counts events: write good or bad, and total",
            )  # fmt: skip
            whole = False
        return RawRatio(metric, failure=ratio.raw_type == "failure") if metric is not None and whole else None

    def _counted(self, source: MetricSource, ratio: RatioMetric) -> Metric | None:
        metric = self._metric(source, counter=ratio.counter is not False)
        if metric is None or metric.counter:
            needs_word = ratio.counter is None and metric is not None and metric.source is Source.PROMETHEUS
            if needs_word and metric is not None and WINDOW not in metric.query:
                self.problems.add(
                    ratio.at(), "counter", "expected counter: true or counter: false in the ratioMetric, got nothing",
                    "say whether the series only ever rise: then their increase is taken, else their samples are added",
                )  # fmt: skip
                return None
            return metric
        if metric.source is not Source.PROMETHEUS:
            self.problems.add(
                ratio.at("counter"), "counter", f"expected counter: true for {metric.source}, got false",
                "remove counter: its events are counted one by one",
            )  # fmt: skip
            return None
        return metric

    def _metric(self, source: MetricSource, *, counter: bool) -> Metric | None:
        kind = self._source(source)
        if kind is None:
            return None
        query = self._query(source, kind)
        if query is None:
            return None
        place, name = source.at(f"spec.{query[0]}"), source.metric_source_ref or ""
        if kind is Source.LOKI and WINDOW not in query[1]:
            self.problems.add(
                place, "logql-window", f"expected {WINDOW} as the range of a LogQL query, got none",
                f'write it where the range stands, such as sum(count_over_time({{app="x"}}[{WINDOW}]))',
            )  # fmt: skip
            return None
        if kind is Source.LEDGER:
            try:
                parse_ledger_query(query[1])
            except SettingsError as error:
                hint = error.details.get("hint", 'write it as requests{endpoint="/x",outcome=~"5.."}')
                self.problems.add(place, "ledger-query", error.headline, hint)
                return None
        return Metric(kind, query[1], place, counter, name)

    def _source(self, source: MetricSource) -> Source | None:
        """Return who answers, from the referenced document, the type given beside the query, or both in agreement."""
        inline = self._type(source.type, source) if source.type is not None else None
        if source.metric_source_ref is None:
            if source.type is None:
                self.problems.add(
                    source.at(), "source", "expected metricSourceRef or type, got neither",
                    "add type: Prometheus, Loki or Ledger",
                )  # fmt: skip
            return inline
        place = source.at("metricSourceRef")
        document = self.library.find(DataSource, source.metric_source_ref, place, self.problems)
        if document is None:
            return None
        found = _source_named(document.spec.type)
        if found is not None and source.type is not None and inline is not found:
            self.problems.add(
                source.at("type"), "source",
                f"expected type {document.spec.type} as its DataSource says, got {source.type}",
                "remove type: the DataSource says it",
            )  # fmt: skip
            return None
        return found  # a type that is not known is told where the document stands

    def _type(self, name: str, source: MetricSource) -> Source | None:
        found = _source_named(name)
        if found is None:
            self.problems.add(
                source.at("type" if source.type is not None else "metricSourceRef"), "source",
                f"expected a data source of type Prometheus, Loki or Ledger, got {name}",
                "metrics of other systems are not judged: record them in Prometheus, and ask for them there",
            )  # fmt: skip
        return found

    def _query(self, source: MetricSource, kind: Source) -> tuple[str, str] | None:
        """Return the name of the field that holds the query, and the query."""
        language = _LANGUAGES[kind]
        queries = {name: text for name, text in source.spec.items() if name in {"query", language}}
        whole = True
        for name, value in source.spec.items():
            if name in queries or (name == "queryType" and value == language):
                continue
            self.problems.add(
                source.at(f"spec.{name}"), "unknown-field",
                f"expected only query in the spec of a {kind} metric, got {name}",
                nearest_text(name, ["query", language]) if name != "queryType" else f"write queryType: {language}",
            )  # fmt: skip
            whole = False
        if not whole:
            return None
        if len(queries) != 1:
            self.problems.add(
                source.at("spec"), "missing-field" if not queries else "twice",
                f"expected one query in the spec, got {' and '.join(queries) or 'none'}", "write it as query",
            )  # fmt: skip
            return None
        ((name, text),) = queries.items()
        if not isinstance(text, str) or not text.strip():
            self.problems.add(
                source.at(f"spec.{name}"), "wrong-type", f"expected a query, got {_shown(text)}", "write it as text"
            )
            return None
        return name, ANY_WINDOW.sub(WINDOW, text.strip())


def source_problem(document: DataSource, problems: Problems) -> None:
    """Add a problem where a DataSource is of a type that is not judged."""
    if _source_named(document.spec.type) is None:
        problems.add(
            document.spec.at("type"), "source",
            f"expected a data source of type Prometheus, Loki or Ledger, got {document.spec.type}",
            "remove the document: nothing can be judged by it here",
        )  # fmt: skip


def _source_named(name: str) -> Source | None:
    return next((one for one in Source if one.value == name.strip().lower()), None)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value) if isinstance(value, str | Fraction) else f"{type(value).__name__}"
