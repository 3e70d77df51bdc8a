"""Each thing that pytest-bdd passes in silence is refused, with its place and what was meant."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tests.plugin.project import GOOD, INI, STEPS, refusal, write

pytest_plugins = ["pytester"]


BAD = [
    pytest.param(
        "Feature: F\n  Scenario: S\n    Givn a thing\n    Then it holds\n",
        ["3: read as prose about the Scenario, and not run: Givn a thing", "did you mean: Given a thing"],
        id="misspelt keyword",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    Wehn something nobody defines\n    Then it holds\n",
        ["3:", "did you mean: When something nobody defines"],
        id="misspelt keyword of an undefined step",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    Then: it fails\n    Given a thing\n",
        ["3: read as prose about the Scenario, and not run: Then: it fails", "did you mean: Then it fails"],
        id="colon after the keyword",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    given a thing\n    Then it holds\n",
        ["3: read as prose about the Scenario, and not run: given a thing", "did you mean: Given a thing"],
        id="keyword in lower case",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    The it fails\n    Given a thing\n",
        ["3: read as prose about the Scenario, and not run: The it fails", "did you mean: Then it fails"],
        id="misspelt into a word, the rest is a step",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    it fails\n    Given a thing\n",
        ["3: read as prose about the Scenario, and not run: it fails", "did you mean: Given it fails"],
        id="no keyword",
    ),
    pytest.param(
        "Feature: F\n  Background:\n    Givn a thing\n    Given a thing\n  Scenario: S\n    Then it holds\n",
        ["3:", "prose about the Background"],
        id="misspelt keyword in a background",
    ),
    pytest.param(
        "Feature: F\n  Background\n    Given a thing\n  Scenario: S\n    Then it holds\n",
        ["3: read as prose about the Feature, and not run: Given a thing"],
        id="steps below a section without its colon",
    ),
    pytest.param(
        "Feature: F\n  Scenaro: S\n    Given a thing\n  Scenario: T\n    Then it holds\n",
        ["2: read as prose about the Feature, and not run: Scenaro: S", "did you mean: Scenario: S", "3:"],
        id="misspelt section",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    Given a thing\n    Thn it holds\n",
        ["4: cannot be understood here: Thn it holds", "did you mean: Then it holds"],
        id="misspelt keyword of a later step",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    Given a thing\n    x\n    y\n",
        ["4: cannot be understood here: x", "5: cannot be understood here: y"],
        id="every error of the parser",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n",
        ["2: the scenario has no steps, and would pass: S"],
        id="scenario without steps",
    ),
    pytest.param(
        "Feature: F\n  Background:\n    Given a thing\n  Scenario: S\n",
        ["4: the scenario has no steps, and would pass: S"],
        id="scenario of a background alone",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    Given a thing\n    And a thing\n    When it works\n    But it works\n",
        ["2: the scenario has no Then, so nothing is judged and it would pass: S", "add a Then"],
        id="scenario that judges nothing",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S\n    When <n> things\n    Examples:\n      | n |\n      | 1 |\n",
        ["2: the scenario has no Then, so nothing is judged"],
        id="outline that judges nothing",
    ),
    pytest.param(
        "Feature: F\n  Background:\n    Then it holds\n  Scenario: S\n    Given a thing\n",
        ["4: the scenario has no Then, so nothing is judged"],
        id="scenario that leaves judging to the background",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    Then it fails\n\n  Scenario: S\n    Then it holds\n",
        ["5: the scenario of line 2 has this title too"],
        id="two scenarios of one name",
    ),
    pytest.param(
        "Feature: F\n  Rule: R\n    Scenario: S\n      Then it fails\n"
        "  Rule: Q\n    Scenario: S\n      Then it holds\n",
        ["6: the scenario of line 3 has this title too"],
        id="two scenarios of one name in two rules",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    Given a thign\n    Then it holds\n",
        ["3: no step is defined for: Given a thign", "did you mean", "Given a thing  (features/conftest.py:"],
        id="undefined step",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    When a thing\n    Then it holds\n",
        ["3: no step is defined for: When a thing", "it is defined, but as", "Given a thing"],
        id="step of another kind",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    Given a thing\n    And quite something else entirely\n",
        ["4: no step is defined for: Given quite something else entirely", "`sloproof steps`"],
        id="undefined step like no other",
    ),
    pytest.param(
        'Feature: F\n  Scenario Outline: S\n    Given <count> things\n    Then it says "<wrods>"\n'
        "    Examples:\n      | count | words |\n      | 1 | a |\n",
        [
            "4: placeholder <wrods> has no column",
            "did you mean <words>?",
            "6: column words of the Examples is used by",
        ],
        id="misspelt placeholder",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S\n    Given <count> things\n"
        "    Examples:\n      | count | more |\n      | 1 | 2 |\n",
        ["5: column more of the Examples is used by no step"],
        id="unused column",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S\n    Given <count> things\n    Examples:\n      | count |\n      | many |\n",
        ["3: no step is defined for: Given many things, with the row in line 6"],
        id="a row that makes a step undefined",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S\n    Given a thing\n    Examples:\n      | count |\n",
        ["4: the Examples have no rows"],
        id="outline without rows",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S\n    Given a thing\n",
        ["2: the outline has no Examples"],
        id="outline without Examples",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S\n    Given <n> things\n"
        "    Examples:\n      | n |\n      | 1 |\n      | 1 |\n",
        ["7: the row gives the same test as the row in line 6"],
        id="equal rows",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S\n    Given <n> things\n    Examples:\n      | n | n |\n      | 1 | 2 |\n",
        ["5: there are 2 columns n"],
        id="two columns of one name",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S\n    Given <n> things\n    Examples:\n      | n |\n      | 1 | 2 |\n",
        ["6: inconsistent cell count"],
        id="row of another width",
    ),
    pytest.param("Feature: F\n  Only prose.\n", ["1: the feature has no scenario"], id="feature without scenarios"),
    pytest.param("# nothing\n\n", ["1: the file is empty"], id="empty file"),
    pytest.param("Scenario: S\n  Given a thing\n", ["1: cannot be understood here: Scenario: S"], id="no feature"),
    pytest.param(
        "Feature: F\n  Scenario: S\n    And a thing\n", ["3: follows no step: And a thing"], id="And comes first"
    ),
    pytest.param(
        "@nigthly\nFeature: F\n  Scenario: S\n    Given a thing\n",
        ["1: unknown tag @nigthly", "did you mean @nightly?"],
        id="misspelt tag",
    ),
    pytest.param(
        "Feature: F\n  @needs_kubernets\n  Scenario: S\n    Given a thing\n",
        ["2: unknown capability kubernets", "did you mean @needs_kubernetes?", "grafana, kubernetes, processes"],
        id="unknown capability",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S\n    Given <n> things\n    @tpyo\n    Examples:\n      | n |\n      | 1 |\n",
        ["4: unknown tag @tpyo", "markers = ["],
        id="unknown tag of Examples",
    ),
    pytest.param(
        "Feature: F\n  @parametrize\n  Scenario: S\n    Given a thing\n",
        ["2: unknown tag @parametrize"],
        id="mark that is no tag",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    Given a thing\n      | a | b |\n",
        ["3: this step takes no table: a thing"],
        id="table that is not taken",
    ),
    pytest.param(
        'Feature: F\n  Scenario: S\n    Given a thing\n      """\n      text\n      """\n',
        ['3: this step takes no text between """: a thing'],
        id="text that is not taken",
    ),
]

BAD_STEPS = [
    pytest.param(
        """
            @given("a list")
            def a_list(datatable): ...
            """,
        "Given a list",
        ["this step needs a table below it: a list"],
        id="no table",
    ),
    pytest.param(
        """
            @given("a text")
            def a_text(docstring): ...
            """,
        "Given a text",
        ['this step needs a text between """ below it: a text'],
        id="no text",
    ),
    pytest.param(
        """
            @given(parsers.parse('{what} of "{whom}"'))
            def one(what, whom): ...

            @given(parsers.parse('part of "{whom}"'))
            def other(whom): ...
            """,
        'Given part of "x"',
        ['3: 2 steps fit: Given part of "x"', 'Given {what} of "{whom}"  (conftest.py:4)', "(conftest.py:7)"],
        id="ambiguous step",
    ),
    pytest.param(
        """
            @given("a word")
            def one(): ...

            @given("a word")
            def other(): ...
            """,
        "Given a word",
        ["conftest.py:7: Given a word is defined twice", "(conftest.py:4)"],
        id="sentence defined twice",
    ),
    pytest.param(
        """
            from pytest_bdd import step

            @given("a word")
            def one(): ...

            @step("a word")
            def other(): ...
            """,
        "When a word",
        ["Step a word is defined twice"],
        id="sentence defined for one kind and for all",
    ),
    pytest.param(
        """
            @given("a word")
            def one(trail): ...
            """,
        "Given a word",
        ["conftest.py:4: the step's function asks for trail: no fixture"],
        id="fixture that does not exist",
    ),
    pytest.param(
        """
            @given(parsers.parse("{count:d} words"))
            def words(): ...
            """,
        "Given 5 words",
        ["conftest.py:4: the step's function does not take count from its sentence"],
        id="value that is ignored",
    ),
    pytest.param(
        """
            import parse
            from sloproof.duration import parse_duration

            @parse.with_pattern(r'[^"]+')
            def duration(text):
                return parse_duration(text)

            @given(parsers.parse('a wait of "{time:duration}"', {"duration": duration}))
            def wait(time): ...
            """,
        'Given a wait of "3 parsecs"',
        ["3: a value of this step cannot be read: expected a duration with a unit, got '3 parsecs'"],
        id="value that cannot be read",
    ),
]


def name_of(case: object) -> str:
    return re.sub(r"\W+", "_", str(getattr(case, "id", "")))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What one run says about all the bad features at once: each is a file, each bad step a folder of its own."""
    root = tmp_path_factory.mktemp("bad")
    (root / "pytest.ini").write_text(INI)
    folder = root / "features"
    folder.mkdir()
    (folder / "conftest.py").write_text(STEPS)
    for case in BAD:
        (folder / f"{name_of(case)}.feature").write_text(str(case.values[0]), encoding="utf-8")
    for case in BAD_STEPS:
        steps, step, _ = case.values
        own = root / "steps" / name_of(case)
        own.mkdir(parents=True)
        (own / "conftest.py").write_text("from pytest_bdd import given, parsers\n\n" + textwrap.dedent(str(steps)))
        (own / "bad.feature").write_text(f"Feature: F\n  Scenario: S\n    {step}\n")

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--import-mode=importlib", "features", "steps"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == pytest.ExitCode.USAGE_ERROR, result.stdout + result.stderr
    assert "passed" not in result.stdout
    return result.stderr


def told_of(said: str, prefix: str) -> str:
    """Return the problems of one file or folder, its own name taken away, with their hints."""
    kept: list[str] = []
    ours = False
    for line in said.splitlines():
        if not line.startswith(" "):
            ours = line.startswith(prefix)
        if ours:
            kept.append(line.replace(prefix, ""))
    return "\n".join(kept)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in BAD])
def test_a_feature_is_refused_for(said: str, case: Any) -> None:
    told = told_of(said, f"features/{name_of(case)}.feature:")

    for text in case.values[1]:
        assert (f"\n{text}" if text[0].isdigit() else text) in f"\n{told}"


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in BAD_STEPS])
def test_a_step_is_refused_for(said: str, case: Any) -> None:
    told = told_of(said, f"steps/{name_of(case)}/")

    for text in case.values[2]:
        assert text in told


FINE = [
    pytest.param(GOOD, id="a plain feature"),
    pytest.param(
        "Feature: F\n  The users are many,\n  and then some. Any of them may fail.\n\n  Scenario: S\n"
        "    The rest of the day is fine.\n    An alert is quiet: nothing happens.\n\n    Then it holds\n",
        id="prose that begins like a keyword",
    ),
    pytest.param(
        "Feature: F\n  Scenario: S\n    # Givn a comment\n    Given a thing\n    * a thing\n    Then it holds\n    * it holds\n",
        id="stars",
    ),
    pytest.param(
        'Feature: F\n  Scenario: S\n    Given a thing\n    Then it says "<script>"\n', id="markup in a scenario"
    ),
    pytest.param(
        'Feature: F\n  Scenario Outline: S\n    Given <n> things\n    Then it says "rate(x) < 5 and y > 3"\n'
        "    Examples:\n      | n |\n      | 1 |\n",
        id="a comparison in an outline",
    ),
    pytest.param(
        "Feature: F\n  Background:\n    Given <n> things\n  Scenario Outline: S\n    Then it holds\n"
        "    Examples:\n      | n |\n      | 1 |\n",
        id="a column that the background uses",
    ),
    pytest.param(
        "Feature: F\n  Scenario Outline: S <n>\n    Then it holds\n    Examples:\n      | n |\n      | 1 |\n",
        id="a column that the title uses",
    ),
    pytest.param("@slow @nightly @needs_grafana @home\nFeature: F\n  Scenario: S\n    Then it holds\n", id="tags"),
    pytest.param(
        "# language: de\nFunktionalität: F\n  Szenario: S\n    Angenommen a thing\n    Dann it holds\n", id="German"
    ),
]


def test_features_are_accepted_with(pytester: pytest.Pytester) -> None:
    write(pytester, ini=INI + "markers =\n  home: ours\n", **{name_of(case): str(case.values[0]) for case in FINE})

    pytester.runpytest_inprocess("features").assert_outcomes(passed=len(FINE))


def test_a_step_may_bring_its_own_table_and_result(pytester: pytest.Pytester) -> None:
    """A default fixture stands in for a missing table, and a result becomes a fixture of later steps."""
    steps = """
        import pytest
        from pytest_bdd import given, then

        @pytest.fixture
        def datatable():
            return []

        @given("a list", target_fixture="found")
        def a_list(datatable):
            return datatable

        @then("it is empty")
        def empty(found):
            assert found == []
        """
    write(pytester, steps=steps, fine="Feature: F\n  Scenario: S\n    Given a list\n    Then it is empty\n")

    pytester.runpytest_inprocess("features").assert_outcomes(passed=1)


def test_all_problems_of_all_files_are_told_at_once(pytester: pytest.Pytester) -> None:
    write(
        pytester,
        a="Feature: A\n  Scenario: S\n    Given a thign\n    Then it hodls\n",
        b="@typo\nFeature: B\n",
        good=GOOD,
    )

    said = refusal(pytester)

    assert "4 problems in 2 files, nothing was started" in said
    places = [line.split(": ")[0] for line in said.splitlines() if line.startswith("features/")]
    assert places == ["features/a.feature:3", "features/a.feature:4", "features/b.feature:1", "features/b.feature:2"]


@pytest.mark.parametrize(
    ("pyproject", "told"),
    [
        (None, "pyproject.toml: there is no such file, so the sentences that come with sloproof are not known here"),
        ("[tool.other]\n", "pyproject.toml: it has no [tool.sloproof] table, so the sentences"),
    ],
)
def test_a_missing_table_is_told_before_the_steps_that_it_leaves_undefined(
    pytester: pytest.Pytester, pyproject: str | None, told: str
) -> None:
    write(pytester, a='Feature: A\n  Scenario: S\n    When 5 requests are sent to GET "/"\n    Then it holds\n')
    if pyproject is not None:
        (pytester.path / "pyproject.toml").write_text(pyproject)

    said = refusal(pytester)

    assert f"{pytester.path}/{told}" in said
    assert said.index(told) < said.index("a.feature:3: no step is defined")
    assert "docs/adopting.md" in said


def test_a_missing_table_is_not_told_where_all_steps_are_defined(pytester: pytest.Pytester) -> None:
    write(pytester, a="Feature: A\n  Scenario: S\n    Given a thing\n")

    assert "tool.sloproof" not in refusal(pytester)


@pytest.mark.parametrize(
    "selection",
    [
        pytest.param(["features", "-k", "fine"], id="by word"),
        pytest.param(["features/mixed.feature::test_fine"], id="by id"),
        pytest.param(["features", "-m", "slow"], id="by tag"),
        pytest.param(["features", "--collect-only"], id="only collected"),
    ],
)
def test_a_whole_file_is_checked_when_a_part_is_selected(pytester: pytest.Pytester, selection: list[str]) -> None:
    write(pytester, mixed="Feature: M\n  Scenario: Fine\n    Given a thing\n  Scenario: Bad\n    Given a thign\n")

    assert "features/mixed.feature:5: no step is defined" in refusal(pytester, *selection)


def test_a_scenario_in_a_file_that_cannot_be_read_is_not_just_not_found(pytester: pytest.Pytester) -> None:
    write(pytester, broken="Feature: B\n  Scenario: S\n    Given a thing\n    Thn it holds\n")

    said = refusal(pytester, "features/broken.feature::test_s")

    assert "broken.feature:4: cannot be understood here: Thn it holds" in said
    assert "not found" not in said


def test_a_scenario_that_is_not_there_is_still_not_found(pytester: pytest.Pytester) -> None:
    write(pytester, good=GOOD)

    assert "not found" in refusal(pytester, "features/good.feature::test_other")


def test_a_feature_that_a_module_runs_as_well_is_refused(pytester: pytest.Pytester) -> None:
    write(pytester, good=GOOD)
    pytester.makepyfile(test_binds='from pytest_bdd import scenarios\nscenarios("features/good.feature")\n')

    said = refusal(pytester, ".")

    assert "test_binds.py:1: features/good.feature is run by this module and by itself, so twice" in said


def test_a_module_that_runs_a_feature_alone_is_left_alone(pytester: pytest.Pytester) -> None:
    write(pytester, good=GOOD)
    pytester.makepyfile(test_binds='from pytest_bdd import scenarios\nscenarios("features/good.feature")\n')

    pytester.runpytest_inprocess("test_binds.py").assert_outcomes(passed=1)


def test_steps_that_are_imported_again_are_defined_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(words="from pytest_bdd import then\n\n@then('a word')\ndef a_word(): ...\n")
    write(
        pytester,
        steps="from words import *\npytest_plugins = ['words']\n",
        ini="[pytest]\npythonpath = .\naddopts = -p no:hypothesispytest\n",
        fine="Feature: F\n  Scenario: S\n    Then a word\n",
    )

    pytester.runpytest_inprocess("features").assert_outcomes(passed=1)


def test_steps_of_a_folder_are_seen_in_that_folder_alone(pytester: pytest.Pytester) -> None:
    write(pytester, good=GOOD)
    for name in ("one", "two"):
        folder = pytester.mkdir(name)
        (folder / "x.feature").write_text("Feature: F\n  Scenario: S\n    Then an own thing\n")
    (pytester.path / "one/conftest.py").write_text(
        "from pytest_bdd import then\n\n@then('an own thing')\ndef own(): ...\n"
    )

    said = refusal(pytester, ".")

    assert "1 problem in 1 file" in said
    assert "two/x.feature:3: no step is defined" in said


@pytest.mark.slow
def test_xdist_tells_of_the_problems_once_and_runs_nothing(pytester: pytest.Pytester) -> None:
    write(pytester, bad="Feature: F\n  Scenario: S\n    Given a thign\n", good=GOOD)

    result = pytester.runpytest_inprocess("features", "-n", "2")

    assert result.ret != 0
    result.assert_outcomes(errors=1)
    # pytest's own summary repeats the whole message where it knows that it runs in CI.
    told, _, _ = "\n".join(result.outlines).partition("short test summary info")
    assert told.count("no step is defined for: Given a thign") == 1


def test_nothing_is_checked_where_no_feature_is_collected(pytester: pytest.Pytester) -> None:
    write(pytester, steps=STEPS + '\n@given("a thing")\ndef again(): ...\n')
    pytester.makepyfile("def test_it(): assert True")

    pytester.runpytest_inprocess().assert_outcomes(passed=1)
