"""The lock: what is refused when it is read, and how versions compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloproof.environment.lockfile import Platform, load_lock, record_sums
from sloproof.environment.tool_version import accepts, version_key
from sloproof.errors import SettingsError
from tests.environment.toolchain_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("format = 1", "format = 2", "expected format 1, seen 2"),
        ("format = 1", "format = ", "Invalid value"),
        ('sum = "h1:none"', 'sum = "none"', "module.sum to begin with h1:"),
        ('tools = ["siren"]', 'tools = ["siren", "meter"]', "a tool belongs to one bundle only"),
        ('tools = ["siren"]', 'tools = ["../siren"]', "cannot name a folder"),
        ('accept = ">=0.9"', 'accept = ">=1.0"', "does not accept its own version"),
        ('accept = ">=0.9"', 'accept = "~0.9"', "no comparison with a version"),
        ('accept = ">=0.9"', "", "missing required field `accept`"),
        ('accept = ">=0.9"', 'acept = ">=0.9"', "unknown field `acept`"),
        ("siren-{os}-{arch}.zip", "siren-{system}.zip", "unknown placeholder system"),
        ("siren-{os}-{arch}.zip", "siren-{os}-{arch}.rar", "a .tar.gz or a .zip archive"),
        ("[sha256]", '[sha256]\n"a.zip" = "abc"', "no SHA-256: 'abc'"),
    ],
)
def test_lock_is_refused_with_what_is_wrong(world: World, before: str, after: str, message: str) -> None:
    file = world.write_lock()
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    with pytest.raises(SettingsError) as caught:
        load_lock(file)
    assert message in caught.value.headline
    assert caught.value.details["where"] == str(file)


def test_lock_that_is_not_there_is_refused(world: World) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_lock(world.root / "tools.lock")


def test_recording_needs_the_sums_to_be_the_last_table(world: World) -> None:
    """Rows are added at the end of the file: under another table they would mean something else."""
    file = world.write_lock()
    file.write_text(file.read_text().replace("[sha256]", ""))
    before = file.read_text()
    with pytest.raises(SettingsError, match="last table"):
        record_sums(load_lock(file), {"a.zip": "1" * 64})
    assert file.read_text() == before


def test_recording_what_is_recorded_changes_nothing(world: World) -> None:
    file = world.write_lock(sums={"a.zip": "1" * 64})
    before = file.stat().st_mtime_ns
    record_sums(load_lock(file), {"a.zip": "1" * 64})
    assert file.stat().st_mtime_ns == before


def test_versions_order_by_number_and_pre_releases_come_first() -> None:
    ordered = ["0.9", "0.10.0", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.10", "v2"]
    shuffled = ordered[3:] + ordered[:3]
    assert sorted(shuffled, key=version_key) == ordered
    assert version_key("3.5") == version_key("3.5.0")
    with pytest.raises(ValueError, match="no version"):
        version_key("latest")


@pytest.mark.parametrize(
    ("version", "accepted"),
    [("3.4.9", False), ("3.5.0", True), ("3.15.0", True), ("3.5.0+ds1", True), ("4.0.0", False), ("4.0.0-rc.0", False)],
)
def test_range_accepts_what_satisfies_all_its_comparisons(version: str, accepted: bool) -> None:
    assert accepts(">=3.5, <4", version) is accepted


def test_platform_speaks_gos_words() -> None:
    assert Platform.of("linux", "x86_64") == Platform("linux", "amd64")
    assert Platform.of("darwin", "arm64") == Platform("darwin", "arm64")
    for system, machine in (("win32", "AMD64"), ("linux", "riscv64")):
        with pytest.raises(SettingsError, match=machine):
            Platform.of(system, machine)
