"""Images that are loaded, and those that minikube only says are."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from sloproof.environment.kube.minikube import Minikube
from sloproof.environment.kube.minikube_image import archived_ids
from sloproof.errors import EnvironmentStartError
from tests.environment.kube.minikube_world import PROFILE, WISH, MinikubeWorld

# Each call of Minikube is a process.
pytestmark = pytest.mark.slow

NEW, OLD, OTHER = ("sha256:" + letter * 64 for letter in "abc")
TAG, FULL = "app:1", "docker.io/library/app:1"


@pytest.fixture
def world(tmp_path: Path) -> MinikubeWorld:
    world = MinikubeWorld(tmp_path)
    world.minikube().ensure(WISH, reuse=True)
    world.set(archives={FULL: NEW})
    return world


@pytest.fixture
def minikube(world: MinikubeWorld) -> Minikube:
    return world.minikube()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return written(
        tmp_path / "app.tar",
        {"manifest.json": [{"Config": f"{NEW.removeprefix('sha256:')}.json", "RepoTags": [TAG], "Layers": []}]},
    )


def written(file: Path, members: dict[str, object]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            data = json.dumps(content).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def test_an_image_is_loaded_and_seen(world: MinikubeWorld, minikube: Minikube, archive: Path) -> None:
    assert minikube.load_image(PROFILE, archive, TAG) == NEW
    (words,) = (words for words in world.calls("image") if words[1] == "load")
    assert words[2] == str(archive)


def test_an_image_that_is_there_is_not_loaded_again(world: MinikubeWorld, minikube: Minikube, archive: Path) -> None:
    world.alter(PROFILE, images={FULL: NEW})
    assert minikube.load_image(PROFILE, archive, TAG) == NEW
    assert [words[1] for words in world.calls("image")] == ["ls"]


def test_a_load_that_succeeds_and_loads_nothing_is_no_success(
    world: MinikubeWorld, minikube: Minikube, archive: Path
) -> None:
    world.set(load="lies")
    with pytest.raises(EnvironmentStartError, match="the node does not list it") as caught:
        minikube.load_image(PROFILE, archive, TAG)
    assert caught.value.details["minikube"] == "image load ended with status 0"


def test_a_load_that_keeps_the_old_image_under_the_tag_is_no_success(
    world: MinikubeWorld, minikube: Minikube, archive: Path
) -> None:
    world.alter(PROFILE, images={FULL: OLD})
    world.set(load="lies")
    with pytest.raises(EnvironmentStartError, match="another under that tag") as caught:
        minikube.load_image(PROFILE, archive, TAG)
    assert caught.value.details["wanted"] == NEW


def test_a_load_that_fails_is_no_success(world: MinikubeWorld, minikube: Minikube, archive: Path) -> None:
    world.alter(PROFILE, images={FULL: OLD})
    world.set(load="fails")
    with pytest.raises(EnvironmentStartError, match="another under that tag"):
        minikube.load_image(PROFILE, archive, TAG)


def test_a_runtime_with_ids_of_its_own_must_show_something_new(
    world: MinikubeWorld, minikube: Minikube, archive: Path
) -> None:
    world.alter(PROFILE, images={FULL: OLD})
    world.set(archives={FULL: OTHER})
    assert minikube.load_image(PROFILE, archive, TAG) == OTHER


def test_an_archive_without_the_tag_is_refused_before_it_is_loaded(
    world: MinikubeWorld, minikube: Minikube, archive: Path
) -> None:
    with pytest.raises(EnvironmentStartError, match="app:2 in the archive") as caught:
        minikube.load_image(PROFILE, archive, "app:2")
    assert caught.value.details["has"] == FULL
    assert not world.calls("image")


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100])
def test_an_archive_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.tar"
    file.write_bytes(content)
    with pytest.raises(EnvironmentStartError, match="expected an archive"):
        archived_ids(file, TAG)


def test_a_tar_that_is_no_archive_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentStartError, match="expected an archive"):
        archived_ids(written(tmp_path / "x.tar", {"other.json": []}), TAG)


def test_an_archive_of_the_new_layout_may_be_listed_by_its_manifest(tmp_path: Path) -> None:
    members: dict[str, object] = {
        "manifest.json": [{"Config": f"blobs/sha256/{'a' * 64}", "RepoTags": [FULL], "Layers": []}],
        "index.json": {"schemaVersion": 2, "manifests": [{"digest": OTHER, "size": 1}]},
    }
    assert archived_ids(written(tmp_path / "new.tar", members), TAG) == {NEW, OTHER}
