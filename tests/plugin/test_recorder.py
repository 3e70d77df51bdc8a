from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from sloproof.plugin.recorder import RECORDER
from sloproof.report.record import ScenarioRecord
from tests.plugin.project import GOOD, write

pytest_plugins = ["pytester"]

STEPS = """
import pytest
from pytest_bdd import given, parsers, then, when
from sloproof.errors import ComponentExitedError, ExpectationError, UnavailableError
from sloproof.finding import Finding, Query, Verdict
from sloproof.plugin.recorder import RECORDER

@pytest.fixture
def recorder(request):
    return request.config.stash[RECORDER]

@pytest.fixture
def loaded(recorder):
    recorder.add_finding(finding("pass", "the fixture is well"))

@pytest.fixture
def broken():
    raise UnavailableError("expected an answer, got none", where="prometheus")

@pytest.fixture
def asserting():
    assert 1 == 2

@pytest.fixture
def leaky():
    yield
    raise UnavailableError("expected to end, but did not")

def finding(verdict, claim="it is so"):
    return Finding("check", Verdict(verdict), claim, "1", "2", queries=(Query("prometheus", "up"),))

@given("a thing")
def a_thing(): ...

@given("a loaded thing")
def loaded_thing(loaded): ...

@given("a broken thing")
def broken_thing(broken): ...

@given("a leaky thing")
def leaky_thing(leaky): ...

@then("it holds")
def it_holds(): ...

@then(parsers.parse('it is judged "{verdict}"'))
def judged(recorder, verdict):
    recorder.add_finding(finding("pass", "something else is well"))
    seen = finding(verdict)
    recorder.add_finding(seen)
    if verdict != "pass":
        raise ExpectationError(seen.text())

@then(parsers.parse('it is noted as "{verdict}"'))
def noted(recorder, verdict):
    recorder.add_finding(finding(verdict))

@then(parsers.parse('it raises "{name}"'))
def raises(name):
    raise {
        "assertion": AssertionError("no"),
        "expectation": ExpectationError("expected 1, got 2"),
        "unavailable": UnavailableError("expected an answer, got none"),
        "exited": ComponentExitedError("loki", -9, ("bye",)),
        "value": ValueError("bad"),
    }[name]

@then("it gives up")
def gives_up():
    pytest.fail("no more")

@then("it is skipped")
def skipped():
    pytest.skip("not here")
"""


class Records:
    """Takes the records of a run within a test."""

    def __init__(self) -> None:
        self.all: list[ScenarioRecord] = []

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.all = session.config.stash[RECORDER].records


def records_of(pytester: pytest.Pytester, feature: str, *args: str, steps: str = STEPS) -> list[ScenarioRecord]:
    write(pytester, steps=steps, f=feature)
    records = Records()
    # Records are taken from the errors themselves; pytest's own texts of them would be written for nobody.
    pytester.runpytest_inprocess("features", "--tb=no", *args, plugins=[records])
    return records.all


def record_of(pytester: pytest.Pytester, *lines: str, steps: str = STEPS) -> ScenarioRecord:
    body = "".join(f"    {line}\n" for line in lines)
    (record,) = records_of(pytester, f"Feature: F\n  Scenario: S\n{body}", steps=steps)
    return record


def test_verdict_of_a_scenario_is_the_worst_of_its_findings_and_errors(pytester: pytest.Pytester) -> None:
    expected = {
        "Then it holds": "pass",
        'Then it is judged "pass"': "pass",
        'Then it is judged "fail"': "fail",
        'Then it is judged "inconclusive"': "inconclusive",
        'Then it is judged "blocked"': "blocked",
        'Then it is judged "error"': "error",
        'Then it raises "assertion"': "fail",
        'Then it raises "expectation"': "fail",
        'Then it raises "unavailable"': "error",
        'Then it raises "exited"': "error",
        'Then it raises "value"': "error",
        "Then it gives up": "fail",
        "Then it is skipped": "skipped",
        "Given a broken thing": "error",
        "Given a leaky thing": "error",
    }
    scenarios = [f"  Scenario: {step}\n    Given a thing\n    {step}\n    Then it holds\n" for step in expected]

    records = records_of(pytester, "Feature: F\n" + "\n".join(scenarios))

    assert {record.name: record.verdict for record in records} == expected


def test_a_broken_tool_does_not_hide_a_proven_lie(pytester: pytest.Pytester) -> None:
    record = record_of(pytester, "Given a thing", 'Then it is noted as "fail"', 'Then it raises "unavailable"')

    assert record.verdict == "fail"


def test_a_finding_that_is_not_a_pass_fails_its_scenario_even_if_no_step_says_so(pytester: pytest.Pytester) -> None:
    """What the report calls failed must never be green in pytest."""
    verdicts = ["fail", "inconclusive", "blocked", "error"]
    lasts = ["it holds", "it is skipped"]
    scenarios = [
        f'  Scenario: {verdict}, then {last}\n    Then it is noted as "{verdict}"\n    Then {last}\n'
        for verdict in verdicts
        for last in lasts
    ]
    write(pytester, steps=STEPS, f="Feature: F\n" + "\n".join(scenarios))
    records = Records()

    result = pytester.runpytest_inprocess("features", plugins=[records])

    result.assert_outcomes(failed=8)
    result.stdout.fnmatch_lines(
        ["features/f.feature:3", "> failed   Then it is noted*", "FAIL *check*it is so", "INCONCLUSIVE *check*it is so"]
    )
    assert [record.verdict for record in records.all] == [verdict for verdict in verdicts for _ in lasts]
    assert {record.steps[0].outcome for record in records.all} == {"failed"}


def test_steps_have_outcomes_durations_findings_and_errors(pytester: pytest.Pytester) -> None:
    record = record_of(pytester, "Given a thing", 'Then it is judged "fail"', "And it holds")

    assert [(step.keyword, step.text, step.line, step.outcome) for step in record.steps] == [
        ("Given", "a thing", 3, "passed"),
        ("Then", 'it is judged "fail"', 4, "failed"),
        ("And", "it holds", 5, "not run"),
    ]
    judged = record.steps[1]
    assert [finding.verdict for finding in judged.findings] == ["pass", "fail"]
    assert judged.findings[1].queries[0].text == "up"
    assert judged.error.startswith("FAIL [check] it is so")
    assert judged.duration_seconds > 0
    assert record.steps[2].duration_seconds == 0


def test_a_skipped_step_leaves_the_rest_not_run(pytester: pytest.Pytester) -> None:
    record = record_of(pytester, "Given a thing", "Then it is skipped", "And it holds")

    assert [step.outcome for step in record.steps] == ["passed", "skipped", "not run"]
    assert record.reason == "not here"


def test_a_scenario_skipped_by_its_tag_has_all_its_steps_not_run(pytester: pytest.Pytester) -> None:
    (record,) = records_of(pytester, "Feature: F\n  @skip\n  Scenario: S\n    Given a thing\n    Then it holds\n")

    assert (record.verdict, record.reason) == ("skipped", "unconditional skip")
    assert [step.outcome for step in record.steps] == ["not run", "not run"]


def test_a_scenario_expected_to_fail_is_skipped_with_that_reason(pytester: pytest.Pytester) -> None:
    (record,) = records_of(pytester, 'Feature: F\n  @xfail\n  Scenario: S\n    Then it is judged "fail"\n')

    assert (record.verdict, record.reason) == ("skipped", "expected to fail")
    assert record.steps[0].outcome == "failed"


def test_an_error_of_setup_is_an_error_even_if_it_is_an_assertion(pytester: pytest.Pytester) -> None:
    """Setup trouble never looks like a broken claim."""
    steps = STEPS + "\n@pytest.fixture(autouse=True)\ndef first(asserting): ...\n"

    record = record_of(pytester, "Given a thing", "Then it holds", steps=steps)

    assert record.verdict == "error"
    assert record.reason.startswith("setup: AssertionError")
    assert [step.outcome for step in record.steps] == ["not run", "not run"]


def test_findings_of_fixtures_are_not_lost(pytester: pytest.Pytester) -> None:
    record = record_of(pytester, "Given a loaded thing", "Then it holds")

    assert [finding.claim for step in record.steps for finding in step.findings] == ["the fixture is well"]


def test_a_row_of_an_outline_is_recorded_with_its_values_and_tags(pytester: pytest.Pytester) -> None:
    first, second = records_of(
        pytester,
        '@slow\nFeature: F\n  Scenario Outline: It is <v>\n    Given a thing\n    Then it is judged "<v>"\n'
        "    Examples:\n      | v |\n      | pass |\n    @nightly\n    Examples:\n      | v |\n      | fail |\n",
    )

    assert (first.name, first.verdict, first.tags) == ("It is pass", "pass", ("slow",))
    assert (second.name, second.verdict, second.tags) == ("It is fail", "fail", ("nightly", "slow"))
    assert second.steps[1].text == 'it is judged "fail"'
    assert second.node_id == "features/f.feature::test_it_is_v[fail]"
    assert (second.feature, second.feature_file, second.line) == ("F", "features/f.feature", 3)


def test_a_record_survives_json_and_says_when_it_was(pytester: pytest.Pytester) -> None:
    record = record_of(pytester, "Given a thing", 'Then it is judged "fail"')

    assert msgspec.json.decode(msgspec.json.encode(record), type=ScenarioRecord) == record
    assert record.started.endswith("Z")
    assert datetime.fromisoformat(record.started).tzinfo is not None


@pytest.mark.slow
def test_records_come_back_from_the_workers_of_xdist(pytester: pytest.Pytester) -> None:
    dump = """
def pytest_sessionfinish(session):
    from sloproof.plugin.recorder import RECORDER
    if not hasattr(session.config, "workerinput"):
        print("\\nverdicts:", sorted(record.verdict for record in session.config.stash[RECORDER].records))
"""
    write(
        pytester,
        steps=STEPS + dump,
        a='Feature: A\n  Scenario: S\n    Then it is judged "fail"\n  Scenario: T\n    Then it holds\n',
        b="Feature: B\n  Scenario: S\n    Then it is skipped\n",
    )

    result = pytester.runpytest_inprocess("features", "-n", "2", "-s")

    result.stdout.fnmatch_lines(["verdicts: ['fail', 'pass', 'skipped']"])


def test_the_moment_of_the_failure_is_diagnosed_before_anything_is_torn_down(pytester: pytest.Pytester) -> None:
    steps = (
        STEPS
        + """
@pytest.fixture(autouse=True)
def stack(recorder):
    state = ["running"]
    recorder.diagnose = lambda: ((("loki", state[0]),), (("loki", "last line"),))
    yield
    state[0] = "stopped"
"""
    )
    record = record_of(pytester, "Given a thing", 'Then it raises "value"', steps=steps)

    assert record.components == (("loki", "running"),)
    assert record.last_lines == (("loki", "last line"),)


def test_a_failing_diagnosis_does_not_hide_the_failure(pytester: pytest.Pytester) -> None:
    steps = STEPS + "\n@pytest.fixture(autouse=True)\ndef stack(recorder):\n    recorder.diagnose = lambda: 1 / 0\n"

    record = record_of(pytester, "Given a thing", 'Then it raises "expectation"', steps=steps)

    assert record.verdict == "fail"
    assert record.components == (("diagnosis", "failed: division by zero"),)


def test_what_passes_is_not_diagnosed(pytester: pytest.Pytester) -> None:
    steps = STEPS + "\n@pytest.fixture(autouse=True)\ndef stack(recorder):\n    recorder.diagnose = lambda: 1 / 0\n"

    assert record_of(pytester, "Then it holds", steps=steps).components == ()


def test_ordinary_tests_are_not_recorded(pytester: pytest.Pytester) -> None:
    write(pytester, good=GOOD)
    pytester.makepyfile("def test_it(): assert False")
    records = Records()

    pytester.runpytest_inprocess(plugins=[records])

    assert [record.name for record in records.all] == ["It holds"]
