from __future__ import annotations

import pytest

from tests.plugin.project import INI, STEPS, write
from tests.plugin.test_workers import TABLE

pytest_plugins = ["pytester"]

# Says which items are alone, in the order in which they would run.
_TELLING = (
    STEPS
    + """
import pytest
from sloproof.plugin.sharing import is_alone
from sloproof.shareable import shareable

for step in (it_works, it_holds, some_things):
    shareable(step)

@then("it holds alone")
def it_holds_alone():
    '''Judge what only one at a time can.'''

def pytest_collection_finish(session):
    for item in session.items:
        print("item", item.name, "alone" if is_alone(item) else "beside")
"""
)
_BACKGROUND = """
Feature: Background
  Background:
    Given a thing

  Scenario: Under it
    Then it holds
"""
_FEATURE = """
Feature: F

  Scenario: Own step
    Then it holds alone

  Scenario: Beside
    Given 3 things
    When it works
    Then it holds

  Scenario: One step of many
    When it works
    Then it holds
    And it holds alone

  @serial
  Scenario: Tagged
    Then it holds

  @needs_faults
  Scenario: Needy
    Then it holds

  @slo
  Scenario: Budget
    Then it holds

  Scenario Outline: Row <what>
    Then it <what>

    Examples:
      | what        |
      | holds       |
      | holds alone |
"""


@pytest.fixture
def shop(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a table, and features that need no environment."""
    write(pytester, ini=INI, steps=_TELLING, f=_FEATURE)
    pytester.makepyprojecttoml(TABLE)
    return pytester


def told(project: pytest.Pytester, *args: str) -> list[str]:
    result = project.runpytest_subprocess("--collect-only", "--env-shared", "-s", *args)
    assert result.ret == pytest.ExitCode.OK, str(result.stderr)
    return [line.removeprefix("item ") for line in result.outlines if line.startswith("item ")]


@pytest.mark.slow
def test_scenarios_of_shareable_steps_come_before_those_that_are_alone_and_budgets_before_all(
    shop: pytest.Pytester,
) -> None:
    assert told(shop, "features") == [
        "test_budget alone",
        "test_beside beside",
        "test_row_what[holds] beside",
        "test_own_step alone",
        "test_one_step_of_many alone",
        "test_tagged alone",
        "test_needy alone",
        "test_row_what[holds alone] alone",
    ]


@pytest.mark.slow
def test_steps_of_the_background_count(shop: pytest.Pytester) -> None:
    write(shop, ini=INI, steps=_TELLING, g=_BACKGROUND)
    assert "test_under_it alone" in told(shop, "features")

    write(shop, ini=INI, steps=_TELLING, g=_BACKGROUND.replace("a thing", "3 things"))
    assert "test_under_it beside" in told(shop, "features")


@pytest.mark.slow
def test_what_is_selected_is_alone_or_not_as_ever(shop: pytest.Pytester) -> None:
    assert told(shop, "features/f.feature::test_beside", "features/f.feature::test_tagged") == [
        "test_beside beside", "test_tagged alone",
    ]  # fmt: skip
    assert told(shop, "features", "-k", "needy or one_step") == ["test_one_step_of_many alone", "test_needy alone"]


@pytest.mark.slow
def test_tests_that_use_the_harness_are_alone_and_others_keep_their_places(shop: pytest.Pytester) -> None:
    """Nobody knows what they do with it."""
    shop.makepyfile(
        test_plain="""
        import pytest

        @pytest.fixture
        def by_way(harness):
            return harness

        def test_plain():
            pass

        def test_direct(harness):
            pass

        def test_indirect(by_way):
            pass
        """
    )

    lines = told(shop, "test_plain.py", "features/f.feature")

    assert lines[:3] == ["test_plain beside", "test_direct alone", "test_indirect alone"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), "--env-shared: expected workers that share it; add -n 8, or leave it out"),
        (("-n", "0"), "--env-shared: expected workers that share it"),
        (("-n", "2", "--env", "kube"), "--env-shared: expected the local environment, got --env kube"),
        (("-n", "2", "--env-keep"), "--env-keep and the workers of xdist do not go together"),
    ],
)
def test_what_cannot_be_shared_is_refused(shop: pytest.Pytester, args: tuple[str, ...], told: str) -> None:
    result = shop.runpytest_subprocess("features", "--env-shared", *args)

    assert result.ret == pytest.ExitCode.USAGE_ERROR, str(result.stdout)
    result.stderr.fnmatch_lines([f"*{told}*"])


@pytest.mark.slow
def test_settings_that_are_wrong_refuse_the_run_before_there_is_a_worker(shop: pytest.Pytester) -> None:
    shop.makepyprojecttoml(TABLE.replace('format = "json"', 'format = "smoke"'))

    result = shop.runpytest_subprocess("features", "-n", "2", "--env-shared")

    assert result.ret == pytest.ExitCode.USAGE_ERROR, str(result.stdout)
    result.stderr.fnmatch_lines(["ERROR: *smoke*"])


@pytest.mark.slow
def test_programs_that_cannot_be_had_refuse_the_run(shop: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(shop.path / "empty"))

    result = shop.runpytest_subprocess("features", "-n", "2", "--env-shared", "--tools-offline")

    assert result.ret == pytest.ExitCode.USAGE_ERROR, str(result.stdout)
    result.stderr.fnmatch_lines(["*--env-shared: *"])
