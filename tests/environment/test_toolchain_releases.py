"""Releases: what vouches for an archive, what stops everything, and what merely does not serve."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import pytest

from sloproof.environment import releases
from sloproof.environment.lockfile import PLATFORMS, ToolLock, load_lock, record_sums
from sloproof.environment.obtaining import Silence
from sloproof.environment.toolcache import ToolCache
from sloproof.environment.toolchain import release_sums
from sloproof.errors import SettingsError, ToolError
from tests.environment.toolchain_world import World, script, serving


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.publish()
    return world


def test_release_over_http_is_verified_unpacked_and_shown(world: World) -> None:
    with serving(world.mirror_dir) as server:
        tools = world.resolve("meter", "metertool", "siren", mirror=f"{server.url}/")
        assert [path for path in server.asked if path.endswith(".tar.gz")] == [f"/{world.archive('meter')}"]
    for name, version in (("meter", "1.4.2"), ("metertool", "1.4.2"), ("siren", "0.9.0")):
        assert tools[name].path.read_bytes() == script(name, version)
        assert tools[name].path.stat().st_mode & 0o777 == 0o755
    assert world.heard.lines[0] == f"start downloading meter 1.4.2 from {server.url}"
    assert world.heard.bytes_done[-1] == (world.mirror_dir / world.archive("siren")).stat().st_size
    assert world.leftovers() == []


def test_release_that_was_changed_stops_and_leaves_nothing(world: World) -> None:
    """It must not fall through to a build as if nothing had happened."""
    world.corrupt("siren")
    with pytest.raises(ToolError, match="not the one its checksum promises") as caught:
        world.resolve("siren")
    assert "SHA256SUMS" in caught.value.details["expected"]
    assert not any("no release" in line for line in world.heard.lines)
    assert not (world.cache / "tools").exists()
    assert world.leftovers() == []


def test_release_must_match_the_lock_whatever_its_own_checksum_file_says(world: World) -> None:
    lock = world.lock(sums={world.archive("siren"): "1" * 64})
    with pytest.raises(ToolError, match="not the one its checksum promises") as caught:
        world.resolve("siren", lock=lock)
    assert "by tools.lock" in caught.value.details["expected"]


def test_release_named_by_the_lock_needs_no_checksum_file(world: World) -> None:
    archive = world.mirror_dir / world.archive("siren")
    (archive.parent / "SHA256SUMS").unlink()
    lock = world.lock(sums={world.archive("siren"): hashlib.sha256(archive.read_bytes()).hexdigest()})
    assert world.resolve("siren", lock=lock)["siren"].origin == "release"


def test_release_that_is_replaced_after_the_first_download_stops(world: World) -> None:
    """The sum first verified is kept: archive and checksum file changed together do not pass."""
    tool = world.resolve("siren")["siren"]
    for file in tool.path.parent.iterdir():
        file.unlink()
    world.publish(extra_member="readme")
    with pytest.raises(ToolError, match="not the one its checksum promises") as caught:
        world.resolve("siren")
    assert "first download on this machine" in caught.value.details["expected"]


def test_release_without_a_checksum_is_not_taken(world: World) -> None:
    world.publish(listed=False)
    _does_not_serve(world, "its checksum file does not list siren-")


@pytest.mark.parametrize("member", ["../../escaped", "/escaped", "inside/../../escaped"])
def test_release_with_a_path_that_leads_outside_stops(world: World, member: str) -> None:
    world.publish(extra_member=member)
    for tool in ("meter", "siren"):
        with pytest.raises(ToolError, match="paths below its own folder"):
            world.resolve(tool)
    assert not list(world.root.rglob("escaped"))


def test_release_without_the_program_does_not_serve(world: World) -> None:
    world.publish(without="siren")
    _does_not_serve(world, "the archive has no program siren-")


def test_release_of_another_version_does_not_serve(world: World) -> None:
    world.publish(version_told="9.9.9")
    _does_not_serve(world, "siren says it is version 9.9.9, not 0.9.0")


def test_release_that_is_no_archive_does_not_serve(world: World) -> None:
    file = world.mirror_dir / world.archive("siren")
    file.write_bytes(b"<html>sign in</html>")
    (file.parent / "SHA256SUMS").write_text(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
    _does_not_serve(world, "the archive cannot be read")


def test_release_whose_transfer_breaks_off_does_not_serve(world: World) -> None:
    with serving(world.mirror_dir, break_off=".zip") as server:
        _does_not_serve(world, "the transfer broke off after", mirror=server.url)


def test_release_that_is_not_there_does_not_serve(world: World) -> None:
    (world.mirror_dir / world.archive("siren")).unlink()
    with serving(world.mirror_dir) as server:
        _does_not_serve(world, "HTTP status 404", mirror=server.url)


def test_host_that_refuses_is_out_of_reach(world: World) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and does not listen
        mirror = f"http://127.0.0.1:{free.getsockname()[1]}"
        _does_not_serve(world, f"{mirror} is out of reach: Connection refused", mirror=mirror)


def test_host_that_never_answers_is_given_up_soon_and_asked_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for all tools: two bundles must not wait twice."""
    monkeypatch.setattr(releases, "_CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        host = releases.ReleaseHost(
            base=url, platform=PLATFORMS[0], recorded={}, cache=ToolCache(world.cache), progress=Silence()
        )
        for bundle in world.lock().bundles:
            with pytest.raises(ToolError, match="out of reach"):
                host.fetch(bundle, world.root)
        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_mirror_must_be_a_url(world: World) -> None:
    with pytest.raises(SettingsError, match="https, http or file URL"):
        world.resolve("siren", mirror="/srv/mirror")


def test_redirect_away_from_https_is_refused() -> None:
    handler = releases._SafeRedirects()
    request = Request("https://releases.invalid/a")
    with pytest.raises(URLError, match="which is not https"):
        handler.redirect_request(request, None, 302, "Found", None, "http://releases.invalid/a")  # type: ignore[arg-type]


def test_recording_writes_the_sums_of_every_platform_into_the_lock(world: World) -> None:
    lock = _list_all_platforms(world)
    before = lock.path.read_text()
    record_sums(lock, release_sums(lock, cache_dir=world.cache, mirror=world.mirror, progress=Silence()))
    again = load_lock(lock.path)
    assert lock.path.read_text().startswith(before.rstrip("\n"))
    assert set(again.sha256) == {bundle.archive(each) for bundle in lock.bundles for each in PLATFORMS}
    assert world.resolve("siren", lock=again)["siren"].record is not None


def test_recording_stops_when_the_checksum_file_contradicts_the_lock(world: World) -> None:
    _list_all_platforms(world)
    lock = world.lock(sums={world.archive("siren"): "1" * 64})
    with pytest.raises(ToolError, match="bear out every archive"):
        release_sums(lock, cache_dir=world.cache, mirror=world.mirror, progress=Silence())


def _list_all_platforms(world: World) -> ToolLock:
    """Make the checksum files name the archives of every platform."""
    lock = world.lock()
    for bundle in lock.bundles:
        own = (world.mirror_dir / bundle.checksums()).read_text()
        names = [Path(bundle.archive(each)).name for each in PLATFORMS]
        rows = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in names if name not in own]
        (world.mirror_dir / bundle.checksums()).write_text(own + "".join(rows))
    return lock


def _does_not_serve(world: World, reason: str, mirror: str | None = None) -> None:
    """Assert that the release of siren does not serve for this reason, and that the next way was tried, aloud."""
    with pytest.raises(ToolError, match="none of the ways") as caught:
        world.resolve("siren", mirror=mirror)
    assert reason in caught.value.details["release"]
    assert "no go on PATH" in caught.value.details["module"]
    assert any(line.startswith("note no release of siren 0.9.0: ") for line in world.heard.lines)
    assert world.leftovers() == []
