from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sloproof.plugin.failure import github_annotations
from sloproof.report.record import FindingRecord, ScenarioRecord, StepRecord
from tests.plugin.project import write

pytest_plugins = ["pytester"]

STEPS = """
import pytest
from datetime import UTC, datetime, timedelta
from pytest_bdd import given, then, when
from sloproof.errors import EnvironmentStartError, ExpectationError, UnavailableError
from sloproof.finding import Finding, Query, Verdict
from sloproof.plugin.recorder import RECORDER

@pytest.fixture
def recorder(request):
    found = request.config.stash[RECORDER]
    found.diagnose = lambda: (
        (("prometheus", "running"), ("promtail", "exited with status 1")),
        (("prometheus", ""), ("promtail", "level=error no space\\nlevel=info bye")),
    )
    return found

@pytest.fixture
def stack():
    raise EnvironmentStartError("expected loki to become ready within 20 s, it answered 503", where="loki")

@given("a thing")
def a_thing(recorder): ...

@given("a stack")
def a_stack(stack): ...

@then("every line arrives")
def lines(recorder):
    seen = Finding(
        "log_delivery", Verdict.FAIL, "no line is lost", "20 lines", "18 lines",
        at=datetime(2026, 1, 2, tzinfo=UTC), sample_age=timedelta(milliseconds=20),
        queries=(Query("loki", '{app="shop"}', "http://127.0.0.1:3100/query"),),
        hint="see the shipper", evidence=(("poll history", "0.1 s  17\\n0.2 s  18"),),
    )
    recorder.add_finding(seen)
    raise ExpectationError(seen.text())

@then("these counters rise")
def counters(datatable):
    raise UnavailableError("expected Prometheus to answer, got a timeout", waited="5 s")

@then("it is computed")
def computed():
    return divide(1)

def divide(number):
    return number / 0

@then("it holds")
def holds(): ...
"""


def output(pytester: pytest.Pytester, *lines: str, args: tuple[str, ...] = (), steps: str = STEPS) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    write(pytester, steps=steps, f=f"Feature: Lines\n  Scenario: No line is lost\n{body}")
    return str(pytester.runpytest_inprocess("features", *args).stdout)


def test_a_broken_claim_shows_place_steps_evidence_and_components_and_no_code(pytester: pytest.Pytester) -> None:
    said = output(pytester, "Given a thing", "Then every line arrives", "And it holds")

    said = re.sub(r"\(\d+\.\d\d s\)", "(0.00 s)", said)  # how long steps took is another test's matter
    assert (
        """
features/f.feature:4
  Lines: No line is lost

  passed   Given a thing  (0.00 s)
> failed   Then every line arrives  (0.00 s)
  not run  And it holds

FAIL [log_delivery] no line is lost
  expected:     20 lines
  measured:     18 lines
  at:           2026-01-02T00:00:00.000+00:00, newest sample 0.020 s old
  loki:         {app="shop"}
                http://127.0.0.1:3100/query
  poll history: 0.1 s  17
                0.2 s  18
  hint:         see the shipper

components at that moment
  prometheus  running
  promtail    exited with status 1

last lines of promtail
  level=error no space
  level=info bye
"""
        in said
    )
    assert "Traceback" not in said
    assert "raise ExpectationError" not in said


def test_an_error_of_ours_shows_its_details_and_the_steps_table_and_no_code(pytester: pytest.Pytester) -> None:
    said = output(
        pytester, "Given a thing", "Then these counters rise", "  | counter | by |", "  | requests_total | 1 |"
    )

    assert "             | counter        | by |\n             | requests_total | 1  |\n" in said
    assert "ERROR: expected Prometheus to answer, got a timeout\n  waited: 5 s\n" in said
    assert "raise UnavailableError" not in said


def test_an_error_in_code_shows_the_code_of_steps_alone(pytester: pytest.Pytester) -> None:
    said = output(pytester, "Given a thing", "Then it is computed")

    assert ">       return divide(1)" in said
    assert "E       ZeroDivisionError: division by zero" in said
    assert "pytest_bdd/" not in said
    assert "_pytest/" not in said
    assert said.index("> failed   Then it is computed") < said.index("ZeroDivisionError")
    assert "components at that moment" in said


@pytest.mark.parametrize("style", ["long", "short", "line", "native", "no"])
def test_every_style_of_traceback_can_be_asked_for(pytester: pytest.Pytester, style: str) -> None:
    said = output(pytester, "Given a thing", "Then it is computed", args=(f"--tb={style}",))

    assert "1 failed" in said
    assert "INTERNALERROR" not in said
    if style == "line":
        assert "features/f.feature:4: ZeroDivisionError: division by zero" in said


def test_an_environment_that_does_not_start_is_no_broken_claim(pytester: pytest.Pytester) -> None:
    steps = STEPS + "\n@pytest.fixture(autouse=True)\ndef up(stack): ...\n"

    said = output(pytester, "Given a thing", "Then it holds", steps=steps)

    assert "the scenario's setup failed" in said
    assert "ERROR: expected loki to become ready within 20 s, it answered 503\n  where: loki\n" in said
    assert "  not run  Given a thing" in said
    assert "raise EnvironmentStartError" not in said


def test_the_summary_and_junit_carry_the_claim(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")  # pytest does not shorten its summary there

    said = output(pytester, "Given a thing", "Then every line arrives", args=("--junitxml=junit.xml",))

    assert "FAILED features/f.feature::test_no_line_is_lost - FAIL [log_delivery] no line is lost" in said
    (failure,) = ET.parse(pytester.path / "junit.xml").getroot().iter("failure")
    assert failure.get("message") == "FAIL [log_delivery] no line is lost"
    assert "> failed   Then every line arrives" in (failure.text or "")


@pytest.mark.slow
def test_xdist_shows_the_same(pytester: pytest.Pytester) -> None:
    write(pytester, steps=STEPS, f="Feature: F\n  Scenario: S\n    Given a thing\n    Then every line arrives\n")

    result = pytester.runpytest_inprocess("features", "-n", "1")

    result.stdout.fnmatch_lines(
        ["features/f.feature:4", "> failed   Then every line arrives*", "  measured:     18 lines"]
    )


def test_github_gets_an_annotation_on_the_line_of_the_step(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)

    said = output(pytester, "Given a thing", "Then every line arrives")

    assert (
        "\n::error file=features/f.feature,line=4,title=fail%3A No line is lost::"
        "no line is lost%0Aexpected: 20 lines%0Ameasured: 18 lines\n"
    ) in said


def record(verdict: str, *steps: StepRecord, name: str = "S") -> ScenarioRecord:
    return ScenarioRecord(
        node_id="x",
        feature="F",
        feature_file="features/f.feature",
        line=2,
        name=name,
        tags=(),
        verdict=verdict,
        reason="why" if not steps else "",
        started="",
        duration_seconds=0,
        steps=steps,
    )


def test_annotations_are_for_github_and_for_what_did_not_pass() -> None:
    records = [record("pass"), record("skipped"), record("blocked")]

    assert github_annotations(records, Path("/repo"), {}) == ()
    assert github_annotations(records, Path("/repo"), {"GITHUB_ACTIONS": "true"}) == (
        "::error file=features/f.feature,line=2,title=blocked%3A S::why",
    )


def test_annotations_name_the_file_from_the_top_of_the_repository() -> None:
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": "/repo"}

    (line,) = github_annotations([record("fail")], Path("/repo/shop"), environ)

    assert "file=shop/features/f.feature," in line


def test_annotations_are_escaped() -> None:
    finding = FindingRecord(check="c", verdict="fail", claim="50 % of a, b", expected="1", measured="2\n3")
    step = StepRecord(
        keyword="Then", text="t", line=9, outcome="failed", duration_seconds=0, findings=(finding,), error=""
    )

    (line,) = github_annotations([record("fail", step, name="A: b, c")], Path("/repo"), {"GITHUB_ACTIONS": "true"})

    assert line == (
        "::error file=features/f.feature,line=9,title=fail%3A A%3A b%2C c::"
        "50 %25 of a, b%0Aexpected: 1%0Ameasured: 2%0A3"
    )
