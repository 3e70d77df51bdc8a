"""The tools command: what it prints, and with which status it ends."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

from sloproof.cli.tools import _lock_path, add_parser
from sloproof.errors import SettingsError, ToolError
from tests.environment.toolchain_world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    world.publish()
    world.write_lock()
    monkeypatch.setenv("XDG_CACHE_HOME", str(world.cache.parent))
    monkeypatch.setenv("PATH", str(world.path_dir))
    monkeypatch.chdir(tmp_path)
    return world


def run(world: World, *options: str) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(
        ["tools", "--lock", str(world.root / "tools.lock"), "--mirror", world.mirror, *options]
    )
    return int(arguments.run(arguments))


def test_tools_fetches_what_is_missing_and_tells_where_each_came_from(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    own = world.put_on_path("siren", "1.0.0")
    assert run(world) == 0
    printed = capsys.readouterr()
    assert f"downloading meter 1.4.2 from {world.mirror}" in printed.err
    source = f"{world.mirror}/{world.archive('meter')}"
    assert f"meter         1.4.2     just now: official release {source}, " in printed.out
    assert f"siren         1.0.0     from PATH, 0.0 MB (pinned: 0.9.0)\n              {own}\n" in printed.out
    assert run(world) == 0
    printed = capsys.readouterr()
    assert f"from the cache: official release {source}, " in printed.out
    assert printed.out.count("sha256 ") == 2
    assert printed.err == ""


def test_tools_list_only_shows_and_its_status_says_what_is_missing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    own = world.put_on_path("siren", "0.1.0")
    assert run(world, "--list") == 1
    assert (
        f"siren         0.9.0     missing\n              {own}: version 0.1.0, wanted >=0.9\n"
        in capsys.readouterr().out
    )
    assert not (world.cache / "tools").exists()
    run(world)
    assert run(world, "--list") == 0


def test_tools_verify_finds_a_changed_program(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, "--verify") == 0
    assert "3 cached programs are as recorded" in capsys.readouterr().out
    program = world.cache / "tools" / "siren" / "0.9.0" / "siren"
    before = program.stat()
    program.write_bytes(program.read_bytes().replace(b"0.9.0", b"0.9.1"))
    os.utime(program, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ToolError, match="not the one that was recorded") as caught:
        run(world, "--verify")
    assert caught.value.details["seen"] == str(program)


def test_tools_offline_refuses_to_fetch(world: World) -> None:
    with pytest.raises(ToolError, match="none of the ways"):
        run(world, "--offline")


def test_tools_takes_the_lock_of_the_project_in_the_working_folder(world: World) -> None:
    """A project with a faulty table must hear of it rather than get other pins."""
    (world.root / "pyproject.toml").write_text("[tool.sloproof]\nplatform_dir = 1\n")
    with pytest.raises(SettingsError, match="not valid"):
        _lock_path(world.root)


def test_tools_records_into_a_lock_of_the_project_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[add_parser.__module__], "files", lambda package: world.root)
    with pytest.raises(SettingsError, match="of the project to record in"):
        run(world, "--record")
