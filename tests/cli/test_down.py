from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from sloproof.cli import down
from sloproof.environment.backends import state_file
from sloproof.environment.leftovers import MARK, OWNER_FILE, run_dir_name
from sloproof.environment.local import State
from tests.test_settings import GOOD


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state file of a project; what is temporary has a folder of its own, so that nobody else's is swept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "pyproject.toml").write_text(GOOD)
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    file = state_file(tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state")})
    file.parent.mkdir(parents=True)
    return file


def test_down_where_nothing_runs_says_so(noted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert down.run(argparse.Namespace()) == 0
    assert capsys.readouterr().out == "no environment of this project is running\n"
    assert not noted.exists()


def test_down_after_the_death_of_the_supervisor_ends_what_it_left(
    noted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "temporary" / run_dir_name()
    run_dir.mkdir()
    # The supervisor was another process, and is dead.
    (run_dir / OWNER_FILE).write_text(f"{os.getpid()} 1.0")
    state = State(
        run_id="up", run_dir=str(run_dir), root=str(tmp_path), addresses={}, faults_token="", ready_paths={},
        timings={}, pod_log=str(run_dir / "0.log"),
    )  # fmt: skip
    noted.write_bytes(msgspec.json.encode(state))
    command = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    with subprocess.Popen(command, env={**os.environ, MARK: str(run_dir)}, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None
        left.stdout.readline()

        assert down.run(argparse.Namespace()) == 0
        assert left.wait(60) == -9

    said = capsys.readouterr().out
    assert said == f"the environment is gone already\nended and removed what was left of a killed run: {run_dir}\n"
    assert not run_dir.exists()
    assert not noted.exists()
