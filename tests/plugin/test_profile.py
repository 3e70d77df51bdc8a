"""A Minikube profile that the controller keeps for its workers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from sloproof.environment.kube import backends
from sloproof.environment.kube.wish import ClusterWish, HeldProfile
from sloproof.errors import EnvironmentStartError
from sloproof.plugin.profile import keep_profile
from tests.plugin.test_running import TABLE

pytest_plugins = ["pytester"]


class Host:
    """A profile that comes up, or does not."""

    made: list[Host] = []  # noqa: RUF012 - emptied by the fixture
    trouble: EnvironmentStartError | None = None

    def __init__(self, wish: object, cluster: ClusterWish, failure_log: Path) -> None:
        self.cluster, self.failure_log = cluster, failure_log
        self.namespaces: Collection[str] = ()
        self.closed: list[bool] = []
        Host.made.append(self)

    def open(self, namespaces: Collection[str]) -> HeldProfile:
        self.namespaces = namespaces
        if Host.trouble is not None:
            raise Host.trouble
        return HeldProfile("192.0.2.7")

    def close(self, kept: bool) -> None:
        self.closed.append(kept)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> type[Host]:
    pytester.makepyprojecttoml(TABLE)
    monkeypatch.setattr(backends, "MinikubeHost", Host)
    monkeypatch.setattr(Host, "made", [])
    return Host


def config_of(pytester: pytest.Pytester, *options: str, workers: int = 2) -> pytest.Config:
    config = pytester.parseconfig(*options)
    config.option.numprocesses = workers
    return config


def test_profile_is_kept_until_the_run_ends_and_its_namespaces_are_the_workers(
    pytester: pytest.Pytester, host: type[Host]
) -> None:
    config = config_of(pytester, "--env", "minikube")
    config._do_configure()
    kept = keep_profile(config, "r1", pytester.path / "reports")
    assert kept is not None
    assert kept.node_ip == "192.0.2.7"
    (made,) = host.made
    assert made.namespaces == ["sloproof-gw0", "sloproof-gw1"]
    assert made.failure_log.is_relative_to(pytester.path / "reports" / "r1")
    assert not made.closed
    config._ensure_unconfigure()
    assert made.closed == [False]


@pytest.mark.parametrize("option", ["--env-keep", "--env-reuse"])
def test_profile_that_is_kept_or_was_is_left(pytester: pytest.Pytester, host: type[Host], option: str) -> None:
    config = config_of(pytester, "--env", "minikube", option)
    config._do_configure()
    keep_profile(config, "r1", pytester.path)
    config._ensure_unconfigure()
    assert host.made[0].closed == [True]
    assert host.made[0].cluster.reuse == (option == "--env-reuse")


def test_profile_that_does_not_come_up_refuses_the_run_and_is_closed(
    pytester: pytest.Pytester, host: type[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "trouble", EnvironmentStartError("expected minikube to start, but it does not"))
    config = config_of(pytester, "--env", "minikube")
    config._do_configure()
    with pytest.raises(pytest.UsageError, match="--env minikube: expected minikube to start"):
        keep_profile(config, "r1", pytester.path)
    config._ensure_unconfigure()
    assert host.made[0].closed == [False]


def test_a_cluster_that_was_not_named_refuses_the_run_before_there_is_a_worker(
    pytester: pytest.Pytester, host: type[Host]
) -> None:
    with pytest.raises(pytest.UsageError, match="--env kube: expected"):
        keep_profile(config_of(pytester, "--env", "kube"), "r1", pytester.path)
    assert not host.made


def test_workers_elsewhere_have_no_profile(pytester: pytest.Pytester, host: type[Host]) -> None:
    assert keep_profile(config_of(pytester), "r1", pytester.path) is None
    assert not host.made
