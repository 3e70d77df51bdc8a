"""The same features on real clusters, as a user runs them: a new Minikube profile, and a cluster that is there."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.system.cluster_tool import ROOT, TOLD, CannotStart, ClusterTool, find_tool

CONTEXT = "kubernetes-admin@kubernetes"
_LIMIT = 1500


@pytest.fixture(scope="module")
def tool(pytestconfig: pytest.Config) -> Iterator[ClusterTool]:
    told = pytestconfig.stash.setdefault(TOLD, [])
    try:
        found = find_tool()
        found.prepare()
    except CannotStart as error:
        told.append(f"skipped: {error}")
        pytest.skip(str(error))
    yield found
    told.extend(f"{seconds:6.0f} s  {part}" for part, seconds in found.took.items())


def run_features(tool: ClusterTool, environ: Mapping[str, str], folder: Path, *options: str) -> dict[str, object]:
    """Return the report of a run of all features, which must be green."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "features/", "-q", "--report-dir", str(folder), *options],
        cwd=ROOT,
        env={name: text for name, text in environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    tool.took[f"pytest features/ {' '.join(options)}"] = time.monotonic() - begin
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    report: dict[str, object] = json.loads((folder / "latest" / "report.json").read_bytes())
    assert report["verdict"] == "pass"
    return report


def kubectl(environ: Mapping[str, str], *words: str) -> list[str]:
    done = subprocess.run(["kubectl", *words], env=dict(environ), capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.slow
def test_features_are_green_on_minikube(tool: ClusterTool, tmp_path: Path) -> None:
    """From nothing to a verdict, then once more on what was kept; each by two workers, with a namespace each."""
    options = ("--env", "minikube", "-n", "2", "--dist", "worksteal")
    try:
        with tool.minikube() as environ:
            report = run_features(tool, environ, tmp_path / "new", *options, "--env-keep")
            again = run_features(tool, environ, tmp_path / "again", *options, "--env-reuse")
    except CannotStart as error:
        pytest.skip(str(error))
    assert "kubernetes" in report["environment"]["capabilities"]  # type: ignore[index]
    profile = [one["timings"]["Minikube profile"] for one in (report, again)]  # type: ignore[index]
    assert profile[1] < profile[0] / 2, "the profile was made anew"


@pytest.mark.slow
def test_features_are_green_on_a_cluster_that_is_there_and_nothing_is_left_in_it(
    tool: ClusterTool, tmp_path: Path
) -> None:
    kinds = "namespaces,clusterroles,clusterrolebindings,persistentvolumes"
    try:
        with tool.bare() as environ:
            before = kubectl(environ, "get", kinds, "-o", "name")
            run_features(tool, environ, tmp_path, "--env", "kube", "--kube-context", CONTEXT)
            assert kubectl(environ, "get", kinds, "-o", "name") == before
    except CannotStart as error:
        pytest.skip(str(error))
