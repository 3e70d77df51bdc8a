"""A real Minikube: only where SLOPROOF_MINIKUBE says how it is run (and SLOPROOF_MINIKUBE_ARGS how it is started)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sloproof.environment.kube.minikube import Minikube
from sloproof.environment.kube.minikube_node import node_facts
from sloproof.environment.kube.minikube_wish import MinikubeWish, load_wish
from sloproof.errors import EnvironmentStartError, SloproofError
from tests.environment.kube.minikube_world import Heard

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PROFILE = "sloproof-test"
COMMAND = os.environ.get("SLOPROOF_MINIKUBE", "")
EXTRA = os.environ.get("SLOPROOF_MINIKUBE_ARGS", "")
REUSE_SECONDS = 30.0
STAGE_SECONDS = 180.0
TAG = "sloproof-test/app:1"


@pytest.fixture
def minikube(tmp_path: Path) -> Iterator[Minikube]:
    """Yield Minikube with a state of its own, and delete the profile in the end, if it is ours."""
    if not COMMAND:
        pytest.skip("SLOPROOF_MINIKUBE does not say how minikube is run here")
    minikube = made(tmp_path / "state")
    try:
        minikube.version()
    except SloproofError as error:
        pytest.skip(f"minikube does not answer: {error.headline}")
    if minikube.profiles().find(PROFILE):
        pytest.fail(f"a profile {PROFILE} is there already, and this test has not made it")
    yield minikube
    minikube.delete(PROFILE)
    assert minikube.profiles().find(PROFILE) is None


def made(state_dir: Path) -> Minikube:
    return Minikube(shlex.split(COMMAND), state_dir=state_dir, environ=os.environ)


def wish(memory_mb: int = 2500) -> MinikubeWish:
    return load_wish(
        ROOT / "platform" / "minikube.yaml", profile=PROFILE, memory_mb=memory_mb, extra_args=shlex.split(EXTRA)
    )


def image(file: Path, content: bytes) -> str:
    """Write an archive of an image with one file in it, and return its id."""

    def tar_of(members: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return buffer.getvalue()

    layer = tar_of({"content": content})
    config = {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/content"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }  # fmt: skip
    data = json.dumps(config).encode()
    identity = hashlib.sha256(data).hexdigest()
    manifest = json.dumps([{"Config": f"{identity}.json", "RepoTags": [TAG], "Layers": ["layer.tar"]}]).encode()
    file.write_bytes(tar_of({"manifest.json": manifest, f"{identity}.json": data, "layer.tar": layer}))
    return f"sha256:{identity}"


class Run:
    """A run in a process of its own, to be ended half-way."""

    def __init__(self, state_dir: Path) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.environment.kube.minikube_run",
                "real",
                str(state_dir),
                PROFILE,
                COMMAND,
                EXTRA,
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def reaches(self, stage: str) -> None:
        """Wait until it tells of a stage."""
        end = time.monotonic() + STAGE_SECONDS
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if stage in line:
                return
            assert time.monotonic() < end, self.said
        pytest.fail(f"it ended before {stage!r}: {self.said}")


@pytest.fixture
def timed() -> Callable[[str, float], None]:
    """Return a function that prints how long something took."""

    def say(what: str, seconds: float) -> None:
        print(f"{what}: {seconds:.1f} s")

    return say


def test_a_profile_lives_its_life(minikube: Minikube, tmp_path: Path, timed: Callable[[str, float], None]) -> None:
    theirs = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    before = theirs.read_bytes() if theirs.exists() else None
    heard = Heard()
    first = minikube.ensure(wish(), reuse=True, progress=heard)
    timed("started", first.took.total_seconds())
    assert first.how == "started"
    assert first.node_ip
    assert any(" of 19, " in line for line in heard.lines)

    again = minikube.ensure(wish(), reuse=True)
    timed("reused", again.took.total_seconds())
    assert (again.how, again.node_ip) == ("reused", first.node_ip)
    assert again.took.total_seconds() < REUSE_SECONDS

    stranger = made(tmp_path / "another-state")
    for attempt in (lambda: stranger.ensure(wish(), reuse=False), lambda: stranger.delete(PROFILE)):
        with pytest.raises(EnvironmentStartError, match="it is not ours"):
            attempt()

    for content in (b"one", b"two"):
        identity = image(tmp_path / "app.tar", content)
        begin = time.monotonic()
        assert minikube.load_image(PROFILE, tmp_path / "app.tar", TAG) == identity
        timed("image loaded", time.monotonic() - begin)
        assert minikube.images(PROFILE)[f"docker.io/{TAG}"] == identity

    begin = time.monotonic()
    minikube.stop(PROFILE)
    timed("stopped", time.monotonic() - begin)
    status = minikube.status(PROFILE)
    assert status is not None
    assert not status.is_running
    restarted = minikube.ensure(wish(), reuse=True)
    timed("restarted", restarted.took.total_seconds())
    assert restarted.how == "restarted"
    assert minikube.images(PROFILE)[f"docker.io/{TAG}"] == identity

    assert minikube.logs(PROFILE, tmp_path / "minikube.log").stat().st_size > 1000

    other = minikube.ensure(wish(memory_mb=2700), reuse=True)
    timed("recreated", other.took.total_seconds())
    assert (other.how, other.why) == ("recreated", "memory in MiB: wished 2700, is 2500")
    assert node_facts(other.kubeconfig, PROFILE).runtime == other.runtime_version
    assert f"docker.io/{TAG}" not in minikube.images(PROFILE)

    begin = time.monotonic()
    assert minikube.delete(PROFILE)
    timed("deleted", time.monotonic() - begin)
    assert (theirs.read_bytes() if theirs.exists() else None) == before


def test_runs_killed_half_way_are_recovered_from(
    minikube: Minikube, tmp_path: Path, timed: Callable[[str, float], None]
) -> None:
    for stage in ("starting node", "creating container", "booting control plane"):
        run = Run(tmp_path / "state")
        run.reaches(stage)
        run.process.kill()
        run.process.communicate()
    cluster = minikube.ensure(wish(), reuse=True)
    timed("recovered", cluster.took.total_seconds())
    assert (cluster.how, cluster.why) == ("recreated", "a run was killed while it was starting")


@pytest.mark.parametrize("stage", ["pulling base image", "creating container", "generating certificates"])
def test_an_interrupted_start_leaves_nothing(
    minikube: Minikube, tmp_path: Path, timed: Callable[[str, float], None], stage: str
) -> None:
    run = Run(tmp_path / "state")
    run.reaches(stage)
    begin = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    said, _ = run.process.communicate(timeout=STAGE_SECONDS)
    timed(f"interrupted at {stage}", time.monotonic() - begin)
    assert "KeyboardInterrupt" in said
    assert "note:" not in said
    assert minikube.profiles().find(PROFILE) is None
    assert not (tmp_path / "state" / PROFILE / "owner.json").exists()


def test_a_start_that_asks_too_much_says_what_to_do(minikube: Minikube) -> None:
    with pytest.raises(EnvironmentStartError) as caught:
        minikube.ensure(
            replace(wish(), cpus=4000, extra_args=("--driver=docker", "--kubernetes-version=v1.33.1")), reuse=True
        )
    assert caught.value.details["exit_status"]
    assert caught.value.details["next"]
    print(caught.value)
