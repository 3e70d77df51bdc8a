"""A profile's life, played by a program that can be told to lie."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sloproof.environment.kube.minikube_ownership import Ownership
from sloproof.errors import EnvironmentStartError, SettingsError, ToolError
from tests.environment.kube.minikube_world import PROFILE, WISH, Heard, MinikubeWorld

# Each call of Minikube is a process.
pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path: Path) -> MinikubeWorld:
    return MinikubeWorld(tmp_path)


def test_ensure_starts_a_profile_where_there_is_none(world: MinikubeWorld) -> None:
    heard = Heard()
    cluster = world.minikube().ensure(WISH, reuse=True, progress=heard)
    assert (cluster.how, cluster.node_ip, cluster.kubernetes_version) == ("started", "192.0.2.7", "v1.33.1")
    assert (cluster.runtime_version, cluster.minikube_version) == ("containerd://1.7.27", "v1.36.0")
    assert cluster.kubeconfig == world.state_dir / PROFILE / "kubeconfig"
    assert cluster.kubeconfig.read_text() == f"{PROFILE}\n"
    (words,) = world.calls("start")
    assert [word for word in words if word.startswith("--profile")] == [f"--profile={PROFILE}"]
    assert "--output=json" in words
    assert any("8 of 19, creating container" in line for line in heard.lines)
    assert heard.open == 0


def test_ensure_reuses_what_is_ours_and_as_wished(world: MinikubeWorld) -> None:
    first = world.minikube().ensure(WISH, reuse=True)
    second = world.minikube().ensure(WISH, reuse=True)
    assert (second.how, second.node_ip) == ("reused", first.node_ip)
    assert len(world.calls("start")) == 1
    assert not world.calls("delete")


def test_ensure_makes_a_new_one_without_reuse(world: MinikubeWorld) -> None:
    world.minikube().ensure(WISH, reuse=True)
    cluster = world.minikube().ensure(WISH, reuse=False)
    assert (cluster.how, cluster.why) == ("recreated", "a new one was asked for")
    assert len(world.calls("delete")) == 1


def test_ensure_starts_a_stopped_one_again_as_it_was(world: MinikubeWorld) -> None:
    minikube = world.minikube()
    minikube.ensure(WISH, reuse=True)
    minikube.stop(PROFILE)
    assert minikube.ensure(WISH, reuse=True).how == "restarted"
    first, second = world.calls("start")
    assert first == second
    assert not world.calls("delete")


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (replace(WISH, cpus=3), "cpus: wished 3, is 2"),
        (replace(WISH, memory_mb=6000), "memory in MiB: wished 6000, is 4096"),
        (replace(WISH, kubernetes_version="v1.32.0"), "Kubernetes: wished v1.32.0, is v1.33.1"),
        (replace(WISH, container_runtime="docker"), "container runtime: wished docker, is containerd"),
        (replace(WISH, extra_args=("--driver=podman",)), "driver: wished podman, is docker"),
        (replace(WISH, extra_args=("--cni=bridge",)), "arguments: --cni=bridge only now or only then"),
    ],
)
def test_ensure_makes_one_of_ours_anew_that_differs(world: MinikubeWorld, wish: object, why: str) -> None:
    heard = Heard()
    world.minikube().ensure(WISH, reuse=True)
    cluster = world.minikube().ensure(wish, reuse=True, progress=heard)  # type: ignore[arg-type]
    assert (cluster.how, cluster.why) == ("recreated", why)
    assert any(why in note for note in heard.notes)
    assert len(world.calls("delete")) == 1


def test_ensure_does_not_mind_how_a_start_goes_about_it(world: MinikubeWorld) -> None:
    world.minikube().ensure(WISH, reuse=True)
    again = replace(WISH, extra_args=("--wait=apiserver", "--force", "--alsologtostderr"))
    assert world.minikube().ensure(again, reuse=True).how == "reused"


def test_ensure_makes_one_anew_whose_api_server_belongs_to_another(world: MinikubeWorld) -> None:
    world.minikube().ensure(WISH, reuse=True)
    world.node_mark = ""

    def restored(*_: object) -> None:
        world.node_mark = None

    heard = Heard()
    heard.start = restored  # type: ignore[assignment]
    cluster = world.minikube().ensure(WISH, reuse=True, progress=heard)
    assert cluster.how == "recreated"
    assert "its node's mark: wished" in cluster.why


def test_ensure_brings_back_a_lost_kubeconfig(world: MinikubeWorld) -> None:
    cluster = world.minikube().ensure(WISH, reuse=True)
    cluster.kubeconfig.unlink()
    assert world.minikube().ensure(WISH, reuse=True).how == "reused"
    assert cluster.kubeconfig.exists()


# Whose it is


def test_a_foreign_profile_is_neither_used_nor_deleted(world: MinikubeWorld) -> None:
    world.add_foreign()
    before = world.read()["profiles"]
    minikube = world.minikube()
    for attempt in (
        lambda: minikube.ensure(WISH, reuse=True),
        lambda: minikube.ensure(WISH, reuse=False),
        lambda: minikube.delete(PROFILE),
        lambda: minikube.stop(PROFILE),
        lambda: minikube.load_image(PROFILE, Path("x.tar"), "x:1"),
        lambda: minikube.node_ip(PROFILE),
    ):
        with pytest.raises(EnvironmentStartError, match="it is not ours") as caught:
            attempt()
        assert f"delete --profile={PROFILE}" in caught.value.details["next"]
    assert world.read()["profiles"] == before
    assert {words[0] for words in world.read()["calls"]} == {"version", "profile"}


def test_a_foreign_profile_is_left_alone_although_we_once_had_one_of_that_name(world: MinikubeWorld) -> None:
    world.minikube().ensure(WISH, reuse=True)
    world.add_foreign()
    with pytest.raises(EnvironmentStartError, match="it is not ours") as caught:
        world.minikube().ensure(WISH, reuse=False)
    assert "made anew by somebody else" in caught.value.details["seen"]
    with pytest.raises(EnvironmentStartError, match="it is not ours"):
        world.minikube().delete(PROFILE)
    assert PROFILE in world.read()["profiles"]
    assert not world.calls("delete")


def test_the_container_of_another_home_is_left_alone(world: MinikubeWorld) -> None:
    world.set(invalid=[PROFILE])
    with pytest.raises(EnvironmentStartError, match="it is not ours") as caught:
        world.minikube().ensure(WISH, reuse=False)
    assert "another MINIKUBE_HOME" in caught.value.details["seen"]
    assert not world.calls("delete")


def test_traces_of_an_early_failure_of_ours_do_not_bar_the_way(world: MinikubeWorld) -> None:
    world.set(starts=[{"exit_early": 29}])
    minikube = world.minikube()
    with pytest.raises(EnvironmentStartError, match="too few processors"):
        minikube.ensure(WISH, reuse=True)
    assert minikube.profiles().find(PROFILE) is None
    assert minikube.ensure(WISH, reuse=True).how == "started"


def test_traces_that_we_have_not_made_are_left_alone(world: MinikubeWorld) -> None:
    traces = world.folder / "home" / ".minikube" / "profiles" / PROFILE
    traces.mkdir(parents=True)
    with pytest.raises(EnvironmentStartError, match="it is not ours"):
        world.minikube().ensure(WISH, reuse=False)
    assert traces.exists()


def test_a_container_of_another_home_outlives_an_early_failure_of_ours(world: MinikubeWorld) -> None:
    world.set(starts=[{"exit_early": 29, "appears": True}])
    heard = Heard()
    with pytest.raises(EnvironmentStartError, match="too few processors"):
        world.minikube().ensure(WISH, reuse=True, progress=heard)
    assert world.read()["invalid"] == [PROFILE]
    assert not world.calls("delete")
    assert any("is not ours" in note for note in heard.notes)


def test_a_profile_that_somebody_else_made_at_the_same_moment_is_not_deleted(world: MinikubeWorld) -> None:
    world.set(starts=[{"foreign": True}])
    heard = Heard()
    with pytest.raises(EnvironmentStartError, match="to carry our mark"):
        world.minikube().ensure(WISH, reuse=True, progress=heard)
    assert PROFILE in world.read()["profiles"]
    assert not world.calls("delete")
    assert any(f"delete --profile={PROFILE}" in note for note in heard.notes)


def test_only_our_own_profile_is_ever_deleted(world: MinikubeWorld) -> None:
    world.add_foreign("theirs")
    minikube = world.minikube()
    minikube.ensure(WISH, reuse=True)
    assert minikube.delete(PROFILE)
    assert not minikube.delete(PROFILE)
    assert list(world.read()["profiles"]) == ["theirs"]
    (words,) = world.calls("delete")
    assert words == ["delete", "--output=json", f"--profile={PROFILE}"]


# Lies


def test_a_start_that_succeeds_and_keeps_the_old_size_is_no_success(world: MinikubeWorld, tmp_path: Path) -> None:
    world.set(starts=[{"keeps": {"CPUs": 1}}])
    with pytest.raises(EnvironmentStartError, match="although minikube reports success") as caught:
        world.minikube().ensure(WISH, reuse=True, failure_log=tmp_path / "failed.log")
    assert caught.value.details["seen"] == "cpus: wished 2, is 1"
    assert (tmp_path / "failed.log").read_text() == "what the node logged\n"
    assert not world.read()["profiles"]


def test_a_start_that_succeeds_with_a_stopped_node_is_no_success(world: MinikubeWorld) -> None:
    world.set(starts=[{"status": "Stopped"}])
    with pytest.raises(EnvironmentStartError, match="although minikube reports success") as caught:
        world.minikube().ensure(WISH, reuse=True)
    assert "host Stopped" in caught.value.details["seen"]


def test_a_delete_that_succeeds_and_deletes_nothing_is_no_success(world: MinikubeWorld) -> None:
    minikube = world.minikube()
    minikube.ensure(WISH, reuse=True)
    world.set(delete_lies=True)
    with pytest.raises(EnvironmentStartError, match="without having done it") as caught:
        minikube.delete(PROFILE)
    assert caught.value.details["said"] == "could not"
    world.set(delete_lies=False)
    assert world.minikube().ensure(WISH, reuse=True).why == "a run was killed while it was deleting"


def test_errors_and_noise_on_the_way_are_not_the_end(world: MinikubeWorld) -> None:
    world.set(starts=[{"garbled": True}])
    assert world.minikube().ensure(WISH, reuse=True).how == "started"


# Failures


@pytest.mark.parametrize("code", [42, 49, 82, 102, 112])
def test_a_start_that_may_work_a_second_time_is_tried_once_more(world: MinikubeWorld, code: int) -> None:
    world.set(starts=[{"exit": code}])
    assert world.minikube().ensure(WISH, reuse=True).how == "started"
    assert len(world.calls("start")) == 2
    assert not world.calls("delete")


@pytest.mark.parametrize("code", [80, 81, 100, 103])
def test_a_broken_node_is_deleted_and_started_afresh_once(world: MinikubeWorld, code: int, tmp_path: Path) -> None:
    world.set(starts=[{"exit": code}])
    assert world.minikube().ensure(WISH, reuse=True, failure_log=tmp_path / "log").how == "started"
    assert len(world.calls("delete")) == 1
    assert (tmp_path / "log").exists()
    first, second = (next(word for word in words if "node-labels" in word) for words in world.calls("start"))
    assert first != second


@pytest.mark.parametrize("code", [14, 23, 29, 56, 57, 63, 65, 106])
def test_a_start_that_cannot_work_is_not_tried_again(world: MinikubeWorld, code: int) -> None:
    world.set(starts=[{"exit_early": code}])
    with pytest.raises(EnvironmentStartError) as caught:
        world.minikube().ensure(WISH, reuse=True)
    assert len(world.calls("start")) == 1
    assert not world.read()["profiles"]
    assert caught.value.details["exit_status"] == str(code)
    assert caught.value.details["advice"] == "do so"
    assert caught.value.details["said"] == "FAKE_REASON: it went wrong"
    assert caught.value.details["next"]


def test_a_start_that_fails_and_fails_again_leaves_nothing(world: MinikubeWorld) -> None:
    world.set(starts=[{"exit": 80}, {"exit": 82}, {"exit": 80}, {}])
    with pytest.raises(EnvironmentStartError, match="the node could not be set up"):
        world.minikube().ensure(WISH, reuse=True)
    assert len(world.calls("start")) == 3
    assert not world.read()["profiles"]
    assert world.minikube().ensure(WISH, reuse=True).how == "started"


def test_a_stopped_profile_that_does_not_start_is_made_anew(world: MinikubeWorld) -> None:
    minikube = world.minikube()
    minikube.ensure(WISH, reuse=True)
    minikube.stop(PROFILE)
    world.set(starts=[{"exit": 90}])
    minikube.ensure(WISH, reuse=True)
    assert len(world.calls("delete")) == 1


def test_a_stopped_profile_is_kept_from_a_docker_that_does_not_run(world: MinikubeWorld) -> None:
    minikube = world.minikube()
    minikube.ensure(WISH, reuse=True)
    minikube.stop(PROFILE)
    world.set(starts=[{"exit_early": 63}])
    with pytest.raises(EnvironmentStartError, match="what the driver runs on does not run"):
        minikube.ensure(WISH, reuse=True)
    assert len(world.calls("start")) == 2
    assert not world.calls("delete")
    assert minikube.ensure(WISH, reuse=True).how == "restarted"


def test_logs_that_cannot_be_had_say_so_in_their_place(world: MinikubeWorld, tmp_path: Path) -> None:
    world.set(logs_fail=True)
    file = world.minikube().logs(PROFILE, tmp_path / "deep" / "logs.txt")
    assert "status 80" in file.read_text()
    assert "no logs to be had" in file.read_text()


def test_a_profile_that_does_not_stop_is_told(world: MinikubeWorld) -> None:
    minikube = world.minikube()
    minikube.ensure(WISH, reuse=True)
    world.set(stop_exit=82)
    with pytest.raises(EnvironmentStartError, match="the node took too long"):
        minikube.stop(PROFILE)


# The program and the wish


def test_a_minikube_that_is_not_there_is_a_tool_that_is_missing(tmp_path: Path) -> None:
    world = MinikubeWorld(tmp_path)
    minikube = world.minikube()
    (tmp_path / "minikube").unlink()
    with pytest.raises(ToolError, match="cannot be started"):
        minikube.ensure(WISH, reuse=True)


@pytest.mark.parametrize("version", ["v1.35.0", "v1.40.0", "v1.40.0-beta.1", "nightly"])
def test_a_minikube_of_another_version_is_refused(world: MinikubeWorld, version: str) -> None:
    world.set(version=version)
    with pytest.raises(ToolError, match=f"found {version}"):
        world.minikube().ensure(WISH, reuse=True)
    assert not world.calls("start")


@pytest.mark.parametrize(
    "wish",
    [
        replace(WISH, profile="../theirs"),
        replace(WISH, extra_args=("--profile=theirs",)),
        replace(WISH, extra_args=("-o", "text")),
        replace(WISH, kubernetes_version="stable"),
        replace(WISH, extra_args=("--memory=much",)),
    ],
)
def test_a_wish_that_cannot_be_is_refused_before_anything_is_run(world: MinikubeWorld, wish: object) -> None:
    with pytest.raises(SettingsError):
        world.minikube().ensure(wish, reuse=True)  # type: ignore[arg-type]
    assert not world.read()["calls"]


# Who is using it


def test_a_second_run_is_refused_and_told_who_has_the_profile(world: MinikubeWorld) -> None:
    other = Ownership(world.state_dir)
    with (
        other.held(PROFILE, timedelta(0)),
        pytest.raises(EnvironmentStartError, match="another run is using it") as caught,
    ):
        world.minikube().ensure(WISH, reuse=True, wait=timedelta(seconds=0.2))
    assert caught.value.details["run"].startswith("process ")
    assert not world.calls("start")
    assert world.minikube().ensure(WISH, reuse=True).how == "started"


def test_a_run_that_holds_a_profile_uses_it_freely(world: MinikubeWorld) -> None:
    minikube = world.minikube()
    with minikube.held(PROFILE):
        minikube.ensure(WISH, reuse=True)
        with pytest.raises(EnvironmentStartError, match="another run is using it"):
            world.minikube().stop(PROFILE)
        minikube.stop(PROFILE)
    assert world.minikube().delete(PROFILE)


def test_another_profile_is_free(world: MinikubeWorld) -> None:
    minikube = world.minikube()
    with minikube.held(PROFILE):
        assert world.minikube().ensure(replace(WISH, profile="another"), reuse=True).how == "started"
