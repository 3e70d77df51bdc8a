from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sloproof.environment.kube.image_archive import full_name, pack_program, write_image
from sloproof.errors import SettingsError


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "loki"
    path.write_bytes(b"\x7fELF and more")
    return path


Entry = tuple[str, str, int, float]


def read(archive: Path) -> tuple[dict[str, Any], dict[str, Any], dict[Entry, bytes]]:
    """Return manifest, configuration and files of an archive, their sums checked as whoever loads it checks them."""
    with tarfile.open(archive) as tar:
        data = contents(tar)
    by_name = {name: content for (name, *_), content in data.items()}
    (manifest,) = json.loads(by_name["manifest.json"])
    config = json.loads(by_name[manifest["Config"]])
    assert manifest["Config"] == f"{hashlib.sha256(by_name[manifest['Config']]).hexdigest()}.json"
    (layer,) = manifest["Layers"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(by_name[layer]).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(by_name[layer])) as tar:
        return manifest, config, contents(tar)


def contents(tar: tarfile.TarFile) -> dict[Entry, bytes]:
    """Return what an archive holds, by name, mode, owner and time, in its order."""
    found = {}
    for one in tar:
        file = tar.extractfile(one)
        found[one.name, oct(one.mode), one.uid, one.mtime] = file.read() if file else b""
    return found


def test_image_holds_the_program_and_says_how_to_start_it(tmp_path: Path, program: Path) -> None:
    archive = tmp_path / "image.tar"
    write_image(archive, "sloproof/loki:1", entrypoint=["/bin/loki", "-x"], files={"/bin/loki": program})

    manifest, config, layer = read(archive)
    assert manifest["RepoTags"] == ["docker.io/sloproof/loki:1"]
    assert config["config"]["Entrypoint"] == ["/bin/loki", "-x"]
    assert config["config"]["User"] == "65532:65532"
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert layer == {
        ("bin", "0o755", 0, 0): b"",
        ("tmp", "0o1777", 0, 0): b"",
        ("bin/loki", "0o755", 0, 0): program.read_bytes(),
    }


def test_same_program_makes_the_same_bytes_whatever_its_time_and_mode(tmp_path: Path, program: Path) -> None:
    def image(name: str) -> bytes:
        write_image(tmp_path / name, "a/b:1", entrypoint=["/loki"], files={"/loki": program})
        return (tmp_path / name).read_bytes()

    before = image("one.tar")
    os.utime(program, (1, 1))
    program.chmod(0o600)
    assert image("two.tar") == before
    program.write_bytes(b"another")
    assert image("three.tar") != before


def test_tag_stands_for_the_content(tmp_path: Path, program: Path) -> None:
    first = pack_program(tmp_path / "cache", "sloproof/loki", program)
    other_processor = pack_program(tmp_path / "cache", "sloproof/loki", program, architecture="arm64")
    program.write_bytes(b"another")
    second = pack_program(tmp_path / "cache", "sloproof/loki", program)

    assert len({first.reference, second.reference, other_processor.reference}) == 3
    for image in (first, second, other_processor):
        manifest, config, _ = read(image.archive)
        assert manifest["RepoTags"] == [f"docker.io/{image.reference}"]
        assert config["config"]["Entrypoint"] == ["/usr/bin/loki"]


def test_program_is_packed_once(tmp_path: Path, program: Path) -> None:
    first = pack_program(tmp_path, "sloproof/loki", program)
    written = first.archive.stat().st_mtime_ns

    assert pack_program(tmp_path, "sloproof/loki", program) == first
    assert first.archive.stat().st_mtime_ns == written


def test_failed_packing_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()

    with pytest.raises(SettingsError, match="expected a program to pack into an image") as caught:
        write_image(folder / "a.tar", "a/b:1", entrypoint=["/x"], files={"/x": tmp_path / "nowhere"})

    assert caught.value.details["where"] == str(tmp_path / "nowhere")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("path", ["relative", "/a/../../etc/passwd", "/"])
def test_paths_that_are_none_inside_are_refused(tmp_path: Path, program: Path, path: str) -> None:
    with pytest.raises(SettingsError, match="expected an absolute path inside of the image"):
        write_image(tmp_path / "a.tar", "a/b:1", entrypoint=["/x"], files={path: program})


def test_name_without_a_tag_is_refused(tmp_path: Path, program: Path) -> None:
    with pytest.raises(SettingsError, match="expected an image's name with a tag"):
        write_image(tmp_path / "a.tar", "host:5000/b", entrypoint=["/x"], files={"/x": program})


@pytest.mark.parametrize(
    ("name", "full"),
    [("a:1", "docker.io/library/a:1"), ("a/b:1", "docker.io/a/b:1"), ("host.example/b:1", "host.example/b:1"), ("host:5000/b:1", "host:5000/b:1"), ("localhost/b:1", "localhost/b:1")],
)  # fmt: skip
def test_short_names_are_completed_as_clusters_do(name: str, full: str) -> None:
    assert full_name(name) == full
