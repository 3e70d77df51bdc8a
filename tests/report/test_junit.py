from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import pytest

from sloproof.report.junit import junit
from sloproof.report.record import FindingRecord, RunRecord, ScenarioRecord, StepRecord

FOUND = FindingRecord(check="c", verdict="fail", claim="all agree", expected="4", measured="3", hint="look")


def scenario(verdict: str, *findings: FindingRecord, error: str = "", reason: str = "") -> ScenarioRecord:
    step = StepRecord(
        keyword="Then", text="t", line=4, outcome="failed", duration_seconds=0.1, findings=findings, error=error
    )
    return ScenarioRecord(
        node_id="n", feature="F", feature_file="features/users.feature", line=3, name=f"a {verdict}", tags=(),
        verdict=verdict, reason=reason, started="2026-03-01T12:00:00Z", duration_seconds=0.25, steps=(step,),
    )  # fmt: skip


def run(*scenarios: ScenarioRecord, problems: tuple[str, ...] = ()) -> ET.Element:
    record = RunRecord(
        verdict="fail", run_id="r", started="2026-03-01T12:00:00Z", duration_seconds=1.5, service="api",
        scenarios=scenarios, problems=problems,
    )  # fmt: skip
    suite = ET.fromstring(junit(record)).find("testsuite")
    assert suite is not None
    return suite


@pytest.mark.parametrize(
    ("verdict", "element"),
    [
        ("fail", "failure"), ("inconclusive", "failure"), ("blocked", "failure"), ("error", "error"),
        ("skipped", "skipped"),
    ],
)  # fmt: skip
def test_verdict_that_is_no_pass_never_reads_as_one(verdict: str, element: str) -> None:
    suite = run(scenario(verdict, msgspec.structs.replace(FOUND, verdict=verdict)))
    case = suite.find("testcase")
    assert case is not None
    assert [child.tag for child in case] == [element]
    assert suite.attrib[{"failure": "failures", "error": "errors", "skipped": "skipped"}[element]] == "1"


def test_pass_has_nothing_in_it() -> None:
    suite = run(scenario("pass", msgspec.structs.replace(FOUND, verdict="pass")))
    case = suite.find("testcase")
    assert case is not None
    assert len(case) == 0
    assert case.attrib == {
        "classname": "features.users", "name": "a pass", "file": "features/users.feature", "line": "3", "time": "0.250",
    }  # fmt: skip


def test_counts_are_those_of_the_cases_that_are_there() -> None:
    verdicts = ("pass", "fail", "inconclusive", "blocked", "error", "skipped")
    suite = run(*map(scenario, verdicts), problems=("the environment did not end",))
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases) == 7
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.attrib[attribute]) == sum(case.find(tag) is not None for case in cases)


def test_failure_tells_the_finding() -> None:
    failure = run(scenario("fail", FOUND)).find("testcase/failure")
    assert failure is not None
    assert failure.attrib == {"message": "all agree", "type": "fail"}
    assert failure.text == "FAIL [c] all agree\n  expected: 4\n  measured: 3\n  hint: look"


def test_error_without_a_finding_tells_its_text() -> None:
    error = run(scenario("error", error="no answer\n  url: x")).find("testcase/error")
    assert error is not None
    assert error.attrib["message"] == "no answer"
    assert error.text == "no answer\n  url: x"


def test_problem_of_the_run_is_an_error_of_its_own() -> None:
    error = run(problems=("the run was interrupted",)).find("testcase/error")
    assert error is not None
    assert error.attrib["message"] == "the run was interrupted"


def test_control_characters_do_not_break_the_document() -> None:
    failure = run(scenario("fail", msgspec.structs.replace(FOUND, claim="\x00\x1b[31m & <b>"))).find("testcase/failure")
    assert failure is not None
    assert "& <b>" in failure.attrib["message"]
