from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

_CONFTEST = """
import pytest
from tests import second_try
second_try._TESTS = second_try.Path({path!r})
def pytest_configure(config):
    config.addinivalue_line("markers", "slow: s")
    config.pluginmanager.register(second_try.SecondTry(config))
"""
_TESTS = """
import pathlib, pytest
@pytest.fixture
def fresh(tmp_path):
    yield tmp_path
def once(name):
    path = pathlib.Path(__file__).with_name(name)
    first = not path.exists()
    path.touch()
    assert not first, "the neighbours"
@pytest.mark.slow
def test_unsteady(fresh): once("a")
def test_quick(): once("b")
@pytest.mark.slow
def test_wrong(fresh): assert fresh is None
"""


@pytest.fixture
def _project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.second_try._TESTS", pytester.path)
    pytester.makeconftest(_CONFTEST.format(path=str(pytester.path)))
    pytester.makepyfile(_TESTS)


@pytest.mark.usefixtures("_project")
@pytest.mark.parametrize("options", [(), pytest.param(("-n", "1"), marks=pytest.mark.slow)])
def test_slow_test_that_fails_is_tried_again_and_told_of(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    result = pytester.runpytest_inprocess(*options, "-p", "no:cacheprovider")
    # What fails twice fails, and a quick test has one try.
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*1 passed only at the second try*", "*::test_unsteady", "*the neighbours*"])
    assert "test_quick" not in str(result.stdout).partition("second try")[2].partition("short test summary")[0]
