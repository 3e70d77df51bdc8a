"""Runs that end in the middle of a start: by Ctrl-C once or twice, by a kill of either program."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from sloproof.environment.kube.minikube import Minikube
from sloproof.environment.kube.minikube_ownership import Ownership
from sloproof.errors import EnvironmentStartError
from tests.environment.kube.minikube_world import PROFILE, WISH, MinikubeWorld

# Each call of Minikube is a process.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
LIMIT_SECONDS = 20.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not so within {LIMIT_SECONDS:g} s: {what}"
        time.sleep(0.01)


def fakes(world: MinikubeWorld) -> list[psutil.Process]:
    """Return the processes of the fake that live."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or ()
        if str(world.file) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture
def world(tmp_path: Path) -> MinikubeWorld:
    world = MinikubeWorld(tmp_path)
    world.set(starts=[{"hangs": True}])
    return world


@contextmanager
def started(world: MinikubeWorld) -> Iterator[subprocess.Popen[str]]:
    """Yield a run whose start hangs half-way, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.environment.kube.minikube_run", "fake", str(world.folder)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until((world.folder / "half-made").exists, "the start is half-way")
        yield process
    finally:
        process.kill()
        process.communicate()
        for left in fakes(world):
            left.kill()


@pytest.fixture
def run(world: MinikubeWorld) -> Iterator[subprocess.Popen[str]]:
    with started(world) as process:
        yield process


def test_an_interrupt_leaves_no_profile_and_no_program(world: MinikubeWorld, run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=LIMIT_SECONDS)
    assert "KeyboardInterrupt" in said
    assert f"minikube {PROFILE}: interrupted" in said
    assert world.read()["profiles"] == {}
    assert len(world.calls("delete")) == 1
    assert fakes(world) == []
    assert world.minikube().ensure(WISH, reuse=True).how == "started"


def test_a_second_interrupt_says_what_to_type(world: MinikubeWorld, run: subprocess.Popen[str]) -> None:
    world.set(delete_hangs=True)
    run.send_signal(signal.SIGINT)
    until((world.folder / "deleting").exists, "the delete hangs")
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=LIMIT_SECONDS)
    by_hand = f"MINIKUBE_HOME={world.folder}/home {world.folder}/minikube delete --profile={PROFILE}"
    assert f"note: the profile {PROFILE} is half made; to delete it: {by_hand}" in said
    assert fakes(world) == []
    world.set(delete_hangs=False)
    cluster = world.minikube().ensure(WISH, reuse=True)
    assert (cluster.how, cluster.why) == ("recreated", "a run was killed while it was deleting")


def test_a_killed_run_is_recovered_from_by_the_next(world: MinikubeWorld, run: subprocess.Popen[str]) -> None:
    run.kill()
    run.wait()
    cluster = world.minikube().ensure(WISH, reuse=True)
    assert (cluster.how, cluster.why) == ("recreated", "a run was killed while it was starting")
    until(lambda: not fakes(world), "nothing of the killed run is left")


def test_a_run_killed_before_minikube_wrote_anything_down_is_recovered_from(tmp_path: Path) -> None:
    world = MinikubeWorld(tmp_path)
    world.set(starts=[{"hangs_early": True}])
    with started(world) as process:
        process.kill()
        process.wait()
        assert world.minikube().ensure(WISH, reuse=True).how == "started"


def test_a_killed_minikube_is_a_failed_start(world: MinikubeWorld, run: subprocess.Popen[str]) -> None:
    for one in fakes(world):
        one.kill()
    said, _ = run.communicate(timeout=LIMIT_SECONDS)
    assert "minikube ended because it was killed by SIGKILL" in said
    assert world.read()["profiles"] == {}


def test_a_second_run_at_once_is_refused_with_who_is_first(world: MinikubeWorld, run: subprocess.Popen[str]) -> None:
    with pytest.raises(EnvironmentStartError, match="another run is using it") as caught:
        world.minikube().ensure(WISH, reuse=True, wait=timedelta(seconds=0.3))
    assert caught.value.details["run"].startswith(f"process {run.pid} since")


def test_a_second_run_may_wait_for_the_first(world: MinikubeWorld, run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGINT)
    cluster = world.minikube().ensure(WISH, reuse=True, wait=timedelta(seconds=LIMIT_SECONDS))
    assert cluster.how == "started"


def test_a_start_that_hangs_is_ended_at_its_bound(world: MinikubeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sloproof.environment.kube.minikube_start._START_SECONDS", 1.0)
    with pytest.raises(Exception, match="to be done within 1 s"):
        world.minikube().ensure(WISH, reuse=True)
    assert fakes(world) == []
    assert world.read()["profiles"] == {}


def test_the_users_own_kubeconfig_is_never_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: MinikubeWorld
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("current-context: production\n")
    monkeypatch.setenv("KUBECONFIG", str(theirs))
    world.set(starts=[])
    minikube: Minikube = world.minikube()
    minikube.ensure(WISH, reuse=True)
    minikube.kubeconfig(PROFILE).unlink()
    minikube.ensure(WISH, reuse=True)
    minikube.stop(PROFILE)
    minikube.delete(PROFILE)
    assert theirs.read_text() == "current-context: production\n"


def test_a_half_written_marker_is_no_marker(tmp_path: Path) -> None:
    ours = Ownership(tmp_path)
    (ours.folder(PROFILE) / "owner.json").write_text('{"profile": "ours", "ow')
    assert ours.marker(PROFILE) is None
