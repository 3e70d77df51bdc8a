"""Several runs at once, and runs that end in the middle: nothing collides, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.environment.toolchain_world import World, serving

pytestmark = pytest.mark.slow  # real processes and real time

# What one run does, as a process of its own: lock, cache, mirror and PATH are its arguments.
RUN = """
import sys
from pathlib import Path
from rich.console import Console
from sloproof.environment.lockfile import load_lock
from sloproof.environment.progress_display import PlainProgress
from sloproof.environment.toolchain import resolve
lock, cache, mirror, path, *names = sys.argv[1:]
told = PlainProgress(Console(stderr=True))
tools = resolve(names, lock=load_lock(Path(lock)), cache_dir=Path(cache), path=path, mirror=mirror, progress=told)
print(*(tool.origin for tool in tools.values()))
"""
# Stands in for Go: a build that starts a compiler and does not end.
ENDLESS_GO = """#!/bin/sh
[ "$1" = env ] && { echo go1.26.6; exit; }
sleep 300 &
echo $! > "$GOTMPDIR/half-made"
echo $$ $! > FILE.new && mv FILE.new FILE
wait
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.publish()
    world.write_lock(go="1.26.0")
    return world


@pytest.fixture
def building(world: World) -> Iterator[tuple[subprocess.Popen[bytes], list[psutil.Process]]]:
    """A run that is in the middle of a build, and the two processes of that build."""
    pids = world.root / "pids"
    world.path_dir.mkdir()
    go = world.path_dir / "go"
    go.write_text(ENDLESS_GO.replace("FILE", str(pids)))
    go.chmod(0o755)
    run = _start(world, "file:///no/such/mirror", "meter")
    try:
        _until(lambda: pids.exists() or run.poll() is not None)
        assert run.poll() is None, run.communicate()[1]
        yield run, [psutil.Process(int(pid)) for pid in pids.read_text().split()]
    finally:
        run.kill()
        run.communicate()
        for pid in pids.read_text().split() if pids.exists() else ():
            with suppress(psutil.NoSuchProcess):
                psutil.Process(int(pid)).kill()


def test_four_runs_at_once_download_each_archive_once(world: World) -> None:
    with serving(world.mirror_dir) as server:
        runs = [_start(world, server.url, "meter", "siren") for _ in range(4)]
        said = [run.communicate(timeout=120) for run in runs]
        archives = [path for path in server.asked if path.endswith((".zip", ".tar.gz"))]
    assert [run.returncode for run in runs] == [0] * 4, said
    assert sorted(archives) == sorted(f"/{world.archive(bundle)}" for bundle in ("meter", "siren"))
    origins = [origin for out, _ in said for origin in out.decode().split()]
    assert (origins.count("release"), origins.count("cache")) == (2, 6)
    assert world.leftovers() == []


def test_interrupted_build_leaves_no_process_and_no_file(
    world: World, building: tuple[subprocess.Popen[bytes], list[psutil.Process]]
) -> None:
    run, processes = building
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode != 0
    assert not any(_works(process) for process in processes)
    assert world.leftovers() == []
    assert not (world.cache / "tools").exists()


def test_killed_build_is_ended_and_removed_by_the_next_run(
    world: World, building: tuple[subprocess.Popen[bytes], list[psutil.Process]]
) -> None:
    run, processes = building
    run.kill()
    run.communicate()
    assert all(_works(process) for process in processes)
    assert list(world.cache.glob("scratch/meter/*"))
    assert world.resolve("meter")["meter"].origin == "release"
    assert not any(_works(process) for process in processes)
    assert world.leftovers() == []


def test_process_that_merely_has_the_leftovers_number_is_spared(world: World) -> None:
    """The number of a process is used again after a while."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as bystander:
        leftover = world.cache / "scratch" / "meter" / "old"
        leftover.mkdir(parents=True)
        (leftover / ".child").write_text(f"{bystander.pid} 12345.0")
        world.resolve("meter")
        assert bystander.poll() is None
        bystander.kill()
    assert world.leftovers() == []


def test_second_run_waits_for_the_first_and_says_so(
    world: World, building: tuple[subprocess.Popen[bytes], list[psutil.Process]]
) -> None:
    run, _ = building
    second = _start(world, world.mirror, "meter")
    assert second.stderr is not None
    assert second.stderr.readline() == b"waiting for another run that is obtaining meter 1.4.2\n"
    run.send_signal(signal.SIGINT)
    out, _ = second.communicate(timeout=60)
    assert (second.returncode, out) == (0, b"release\n")


def _works(process: psutil.Process) -> bool:
    """Tell whether a process still does anything; its parent may be slow to collect it."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _arguments(world: World, mirror: str, *names: str) -> list[str]:
    return [str(world.root / "tools.lock"), str(world.cache), mirror, str(world.path_dir), *names]


def _start(world: World, mirror: str, *names: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *_arguments(world, mirror, *names)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )


def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for a minute at most."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
