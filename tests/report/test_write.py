from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sloproof.report import write
from sloproof.report.write import point, write_report, write_whole
from tests.report.examples import failing_run, green_run

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without symbolic links."""

    def refuse(self: Path, *args: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted", str(self))

    monkeypatch.setattr(Path, "symlink_to", refuse)


def test_a_run_has_its_documents_and_latest_leads_to_them(tmp_path: Path) -> None:
    write_report(failing_run(12, 20), tmp_path / "run-1", latest=tmp_path / "latest")

    assert sorted(path.name for path in (tmp_path / "latest").iterdir()) == ["index.html", "report.json", "report.md"]
    assert json.loads((tmp_path / "latest" / "report.json").read_bytes())["verdict"] == "fail"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "run-1"]


def test_latest_moves_on_to_the_next_run_and_the_old_one_stays(tmp_path: Path) -> None:
    write_report(failing_run(12, 20), tmp_path / "run-1", latest=tmp_path / "latest")
    write_report(green_run(12, 20), tmp_path / "run-2", latest=tmp_path / "latest")

    assert json.loads((tmp_path / "latest" / "report.json").read_bytes())["verdict"] == "pass"
    assert json.loads((tmp_path / "run-1" / "report.json").read_bytes())["verdict"] == "fail"


def test_latest_is_relative_so_that_the_reports_can_be_moved(tmp_path: Path) -> None:
    write_report(green_run(3, 5), tmp_path / "a" / "run-1", latest=tmp_path / "a" / "latest")
    (tmp_path / "a").rename(tmp_path / "b")

    assert (tmp_path / "b" / "latest" / "report.json").is_file()


@pytest.mark.parametrize("before", ["nothing", "link", "broken link", "folder", "file"])
@pytest.mark.parametrize("kind", ["links", "no links"])
def test_latest_is_replaced_whatever_was_there(
    tmp_path: Path, before: str, kind: str, request: pytest.FixtureRequest
) -> None:
    latest, run = tmp_path / "latest", tmp_path / "run"
    run.mkdir()
    (run / "report.json").write_text("new", encoding="utf-8")
    (tmp_path / "old").mkdir()
    make: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "link": lambda: latest.symlink_to("old"),
        "broken link": lambda: latest.symlink_to("gone"),
        "folder": lambda: (latest / "deep").mkdir(parents=True),
        "file": lambda: latest.write_text("x", encoding="utf-8"),
    }
    make[before]()
    if kind == "no links":
        request.getfixturevalue("no_links")

    point(latest, run)

    assert (latest / "report.json").read_text(encoding="utf-8") == "new"
    assert latest.is_symlink() == (kind == "links")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "old", "run"]


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")

    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]


def test_a_report_that_breaks_off_does_not_become_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(green_run(3, 5), tmp_path / "run-1", latest=tmp_path / "latest")

    def broken(_: object) -> str:
        raise RuntimeError("out of words")

    monkeypatch.setattr(write, "comment", broken)
    with pytest.raises(RuntimeError):
        write_report(failing_run(12, 5), tmp_path / "run-2", latest=tmp_path / "latest")

    assert json.loads((tmp_path / "latest" / "report.json").read_bytes())["verdict"] == "pass"
    assert not (tmp_path / "run-2" / "report.json").exists()


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "evidence").mkdir(parents=True)
    (run / "junit.xml").write_text("<x/>", encoding="utf-8")

    write_report(green_run(3, 5), run, latest=tmp_path / "latest")

    assert (run / "junit.xml").read_text(encoding="utf-8") == "<x/>"
    assert (run / "evidence").is_dir()
