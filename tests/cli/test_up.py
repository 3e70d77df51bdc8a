from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from filelock import FileLock

from sloproof.cli import up
from sloproof.environment.backends import state_file
from sloproof.errors import SettingsError
from tests.test_settings import GOOD


def test_a_second_up_at_once_is_refused_before_it_starts_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(GOOD)
    monkeypatch.setattr(up, "make_local", lambda *_: pytest.fail("it started"))
    noted = state_file(tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state")})
    noted.parent.mkdir(parents=True)

    with FileLock(noted.with_suffix(".up.lock")), pytest.raises(SettingsError, match="one is starting"):
        up.run(argparse.Namespace(mirror=None, offline=True))


def test_an_up_that_fails_leaves_the_way_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(GOOD)

    def fail(*_: object) -> None:
        raise SettingsError("no programs")

    monkeypatch.setattr(up, "find_tools", fail)
    for _ in range(2):
        with pytest.raises(SettingsError, match="no programs"):
            up.run(argparse.Namespace(mirror=None, offline=True))
