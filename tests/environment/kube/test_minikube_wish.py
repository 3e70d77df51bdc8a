"""Which arguments a start gets, and what counts as different."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from sloproof.environment.kube.minikube_profiles import ProfileConfig
from sloproof.environment.kube.minikube_wish import lasting, load_wish
from sloproof.environment.tool_version import accepts
from sloproof.errors import SettingsError
from sloproof.platform_files import platform_file
from tests.environment.kube.minikube_world import WISH

ROOT = Path(__file__).parents[3]
OWN = "--extra-config=kubelet.node-labels=sloproof/owner=abc"


def names(words: tuple[str, ...]) -> list[str]:
    return [word.lstrip("-").partition("=")[0] for word in words]


def config(**changes: object) -> ProfileConfig:
    content = {
        "Driver": "docker", "CPUs": 2, "Memory": 4096, "Nodes": [{"IP": "192.0.2.7"}],
        "KubernetesConfig": {"KubernetesVersion": "v1.33.1", "ContainerRuntime": "containerd", "ExtraOptions": None},
    }  # fmt: skip
    return msgspec.convert(content | changes, ProfileConfig)


def test_the_arguments_carry_the_wish_and_our_mark() -> None:
    words = WISH.start_arguments("abc")
    for word in ("--driver=docker", "--cpus=2", "--memory=4096mb", "--keep-context=true", "--embed-certs=true", OWN):
        assert word in words
    assert {"--interactive=false", "--kubernetes-version=v1.33.1", "--container-runtime=containerd"} <= set(words)


@pytest.mark.parametrize(
    "extra",
    [
        ("--driver=podman", "--memory=6g"),
        ("--driver", "podman", "--memory", "6g"),
        ("--vm-driver=podman", "--memory=6g"),
    ],
)
def test_extra_arguments_take_the_place_of_ours(extra: tuple[str, ...]) -> None:
    words = replace(WISH, extra_args=extra).start_arguments("abc")
    assert "--driver=podman" in words
    assert "--memory=6g" in words
    assert len(names(words)) == len(set(names(words)))


def test_extra_arguments_that_may_come_often_all_come() -> None:
    extra = ("--extra-config=kubeadm.a=1", "--extra-config=kubelet.b=2", "--wait=apiserver")
    words = replace(WISH, extra_args=extra).start_arguments("abc")
    assert [word for word in words if word.startswith("--extra-config")] == [*extra[:2], OWN]
    assert [word for word in words if word.startswith("--wait")] == ["--wait=apiserver"]


def test_labels_of_the_users_own_join_ours() -> None:
    words = replace(WISH, extra_args=("--extra-config=kubelet.node-labels=zone=a",)).start_arguments("abc")
    assert [word for word in words if "node-labels" in word] == [f"{OWN},zone=a"]


def test_the_mark_is_found_again_in_the_profile() -> None:
    option = {"Component": "kubelet", "Key": "node-labels", "Value": "zone=a,sloproof/owner=abc"}
    kubernetes = {"ExtraOptions": [{"Component": "kubeadm", "Key": "x", "Value": "sloproof/owner=no"}, option]}
    assert config(KubernetesConfig=kubernetes).node_label("sloproof/owner") == "abc"
    assert config().node_label("sloproof/owner") == ""


def test_a_profile_as_wished_has_no_differences() -> None:
    assert WISH.differences(config()) == ()


@pytest.mark.parametrize(
    ("extra", "row"),
    [
        (("--cpus=4",), "cpus: wished 4, is 2"),
        (("--memory=6g",), "memory in MiB: wished 6144, is 4096"),
        (("--nodes=2",), "nodes: wished 2, is 1"),
        (("-n", "2"), "nodes: wished 2, is 1"),
        (("--kubernetes-version=1.32.0",), "Kubernetes: wished v1.32.0, is v1.33.1"),
        (("--container-runtime=crio",), "container runtime: wished cri-o, is containerd"),
    ],
)
def test_differences_are_with_what_really_counts(extra: tuple[str, ...], row: str) -> None:
    assert replace(WISH, extra_args=extra).differences(config()) == (row,)


@pytest.mark.parametrize(
    "extra",
    [
        ("--memory=4g",),
        ("--memory=4GB",),
        ("--memory=4096",),
        ("--memory=max",),
        ("--cpus=no-limit",),
        ("--kubernetes-version=1.33.1",),
    ],
)
def test_the_same_in_other_words_is_no_difference(extra: tuple[str, ...]) -> None:
    assert replace(WISH, extra_args=extra).differences(config()) == ()


def test_lasting_arguments_leave_out_the_mark_and_the_manner() -> None:
    one = replace(WISH, extra_args=("--cni=bridge", "--force")).start_arguments("abc")
    other = replace(WISH, extra_args=("--cni", "bridge", "--wait=none")).start_arguments("def")
    assert lasting(one) == lasting(other)
    assert lasting(one) != lasting(WISH.start_arguments("abc"))


@pytest.mark.parametrize("extra", [("bridge",), ("--cni=bridge", "=", "x"), ("--",)])
def test_arguments_that_are_no_flags_are_refused(extra: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="expected only flags"):
        replace(WISH, extra_args=extra).check()


def test_the_pins_of_the_platform_are_whole() -> None:
    wish = load_wish(platform_file(ROOT / "platform", "minikube.yaml"))
    wish.check()
    assert wish.profile == "sloproof"
    assert "--install-addons=false" in wish.start_arguments("abc")
    assert accepts(wish.minikube, "v1.36.0")


def test_what_is_given_takes_the_place_of_the_pins() -> None:
    wish = load_wish(
        ROOT / "platform" / "minikube.yaml", profile="mine", cpus=3, memory_mb=5000, extra_args=["--force"]
    )
    assert (wish.profile, wish.cpus, wish.memory_mb, wish.extra_args) == ("mine", 3, 5000, ("--force",))


@pytest.mark.parametrize("text", ["", "profile: x", "profile: [", "profile: x\nunknown: 1"])
def test_pins_that_cannot_be_read_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "minikube.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match="expected the pins"):
        load_wish(file)
