"""Writes objectives as OpenSLO documents, and small documents to be spoilt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sloproof.duration import format_duration
from sloproof.slo.documents.openslo_duration import format_openslo_duration
from sloproof.slo.documents.targets import decimal_text
from sloproof.slo.model import AlertRow, Calendar, Metric, NoData, Objective, Ratio, RawRatio, Rolling, Threshold

OPERATORS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
GOOD = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: availability
spec:
  service: shop
  indicator:
    metadata:
      name: errors
    spec:
      ratioMetric:
        counter: true
        bad:
          metricSource:
            type: Prometheus
            spec:
              query: sum(requests_total{job="shop", code=~"5.."})
        total:
          metricSource:
            type: Prometheus
            spec:
              query: sum(requests_total{job="shop"})
  timeWindow:
    - duration: 30d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - target: 0.999
"""


@dataclass(frozen=True)
class _Number:
    """A number whose text is kept."""

    text: str


class _Dumper(yaml.CSafeDumper):
    """Writes numbers as their text says."""


def _plain(dumper: Any, one: _Number) -> yaml.ScalarNode:
    kind = "float" if "." in one.text else "int"
    found = dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", one.text)
    assert isinstance(found, yaml.ScalarNode)
    return found


_Dumper.add_representer(_Number, _plain)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def line_of(text: str, part: str) -> int:
    """Return the line, from 1, that a part of a text is first on."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def as_yaml(objectives: tuple[Objective, ...]) -> str:
    """Return a document for each objective."""
    return "---\n".join(yaml.dump(_document(one), Dumper=_Dumper, sort_keys=False) for one in objectives)


def _document(objective: Objective) -> dict[str, Any]:
    annotations = {"sloproof/missing-after": "never"}
    if objective.missing_after is not None:
        annotations["sloproof/missing-after"] = format_duration(objective.missing_after)
    if objective.min_events:
        annotations["sloproof/min-events"] = str(objective.min_events)
    if objective.no_data is not NoData.UNKNOWN:
        annotations["sloproof/no-data"] = objective.no_data.value
    if objective.truth is not None:
        annotations |= {"sloproof/truth-bad": objective.truth.bad, "sloproof/truth-total": objective.truth.total}
    if objective.fault:
        annotations["sloproof/fault"] = objective.fault
    metadata: dict[str, Any] = {"name": objective.slo, "annotations": annotations}
    if objective.title:
        metadata["displayName"] = objective.title
    if objective.labels:
        metadata["labels"] = {name: value.split(",") if "," in value else value for name, value in objective.labels}
    spec: dict[str, Any] = {
        "service": objective.service,
        "description": objective.description or None,
        "indicator": {"spec": _indicator(objective)},
        "timeWindow": [_window(objective)],
        "budgetingMethod": objective.budgeting.value,
        "objectives": [_objective(objective)],
        "alertPolicies": [_policy(row) for row in objective.rows],
    }
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": metadata, "spec": spec}


def _objective(objective: Objective) -> dict[str, Any]:
    found: dict[str, Any] = {"target": _Number(decimal_text(objective.target))}
    if isinstance(objective.indicator, Threshold):
        found |= {"op": OPERATORS[objective.indicator.op], "value": _Number(decimal_text(objective.indicator.value))}
    if objective.slice_length is not None:
        found["timeSliceWindow"] = format_openslo_duration(objective.slice_length)
    if objective.slice_target is not None:
        found["timeSliceTarget"] = _Number(decimal_text(objective.slice_target))
    return found


def _window(objective: Objective) -> dict[str, Any]:
    period = objective.period
    if isinstance(period, Rolling):
        return {"duration": format_openslo_duration(period.duration), "isRolling": True}
    assert isinstance(period, Calendar)
    calendar = {"startTime": period.start.strftime("%Y-%m-%d %H:%M:%S"), "timeZone": period.zone.key}
    return {"duration": f"{period.count}{period.unit}", "calendar": calendar}


def _indicator(objective: Objective) -> dict[str, Any]:
    match objective.indicator:
        case Ratio(total, good, bad):
            found: dict[str, Any] = {"counter": total.counter, "total": _source(total)}
            found |= {name: _source(one) for name, one in (("good", good), ("bad", bad)) if one is not None}
            return {"ratioMetric": found}
        case RawRatio(raw, failure):
            return {"ratioMetric": {"raw": _source(raw), "rawType": "failure" if failure else "success"}}
        case Threshold(metric):
            return {"thresholdMetric": _source(metric)}


def _source(metric: Metric) -> dict[str, Any]:
    return {"metricSource": {"type": metric.source.value.title(), "spec": {"query": metric.query}}}


def _policy(row: AlertRow) -> dict[str, Any]:
    condition = {
        "kind": "burnrate",
        "op": "gt",
        "threshold": _Number(decimal_text(row.factor)),
        "lookbackWindow": format_openslo_duration(row.long),
        "alertAfter": format_openslo_duration(row.hold) if row.hold else "0m",
    }
    targets = [
        {"kind": "AlertNotificationTarget", "metadata": {"name": name}, "spec": {"target": "mail"}}
        for name in row.targets
    ]
    annotations = {} if row.short * 12 == row.long else {"sloproof/short-window": format_duration(row.short)}
    return {
        "kind": "AlertPolicy",
        "metadata": {"name": row.name, "annotations": annotations},
        "spec": {
            "alertWhenBreaching": True,
            "alertWhenResolved": row.resolved,
            "alertWhenNoData": row.missing,
            "conditions": [
                {
                    "kind": "AlertCondition",
                    "metadata": {"name": "burns"},
                    "spec": {"severity": row.severity.value, "condition": condition},
                }
            ],
            "notificationTargets": targets,
        },
    }
