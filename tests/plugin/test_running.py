"""How a run begins, goes on and ends, without an environment ever coming up."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from sloproof.environment.backends import state_file
from sloproof.plugin.occupation import occupy
from tests.plugin.project import GOOD, STEPS, write

pytest_plugins = ["pytester"]
# A process each: what a project with a table loads cannot be loaded twice into one.
pytestmark = pytest.mark.slow

TABLE = r"""
[tool.sloproof.service]
name = "api"
command = ["api"]
[tool.sloproof.metrics.requests]
name = "requests_total"
[tool.sloproof.logs]
pattern = '(?P<level>\w+) (?P<message>.*) (?P<request_id>\S+)'
request = '(?P<method>\S+) (?P<endpoint>\S+) (?P<status>\d+) (?P<duration_seconds>\S+)'
"""

# A backend whose start, or whose making, goes wrong as the test wants it.
BACKEND = (
    STEPS
    + """
from sloproof.errors import EnvironmentStartError, SettingsError

def pytest_sloproof_environment(config, name):
    return Backend() if name == "own" else None

class Backend:
    name = "own"
    capabilities = frozenset()
    addresses = {}
    timings = {}

    def start(self):
        raise PROBLEM

    def stop(self): ...
    def detach(self): ...
    def keep_evidence(self, folder): ...

    def status(self):
        return ()

@then("the system is up")
def up(harness): ...

@then("a value is wrong")
def wrong():
    raise SettingsError("expected a duration with a unit, got '3'")

@then("somebody interrupts")
def interrupts():
    raise KeyboardInterrupt
"""
)
START = BACKEND + 'PROBLEM = EnvironmentStartError("expected service to be ready within 20 s")\n'
SETTINGS = BACKEND + 'PROBLEM = SettingsError("expected a mix")\n'


def project(pytester: pytest.Pytester, steps: str = START, **features: str) -> None:
    write(pytester, steps=steps, **features)
    (pytester.path / "pyproject.toml").write_text(TABLE)


def scenarios(*lasts: str) -> str:
    """Return a feature of one scenario a step."""
    return "Feature: F\n" + "".join(f"  Scenario: S{n}\n    Then {last}\n" for n, last in enumerate(lasts, start=1))


def report(pytester: pytest.Pytester) -> Any:
    return json.loads((pytester.path / "reports" / "latest" / "report.json").read_bytes())


def test_a_wrong_value_in_a_step_fails_its_scenario_and_no_other(pytester: pytest.Pytester) -> None:
    project(pytester, f=scenarios("a value is wrong", "it holds"))

    result = pytester.runpytest_subprocess("features")

    result.assert_outcomes(failed=1, passed=1)
    assert "the run ends here" not in str(result.stdout)


@pytest.mark.parametrize(("steps", "told"), [(START, "to be ready within 20 s"), (SETTINGS, "expected a mix")])
def test_an_environment_that_does_not_come_up_ends_the_run(pytester: pytest.Pytester, steps: str, told: str) -> None:
    project(pytester, steps, f=scenarios("the system is up", "it holds"))

    result = pytester.runpytest_subprocess("features", "--env", "own")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*the run ends here:*{told}*"])


def told_of(pytester: pytest.Pytester) -> list[tuple[str, str, str]]:
    """Return the name, verdict and reason of each scenario in the report."""
    return [(one["name"], one["verdict"], one["reason"].partition("\n")[0]) for one in report(pytester)["scenarios"]]


def test_scenarios_that_a_run_did_not_come_to_are_in_its_report(pytester: pytest.Pytester) -> None:
    project(pytester, f=scenarios("it holds", "the system is up", "it holds", "it holds"), good=GOOD)

    result = pytester.runpytest_subprocess("features", "--env", "own")

    why = "not run: expected service to be ready within 20 s"
    assert told_of(pytester) == [
        ("S1", "pass", ""),
        ("S2", "error", ""),
        ("S3", "blocked", why),
        ("S4", "blocked", why),
        ("It holds", "blocked", why),
    ]
    assert {step["outcome"] for step in report(pytester)["scenarios"][3]["steps"]} == {"not run"}
    result.stdout.fnmatch_lines(["3 scenarios were not run"])
    result.stdout.fnmatch_lines(["*; 4 of 5 s*"])


def test_scenarios_after_ctrl_c_are_in_the_report_the_one_broken_off_too(pytester: pytest.Pytester) -> None:
    project(pytester, f=scenarios("it holds", "somebody interrupts", "it holds"))

    result = pytester.runpytest_subprocess("features")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert told_of(pytester) == [
        ("S1", "pass", ""),
        ("S2", "blocked", "broken off in the middle: the run was interrupted"),
        ("S3", "blocked", "not run: the run was interrupted"),
    ]
    result.stdout.fnmatch_lines(["2 scenarios were not run"])


def test_a_run_to_the_end_leaves_none_out_and_says_nothing(pytester: pytest.Pytester) -> None:
    project(pytester, f=scenarios("it holds", "it holds"), good=GOOD)

    result = pytester.runpytest_subprocess("features", "-k", "s1 or good")

    assert [name for name, _, _ in told_of(pytester)] == ["S1", "It holds"]
    result.stdout.no_fnmatch_line("*not run*")


def test_scenarios_that_no_worker_came_to_are_in_the_report_once(pytester: pytest.Pytester) -> None:
    project(pytester, f=scenarios(*["it holds", "the system is up"] * 10))

    pytester.runpytest_subprocess("features", "--env", "own", "-n", "2")

    told = told_of(pytester)
    assert sorted(int(name.removeprefix("S")) for name, _, _ in told) == list(range(1, 21))
    assert all("expected service to be ready" in reason for _, verdict, reason in told if verdict == "blocked")
    assert sum(verdict == "blocked" for _, verdict, _ in told) >= 10


def test_an_environment_that_nobody_knows_is_refused_before_anything_runs(pytester: pytest.Pytester) -> None:
    project(pytester, f=scenarios("it holds"))

    result = pytester.runpytest_subprocess("features", "--env", "nomad")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*got --env nomad", "*known: local*", "*hook pytest_sloproof_environment*"])
    result.stdout.no_fnmatch_line("*passed*")


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("\n[tool.sloproof.typo]\n", "*unknown field `typo`*"),
        ("\n[tool.sloproof.load]\ntimeout_seconds = -1\n", "*load.timeout_seconds*"),
        ("\nno = TOML\n", "*pyproject.toml: Invalid value*"),
    ],
)
def test_wrong_settings_are_refused_before_anything_runs(
    pytester: pytest.Pytester, wrong: str, told: str, workers: tuple[str, ...]
) -> None:
    project(pytester, f=scenarios("it holds"))
    with (pytester.path / "pyproject.toml").open("a") as table:
        table.write(wrong)

    result = pytester.runpytest_subprocess("features", *workers)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}"])
    assert "Traceback" not in f"{result.stdout}{result.stderr}"
    result.stdout.no_fnmatch_line("*passed*")


def test_wrong_settings_do_not_bar_a_run_without_scenarios(pytester: pytest.Pytester) -> None:
    project(pytester, f=scenarios("it holds"))
    (pytester.path / "pyproject.toml").write_text(f"{TABLE}\n[tool.sloproof.typo]\n")
    pytester.makepyfile(test_it="def test_it(): pass")

    pytester.runpytest_subprocess("test_it.py").assert_outcomes(passed=1)


def test_reusing_an_environment_that_is_not_there_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(pytester.path / "state"))
    project(pytester, f=scenarios("it holds"))

    result = pytester.runpytest_subprocess("features", "--env-reuse")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--env-reuse: expected a running environment, found none", "*sloproof up"])


def test_reusing_an_environment_that_another_run_has_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(pytester.path / "state"))
    project(pytester, f=scenarios("it holds"))
    lock = occupy(state_file(pytester.path, {"XDG_STATE_HOME": str(pytester.path / "state")}))

    result = pytester.runpytest_subprocess("features", "--env-reuse")
    lock.release()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*in use by another run, process {os.getpid()}:*"])
