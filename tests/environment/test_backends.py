from __future__ import annotations

from pathlib import Path

from sloproof.environment.backends import state_file


def test_state_file_is_where_the_user_keeps_state(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    given = state_file(root, {"XDG_STATE_HOME": "/state", "HOME": "/home/me"})
    assert given.parent == Path("/state/sloproof")
    assert state_file(root, {"HOME": "/home/me"}).parent == Path("/home/me/.local/state/sloproof")
    assert state_file(root, {"XDG_STATE_HOME": "", "HOME": "/home/me"}).parent == Path("/home/me/.local/state/sloproof")


def test_state_file_is_one_a_project_whatever_way_it_is_named(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    root.mkdir()
    link = tmp_path / "link"
    link.symlink_to(root)
    assert state_file(root, {}) == state_file(link, {}) == state_file(root / "x" / "..", {})
    assert state_file(root, {}).name.startswith("shop-")


def test_state_files_of_projects_of_one_name_differ(tmp_path: Path) -> None:
    assert state_file(tmp_path / "a" / "shop", {}) != state_file(tmp_path / "b" / "shop", {})
