from __future__ import annotations

import pytest

from sloproof.environment.local import LocalEnvironment
from sloproof.plugin import backend
from sloproof.plugin.options import read_options
from tests.fakes import SETTINGS

pytest_plugins = ["pytester"]


class Running:
    """An environment that another process keeps running."""

    let_go_of = 0

    def detach(self) -> None:
        self.let_go_of += 1


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> Running:
    monkeypatch.setenv("XDG_STATE_HOME", str(pytester.path / "state"))
    one = Running()
    monkeypatch.setattr(LocalEnvironment, "attach", lambda *_: one)
    return one


def test_keeping_a_second_environment_is_refused_while_one_runs(pytester: pytest.Pytester, running: Running) -> None:
    config = pytester.parseconfig("--env-keep")

    with pytest.raises(pytest.UsageError, match="would be forgotten"):
        backend.take_running(config, SETTINGS, read_options(config))

    assert running.let_go_of == 1


def test_reusing_takes_the_environment_for_this_run_alone_until_it_lets_go(
    pytester: pytest.Pytester, running: Running
) -> None:
    config = pytester.parseconfig("--env-reuse", "--env-keep")
    options = read_options(config)

    backend.take_running(config, SETTINGS, options)
    with pytest.raises(pytest.UsageError, match="in use by another run"):
        backend.take_running(pytester.parseconfig("--env-reuse"), SETTINGS, options)
    backend.let_go(config)
    backend.take_running(config, SETTINGS, options)
    backend.let_go(config)

    assert running.let_go_of == 2


def test_an_environment_of_its_own_takes_nothing(pytester: pytest.Pytester, running: Running) -> None:
    config = pytester.parseconfig()

    backend.take_running(config, SETTINGS, read_options(config))
    backend.let_go(config)

    assert running.let_go_of == 0
