from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sloproof.checks.dashboard_panels import Independent, PanelAnswer, PanelEvidence, judge
from sloproof.dashboards import PanelQuery, ResolvedQuery
from sloproof.model import LogEntry, Stream, ns_from_instant
from tests.checks.facts import BASIS, after, fails, label_set, passes, seconds, series, unclear

if TYPE_CHECKING:
    from sloproof.finding import Finding

QUERY = PanelQuery("Traffic", 1, "timeseries", "A", "sum(rate(app_request_count_total[1m]))", "prom", "prometheus",
                   is_instant=False)  # fmt: skip
RESOLVED = ResolvedQuery(QUERY, QUERY.expression, "prom")
ANSWER = PanelAnswer(RESOLVED, [series({8: 49.0, 9.9: 50.0})])
EVIDENCE = PanelEvidence(
    at=after(10),
    answers=(),
    datasources={"prom": "prometheus", "loki-1": "loki"},
    metrics={"app_request_count_total", "up"},
)


def judged(answer: PanelAnswer, **changed: Any) -> Finding:
    (found,) = judge(replace(EVIDENCE, answers=[answer], **changed), BASIS, max_age=seconds(1))
    return found


def asked(expression: str, **changed: Any) -> PanelAnswer:
    return replace(ANSWER, query=replace(RESOLVED, expression=expression, **changed))


def test_dashboard_panels_pass_with_fresh_numbers_equal_to_an_independent_computation() -> None:
    truth = Independent(50.4, "the ledger", relative_tolerance=0.01)

    assert passes(judged(replace(ANSWER, independent=[truth])))


def test_dashboard_panels_say_so_when_the_number_is_another() -> None:
    found = judged(replace(ANSWER, independent=[Independent(100, "the ledger", relative_tolerance=0.01)]))

    assert fails(found)
    assert "off by -50, allowed 1" in found.measured


def test_dashboard_panels_say_so_when_there_is_nothing_single_to_compare_with() -> None:
    truth = Independent(50, "the ledger", labels={"endpoint": "/"})

    assert fails(judged(replace(ANSWER, independent=[truth])))


def test_dashboard_panels_say_so_when_a_counter_is_queried_without_total() -> None:
    found = judged(asked("sum(rate(app_request_count[1m]))"))

    assert fails(found)
    assert "metric app_request_count does not exist; nearest: app_request_count_total" in found.measured


def test_dashboard_panels_say_so_when_a_label_was_renamed() -> None:
    known = [label_set("app_request_count_total", http_status="200")]

    found = judged(asked('app_request_count_total{status="500"}'), series=known)

    assert fails(found)
    assert "no label status" in found.measured


def test_dashboard_panels_say_so_when_the_datasource_uid_is_wrong() -> None:
    found = judged(replace(ANSWER, query=replace(RESOLVED, datasource="prom-old")))

    assert fails(found)
    assert "datasource uid 'prom-old' does not exist; nearest: prom" in found.measured


def test_dashboard_panels_say_so_when_the_uid_is_that_of_the_other_datasource() -> None:
    found = judged(replace(ANSWER, query=replace(RESOLVED, datasource="loki-1")))

    assert fails(found)
    assert "'loki-1' is loki, the panel wants prometheus" in found.measured


def test_dashboard_panels_say_so_when_a_variable_is_stale() -> None:
    found = judged(asked('up{pod="old-pod"}', used={"pod": ("old-pod",)}), variable_values={"pod": {"new-pod"}})

    assert fails(found)
    assert "stale variable: $pod is old-pod" in found.measured


def test_dashboard_panels_say_so_when_a_variable_has_no_value() -> None:
    found = judged(asked("up{pod='$pod'}", unresolved=("pod",)))

    assert fails(found)
    assert "unresolvable variable: $pod" in found.measured


def test_dashboard_panels_say_so_when_one_minute_rate_meets_a_one_minute_scrape() -> None:
    found = judged(replace(ANSWER, series=[]))

    assert fails(found)
    assert "no data" in found.measured
    assert "less than two scrapes" in found.hint


def test_dashboard_panels_tell_each_fault_apart() -> None:
    """The same empty answer has different causes; each is named, the cause before its consequence."""
    empty = replace(ANSWER, series=[])
    faults = [
        judged(empty),
        judged(replace(empty, error="parse error")),
        judged(replace(empty, query=replace(RESOLVED, datasource="gone"))),
        judged(replace(empty, query=replace(RESOLVED, expression="gone_total"))),
        judged(replace(empty, query=replace(RESOLVED, unresolved=("x",)))),
        judged(replace(empty, query=replace(RESOLVED, used={"x": ("old",)})), variable_values={"x": []}),
        judged(replace(empty, query=replace(RESOLVED, query=replace(QUERY, expression="")))),
    ]

    assert all(fails(found) for found in faults)
    assert len({found.measured.partition(":")[0] for found in faults}) == len(faults)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_dashboard_panels_say_so_when_the_panel_shows_no_number(value: float) -> None:
    found = judged(replace(ANSWER, series=[series({8: 1.0, 9.9: value}, endpoint="/")]))

    assert fails(found)
    assert 'endpoint="/"' in found.measured


def test_dashboard_panels_say_so_when_the_data_is_old() -> None:
    """A range query repeats an old sample up to five minutes, so the time of the raw sample decides."""
    assert fails(judged(replace(ANSWER, series=[series({8: 1.0})])))
    assert fails(judged(replace(ANSWER, data_time=after(5))))


def test_dashboard_panels_say_so_when_a_panel_has_no_query() -> None:
    empty = ResolvedQuery(replace(QUERY, expression=""), "", "prom")

    assert fails(judged(replace(ANSWER, query=empty)))


def log_answer(expression: str, *at: float) -> PanelAnswer:
    query = replace(QUERY, expression=expression, datasource="loki-1", datasource_kind="loki")
    entries = tuple(LogEntry(ns_from_instant(after(one)), "a line") for one in at)
    return PanelAnswer(ResolvedQuery(query, expression, "loki-1"), streams=[Stream({"app": "x"}, entries)])


def test_dashboard_panels_read_log_panels_too() -> None:
    found = judged(log_answer('{app="x"} |= "error"', 9.5))

    assert passes(found)
    assert "1 stream with 1 line" in found.measured
    assert fails(judged(log_answer('{app="x"}', 7)))
    assert fails(judged(log_answer('{app="x"}')))


def test_dashboard_panels_let_a_panel_be_empty_only_where_that_is_the_truth() -> None:
    assert passes(judged(replace(log_answer('{app="x"}'), may_be_empty=True)))
    assert fails(judged(replace(ANSWER, series=[], may_be_empty=True, error="refused")))


def test_dashboard_panels_are_inconclusive_without_a_panel() -> None:
    (found,) = judge(EVIDENCE, BASIS, max_age=seconds(1))

    assert unclear(found)


def test_dashboard_panels_take_each_bound_to_the_end() -> None:
    assert passes(judged(replace(ANSWER, series=[series({9: 1.0})])))
    assert fails(judged(replace(ANSWER, series=[series({8.999: 1.0})])))
    assert passes(judged(replace(ANSWER, independent=[Independent(40, "x", absolute_tolerance=10)])))
    assert fails(judged(replace(ANSWER, independent=[Independent(40, "x", absolute_tolerance=9.999)])))
    assert passes(judged(replace(ANSWER, independent=[Independent(40, "x", {}, 0.1, 6)])))


def test_dashboard_panels_do_not_judge_a_variable_whose_values_nobody_knows() -> None:
    assert passes(judged(asked("up", used={"pod": ("a",)})))


def test_dashboard_panels_name_a_panel_without_a_title_by_its_number() -> None:
    untitled = replace(QUERY, panel="", ref_id="")

    assert 'panel "panel 1" (?)' in judged(replace(ANSWER, query=replace(RESOLVED, query=untitled))).claim


def test_dashboard_panels_look_for_metrics_where_only_the_datasource_says_its_kind() -> None:
    unsaid = replace(RESOLVED, query=replace(QUERY, datasource_kind=""), expression="gone_total")

    assert "gone_total does not exist" in judged(replace(ANSWER, query=unsaid)).measured
    logs = replace(unsaid, query=replace(QUERY, datasource_kind="", datasource="loki-1"), datasource="loki-1")
    assert passes(judged(replace(ANSWER, query=logs)))


def test_dashboard_panels_show_the_query_as_written_where_variables_were_filled_in() -> None:
    assert "as written" not in dict(judged(ANSWER).evidence)
    assert dict(judged(asked("up")).evidence)["as written"] == QUERY.expression


def test_dashboard_panels_state_the_age_of_the_raw_sample() -> None:
    assert "newest 0.500 s old" in judged(replace(ANSWER, data_time=after(9.5))).measured
