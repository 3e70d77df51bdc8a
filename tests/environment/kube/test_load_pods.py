"""The pods that drive load from inside a cluster: their image, their Deployment, the way into them."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from sloproof.environment.kube.cluster import Cluster
from sloproof.environment.kube.kubectl import Kubectl
from sloproof.environment.kube.load_pods import NAME, LoadPods, write_context
from sloproof.errors import DeadlineError, EnvironmentStartError
from tests.environment.kube.fake_api import PODS, FakeApi, container, json_of, list_of, pod, waiting, watch_of

IMAGE = "sloproof-load:1"
DEPLOYMENT = f"/apis/apps/v1/namespaces/ns/deployments/{NAME}"
LIMIT = timedelta(seconds=10)


def worker(name: str, *, image: str = IMAGE, **more: Any) -> dict[str, Any]:
    """Return a pod of it, beside whose container stands one that the cluster put there."""
    containers = [{"name": "mesh", "image": "mesh:1"}, {"name": NAME, "image": image}]
    return pod(name, **{"ready": True, "spec": {"containers": containers}, **more})


@pytest.fixture
def workers(fake: FakeApi) -> LoadPods:
    fake.says("PATCH", DEPLOYMENT, json_of({}))
    fake.says("WATCH", PODS, watch_of())
    kubectl = Kubectl(Path("/opt/a program/kubectl"), Path("/x/config"), "dev", {})
    return LoadPods(Cluster(fake.api()), kubectl, "ns", IMAGE, 2)


def manifest(fake: FakeApi, workers: LoadPods) -> dict[str, Any]:
    fake.says("GET", PODS, list_of(worker("a"), worker("b")))
    workers.start(LIMIT)
    (asked,) = fake.asked_for("PATCH", DEPLOYMENT)
    found: dict[str, Any] = asked.json
    return found


# Their image


def test_context_holds_this_sloproof_and_the_packages_as_they_are_here(tmp_path: Path) -> None:
    dockerfile = write_context(tmp_path / "context")
    folder = dockerfile.parent
    assert sorted(one.name for one in folder.iterdir()) == [
        ".dockerignore",
        "Dockerfile",
        "requirements.txt",
        "sloproof",
    ]
    pinned = (folder / "requirements.txt").read_text().splitlines()
    assert f"locust=={metadata.version('locust')}" in pinned
    assert all("==" in one for one in pinned)
    assert (folder / "sloproof" / "load" / "child.py").is_file()
    assert not [*folder.rglob("__pycache__"), *folder.rglob("*.pyc"), *folder.rglob("_platform")]


def test_context_forgets_what_there_is_no_more(tmp_path: Path) -> None:
    write_context(tmp_path)
    stale = tmp_path / "sloproof" / "load" / "stale.py"
    stale.write_text("")
    write_context(tmp_path)
    assert not stale.exists()


def test_context_is_the_same_each_time(tmp_path: Path) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}

    assert contents(write_context(tmp_path / "a").parent) == contents(write_context(tmp_path / "b").parent)


def test_dockerfile_takes_another_base_and_runs_as_nobody_with_rights(tmp_path: Path) -> None:
    text = write_context(tmp_path).read_text()
    assert text.startswith("ARG BASE_IMAGE=")
    assert "USER 65532:65532" in text


@pytest.mark.slow  # imports the child program anew
def test_child_program_runs_from_the_context_with_the_packages_that_are_pinned(tmp_path: Path) -> None:
    write_context(tmp_path)
    pinned = {line.partition("==")[0] for line in (tmp_path / "requirements.txt").read_text().splitlines()}
    # What Locust itself needs comes with it; what sloproof's own modules import must be pinned.
    code = "import sys, sloproof.load.child; print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('sloproof')))"
    command = [sys.executable, "-P", "-W", "ignore", "-c", code]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    files = [Path(one) for one in subprocess.check_output(command, env=environ, text=True).split()]
    assert all(one.is_relative_to(tmp_path) for one in files)
    used = {name for one in files for name in imported(one.read_text())}
    assert "locust" in used
    assert used - set(sys.stdlib_module_names) - {"sloproof"} <= pinned


def imported(source: str) -> set[str]:
    """Return the packages that a module imports."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    return {
        name.partition(".")[0]
        for name in plain + [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    }


# Their Deployment


def test_manifest_is_what_the_strictest_namespace_admits(fake: FakeApi, workers: LoadPods) -> None:
    spec = manifest(fake, workers)["spec"]["template"]["spec"]
    (only,) = spec["containers"]
    # The `restricted` pod security standard.
    security = only["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] != 0
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert all("emptyDir" in volume for volume in spec["volumes"])
    assert "hostPort" not in str(only)


def test_manifest_gives_every_folder_that_is_written_a_volume(fake: FakeApi, workers: LoadPods) -> None:
    spec = manifest(fake, workers)["spec"]["template"]["spec"]
    (only,) = spec["containers"]
    assert only["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {mount["name"]: mount["mountPath"] for mount in only["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in spec["volumes"]}
    assert (
        mounts["ledger"] == workers.command("a", "http://web")[workers.command("a", "http://web").index("--folder") + 1]
    )


def test_manifest_asks_for_the_image_and_the_count_and_selects_its_own_pods(fake: FakeApi, workers: LoadPods) -> None:
    document = manifest(fake, workers)
    spec = document["spec"]
    assert spec["replicas"] == 2
    assert spec["template"]["spec"]["containers"][0]["image"] == IMAGE
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert spec["template"]["spec"]["automountServiceAccountToken"] is False
    selector = fake.asked_for("GET", PODS)[0].query["labelSelector"]
    assert dict(one.split("=") for one in selector.split(",")) == spec["selector"]["matchLabels"]


# Their start


def test_start_gives_the_names_once_all_are_ready(fake: FakeApi, workers: LoadPods) -> None:
    fake.says("GET", PODS, list_of(), list_of(worker("a"), worker("b", ready=False)), list_of(worker("b"), worker("a")))
    assert workers.start(LIMIT) == ("a", "b")


def test_start_waits_until_pods_of_before_are_gone(fake: FakeApi, workers: LoadPods) -> None:
    old = [worker("x", image="sloproof-load:0"), worker("y", image="sloproof-load:0")]
    going = worker("z", deletionTimestamp="2026-03-01T12:00:00Z")
    new = [worker("a"), worker("b")]
    fake.says("GET", PODS, list_of(*old), list_of(*old[:1], *new), list_of(going, *new), list_of(*new))
    assert workers.start(LIMIT) == ("a", "b")


def test_start_does_not_give_up_for_a_pod_of_before(fake: FakeApi, workers: LoadPods) -> None:
    bad = worker(
        "x", image="missing:0", ready=False, containerStatuses=[container(NAME, state=waiting("ImagePullBackOff"))]
    )
    fake.says("GET", PODS, list_of(bad), list_of(worker("a"), worker("b")))
    assert workers.start(LIMIT) == ("a", "b")


def test_start_gives_up_for_a_pod_that_cannot_get_ready(fake: FakeApi, workers: LoadPods) -> None:
    bad = worker(
        "b", ready=False, containerStatuses=[container(NAME, state=waiting("ErrImageNeverPull", "not present"))]
    )
    fake.says("GET", PODS, list_of(worker("a"), bad))
    with pytest.raises(EnvironmentStartError, match="b: ErrImageNeverPull: not present"):
        workers.start(LIMIT)


def test_start_ends_at_its_limit(fake: FakeApi, workers: LoadPods) -> None:
    fake.says("GET", PODS, list_of(worker("a")))
    with pytest.raises(DeadlineError, match="expected 2 load workers within"):
        workers.start(timedelta(seconds=0.3))


# The way into them


def test_command_reaches_into_one_pod_with_its_input_open(workers: LoadPods) -> None:
    command = workers.command("a", "http://web:8000/x")
    assert command[:6] == (sys.executable, "-P", "-W", "ignore", "-m", "sloproof.load.relay")
    options = dict(zip(command[6::2], command[7::2], strict=True))
    assert options.keys() == {"--reach", "--child", "--folder", "--base-url"}
    assert options["--base-url"] == "http://web:8000/x"
    assert shlex.split(options["--reach"]) == [
        "/opt/a program/kubectl", "--kubeconfig", "/x/config", "--context", "dev", "exec", "-i", "-n", "ns", "a", "--",
    ]  # fmt: skip
    assert shlex.split(options["--child"])[-1] == "sloproof.load.child"
