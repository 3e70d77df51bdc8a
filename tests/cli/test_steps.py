from __future__ import annotations

import argparse
import json

import pytest

from sloproof.cli import steps
from sloproof.errors import FeatureError
from tests.plugin.project import GOOD, write
from tests.test_settings import GOOD as TABLE

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow  # real processes

MANY = """
Feature: Many
  Background:
    Given a thing

  Scenario Outline: <count> things
    Given <count> things
    Then it holds
    Examples:
      | count |
      | 7     |
      | 8     |
"""


def run(*args: str) -> int:
    parser = argparse.ArgumentParser()
    steps.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["steps", *args])
    return int(arguments.run(arguments))


def test_steps_lists_pattern_doc_example_place_and_uses(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    write(pytester, good=GOOD, many=MANY)

    assert run("features") == 0

    said = capsys.readouterr().out
    assert "conftest\n" in said
    assert "  Given {count:d} things\n    Bring some things.\n" in said
    assert "    such as: 7 things  (features/many.feature:6)\n    conftest.py:" in said
    assert "    Let it work.\n    conftest.py:7, used once\n" in said
    assert '  Then it says "{words}"\n    Listen.\n' in said
    assert said.endswith("6 steps, 2 unused\n")


def test_steps_as_json_count_each_line_of_a_feature_once(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    write(pytester, good=GOOD, many=MANY)

    run("features", "--json", "--grep", "THING")

    uses = {entry["pattern"]: entry["uses"] for entry in json.loads(capsys.readouterr().out)}
    assert uses == {"a thing": 2, "{count:d} things": 1}


def test_steps_work_while_a_feature_is_being_written(pytester: pytest.Pytester) -> None:
    """The catalogue is what one looks into to mend a feature that is refused."""
    write(pytester, good=GOOD, bad="Feature: B\n  Scenario: S\n    Given a thign\n    Whn x\n")

    assert run("features", "--unused", "--grep", "a thing") == 1  # nothing fits, since it is used
    assert run("features", "--grep", "a thing") == 0


def test_steps_say_what_pytest_said_when_it_cannot_collect(pytester: pytest.Pytester) -> None:
    write(pytester, steps="import no_such_module\n", good=GOOD)

    with pytest.raises(FeatureError, match="expected pytest to collect features") as caught:
        run("features")

    assert "no_such_module" in str(caught.value)


def test_steps_find_the_project_from_a_folder_within_it(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(pytester, good=GOOD)
    (pytester.path / "pyproject.toml").write_text(TABLE)
    monkeypatch.chdir(pytester.mkdir("src"))

    assert run("--grep", "a thing") == 0

    assert "Bring a thing." in capsys.readouterr().out
