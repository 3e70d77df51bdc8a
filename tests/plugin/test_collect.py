from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from sloproof.plugin.collect import FeatureFile, ScenarioItem, item_names
from tests.plugin.project import GOOD, write

pytest_plugins = ["pytester"]

OUTLINE = """
Feature: Rows
  Scenario: A plain claim
    Given a thing
    Then it holds

  @slow
  Scenario Outline: <count> things hold
    Given <count> things
    Then it says "<words>"

    Examples:
      | count | words |
      | 1     | one   |
      | 2     | two   |
"""

BROKEN = """
Feature: Broken
  Scenario: It fails
    Given a thing
    Then it fails
"""


def ids(pytester: pytest.Pytester, *args: str) -> list[str]:
    result = pytester.runpytest_inprocess("--collect-only", "-q", *args)
    return [line for line in result.outlines if "::" in line]


@pytest.fixture(params=["prepend", "importlib"])
def project(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> Callable[..., pytest.RunResult]:
    write(pytester, rows=OUTLINE, broken=BROKEN)

    def run(*args: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess(f"--import-mode={request.param}", *args)

    return run


def test_features_are_collected_without_any_module(project: Callable[..., pytest.RunResult]) -> None:
    result = project("features")

    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["features/broken.feature F*", "features/rows.feature ...*"])


def test_ids_name_the_file_the_scenario_and_the_row(pytester: pytest.Pytester) -> None:
    write(pytester, rows=OUTLINE)

    assert ids(pytester) == [
        "features/rows.feature::test_a_plain_claim",
        "features/rows.feature::test_count_things_hold[1-one]",
        "features/rows.feature::test_count_things_hold[2-two]",
    ]


@pytest.mark.parametrize(
    ("selection", "passed"),
    [
        pytest.param(["features/rows.feature"], 3, id="a file"),
        pytest.param(["features/rows.feature::test_a_plain_claim"], 1, id="a scenario"),
        pytest.param(["features/rows.feature::test_count_things_hold"], 2, id="an outline"),
        pytest.param(["features/rows.feature::test_count_things_hold[2-two]"], 1, id="a row"),
        pytest.param(["features", "-k", "plain"], 1, id="a word"),
        pytest.param(["features", "-m", "slow"], 2, id="a tag"),
        pytest.param(["features", "-m", "not slow", "-k", "rows"], 1, id="a tag and a file"),
    ],
)
def test_selection_finds(pytester: pytest.Pytester, selection: list[str], passed: int) -> None:
    write(pytester, rows=OUTLINE, broken=BROKEN)

    result = pytester.runpytest_inprocess(*selection)

    result.assert_outcomes(passed=passed, deselected=4 - passed if "features" in selection else 0)


def test_last_failed_runs_only_what_failed(project: Callable[..., pytest.RunResult]) -> None:
    project("features")

    project("features", "--lf").assert_outcomes(failed=1)


def test_another_current_directory_runs_the_same(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    write(pytester, rows=OUTLINE)
    elsewhere = pytester.mkdir("elsewhere")
    monkeypatch.chdir(elsewhere)

    assert len(ids(pytester, "--rootdir", str(pytester.path), str(pytester.path / "features"))) == 3
    pytester.runpytest_inprocess(str(pytester.path / "features/rows.feature")).assert_outcomes(passed=3)


@pytest.mark.slow
def test_xdist_runs_a_feature_on_one_worker(pytester: pytest.Pytester) -> None:
    write(pytester, rows=OUTLINE, broken=BROKEN)

    result = pytester.runpytest_inprocess("features", "-n", "2", "--dist", "loadfile", "-v")

    result.assert_outcomes(passed=3, failed=1)
    workers = {line.split("]")[0] for line in result.outlines if "PASSED features/rows.feature" in line}
    assert len(workers) == 1


def test_junit_names_the_feature_as_the_class(pytester: pytest.Pytester) -> None:
    write(pytester, rows=OUTLINE)

    pytester.runpytest_inprocess("features", "--junitxml=junit.xml")

    cases = ET.parse(pytester.path / "junit.xml").getroot().iter("testcase")
    assert [(case.get("classname"), case.get("name")) for case in cases][:2] == [
        ("features.rows.feature", "test_a_plain_claim"),
        ("features.rows.feature", "test_count_things_hold[1-one]"),
    ]


def test_items_are_located_on_the_line_of_their_scenario(pytester: pytest.Pytester) -> None:
    write(pytester, rows=OUTLINE)

    items, _ = pytester.inline_genitems("features")

    assert [item.location for item in items] == [
        ("features/rows.feature", 1, "A plain claim"),
        ("features/rows.feature", 6, "1 things hold"),
        ("features/rows.feature", 6, "2 things hold"),
    ]


def test_the_module_of_a_feature_is_built_from_it_and_not_imported(pytester: pytest.Pytester) -> None:
    """Pins the one private method that is overridden: pytest still asks it for a file's module."""
    write(pytester, rows=OUTLINE)

    items, _ = pytester.inline_genitems("features")
    item = items[0]
    file = item.getparent(FeatureFile)

    assert isinstance(item, ScenarioItem)
    assert file is not None
    assert file.obj.__name__ == "rows"
    assert file.obj.__file__ == str(pytester.path / "features/rows.feature")
    assert item.function is file.obj.test_a_plain_claim


def test_a_module_fixture_is_set_up_once_a_feature(pytester: pytest.Pytester) -> None:
    write(
        pytester,
        steps="""
        import pytest
        from pytest_bdd import then

        made = []

        @pytest.fixture(scope="module")
        def stack():
            made.append("x")
            return len(made)

        @then("a thing", target_fixture="seen")
        def a_thing(stack):
            print("stack", stack)
        """,
        a="Feature: A\n  Scenario: One\n    Then a thing\n  Scenario: Two\n    Then a thing\n",
        b="Feature: B\n  Scenario: Three\n    Then a thing\n",
    )

    result = pytester.runpytest_inprocess("features", "-s", "-q")

    assert [line.lstrip(".") for line in result.outlines if "stack" in line] == ["stack 1", "stack 1", "stack 2"]


def test_a_run_without_features_is_left_alone(pytester: pytest.Pytester) -> None:
    write(pytester)
    pytester.makepyfile("def test_it(): assert True")

    result = pytester.runpytest_inprocess()

    result.assert_outcomes(passed=1)
    assert "sloproof" not in "".join(line for line in result.outlines if not line.startswith("plugins:"))


def test_features_of_a_folder_are_found_beside_tests(pytester: pytest.Pytester) -> None:
    write(pytester, rows=OUTLINE)
    pytester.makepyfile(test_rows="def test_it(): assert True")

    pytester.runpytest_inprocess().assert_outcomes(passed=4)


@pytest.mark.slow
def test_a_project_of_strict_settings_and_locust_is_quiet(pytester: pytest.Pytester) -> None:
    """Locust brings a pytest plugin of its own; with warnings as errors, neither minds the other."""
    write(pytester, good=GOOD)

    result = pytester.runpytest_subprocess("features", "-W", "error")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["plugins:*locust*"])
    result.stdout.no_fnmatch_line("*warning*")


@pytest.mark.parametrize(
    ("titles", "names"),
    [
        (["It holds"], ["test_it_holds"]),
        (["Three-way: a, b & c?"], ["test_three_way_a_b_c"]),
        (["20 requests"], ["test_20_requests"]),
        (["The pod's labels"], ["test_the_pods_labels"]),
        (["A b", "A-b", "a B"], ["test_a_b", "test_a_b_2", "test_a_b_3"]),
        (["Größe <n>"], ["test_größe_n"]),
        (["?!", ""], ["test_scenario", "test_scenario_2"]),
        (["Same", "Same"], ["test_same"]),
    ],
)
def test_names_are_made_of_titles(titles: list[str], names: list[str]) -> None:
    assert [name for name, _ in item_names(titles)] == names


def test_a_byte_order_mark_is_no_part_of_a_feature(pytester: pytest.Pytester) -> None:
    write(pytester, good="\ufeff" + GOOD.lstrip())

    result = pytester.runpytest_inprocess("features", "-v")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["features/good.feature::test_it_holds PASSED*"])
