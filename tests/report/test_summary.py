from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from sloproof.report.summary import summarise
from tests.report.examples import BEGIN, failing_run, finding, green_run, scenario, step

if TYPE_CHECKING:
    from sloproof.report.record import RunRecord, ScenarioRecord


def run_of(*scenarios: ScenarioRecord, verdict: str = "fail") -> RunRecord:
    return msgspec.structs.replace(green_run(2, 3), verdict=verdict, scenarios=scenarios)


def judged(verdict: str, second: float, name: str = "S", line: int = 2, **changes: object) -> ScenarioRecord:
    outcome = "passed" if verdict == "pass" else "failed"
    told = finding(verdict, second, **changes)
    return scenario(
        "users", f"{name} {second}", 1, second - 1, [step("Then", "it holds", line, outcome, told)], verdict
    )


def test_lies_come_before_what_could_not_be_judged_and_the_first_lie_first() -> None:
    failures = summarise(failing_run()).failures

    assert [failure.finding.verdict for failure in failures] == [
        "fail", "fail", "error", "error", "blocked", "inconclusive",
    ]  # fmt: skip
    assert [failure.number for failure in failures] == [1, 2, 3, 4, 5, 6]
    assert failures[0].since.first is not None
    assert failures[1].since.first is not None
    assert failures[0].since.first < failures[1].since.first


def test_a_lie_is_dated_from_its_first_failure_and_after_its_last_pass() -> None:
    summary = summarise(run_of(
        judged("pass", 10, line=4), judged("pass", 20, line=5), judged("fail", 30), judged("fail", 40),
        judged("pass", 50),
    ))  # fmt: skip

    since = summary.failures[1].since

    assert since.first == BEGIN + timedelta(seconds=30)
    assert since.held == BEGIN + timedelta(seconds=20)
    assert since.held_at == "features/users.feature:5"
    assert since.into_run == timedelta(seconds=30)
    assert since.times == 2


def test_another_claim_that_held_says_nothing_about_this_one() -> None:
    summary = summarise(run_of(judged("pass", 10, claim="another"), judged("fail", 30)))

    assert summary.failures[0].since.held is None


def test_the_place_is_that_of_the_step_that_failed() -> None:
    assert summarise(failing_run()).failures[0].where == "features/log_delivery.feature:26"


def test_an_error_without_a_finding_is_still_a_failure_with_its_words() -> None:
    failures = {failure.scenario.name: failure for failure in summarise(failing_run()).failures}

    restart = failures["A restart loses no count"]
    assert restart.finding.claim == "Then the counters go on where they were"
    assert restart.finding.measured == "expected a scrape of component service, but the server did not answer"
    assert "waited: 2.0 s" in restart.error
    setup = failures["Readiness is red while draining"]
    assert setup.finding.measured == "setup: component service did not become ready within 5.0 s"
    assert setup.where == "features/probes.feature:40"


def test_a_scenario_that_was_expected_to_fail_is_not_a_failure() -> None:
    lie = msgspec.structs.replace(judged("fail", 30), verdict="skipped", reason="expected to fail: known")

    assert summarise(run_of(lie, verdict="inconclusive")).failures == ()


def test_only_the_first_failure_of_a_scenario_carries_the_diagnosis() -> None:
    steps = [step("Then", "both", 2, "failed", finding("fail", 5, claim="a"), finding("fail", 6, claim="b"))]

    failures = summarise(run_of(scenario("users", "S", 1, 4, steps, "fail"))).failures

    assert [failure.diagnosed_by for failure in failures] == [1, 1]


def test_features_with_something_wrong_come_first_and_the_rest_as_they_ran() -> None:
    features = summarise(failing_run()).features

    assert [feature.verdict for feature in features[:6]] == [
        "fail",
        "fail",
        "error",
        "error",
        "blocked",
        "inconclusive",
    ]
    assert [feature.file for feature in features[6:8]] == [
        "features/three_way_count.feature",
        "features/dashboard_panels.feature",
    ]


def test_a_skipped_scenario_does_not_lift_its_feature_above_the_green_ones() -> None:
    files = [feature.file for feature in summarise(green_run()).features]

    assert files[0] == "features/three_way_count.feature"


def test_the_headline_counts_lies_and_open_questions_apart() -> None:
    headline = summarise(failing_run()).headline

    assert headline == (
        "2 claims are false, 4 could not be judged, 1 problem outside any scenario; 6 of 70 scenarios affected"
    )


def test_nothing_judged_is_no_success() -> None:
    skipped = msgspec.structs.replace(judged("pass", 3), verdict="skipped")

    assert summarise(run_of(skipped, verdict="inconclusive")).headline == (
        "nothing was judged, and no evidence is no success"
    )


def test_an_instant_that_cannot_be_read_does_not_stop_the_report() -> None:
    broken = msgspec.structs.replace(judged("fail", 3, at="yesterday"), started="")

    (failure,) = summarise(run_of(broken)).failures

    assert failure.since.text() == "unknown"


def left(name: str, reason: str) -> ScenarioRecord:
    """Return a scenario that did not come to run."""
    steps = [step("When", "it is asked", 2, "not run"), step("Then", "it holds", 3, "not run")]
    return msgspec.structs.replace(scenario("users", name, 1, 30, steps, "blocked"), reason=reason)


def test_scenarios_that_one_cause_kept_from_running_are_one_failure() -> None:
    died, stopped = "not run: component loki ended with status 1", "not run: the run was interrupted"
    summary = summarise(run_of(
        judged("fail", 10), left("A", died), left("B", died), left("C", stopped), left("D", died),
    ))  # fmt: skip

    assert [(one.finding.claim, one.finding.measured) for one in summary.failures[1:]] == [
        ("3 scenarios not run", "component loki ended with status 1"), ("C", "not run: the run was interrupted"),
    ]  # fmt: skip
    group = summary.failures[1]
    assert [group.scenario.name, *(one.name for one in group.others)] == ["A", "B", "D"]
    assert (group.finding.verdict, group.number, summary.failures[2].number) == ("blocked", 2, 3)


def test_a_scenario_that_was_broken_off_in_the_middle_stands_for_itself() -> None:
    reason = "not run: the run was interrupted"
    begun = left("A", reason)
    begun = msgspec.structs.replace(begun, steps=(step("When", "it is asked", 2), *begun.steps[1:]))
    assert [one.scenario.name for one in summarise(run_of(begun, left("B", reason))).failures] == ["A", "B"]
