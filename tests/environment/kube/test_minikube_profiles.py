"""Minikube's answers, as it gives them and as it should not."""

from __future__ import annotations

import json

import pytest

from sloproof.environment.kube.minikube_profiles import full_tag, read_images, read_profiles, read_status
from sloproof.errors import UnavailableError


def test_profiles_are_found_whole_or_not() -> None:
    profiles = read_profiles(
        json.dumps(
            {
                "valid": [{"Name": "a", "Status": "OK", "Config": {"CPUs": 2}}],
                "invalid": [{"Name": "b", "Config": None}],
            }
        )
    )
    found = profiles.find("a")
    assert found is not None
    assert found.config is not None
    assert found.config.cpus == 2
    broken = profiles.find("b")
    assert broken is not None
    assert broken.config is None
    assert profiles.find("c") is None


@pytest.mark.parametrize("answer", ["", "[]", "no", '{"valid": [{}]}', '{"error": {"Op": "open"}}'])
def test_a_list_of_profiles_that_is_none_is_an_error(answer: str) -> None:
    with pytest.raises(UnavailableError):
        read_profiles(answer)


def status(**changes: str) -> dict[str, str]:
    return {
        "Name": "a",
        "Host": "Running",
        "Kubelet": "Running",
        "APIServer": "Running",
        "Kubeconfig": "Configured",
    } | changes


def test_a_status_is_running_only_if_all_of_it_is() -> None:
    assert read_status(json.dumps(status())).is_running
    for part in ("Host", "Kubelet", "APIServer"):
        assert not read_status(json.dumps(status(**{part: "Stopped"}))).is_running
    assert not read_status(json.dumps(status(Kubeconfig="Misconfigured"))).is_reachable


def test_the_status_of_several_nodes_is_that_of_the_worst() -> None:
    worker = status(APIServer="Irrelevant", Kubeconfig="Irrelevant")
    assert read_status(json.dumps([status(), worker])).is_running
    assert not read_status(json.dumps([status(), worker | {"Host": "Stopped"}])).is_running


@pytest.mark.parametrize("answer", ["", "[]", '{"type": 1}x'])
def test_a_status_that_is_none_is_an_error(answer: str) -> None:
    with pytest.raises(UnavailableError):
        read_status(answer)


def test_images_are_listed_by_their_full_tags() -> None:
    images = [{"id": "ab", "repoTags": ["docker.io/library/app:1", "app:2"]}, {"id": "sha256:cd", "repoTags": None}]
    assert read_images(json.dumps(images)) == {
        "docker.io/library/app:1": "sha256:ab",
        "docker.io/library/app:2": "sha256:ab",
    }
    assert read_images("null") == {}


@pytest.mark.parametrize(
    ("tag", "full"),
    [
        ("app", "docker.io/library/app:latest"),
        ("app:1", "docker.io/library/app:1"),
        ("me/app:1", "docker.io/me/app:1"),
        ("ghcr.io/me/app:1", "ghcr.io/me/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("host:5000/app", "host:5000/app:latest"),
    ],
)
def test_a_tag_is_completed_as_runtimes_do(tag: str, full: str) -> None:
    assert full_tag(tag) == full
