"""A small project of features and steps, for pytest to run inside a test."""

from __future__ import annotations

import textwrap

import pytest

STEPS = """
from pytest_bdd import given, parsers, then, when

@given("a thing")
def a_thing():
    '''Bring a thing.'''

@when("it works")
def it_works():
    '''Let it work.'''

@then("it holds")
def it_holds():
    '''Judge it.'''

@then("it fails")
def it_fails():
    '''Judge it, badly.'''
    assert 1 == 2

@given(parsers.parse("{count:d} things"))
def some_things(count):
    '''Bring some things.

    As many as are asked for.
    '''

@then(parsers.parse('it says "{words}"'))
def it_says(words):
    '''Listen.'''
"""

# Hypothesis's plugin imports all of Hypothesis anew in every run within a test, which takes a second.
INI = """
[pytest]
addopts = -p no:hypothesispytest
strict = true
filterwarnings = error
"""

GOOD = """
Feature: Good
  A feature that says what it means.

  Scenario: It holds
    Given a thing
    When it works
    Then it holds
"""


def write(pytester: pytest.Pytester, *, steps: str = STEPS, ini: str = INI, **features: str) -> None:
    """Write the project: its steps in the root conftest, and one feature file a keyword."""
    pytester.makeconftest(steps)
    pytester.makeini(ini)
    for name, text in features.items():
        path = pytester.path / "features" / f"{name}.feature"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")


def refusal(pytester: pytest.Pytester, *args: str) -> str:
    """Run the project, require that it is refused before anything is run, and return what it says."""
    result = pytester.runpytest_inprocess(*(args or ("features",)))
    assert result.ret == pytest.ExitCode.USAGE_ERROR, str(result.stdout)
    assert " passed" not in str(result.stdout)
    return str(result.stderr)
