from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sloproof.environment.leftovers import MARK, OWNER_FILE, end_marked, marked, run_dir_name, sweep


@pytest.fixture
def dead_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a supervisor."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def left_folder(base_dir: Path, pid: int) -> Path:
    """Make the run folder of a run that was killed before its supervisor was noted."""
    folder = base_dir / f"sloproof-{pid}-0123abcd"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "service.log").write_text("a line\n")
    return folder


def test_sweep_of_nothing_removes_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path) == []
    assert sweep(tmp_path / "missing") == []


def test_sweep_removes_the_folder_of_a_dead_maker(tmp_path: Path, dead_pid: int) -> None:
    folder = left_folder(tmp_path, dead_pid)

    assert sweep(tmp_path) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_sweep_leaves_the_folder_of_a_maker_that_is_about_to_start(tmp_path: Path) -> None:
    folder = tmp_path / run_dir_name()
    folder.mkdir()

    assert sweep(tmp_path) == []
    assert folder.is_dir()


def test_sweep_leaves_the_folder_of_a_supervisor_that_lives(
    tmp_path: Path, dead_pid: int, sleeper: subprocess.Popen[bytes]
) -> None:
    """As `sloproof up` leaves it: the maker is gone, the supervisor stays."""
    folder = left_folder(tmp_path, dead_pid)
    (folder / OWNER_FILE).write_text(f"{sleeper.pid} {psutil.Process(sleeper.pid).create_time()}")

    assert sweep(tmp_path) == []
    assert folder.is_dir()


def test_sweep_knows_a_number_that_is_another_processs_by_now(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    folder = left_folder(tmp_path, os.getpid())
    (folder / OWNER_FILE).write_text(f"{sleeper.pid} {psutil.Process(sleeper.pid).create_time() - 100}")

    assert sweep(tmp_path) == [folder]


@pytest.mark.parametrize("name", ["sloproof-notes", "sloproof-1", "sloproof-1-0123abcd.bak", "sloproof-1-01234567890"])
def test_sweep_never_touches_a_folder_of_another_name(tmp_path: Path, name: str) -> None:
    """People keep their own things in /tmp."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "precious").touch()

    assert sweep(tmp_path) == []
    assert (tmp_path / name / "precious").exists()


def test_sweep_follows_no_link(tmp_path: Path, dead_pid: int) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    (tmp_path / f"sloproof-{dead_pid}-0123abcd").symlink_to(tmp_path / "mine")

    assert sweep(tmp_path) == []
    assert (tmp_path / "mine" / "precious").exists()


def test_sweep_ends_what_carries_the_folders_mark_and_nothing_else(tmp_path: Path, dead_pid: int) -> None:
    folder = left_folder(tmp_path, dead_pid)
    mine = subprocess.Popen(["sleep", "60"], env={"PATH": "/usr/bin:/bin", MARK: str(folder)})
    other = subprocess.Popen(["sleep", "60"], env={"PATH": "/usr/bin:/bin", MARK: f"{folder}x"})
    try:
        assert sweep(tmp_path) == [folder]

        assert mine.wait(60) == -9
        assert other.poll() is None
        assert list(marked(folder)) == []
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()


def test_end_marked_returns_once_they_are_gone(tmp_path: Path) -> None:
    script = "trap '' TERM INT; setsid sleep 60 & sleep 60"
    process = subprocess.Popen(["sh", "-c", script], env={"PATH": "/usr/bin:/bin", MARK: str(tmp_path)})

    end_marked(tmp_path)

    assert list(marked(tmp_path)) == []
    process.wait()
