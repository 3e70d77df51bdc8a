"""Each silent mistake, found; and nothing said of what is right."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from sloproof.clients.prometheus import PrometheusClient
from sloproof.model import Labels, MetricMetadata, Window
from sloproof.nearest import metric_name, nearest_hint, parse_selector
from sloproof.slo.documents.problem import Problem
from sloproof.slo.lint.static import lint
from tests.slo.written_documents import GOOD, line_of, written

REPOSITORY = Path(__file__).parents[3]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
BAD_QUERY = 'sum(requests_total{job="shop", code=~"5.."})'
TOTAL_QUERY = 'sum(requests_total{job="shop"})'


def found(path: Path, text: str, scrape: int = 15, client: object = None) -> tuple[Problem, ...]:
    return lint(
        [written(path / "slo.yaml", text)],
        scrape_interval=timedelta(seconds=scrape),
        prometheus=cast("PrometheusClient | None", client),
        at=NOW,
    )


def with_queries(bad: str, total: str = TOTAL_QUERY) -> str:
    text = GOOD.replace(f"query: {BAD_QUERY}", f"query: {bad!r}")
    return text.replace(f"query: {TOTAL_QUERY}", f"query: {total!r}")


def test_good_document_gives_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, GOOD) == ()


def test_documents_without_an_slo_are_noted_and_not_called_clean(tmp_path: Path) -> None:
    (note,) = found(tmp_path, "")
    assert (note.rule, note.is_note) == ("no-slo", True)


def test_shipped_documents_are_clean() -> None:
    assert lint([REPOSITORY / "slo"]) == ()


def test_what_the_reader_refuses_is_a_finding_with_its_line(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, GOOD.replace("target: 0.999", "target: 99.9"))
    assert str(problem) == (
        f"{tmp_path}/slo.yaml:28: [percent] expected target as a ratio below 1, got 99.9; "
        "if that is a percentage, write target: 0.999"
    )


BAD_COUNT = 'rate(sum(requests_total{job="shop"})[{{.window}}:])'
MISTAKES = [
    ('sum(rate(requests_total{job="shop", code=~"5.."}[5m]))', "fixed-range", "got 5m"),
    ('sum(rate(requests_total{job="shop", code=~"5.."}[30s]))', "short-range", "1m at a scrape interval of 15s"),
    (BAD_COUNT, "sum-before-increase", "rate of subquery of sum of requests_total"),
    ('sum(requests_total{job="shop", code=~"5.."}', "promql", "unclosed left parenthesis"),
    (TOTAL_QUERY, "same-query", "always be missed"),
    ('sum(requests_total{job="shap", code=~"5.."})', "different-filters", 'only good or bad events have job="shap"'),
    ('sum(requests_total{code=~"5.."})', "different-filters", 'only all events have job="shop"'),
    (
        'sum(requests_total{job="shop", path="/a", code=~"5.."})', "different-filters",
        'only good or bad events have path="/a"',
    ),
    ('sum(latency_bucket{job="shop"})', "bucket-without-le", "every event is in several buckets"),
    ('sum(requests_total{job="shop", code=~"5.."} @ 0)', "fixed-instant", "its count is the same whenever one asks"),
    ('sum(increase(requests_total{job="shop", code=~"5.."}[{{.window}}] @ end()))', "fixed-instant", "(@)"),
    (
        'sum(requests_total{job="shop", code=~"5.."} offset 1h)', "different-times", "got offset 1h beside no offset",
    ),
    (
        'sum(increase(requests_total{job="shop", code=~"5.."}[{{.window}}] offset -5m))', "different-times",
        "got offset -5m beside no offset",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("query", "rule", "words"), MISTAKES)
def test_mistake_in_a_query_is_found_where_it_stands(tmp_path: Path, query: str, rule: str, words: str) -> None:
    text = with_queries(query)
    problems = [one for one in found(tmp_path, text) if one.rule == rule]
    assert len(problems) == 1
    assert words in problems[0].what
    assert problems[0].place.line == line_of(text, repr(query))


SLICED = "target: 0.999\n      timeSliceTarget: 0.95\n      timeSliceWindow: 5m"
RIGHT = [
    ('sum(increase(requests_total{job="shop", code=~"5.."}[{{.window}}]))', TOTAL_QUERY),
    ('sum by (zone) (requests_total{job="shop", http_status!~"2.."})', TOTAL_QUERY),
    ('sum(latency_bucket{job="shop", le="0.5"})', 'sum(latency_count{job="shop"})'),
    # What arrives late is looked at later, all of it.
    ('sum(requests_total{job="shop", code=~"5.."} offset 5m)', 'sum(requests_total{job="shop"} offset 5m)'),
    ('sum(latency_bucket{job="shop", le="0.5"})', 'sum(latency_bucket{job="shop", le="+Inf"})'),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "total"), RIGHT)
def test_right_query_gives_nothing(tmp_path: Path, bad: str, total: str) -> None:
    assert found(tmp_path, with_queries(bad, total)) == ()


def test_log_lines_of_another_time_are_found(tmp_path: Path) -> None:
    query = 'sum(count_over_time({{app="shop"}} |= "{what}" [{{{{.window}}}}]{offset}))'
    text = GOOD.replace("type: Prometheus", "type: Loki")
    text = text.replace(BAD_QUERY, repr(query.format(what="offset 2h", offset=" offset 1h")))
    text = text.replace(TOTAL_QUERY, repr(query.format(what="GET", offset="")))
    (problem,) = found(tmp_path, text)
    assert problem.rule == "different-times"
    assert "got offset 1h beside no offset" in problem.what


@pytest.mark.parametrize(("least", "rows"), [("12", 0), ("13", 1), ("100", 2)])
def test_minimum_of_events_that_no_window_of_slices_holds_is_found(tmp_path: Path, least: str, rows: int) -> None:
    text = GOOD.replace("Occurrences", "Timeslices").replace("target: 0.999", SLICED)
    text = text.replace("name: availability", f'name: availability\n  annotations: {{sloproof/min-events: "{least}"}}')
    problems = [one for one in found(tmp_path, text) if one.rule == "min-events"]
    assert len(problems) == rows
    assert all("it can never alert" in one.hint for one in problems)
    if problems:
        assert "the 12 slices of 1h in page-quick" in problems[0].what


def test_other_stream_in_one_of_two_log_queries_is_found(tmp_path: Path) -> None:
    query = 'sum(count_over_time({{app="{app}"}} |= "{{" [{{{{.window}}}}]))'
    text = GOOD.replace("type: Prometheus", "type: Loki").replace(BAD_QUERY, repr(query.format(app="shap")))
    text = text.replace(TOTAL_QUERY, repr(query.format(app="shop")))
    (problem,) = found(tmp_path, text)
    assert problem.rule == "different-filters"
    assert 'app="shap"' in problem.what


def test_fixed_range_in_a_log_query_beside_the_window_is_found(tmp_path: Path) -> None:
    text = GOOD.replace("type: Prometheus", "type: Loki").replace(
        BAD_QUERY, 'sum(count_over_time({job="shop"} |= `x`[5m])) + sum(count_over_time({job="shop"} |= `y` [{{.window}}]))'
    ).replace(TOTAL_QUERY, 'sum(count_over_time({job="shop"}[{{.window}}]))')  # fmt: skip
    assert [one.rule for one in found(tmp_path, text)] == ["fixed-range"]


def policy(threshold: str = "10", lookback: str = "1h") -> str:
    return GOOD.replace(
        "  objectives:",
        "  alertPolicies:\n    - kind: AlertPolicy\n      metadata: {name: fast}\n      spec:\n"
        "        alertWhenBreaching: true\n"
        "        conditions: [{metadata: {name: c}, spec: {severity: page, condition: {kind: burnrate, op: gt, "
        f"threshold: {threshold}, lookbackWindow: {lookback}}}}}}}]\n"
        "        notificationTargets: [{metadata: {name: t}, spec: {target: x}}]\n  objectives:",
    )


def test_threshold_that_no_error_ratio_exceeds_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, policy("999")) == ()
    (problem,) = found(tmp_path, policy("1000"))
    assert problem.rule == "unreachable"
    assert problem.place.line == line_of(policy("1000"), "name: fast")


def test_default_row_that_is_left_out_is_a_note(tmp_path: Path) -> None:
    (note,) = found(tmp_path, GOOD.replace("target: 0.999", "target: 0.9"))
    assert (note.rule, note.is_note) == ("row-left-out", True)
    assert "1.44" in note.what


def test_window_longer_than_the_period_is_found(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, policy(lookback="31d"))
    assert problem.rule == "long-window"


def test_short_window_of_less_than_four_scrapes_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, policy(), scrape=75) == ()
    (problem,) = found(tmp_path, policy(), scrape=76)
    assert problem.rule == "short-range"


def test_slice_shorter_than_the_scrape_is_found(tmp_path: Path) -> None:
    text = GOOD.replace("Occurrences", "RatioTimeslices") + "      timeSliceWindow: 1m\n"
    assert [one.rule for one in found(tmp_path, text, scrape=60)] == []
    assert [one.rule for one in found(tmp_path, text, scrape=61)] == ["short-slice"]


class FakePrometheus:
    """Answers from a list of series."""

    def __init__(self, series: Sequence[Labels], kind: str = "counter") -> None:
        self.known = series
        self.kind = kind

    def series(self, matchers: Sequence[str], window: Window) -> tuple[Labels, ...]:
        assert window.end == NOW
        (selector,) = matchers
        name, conditions = parse_selector(selector)
        return tuple(
            one for one in self.known if one["__name__"] == name and all(each.matches(one) for each in conditions)
        )

    def metadata(self, metric: str | None = None) -> tuple[MetricMetadata, ...]:
        return (MetricMetadata(metric or "", self.kind, ""),)

    def nearest(self, selector: str, window: Window) -> str:
        names = {one["__name__"] for one in self.known}
        return nearest_hint(selector, names, [one for one in self.known if one["__name__"] == metric_name(selector)])


def series(name: str, **labels: str) -> Labels:
    return {"__name__": name, **labels}


ALL = [series("requests_total", job="shop", code="200"), series("requests_total", job="shop", code="500")]


def test_documents_that_fit_the_server_give_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, GOOD, client=FakePrometheus(ALL)) == ()


def test_selector_that_matches_nothing_names_the_nearest(tmp_path: Path) -> None:
    problems = found(tmp_path, GOOD, client=FakePrometheus([series("request_total", job="shop", code="500")]))
    assert [one.rule for one in problems] == ["no-match", "no-match"]
    assert "nearest: request_total" in problems[0].hint


def test_label_that_no_series_has_is_found_even_for_errors(tmp_path: Path) -> None:
    client = FakePrometheus([series("requests_total", job="shop", status="500")])
    (problem,) = found(tmp_path, GOOD, client=client)
    assert (problem.rule, problem.is_note) == ("no-match", False)
    assert "has no label code" in problem.hint


def test_errors_that_never_happened_are_only_a_note(tmp_path: Path) -> None:
    (note,) = found(tmp_path, GOOD, client=FakePrometheus(ALL[:1]))
    assert (note.rule, note.is_note) == ("no-match", True)


BUCKETS = [series("latency_bucket", job="shop", le=le) for le in ("0.1", "0.5", "1.0", "+Inf")]
LATENCY = [*BUCKETS, series("latency_count", job="shop")]


@pytest.mark.parametrize(
    ("bound", "rules"),
    [("0.5", []), ("0.3", ["no-bucket"]), ("500", ["no-bucket"]), ("1", ["le-spelling"])],
)
def test_threshold_must_be_a_bound_of_the_histogram(tmp_path: Path, bound: str, rules: list[str]) -> None:
    text = with_queries(f'sum(latency_bucket{{job="shop", le="{bound}"}})', 'sum(latency_count{job="shop"})')
    problems = found(tmp_path, text, client=FakePrometheus(LATENCY, "histogram"))
    assert [one.rule for one in problems] == rules
    if rules == ["no-bucket"]:
        assert "it has 0.1, 0.5, 1.0, +Inf" in problems[0].what


def test_gauge_that_is_called_a_counter_is_found(tmp_path: Path) -> None:
    problems = found(tmp_path, GOOD, client=FakePrometheus(ALL, "gauge"))
    assert [one.rule for one in problems] == ["not-a-counter", "not-a-counter"]
