"""The folder for shared counters: private, cleaned up after, and never two services' at once."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from service import state_dir
from service.state_dir import StateDir, StateDirInUseError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(state_dir, "_MEMORY", folder)
    return folder


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as done:
        done.wait()
    return done.pid


def test_a_private_folder_is_removed_at_the_end_by_its_maker_alone(memory: Path) -> None:
    with StateDir() as made:
        assert list(memory.iterdir()) == [made.path]
        child = os.fork()
        if not child:
            made.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(child, 0)
        assert made.path.is_dir(), "a worker that ends leaves it alone"
    assert list(memory.iterdir()) == []


def test_a_given_folder_is_emptied_of_old_counts_and_stays(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "counter_1.db").write_bytes(b"old")
    with StateDir(given):
        assert list(given.glob("*.db")) == []
    assert given.is_dir()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with StateDir(tmp_path / "given"), pytest.raises(StateDirInUseError, match="another service"):
        StateDir(tmp_path / "given")


def test_what_a_killed_service_left_is_removed_by_the_next(memory: Path) -> None:
    left = memory / f"users-api-{dead_pid()}-abc"
    orphaned = memory / f"users-api-{dead_pid()}-def"
    strange = memory / "users-api-notes-x"
    for folder in (left, orphaned, strange):
        folder.mkdir()
        (folder / "owner").touch()
    with StateDir(orphaned), StateDir() as made:
        assert sorted(memory.iterdir()) == sorted([orphaned, strange, made.path])
