"""Sloth's specifications, in both of their forms."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from sloproof.slo.documents.reading import examine, read_objectives
from sloproof.slo.documents.windows import read_windows
from sloproof.slo.model import Ratio, RawRatio, Rolling, Severity
from tests.slo.written_documents import line_of, written

FLAT = """\
version: "prometheus/v1"
service: shop
labels: {team: a, tier: "2"}
slos:
  - name: availability
    objective: 99.9
    description: Sells
    labels: {tier: "1"}
    sli:
      events:
        error_query: sum(rate(requests_total{code=~"5.."}[{{ .window }}]))
        total_query: sum(rate(requests_total[{{.window}}]))
    alerting:
      name: Burns
      page_alert: {labels: {severity: wake}}
      ticket_alert: {disable: true}
"""
KUBERNETES = """\
apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata: {name: x, namespace: y}
spec:
  service: shop
  slos:
    - name: satisfaction
      objective: 95
      sli: {raw: {errorRatioQuery: "1 - avg(avg_over_time(satisfaction[{{.window}}]))"}}
"""
WINDOWS = """\
apiVersion: sloth.slok.dev/v1
kind: AlertWindows
spec:
  sloPeriod: 30d
  page:
    quick: {errorBudgetPercent: 1, shortWindow: 2m, longWindow: 30m}
    slow: {errorBudgetPercent: 2.5, shortWindow: 15m, longWindow: 3h}
  ticket:
    quick: {errorBudgetPercent: 5, shortWindow: 1h, longWindow: 12h}
    slow: {errorBudgetPercent: 5, shortWindow: 3h, longWindow: 36h}
"""


def test_events_become_bad_and_all_of_them(tmp_path: Path) -> None:
    (found,) = read_objectives([written(tmp_path / "a.yml", FLAT)])
    assert (found.id, found.target, found.period) == (
        "shop-availability", Fraction(999, 1000), Rolling(timedelta(days=30)),
    )  # fmt: skip
    assert isinstance(found.indicator, Ratio)
    assert found.indicator.bad is not None
    assert found.indicator.bad.query == 'sum(rate(requests_total{code=~"5.."}[{{.window}}]))'
    assert found.indicator.bad.place.line == line_of(FLAT, "error_query")
    assert dict(found.labels) == {"team": "a", "tier": "1"}


def test_disabled_tickets_have_no_rows_and_labels_of_alerts_are_noted(tmp_path: Path) -> None:
    reading = examine([written(tmp_path / "a.yml", FLAT)])
    assert {row.severity for row in reading.objectives[0].rows} == {Severity.PAGE}
    assert ("alerting.page_alert.labels.severity", "wake") in reading.objectives[0].notes
    assert [note.rule for note in reading.notes] == ["sloth-alerting"]


def test_raw_ratio_in_the_form_of_a_cluster(tmp_path: Path) -> None:
    (found,) = read_objectives([written(tmp_path / "a.yml", KUBERNETES)])
    assert isinstance(found.indicator, RawRatio)
    assert found.indicator.failure
    assert len(found.rows) == 4


@pytest.mark.parametrize(
    ("old", "new", "there", "rule"),
    [
        ("objective: 99.9", "objective: 0.999", "objective:", "percent"),
        ("objective: 99.9", "objective: 100", "objective:", "target"),
        ("error_query", "errorQuery", "errorQuery", "unknown-field"),
        ("[{{ .window }}]", "[5m]", "error_query", "window"),
        ("  - name: avail", "  - plugins: {chain: []}\n    name: avail", "plugins", "sloth-plugin"),
        ("service: shop\n", "service: shop\nslo_plugins: {chain: []}\n", "slo_plugins", "sloth-plugin"),
    ],
)
def test_mistake_is_refused_with_its_line(tmp_path: Path, old: str, new: str, there: str, rule: str) -> None:
    text = FLAT.replace(old, new, 1)
    problems = examine([written(tmp_path / "a.yml", text)]).problems
    assert (rule, line_of(text, there)) in {(one.rule, one.place.line) for one in problems}


def test_catalogue_of_windows_makes_the_rows(tmp_path: Path) -> None:
    written(tmp_path / "windows.yaml", WINDOWS)
    written(tmp_path / "slo.yaml", KUBERNETES)
    (found,) = read_objectives([tmp_path])
    assert [(row.name, row.long, row.factor) for row in found.rows] == [
        ("page-quick", timedelta(minutes=30), Fraction("14.4")),
        ("page-slow", timedelta(hours=3), Fraction(6)),
        ("ticket-quick", timedelta(hours=12), Fraction(3)),
        ("ticket-slow", timedelta(hours=36), Fraction(1)),
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("errorBudgetPercent: 2.5", "errorBudgetPercent: 0", "above 0 and up to 100"),
        ("longWindow: 36h", "longWindow: 31d", "shortWindow <= longWindow <= sloPeriod"),
        ("shortWindow: 2m", "shortWindow: 31m", "shortWindow <= longWindow"),
        ("sloPeriod: 30d", "sloPeriod: 30", "expected text as spec.sloPeriod, got the number 30"),
        ("quick: {errorBudgetPercent: 1,", "quick: {errorBudgetPercent: x,", "expected a number"),
    ],
)
def test_spoilt_catalogue_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = written(tmp_path / "windows.yaml", WINDOWS.replace(old, new))
    assert any(words in problem.what for problem in examine([path]).problems)


def test_windows_are_read_alone_too(tmp_path: Path) -> None:
    (found,) = read_windows(written(tmp_path / "windows.yaml", WINDOWS))
    assert (found.period, len(found.windows)) == (timedelta(days=30), 4)
    assert found.windows[1].budget_fraction == Fraction(25, 1000)
