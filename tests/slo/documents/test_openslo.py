"""Every field of every struct: nothing of a document is lost in silence."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest
import yaml

from sloproof.slo.documents.openslo import KINDS, Part
from sloproof.slo.documents.reading import examine
from tests.slo.written_documents import written

# Says something in every field that an SLO can have; what excludes each other stands in documents of its own.
WHOLE = """\
- apiVersion: openslo/v1
  kind: Service
  metadata: {name: shop, displayName: Shop, labels: {tier: [one, two]}, annotations: {a/b: service}}
  spec: {description: Sells}
- apiVersion: openslo/v1
  kind: DataSource
  metadata: {name: metrics, displayName: Metrics, labels: {x: y}, annotations: {a/b: source}}
  spec: {description: Holds them, type: Prometheus, connectionDetails: {url: http://x}}
- apiVersion: openslo/v1
  kind: SLI
  metadata: {name: errors, displayName: Errors, labels: {x: y}, annotations: {a/b: sli}}
  spec:
    description: What fails
    ratioMetric:
      counter: false
      bad: {metricSource: {metricSourceRef: metrics, type: Prometheus, spec: {query: 'bad', queryType: promql}}}
      total: {metricSource: {metricSourceRef: metrics, type: Prometheus, spec: {query: 'total'}}}
- apiVersion: openslo/v1
  kind: AlertPolicy
  metadata: {name: fast, displayName: Fast, labels: {x: y}, annotations: {a/b: policy, sloproof/short-window: 7m}}
  spec:
    description: Wakes
    alertWhenBreaching: true
    alertWhenResolved: true
    alertWhenNoData: true
    conditions: [{conditionRef: burning}]
    notificationTargets: [{targetRef: on-call}]
- apiVersion: openslo/v1
  kind: AlertCondition
  metadata: {name: burning, displayName: Burning, labels: {x: y}, annotations: {a/b: condition}}
  spec:
    description: Burns
    severity: page
    condition: {kind: burnrate, op: gt, threshold: 10, lookbackWindow: 1h, alertAfter: 3m}
- apiVersion: openslo/v1
  kind: AlertNotificationTarget
  metadata: {name: on-call, displayName: On call, labels: {x: y}, annotations: {a/b: target}}
  spec: {target: pager, description: Whoever it is}
- apiVersion: openslo/v1
  kind: SLO
  metadata: {name: by-reference, displayName: Errors, labels: {tier: three}, annotations: {a/b: slo}}
  spec:
    description: Sells without errors
    service: shop
    indicatorRef: errors
    timeWindow: [{duration: 28d, isRolling: true}]
    budgetingMethod: Timeslices
    objectives: [{displayName: Hard, targetPercent: 99.5, timeSliceTarget: 0.9, timeSliceWindow: 5m}]
    alertPolicies: [{alertPolicyRef: fast}]
- apiVersion: openslo/v1
  kind: SLO
  metadata: {name: inline}
  spec:
    service: shop
    indicator:
      apiVersion: openslo/v1
      kind: SLI
      metadata: {name: speed, displayName: Speed}
      spec:
        thresholdMetric: {metricSource: {type: Prometheus, spec: {query: latency}}}
    timeWindow: [{duration: 1M, isRolling: false, calendar: {startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin}}]
    budgetingMethod: Occurrences
    objectives: [{op: lt, value: 3, target: 0.9}]
    alertPolicies:
      - apiVersion: openslo/v1
        kind: AlertPolicy
        metadata: {name: slow}
        spec:
          alertWhenBreaching: true
          conditions:
            - apiVersion: openslo/v1
              kind: AlertCondition
              metadata: {name: smouldering}
              spec: {severity: ticket, condition: {kind: burnrate, op: gt, threshold: 1, lookbackWindow: 3d}}
          notificationTargets:
            - apiVersion: openslo/v1
              kind: AlertNotificationTarget
              metadata: {name: team}
              spec: {target: mail}
- apiVersion: openslo/v1
  kind: SLO
  metadata: {name: stored}
  spec:
    service: shop
    indicator:
      spec: {ratioMetric: {rawType: failure, raw: {metricSource: {type: Prometheus, spec: {query: ratio}}}}}
    timeWindow: [{duration: 1w, isRolling: true}]
    budgetingMethod: RatioTimeslices
    objectives: [{target: 0.9, timeSliceWindow: 5}]
- apiVersion: openslo/v1
  kind: SLO
  metadata: {name: good-ones}
  spec:
    service: shop
    indicator:
      spec:
        ratioMetric:
          counter: true
          good: {metricSource: {type: Prometheus, spec: {query: good}}}
          total: {metricSource: {type: Prometheus, spec: {query: total}}}
    timeWindow: [{duration: 1w, isRolling: true}]
    budgetingMethod: Occurrences
    objectives: [{target: 0.9}]
"""
# Says the same whether it is there or not: the type that a document or the place already gives, or a default.
REDUNDANT = {
    "MetricSource.type": "the DataSource says it, and another type is refused",
    "InlineIndicator.apiVersion": "what stands there can be nothing else, and another is refused",
    "InlineIndicator.kind": "as before",
    "PolicyEntry.apiVersion": "as before",
    "PolicyEntry.kind": "as before",
    "ConditionEntry.apiVersion": "as before",
    "ConditionEntry.kind": "as before",
    "TargetEntry.apiVersion": "as before",
    "TargetEntry.kind": "as before",
    "TimeWindow.isRolling": "false beside a calendar; true without one must be said",
}
# Composites are refused, so that no valid document can hold these.
REFUSED = {
    "ObjectiveSpec.indicator": {"spec": {"ratioMetric": {}}},
    "ObjectiveSpec.indicatorRef": "errors",
    "ObjectiveSpec.compositeWeight": 2,
}


class _Loader(yaml.SafeLoader):
    """Keeps dates as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def structs_of(kind: Any) -> Iterator[type[Part]]:
    if isinstance(kind, type) and issubclass(kind, Part):
        yield kind
        for one in msgspec.structs.fields(kind):
            yield from structs_of(one.type)
    elif get_origin(kind) is not None:
        for argument in get_args(kind):
            yield from structs_of(argument)


def all_fields() -> set[str]:
    structs = {struct for kind in KINDS.values() for struct in structs_of(kind)}
    return {
        f"{struct.__name__}.{one.encode_name}"
        for struct in structs
        for one in msgspec.structs.fields(struct)
        if one.name != "where"
    }


def occurrences(value: Any, kind: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the fields that a document has, and where."""
    struct = next((one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, Part)), None)
    if isinstance(value, list):
        items = next((one for one in (kind, *get_args(kind)) if get_origin(one) is list), None)
        for index, item in enumerate(value) if items is not None else ():
            yield from occurrences(item, get_args(items)[0], (*path, index))
    elif isinstance(value, dict) and struct is not None:
        for one in msgspec.structs.fields(struct):
            if one.encode_name in value:
                yield f"{struct.__name__}.{one.encode_name}", (*path, one.encode_name)
                yield from occurrences(value[one.encode_name], one.type, (*path, one.encode_name))


DOCUMENTS = yaml.load(WHOLE, Loader=_Loader)
PLACES = [
    (name, (index, *path))
    for index, document in enumerate(DOCUMENTS)
    for name, path in occurrences(document, KINDS[document["kind"]])
]


Content = tuple[list[str], bool]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return content(tmp_path_factory.mktemp("whole"), DOCUMENTS)


def content(path: Path, documents: Any) -> Content:
    """Return what objectives say but for lines, and whether there is a problem."""
    # JSON is YAML, and quickly written.
    reading = examine([written(path / "slo.yaml", json.dumps(documents))])
    return [re.sub(r"Path\([^)]*\), line=\d+", "", repr(one)) for one in reading.objectives], bool(reading.problems)


def test_every_field_of_openslo_is_in_the_documents_or_refused() -> None:
    assert {name for name, _ in PLACES} | set(REFUSED) == all_fields()


def test_documents_themselves_are_valid(tmp_path: Path) -> None:
    found, has_problems = content(tmp_path, DOCUMENTS)
    assert len(found) == 4
    assert not has_problems


@pytest.mark.parametrize(("name", "path"), PLACES, ids=[".".join(map(str, path)) for _, path in PLACES])
def test_field_left_out_changes_an_objective_or_is_missed(
    tmp_path: Path, untouched: Content, name: str, path: tuple[Any, ...]
) -> None:
    spoilt = copy.deepcopy(DOCUMENTS)
    owner = spoilt
    for step in path[:-1]:
        owner = owner[step]
    del owner[path[-1]]
    if content(tmp_path, spoilt) == untouched:
        assert name in REDUNDANT
        owner[path[-1]] = "Loki" if name.endswith("type") else "openslo/v2" if name.endswith("Version") else "Other"
        assert content(tmp_path, spoilt)[1], "another value must be refused"


@pytest.mark.parametrize(("name", "value"), REFUSED.items())
def test_field_of_composites_is_refused_by_name(tmp_path: Path, name: str, value: object) -> None:
    spoilt = copy.deepcopy(DOCUMENTS)
    field = name.partition(".")[2]
    spoilt[-1]["spec"]["objectives"][0][field] = value
    problems = examine(
        [written(tmp_path / "slo.yaml", yaml.dump(spoilt, Dumper=yaml.CDumper, sort_keys=False))]
    ).problems
    assert [one.rule for one in problems] == ["composite"]
    assert field in problems[0].what
