"""What is read of documents: exactly what they say, and everything that is wrong with them, with its line."""

# ruff: noqa: DTZ001 - what the clock on a wall shows has no zone

from __future__ import annotations

import dataclasses
import re
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sloproof.errors import SettingsError
from sloproof.slo.documents.openslo_duration import format_openslo_duration, openslo_length
from sloproof.slo.documents.reading import examine, read_objectives
from sloproof.slo.model import (
    AlertRow,
    Budgeting,
    Calendar,
    Metric,
    NoData,
    Objective,
    Place,
    Ratio,
    RawRatio,
    Rolling,
    Severity,
    Source,
    Threshold,
    Truth,
)
from sloproof.slo.rows import default_rows
from tests.slo.written_documents import GOOD, as_yaml, line_of, written

REPOSITORY = Path(__file__).parents[3]
NOWHERE = Place(Path("x"), 1)


def read(path: Path, text: str) -> Objective:
    (found,) = read_objectives([written(path / "slo.yaml", text)])
    return found


def refusal(path: Path, text: str) -> tuple[int, str, str]:
    """Return line, rule and text of the one problem that a document has."""
    (problem,) = examine([written(path / "slo.yaml", text)]).problems
    return problem.place.line, problem.rule, f"{problem.what}; {problem.hint}"


def test_shipped_documents_are_read() -> None:
    found = {one.id: one for one in read_objectives([REPOSITORY / "slo"])}
    assert set(found) == {
        "users-api-availability", "users-api-latency", "users-api-log-errors", "users-api-probe", "users-api-received",
    }  # fmt: skip
    assert {one.source for one in found.values()} == {Source.PROMETHEUS, Source.LOKI, Source.LEDGER}
    assert all(len(one.rows) == 4 for one in found.values())


def test_numbers_are_the_decimal_text_and_not_its_float(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).target == Fraction(999, 1000)
    percent = read(tmp_path, GOOD.replace("target: 0.999", "targetPercent: 99.95"))
    assert percent.target == Fraction(9995, 10_000)
    assert percent.budget == Fraction(1, 2000)


def test_slo_without_policies_gets_the_default_rows(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert found.rows == default_rows(found.period, found.budget, timedelta(seconds=15))
    assert found.missing_after == timedelta(minutes=5)
    assert read(tmp_path, GOOD.replace("  objectives:", "  alertPolicies: []\n  objectives:")).rows == ()


def test_time_window_left_out_is_thirty_days(tmp_path: Path) -> None:
    text = GOOD.replace("  timeWindow:\n    - duration: 30d\n      isRolling: true\n", "")
    assert read(tmp_path, text).period == Rolling(timedelta(days=30))


def test_month_of_the_calendar_keeps_place_and_zone(tmp_path: Path) -> None:
    text = GOOD.replace("duration: 30d", "duration: 1M").replace(
        "isRolling: true", "calendar:\n        startTime: 2026-01-31 00:00:00\n        timeZone: Europe/Berlin"
    )
    assert read(tmp_path, text).period == Calendar(1, "M", datetime(2026, 1, 31), ZoneInfo("Europe/Berlin"))


def test_several_objectives_get_a_number(tmp_path: Path) -> None:
    text = GOOD + "    - target: 0.99\n      displayName: soft\n"
    found = read_objectives([written(tmp_path / "a.yaml", text)])
    assert [(one.slo, one.target, one.title) for one in found] == [
        ("availability-1", Fraction(999, 1000), ""), ("availability-2", Fraction(99, 100), "soft"),
    ]  # fmt: skip


def test_references_lead_across_files_and_documents(tmp_path: Path) -> None:
    inline = GOOD[GOOD.index("  indicator:") : GOOD.index("  timeWindow:")]
    spec = inline[inline.index("      ratioMetric:") :]
    sli = "apiVersion: openslo/v1\nkind: SLI\nmetadata:\n  name: errors\n  displayName: Errors\nspec:\n" + "\n".join(
        line[4:] for line in spec.splitlines()
    ).replace("type: Prometheus", "metricSourceRef: metrics")
    source = (
        "apiVersion: openslo/v1\nkind: DataSource\nmetadata:\n  name: metrics\nspec:\n  type: PROMETHEUS\n"
        "  connectionDetails:\n    url: http://x\n    password: secret\n"
    )
    (tmp_path / "deep").mkdir()
    written(tmp_path / "deep" / "parts.yml", f"{sli}\n---\n{source}")
    written(tmp_path / "slo.yaml", GOOD.replace(inline, "  indicatorRef: errors\n"))
    (found,) = read_objectives([tmp_path])
    assert isinstance(found.indicator, Ratio)
    assert found.indicator.total.datasource == "metrics"
    assert found.indicator.total.place.file.name == "parts.yml"
    assert ("SLI errors.metadata.displayName", "Errors") in found.notes
    assert not any("secret" in text for _, text in found.notes)


def test_list_at_the_top_holds_documents(tmp_path: Path) -> None:
    first, *rest = GOOD.splitlines()
    assert read(tmp_path, "\n".join([f"- {first}", *(f"  {line}" for line in rest)])).target == Fraction(999, 1000)


POLICY = """\
apiVersion: openslo/v1
kind: AlertPolicy
metadata:
  name: fast
  annotations:
    sloproof/short-window: 5m
spec:
  alertWhenBreaching: true
  alertWhenNoData: true
  conditions:
    - conditionRef: burning
  notificationTargets:
    - targetRef: on-call
---
apiVersion: openslo/v1
kind: AlertCondition
metadata:
  name: burning
spec:
  severity: page
  condition:
    kind: burnrate
    op: gt
    threshold: 14.4
    lookbackWindow: 1h
    alertAfter: 2m
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata:
  name: on-call
spec:
  target: pager
"""
WITH_POLICY = GOOD.replace("  objectives:", "  alertPolicies:\n    - alertPolicyRef: fast\n  objectives:") + "---\n"


def test_policy_becomes_one_row(tmp_path: Path) -> None:
    found = read(tmp_path, WITH_POLICY + POLICY)
    (row,) = found.rows
    assert (row.name, row.severity, row.long, row.short) == (
        "fast", Severity.PAGE, timedelta(hours=1), timedelta(minutes=5),
    )  # fmt: skip
    assert (row.factor, row.hold) == (Fraction("14.4"), timedelta(minutes=2))
    assert (row.resolved, row.missing, row.targets) == (False, True, ("on-call",))
    assert ("AlertNotificationTarget on-call.spec.target", "pager") in found.notes


def test_short_window_is_a_twelfth_where_none_is_named(tmp_path: Path) -> None:
    text = POLICY.replace("    sloproof/short-window: 5m\n", "    other/tool: yes please\n")
    found = read(tmp_path, WITH_POLICY + text.replace("lookbackWindow: 1h", "lookbackWindow: 6h"))
    assert found.rows[0].short == timedelta(minutes=30)
    assert ("AlertPolicy fast.metadata.annotations.other/tool", "yes please") in found.notes


SPOILT_POLICIES = [
    ("op: gt", "op: lte", "op: lte", "condition-op", "tell of a healthy service"),
    ("op: gt", "op: gte", "op: gte", "condition-op", "write op: gt"),
    ("severity: page", "severity: critical", "severity: critical", "severity", "page or ticket, got critical"),
    ("severity: page", "severity: tickt", "severity: tickt", "severity", "did you mean ticket"),
    ("threshold: 14.4", "threshold: 0", "threshold: 0", "wrong-value", "above 0"),
    ("kind: burnrate", "kind: average", "kind: average", "wrong-value", "expected burnrate"),
    ("lookbackWindow: 1h", "lookbackWindow: 90s", "lookbackWindow: 90s", "duration", "'90s' as lookbackWindow"),
    ("alertAfter: 2m", "alertAfter: soon", "alertAfter: soon", "duration", "as alertAfter"),
    ("conditionRef: burning", "conditionRef: burnin", "conditionRef: burnin", "unknown-reference", "did you mean burning"),
    ("targetRef: on-call", "targetRef: on-cal", "targetRef: on-cal", "unknown-reference", "did you mean on-call"),
    ("alertWhenBreaching: true", "alertWhenBreaching: false", "alertWhenBreaching", "policy", "tells nobody"),
    ("short-window: 5m", "short-window: 2h", "short-window: 2h", "annotation", "not above the long one"),
    ("short-window: 5m", "short-windw: 5m", "short-windw", "annotation", "did you mean sloproof/short-window"),
    (
        "    - conditionRef: burning\n", "    - conditionRef: burning\n    - conditionRef: burning\n", "conditions:",
        "policy", "exactly one condition, got 2",
    ),
    ("    - targetRef: on-call\n", "    []\n", "notificationTargets:", "policy", "got none"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "there", "rule", "words"), SPOILT_POLICIES)
def test_spoilt_policy_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, there: str, rule: str, words: str
) -> None:
    text = (WITH_POLICY + POLICY).replace(old, new)
    line, found, message = refusal(tmp_path, text)
    assert (found, words in message) == (rule, True), message
    assert line == line_of(text, there)


def test_every_problem_of_a_policy_is_told_at_once(tmp_path: Path) -> None:
    text = (WITH_POLICY + POLICY).replace("op: gt", "op: lte").replace("targetRef: on-call", "targetRef: nobody")
    problems = examine([written(tmp_path / "slo.yaml", text)]).problems
    assert {one.rule for one in problems} == {"condition-op", "unknown-reference"}


TWO_WINDOWS = "    - duration: 30d\n      isRolling: true\n    - duration: 7d\n      isRolling: true\n"
CALENDAR = "      calendar:\n        startTime: 2026-01-01 00:00:00\n        timeZone: Europe/Berlin\n"
ROLLING = "      isRolling: true\n"
SPOILT = [
    ("target: 0.999", "target: 99.9", "target: 99.9", "percent", "write target: 0.999"),
    ("target: 0.999", "targetPercent: 0.999", "targetPercent", "percent", "write targetPercent: 99.9 or target: 0.999"),
    ("target: 0.999", "target: 1", "target: 1", "target", "below 100 %"),
    ("target: 0.999", "targetPercent: 100", "targetPercent", "target", "below 100 %"),
    ("target: 0.999", "target: -0.5", "target: -0.5", "target", "from 0 to below 1"),
    ("target: 0.999", "target: 0.999\n      targetPercent: 99.9", "targetPercent", "target", "got both"),
    ("- target: 0.999", "- displayName: x", "displayName: x", "target", "got neither"),
    ("target: 0.999", 'target: "0.999"', "target:", "wrong-type", "write it without quotes"),
    ("target: 0.999", "target: .inf", "target: .inf", "wrong-type", "expected a number"),
    ("target: 0.999", "target: 1e-99999999", "target: 1e", "wrong-type", "expected a number"),
    ("target: 0.999", "targt: 0.999", "targt", "unknown-field", "did you mean target"),
    ("target: 0.999", "target: 0.999\n      target: 0.5", "target: 0.5", "twice", "once, got it again"),
    ("target: 0.999", "target: 0.999\n      op: gt", "op: gt", "op-on-ratio", "remove op"),
    ("target: 0.999", "target: 0.999\n      value: 3", "value: 3", "op-on-ratio", "remove value"),
    ("target: 0.999", "target: 0.999\n      timeSliceWindow: 1m", "timeSliceWindow", "time-slice", "expected no"),
    ("target: 0.999", "target: 0.999\n      timeSliceTarget: 0.9", "timeSliceTarget", "time-slice", "expected no"),
    ("target: 0.999", "target: 0.999\n      compositeWeight: 2", "compositeWeight", "composite", "an SLO for each"),
    ("target: 0.999", "target: 0.999\n      indicatorRef: x", "indicatorRef", "composite", "an SLO for each"),
    ("    - target: 0.999", "    []", "objectives:", "missing-field", "an objective, got none"),
    ("budgetingMethod: Occurrences", "budgetingMethod: Occurences", "budgeting", "wrong-value", "did you mean Occurrences"),
    ("  budgetingMethod: Occurrences\n", "", "spec:", "missing-field", "spec.budgetingMethod"),
    ("duration: 30d", "duration: 1m", "duration: 1m", "time-window", "m is minutes, M is months"),
    ("duration: 30d", "duration: 2Y", "duration: 2Y", "time-window", "to a year"),
    ("duration: 30d", "duration: 30 days", "duration: 30 days", "duration", "m minutes"),
    ("    - duration: 30d\n      isRolling: true\n", TWO_WINDOWS, "timeWindow:", "time-window", "exactly one"),
    ("isRolling: true", "isRolling: false", "isRolling: false", "time-window", "or a calendar"),
    ("isRolling: true", "isRolling: maybe", "isRolling: maybe", "wrong-type", "true or false"),
    (ROLLING, ROLLING + CALENDAR, "isRolling", "time-window", "beside a calendar"),
    (ROLLING, CALENDAR.replace("Berlin", "Berlim"), "timeZone", "time-zone", "did you mean Europe/Berlin"),
    (ROLLING, CALENDAR.replace("2026-01-01", "2026-02-30"), "startTime", "wrong-value", "YYYY-MM-DD"),
    (ROLLING, CALENDAR.replace("00:00:00", "00:00:00Z"), "startTime", "wrong-value", "without a zone"),
    ("        counter: true\n", "", "ratioMetric", "counter", "counter: true or counter: false"),
    ("        bad:", "        sum:", "sum:", "unknown-field", "known in spec.indicator.spec.ratioMetric"),
    ('query: sum(requests_total{job="shop"})', "query: ''", "query: ''", "wrong-type", "expected a query"),
    ('query: sum(requests_total{job="shop"})', "quary: x", "quary", "unknown-field", "did you mean query"),
    ("type: Prometheus", "type: Datadog", "type: Datadog", "source", "got Datadog"),
    ("type: Prometheus", "metricSourceRef: prom", "metricSourceRef", "unknown-reference", "there is none"),
    ("name: availability", "name: Availability!", "name: Avail", "name", "lower-case"),
    ("name: availability", "name: 5", "name: 5", "wrong-type", 'in quotes: "5"'),
    ("kind: SLO", "kind: Slo", "kind: Slo", "wrong-value", "did you mean SLO"),
    ("apiVersion: openslo/v1", "apiVersion: openslo/v1alpha", "apiVersion", "api-version", "move it to v1"),
    ("apiVersion: openslo/v1", "apiVersion: openslo.com/v2alpha", "apiVersion", "api-version", "not final"),
    ("metadata:\n", "metadata:\n  <<: {a: b}\n", "<<", "unknown-field", "merge key"),
    ("spec:\n  service", "spec:\n  owner: me\n  service", "owner: me", "unknown-field", "remove it"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "there", "rule", "words"), SPOILT)
def test_spoilt_document_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, there: str, rule: str, words: str
) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    line, found, message = refusal(tmp_path, text)
    assert (found, words in message) == (rule, True), message
    assert line == line_of(text, there)


ANNOTATIONS = [
    ("min-events", "many", "whole number"),
    ("no-data", "ignore", "unknown, bad, good"),
    ("missing-after", "5", "duration with a unit"),
    ("missing-after", "0s", "above 0"),
    ("fault", "error_ratio", "JSON object"),
    ("fault", "[1]", "JSON object"),
    ("truth-bad", "requests{}", "truth-total"),
    ("truth-bad", "errors{}", ""),
    ("min-event", "1", "did you mean sloproof/min-events"),
]


@pytest.mark.parametrize(("name", "text", "words"), ANNOTATIONS)
def test_spoilt_annotation_is_refused_with_its_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    document = GOOD.replace(
        "  name: availability\n", f"  name: availability\n  annotations:\n    sloproof/{name}: '{text}'\n"
    )
    problems = examine([written(tmp_path / "slo.yaml", document)]).problems
    assert all((one.rule, one.place.line) == ("annotation", line_of(document, f"sloproof/{name}")) for one in problems)
    assert problems
    assert any(words in str(one) for one in problems)


def test_document_that_nothing_refers_to_is_checked_and_noted(tmp_path: Path) -> None:
    reading = examine([written(tmp_path / "slo.yaml", GOOD + "---\n" + POLICY.replace("op: gt", "op: lt"))])
    assert [one.rule for one in reading.problems] == ["condition-op"]
    assert {one.rule for one in reading.notes} == {"unused"}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("{a-b: x, a_b: y}", "expected labels that differ on alerts, got a-b and a_b, which are both a_b there"),
        ('{"__name__": x}', "expected a label that an alert can carry, got '__name__'"),
        ('{"": x}', "expected a label that an alert can carry, got ''"),
    ],
)
def test_labels_that_an_alert_would_lose_are_refused(tmp_path: Path, labels: str, words: str) -> None:
    text = GOOD.replace("name: availability", f"name: availability\n  labels: {labels}")
    with pytest.raises(SettingsError, match="label") as raised:
        read_objectives([written(tmp_path / "slo.yaml", text)])
    assert f"slo.yaml:5: [label] {words}" in str(raised.value)


def test_label_of_a_service_that_would_stand_in_for_the_slos_is_refused(tmp_path: Path) -> None:
    service = "---\napiVersion: openslo/v1\nkind: Service\nmetadata: {name: shop, labels: {a.b: x}}\nspec: {}\n"
    text = GOOD.replace("name: availability", "name: availability\n  labels: {a-b: y}") + service
    with pytest.raises(SettingsError, match=r"got a-b and a\.b, which are both a_b there"):
        read_objectives([written(tmp_path / "slo.yaml", text)])


def test_duplicate_ids_are_refused_with_both_places(tmp_path: Path) -> None:
    written(tmp_path / "a.yaml", GOOD)
    written(tmp_path / "b.yaml", GOOD.replace("name: availability", "name: c").replace("service: shop", "service: a-b"))
    other = GOOD.replace("name: availability", "name: b-c").replace("service: shop", "service: a")
    written(tmp_path / "c.yaml", other)
    (problem,) = examine([tmp_path]).problems
    assert problem.rule == "duplicate-id"
    assert "a-b-c" in problem.what
    assert "b.yaml" in problem.what
    assert problem.place.file.name == "c.yaml"


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    written(tmp_path / "a.yaml", GOOD.replace("target: 0.999", "target: 99.9").replace("duration: 30d", "duration: 1x"))
    written(tmp_path / "b.yaml", "kind: [")
    written(tmp_path / "c.yaml", GOOD.replace("name: availability", "name: c").replace("service: shop", "servce: shop"))
    with pytest.raises(SettingsError) as caught:
        read_objectives([tmp_path])
    told = caught.value.details["problems"]
    assert caught.value.headline == "expected the SLO documents to be valid, but there are 5 problems"
    assert [word in told for word in ("a.yaml:28", "a.yaml:24", "b.yaml:", "[yaml]", "c.yaml:6")] == [True] * 5


def test_folder_without_an_slo_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no \.yaml"):
        read_objectives([tmp_path])
    written(tmp_path / "a.yaml", "---\n")
    with pytest.raises(SettingsError, match="there is none"):
        read_objectives([tmp_path])
    with pytest.raises(SettingsError, match="there is nothing"):
        read_objectives([tmp_path / "nowhere"])


def test_service_with_documents_must_be_among_them(tmp_path: Path) -> None:
    service = "apiVersion: openslo/v1\nkind: Service\nmetadata:\n  name: shopp\nspec: {}\n---\n"
    _, rule, words = refusal(tmp_path, service + GOOD)
    assert rule == "unknown-reference"
    assert "did you mean shopp" in words


def test_queries_of_two_systems_in_one_ratio_are_refused(tmp_path: Path) -> None:
    logs = 'query: sum(count_over_time({app="shop"}[{{.window}}]))'
    old = 'type: Prometheus\n            spec:\n              query: sum(requests_total{job="shop"})'
    _, rule, words = refusal(tmp_path, GOOD.replace(old, f"type: Loki\n            spec:\n              {logs}"))
    assert rule == "source"
    assert "loki and prometheus" in words


def test_logql_without_window_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("type: Prometheus", "type: loki").replace("sum(requests_total", "sum(rate")
    found = examine([written(tmp_path / "a.yaml", text)]).problems
    assert [one.rule for one in found] == ["logql-window", "logql-window"]


def test_alias_bomb_is_refused_and_not_expanded(tmp_path: Path) -> None:
    levels = "".join(f"      a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    text = (
        "apiVersion: openslo/v1\nkind: DataSource\nmetadata:\n  name: x\nspec:\n  type: Prometheus\n"
        f"  connectionDetails:\n      a0: &a0 x\n{levels}"
    )
    _, _, words = refusal(tmp_path, text)
    assert "at most 10000 parts" in words


names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,5})?", fullmatch=True)
ratios = st.integers(1, 99_999).map(lambda number: Fraction(number, 100_000))
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=30).map(str.strip)
whole_minutes = st.integers(1, 100_000).map(lambda number: timedelta(minutes=number))


def metric(source: Source, query: str, *, counter: bool = True) -> Metric:
    return Metric(source, query, NOWHERE, counter)


@st.composite
def indicators(draw: st.DrawFn) -> Ratio | RawRatio | Threshold:
    name = draw(st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
    kind = draw(st.sampled_from(["prometheus", "gauge", "loki", "ledger", "raw", "threshold"]))
    if kind == "raw":
        return RawRatio(metric(Source.PROMETHEUS, f"avg({name})", counter=False), draw(st.booleans()))
    if kind == "threshold":
        value = draw(st.integers(-1000, 10**9).map(lambda number: Fraction(number, 1000)))
        operator = draw(st.sampled_from(["<", "<=", ">", ">="]))
        return Threshold(metric(Source.PROMETHEUS, name, counter=False), operator, value)
    part, total, source = f'sum({name}{{a="1: # b"}})', f"sum({name})", Source.PROMETHEUS
    if kind == "loki":
        source, total = Source.LOKI, f'sum(count_over_time({{app="{name}"}} [{{{{.window}}}}]))'
        part = total.replace("}", "} |= `x`", 1)
    if kind == "ledger":
        source, part, total = Source.LEDGER, 'requests{outcome=~"5.."}', "requests"
    counter = kind != "gauge"
    one, all_events = metric(source, part, counter=counter), metric(source, total, counter=counter)
    return Ratio(all_events, good=one) if draw(st.booleans()) else Ratio(all_events, bad=one)


@st.composite
def rows(draw: st.DrawFn) -> tuple[AlertRow, ...]:
    found = []
    for name in draw(st.lists(names, unique=True, max_size=4)):
        long = draw(whole_minutes)
        short = draw(st.sampled_from([long, long / 4, long / 12, long / 60]))
        factor = draw(st.integers(1, 10**6).map(lambda number: Fraction(number, 1000)))
        hold = draw(st.sampled_from([timedelta(0), timedelta(minutes=7), timedelta(hours=2)]))
        targets = tuple(draw(st.lists(names, unique=True, min_size=1, max_size=2)))
        severity = draw(st.sampled_from(list(Severity)))
        found.append(
            AlertRow(name, severity, long, short, factor, hold, draw(st.booleans()), targets, draw(st.booleans()))
        )
    return tuple(sorted(found, key=lambda row: (row.severity is not Severity.PAGE, -row.factor)))


@st.composite
def periods(draw: st.DrawFn) -> Rolling | Calendar:
    if draw(st.booleans()):
        return Rolling(draw(st.integers(60, 90 * 1440).map(lambda number: timedelta(minutes=number))))
    unit, most = draw(st.sampled_from([("h", 100), ("d", 90), ("w", 12), ("M", 12), ("Q", 4), ("Y", 1)]))
    start = draw(st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1))).replace(microsecond=0, fold=0)
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]))
    return Calendar(draw(st.integers(1, most)), unit, start, ZoneInfo(zone))


@st.composite
def objectives(draw: st.DrawFn) -> Objective:
    budgeting = draw(st.sampled_from(list(Budgeting)))
    has_slices = budgeting is not Budgeting.OCCURRENCES
    bad, total = 'requests{outcome=~"5.."}', "requests"
    return Objective(
        service=draw(names),
        slo=draw(names),
        target=draw(ratios),
        indicator=draw(indicators()),
        period=draw(periods()),
        budgeting=budgeting,
        place=NOWHERE,
        title=draw(texts),
        description=draw(texts),
        slice_length=draw(st.integers(1, 59).map(lambda number: timedelta(minutes=number))) if has_slices else None,
        slice_target=draw(ratios) if budgeting is Budgeting.TIMESLICES else None,
        rows=draw(rows()),
        min_events=draw(st.integers(0, 10**6)),
        no_data=draw(st.sampled_from(list(NoData))),
        missing_after=draw(st.none() | st.integers(1, 10**6).map(lambda number: timedelta(seconds=number))),
        labels=tuple(draw(st.dictionaries(names, st.sampled_from(["a", "a,b", "5", "true"]), max_size=3)).items()),
        truth=draw(st.sampled_from([None, Truth(bad, total)])),
        fault=draw(st.sampled_from(["", '{"error_ratio": 0.5}'])),
    )


def same(one: Objective) -> str:
    """Return all of an objective but for places and notes."""
    whole = repr(dataclasses.replace(one, place=NOWHERE, notes=()))
    return re.sub(r"place=(Place\(file=\w+\('[^']*'\), line=\d+\)|None)", "place", whole)


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(st.lists(objectives(), min_size=1, max_size=3, unique_by=(lambda one: one.id, lambda one: one.slo)))
def test_objectives_written_as_documents_read_back_as_the_same(tmp_path: Path, wanted: list[Objective]) -> None:
    text = as_yaml(tuple(wanted))
    found = read_objectives([written(tmp_path / "slo.yaml", text)])
    assert [same(one) for one in found] == [same(one) for one in wanted]


@given(st.integers(1, 10**6))
def test_openslo_durations_read_back(number: int) -> None:
    duration = timedelta(minutes=number)
    assert openslo_length(format_openslo_duration(duration)) == duration
