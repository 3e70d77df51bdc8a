"""The Minikube profile of a run: brought up once, cleared of what others left in it, asked for its images once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from sloproof.environment.backends import Wish
from sloproof.environment.kube import backends
from sloproof.environment.kube.backends import MinikubeHost
from sloproof.environment.kube.wish import ClusterWish, HeldProfile
from tests.fakes import SETTINGS

PLATFORM = Path(__file__).parents[3] / "platform"


class World:
    """A profile, what is in it, and what was done to it."""

    def __init__(self) -> None:
        self.how = "reused"
        self.namespaces: list[str] = []
        self.images: dict[str, str] = {}
        self.done: list[str] = []


class FakeMinikube:
    world: World

    def __init__(self, *_: object, is_held: bool = False, **__: object) -> None:
        self.is_held = is_held

    def kubeconfig(self, profile: str) -> Path:
        return Path("kubeconfig-of") / profile

    @contextmanager
    def held(self, profile: str) -> Iterator[None]:
        self.world.done.append(f"hold {profile}")
        yield
        self.world.done.append(f"let go of {profile}")

    def ensure(self, *_: object, reuse: bool, **__: object) -> SimpleNamespace:
        self.world.done.append(f"ensure, reuse {reuse}")
        return SimpleNamespace(how=self.world.how, node_ip="192.0.2.7")

    def images(self, _: str) -> Mapping[str, str]:
        self.world.done.append("list images")
        return dict(self.world.images)

    def load_image(self, _profile: str, _archive: Path, tag: str) -> str:
        self.world.done.append(f"load {tag}")
        return "sha256:1"

    def delete(self, profile: str) -> bool:
        self.world.done.append(f"delete {profile}")
        return True


class FakeCluster:
    world: World

    def __init__(self, _: object) -> None:
        pass

    def own_namespaces(self) -> tuple[str, ...]:
        return tuple(self.world.namespaces)

    def delete_namespace(self, name: str) -> None:
        self.world.done.append(f"delete namespace {name}")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(FakeMinikube, "world", made, raising=False)
    monkeypatch.setattr(FakeCluster, "world", made, raising=False)
    monkeypatch.setattr(backends, "Minikube", FakeMinikube)
    monkeypatch.setattr(backends, "Cluster", FakeCluster)
    monkeypatch.setattr(backends, "KubeApi", lambda *_: None)

    def ids(_: Path, tag: str) -> AbstractSet[str]:
        return {f"sha256:{tag}"}

    monkeypatch.setattr(backends, "archived_ids", ids)
    return made


def host(tmp_path: Path, **cluster: Any) -> MinikubeHost:
    settings = msgspec.structs.replace(SETTINGS, platform_dir=str(PLATFORM))
    wish = Wish(root=tmp_path, settings=settings, run_id="r", environ={"HOME": str(tmp_path)})
    return MinikubeHost(wish, ClusterWish(**cluster), tmp_path / "minikube.log")


@pytest.mark.parametrize("how", ["reused", "restarted"])
def test_what_others_have_left_in_a_kept_profile_is_taken_away(tmp_path: Path, world: World, how: str) -> None:
    world.how, world.namespaces = how, ["shop", "shop-gw0", "shop-gw1"]
    assert host(tmp_path, reuse=True).open(["shop-gw0"]) == HeldProfile("192.0.2.7")
    assert sorted(world.done[2:]) == ["delete namespace shop", "delete namespace shop-gw1"]


def test_new_profile_is_not_asked_what_is_in_it(tmp_path: Path, world: World) -> None:
    world.how, world.namespaces = "started", ["shop"]
    host(tmp_path).open([])
    assert world.done == ["hold sloproof", "ensure, reuse False"]


def test_profile_is_deleted_at_the_end_and_let_go_of(tmp_path: Path, world: World) -> None:
    one = host(tmp_path)
    one.open([])
    one.close(kept=False)
    assert world.done[2:] == ["delete sloproof", "let go of sloproof"]


def test_profile_that_is_kept_is_only_let_go_of(tmp_path: Path, world: World) -> None:
    one = host(tmp_path)
    one.open([])
    one.close(kept=True)
    assert world.done[2:] == ["let go of sloproof"]


def test_worker_leaves_the_controllers_profile_as_it_is(tmp_path: Path, world: World) -> None:
    one = host(tmp_path, held=HeldProfile("192.0.2.9"))
    assert one.open(["shop-gw0"]) == HeldProfile("192.0.2.9")
    one.close(kept=False)
    assert world.done == []


def test_images_are_listed_once_and_only_missing_or_other_ones_are_loaded(tmp_path: Path, world: World) -> None:
    world.images = {"docker.io/library/a:1": "sha256:a:1", "docker.io/library/b:1": "sha256:another"}
    one = host(tmp_path)
    for tag in ("a:1", "b:1", "c:1"):
        one.load(tmp_path / "archive.tar", tag)
    assert world.done == ["list images", "load b:1", "load c:1"]
