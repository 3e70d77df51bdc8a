"""Nothing that a document says is lost in silence: each of its values is changed, and left out, one at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloproof.slo.documents.reading import examine
from sloproof.slo.rules.moulds import objective_texts
from sloproof.slo.rules.values import Timing
from tests.slo.written_documents import written

# All seven kinds, with every field that is read; where two exclude each other, in different documents.
WHOLE = """
- apiVersion: openslo/v1
  kind: Service
  metadata: {name: shop, displayName: Shop, labels: {team: [a, b], tier: gold}, annotations: {x.org/runbook: there}}
  spec: {description: sells things}
- apiVersion: openslo/v1
  kind: DataSource
  metadata: {name: metrics, displayName: Metrics, labels: {a: b}, annotations: {x.org/a: b}}
  spec: {description: of all shops, type: Prometheus, connectionDetails: {url: somewhere}}
- apiVersion: openslo/v1
  kind: SLI
  metadata: {name: errors, displayName: Errors, labels: {a: b}, annotations: {x.org/a: b}}
  spec:
    description: server errors
    ratioMetric:
      counter: true
      bad: {metricSource: {metricSourceRef: metrics, spec: {query: 'sum(requests_total{code=~"5.."})'}}}
      total: {metricSource: {metricSourceRef: metrics, spec: {query: sum(requests_total)}}}
- apiVersion: openslo/v1
  kind: AlertNotificationTarget
  metadata: {name: on-call, displayName: On call, labels: {a: b}, annotations: {x.org/a: b}}
  spec: {description: who is awake, target: pager}
- apiVersion: openslo/v1
  kind: AlertCondition
  metadata: {name: fast, displayName: Fast, labels: {a: b}, annotations: {sloproof/short-window: 6m, x.org/a: b}}
  spec:
    description: much too fast
    severity: page
    condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h, alertAfter: 2m}
- apiVersion: openslo/v1
  kind: AlertPolicy
  metadata: {name: wake, displayName: Wake, labels: {a: b}, annotations: {x.org/a: b}}
  spec:
    description: wakes someone
    alertWhenBreaching: true
    alertWhenResolved: true
    alertWhenNoData: true
    conditions: [{conditionRef: fast}]
    notificationTargets: [{targetRef: on-call}]
- apiVersion: openslo/v1
  kind: SLO
  metadata:
    name: availability
    displayName: Availability
    labels: {tier: silver, env: [live]}
    annotations:
      sloproof/min-events: "100"
      sloproof/no-data: bad
      sloproof/missing-after: 10m
      sloproof/truth-bad: requests{outcome="500"}
      sloproof/truth-total: requests
      sloproof/fault: '{"error_ratio": 1}'
      x.org/a: b
  spec:
    description: what it promises
    service: shop
    indicatorRef: errors
    timeWindow: [{duration: 1M, calendar: {startTime: "2026-01-31 00:00:00", timeZone: Europe/Berlin}}]
    budgetingMethod: Occurrences
    objectives: [{displayName: first, target: 0.999}, {displayName: second, targetPercent: 99.5}]
    alertPolicies:
      - alertPolicyRef: wake
      - metadata: {name: tell}
        spec:
          alertWhenBreaching: true
          conditions:
            - metadata: {name: slow}
              spec: {severity: ticket, condition: {kind: burnrate, op: gt, threshold: 3, lookbackWindow: 1d}}
          notificationTargets: [{metadata: {name: mail}, spec: {target: post}}]
- apiVersion: openslo/v1
  kind: SLO
  metadata: {name: slices}
  spec:
    service: shop
    indicatorRef: errors
    timeWindow: [{duration: 7d, isRolling: true}]
    budgetingMethod: Timeslices
    objectives: [{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 5m}]
- apiVersion: openslo/v1
  kind: SLO
  metadata: {name: raw}
  spec:
    service: shop
    indicator:
      metadata: {name: share, displayName: Share}
      spec: {ratioMetric: {rawType: success, raw: {metricSource: {type: Prometheus, spec: {query: good_ratio}}}}}
    budgetingMethod: RatioTimeslices
    objectives: [{target: 0.9, timeSliceWindow: 10}]
- apiVersion: openslo/v1
  kind: SLO
  metadata: {name: queue}
  spec:
    service: shop
    indicator: {spec: {thresholdMetric: {metricSource: {metricSourceRef: metrics, spec: {query: queue_length}}}}}
    budgetingMethod: Occurrences
    objectives: [{op: lte, value: 10, target: 0.9}]
"""
# Addresses come from the command line, and may hold secrets: only the names of these keys are kept.
UNREAD = {("connectionDetails", "url")}
Path_ = tuple[str | int, ...]


@cache
def _whole() -> Any:
    return yaml.safe_load(WHOLE)


def documents() -> Any:
    return deepcopy(_whole())


def leaves(node: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, below in pairs:
        yield from leaves(below, (*path, name))
    if not isinstance(node, dict | list):
        yield path, node


def at(node: Any, path: Path_) -> Any:
    for name in path:
        node = node[name]
    return node


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value * 0.99 if isinstance(value, int | float) else f"{value}x"


def said(folder: Path, made: Any) -> str:
    """Return all that is read of documents, and what is wrong with them, without line numbers."""
    found = examine([written(folder / "slo.yaml", json.dumps(made))])
    return re.sub(r"line=\d+|yaml:\d+", "", repr((found.objectives, found.problems, found.notes)))


def test_the_whole_is_valid(tmp_path: Path) -> None:
    found = examine([written(tmp_path / "slo.yaml", json.dumps(documents()))])
    assert not found.problems
    assert len(found.objectives) == 5


def test_pitfall_25_no_value_of_a_document_is_lost_in_silence(tmp_path: Path) -> None:
    whole, silent = said(tmp_path, documents()), []
    for path, value in leaves(documents()):
        made = documents()
        at(made, path[:-1])[path[-1]] = changed(value)
        if said(tmp_path, made) == whole and path[-2:] not in UNREAD:
            silent.append(path)
    assert silent == []


def test_pitfall_25_no_field_that_is_left_out_is_missed_in_silence(tmp_path: Path) -> None:
    whole, silent = said(tmp_path, documents()), []
    for path, _ in leaves(documents()):
        made = documents()
        parent = at(made, path[:-1])
        if isinstance(parent, dict):
            del parent[path[-1]]
            if said(tmp_path, made) == whole:
                silent.append(path)
    assert silent == []


@pytest.mark.parametrize("part", ["budgetingMethod", "alertPolicies"])
def test_pitfall_25_what_others_read_and_ignore_changes_the_rules(tmp_path: Path, part: str) -> None:
    one = [document for document in documents() if document["metadata"]["name"] not in {"slices", "raw", "queue"}]
    other = deepcopy(one)
    if part == "budgetingMethod":
        other[-1]["spec"][part] = "Timeslices"
        for objective in other[-1]["spec"]["objectives"]:
            objective |= {"timeSliceTarget": 0.95, "timeSliceWindow": "5m"}
    else:
        other[-1]["spec"][part].pop()

    def naive(made: Any) -> list[object]:
        """Return what a reader takes that knows names, targets and queries."""
        return [(one["spec"]["objectives"][0]["target"], one["spec"]["indicatorRef"]) for one in made[-1:]]

    def rules(made: Any) -> object:
        path = written(tmp_path / "slo.yaml", json.dumps(made))
        return list(objective_texts(examine([path]).objectives, Timing()))

    assert naive(one) == naive(other)
    assert rules(one) != rules(other)
