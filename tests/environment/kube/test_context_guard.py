"""A run gets the cluster that was named, never the one that happens to be current, never production."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sloproof.environment.kube.context_guard import allowed_context
from sloproof.errors import SettingsError


def kubeconfig(folder: Path, context: str = "dev", *, cluster: str = "c1", server: str = "https://10.0.0.1") -> Path:
    path = folder / "config"
    document = {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": "me"}}],
        "clusters": [{"name": cluster, "cluster": {"server": server}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_context_that_is_named_is_allowed(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path)
    assert allowed_context("dev", path, {}) == (path, "dev")


def test_context_is_found_in_the_usual_places(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path)
    assert allowed_context("dev", None, {"KUBECONFIG": f"/nowhere:{path}"}) == (path, "dev")
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    assert allowed_context("dev", None, {"HOME": str(home / "..")} | {"KUBECONFIG": str(path)})[1] == "dev"


@pytest.mark.parametrize("name", [None, ""])
def test_context_is_refused_unnamed_although_one_is_current(tmp_path: Path, name: str | None) -> None:
    with pytest.raises(SettingsError, match="to be named") as caught:
        allowed_context(name, kubeconfig(tmp_path), {})
    assert caught.value.details["known"] == "dev"


def test_context_is_refused_unknown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="known, got 'qa'"):
        allowed_context("qa", kubeconfig(tmp_path), {})


@pytest.mark.parametrize(
    ("context", "cluster", "server"),
    [
        ("shop-prod", "c1", "https://10.0.0.1"),
        ("PRODUCTION", "c1", "https://10.0.0.1"),
        ("dev", "eu1_prd", "https://10.0.0.1"),
        ("dev", "c1", "https://k8s.live.example.com"),
        ("gke_prod1_x", "c1", ""),
    ],
)
def test_context_is_refused_when_it_looks_like_production(
    tmp_path: Path, context: str, cluster: str, server: str
) -> None:
    with pytest.raises(SettingsError, match="looks like production"):
        allowed_context(context, kubeconfig(tmp_path, context, cluster=cluster, server=server), {})


@pytest.mark.parametrize("context", ["reproduction", "delivery", "product-team", "olive"])
def test_context_is_allowed_when_it_only_sounds_like_it(tmp_path: Path, context: str) -> None:
    assert allowed_context(context, kubeconfig(tmp_path, context), {})[1] == context


def test_kubeconfig_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("contexts: 7")
    with pytest.raises(SettingsError, match="expected a kubeconfig file"):
        allowed_context("dev", path, {})
    with pytest.raises(SettingsError, match="found none"):
        allowed_context("dev", tmp_path / "absent", {})
