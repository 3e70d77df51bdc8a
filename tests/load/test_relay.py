"""A child behind a relay is a child like any other: same counts, same instants, the ledger home and whole."""

from __future__ import annotations

import shlex
import stat
import sys
from pathlib import Path

import pytest

from sloproof.errors import LoadError
from sloproof.load.driver import Driver
from sloproof.load.ledger_file import Clock
from sloproof.load.profile import Profile, RequestSpec
from sloproof.load.relay import Translation
from sloproof.load.wire import Finished
from tests.load.server import serving

MIX = (RequestSpec(path="/", endpoint="/"),)
CHILD = shlex.join([sys.executable, "-P", "-W", "ignore", "-m", "sloproof.load.child"])


def relay_command(far: Path, reach: str) -> list[str]:
    return [
        sys.executable, "-P", "-W", "ignore", "-m", "sloproof.load.relay",
        "--reach", reach, "--child", CHILD, "--folder", str(far),
    ]  # fmt: skip


def test_translation_keeps_the_instant() -> None:
    near, far = Clock(wall_ns=1_000_000, monotonic_ns=500), Clock(wall_ns=1_000_200, monotonic_ns=90_000)
    translation = Translation(near, far)
    assert far.unix_ns(90_100) == near.unix_ns(translation.to_near(90_100))
    assert translation.to_far(translation.to_near(123)) == 123


def test_translation_leaves_lengths_and_what_is_absent_alone() -> None:
    event = Finished(
        id=1, begin_ns=10, first_ns=None, last_start_ns=20, end_ns=30, due_ns=15, stop_ns=None,
        requests=0, unsent=0, failures={}, cpu_ns=7, wall_ns=8, stepped_ns=9,
    )  # fmt: skip
    told = Translation(Clock(100, 0), Clock(0, 0)).event(event)
    assert isinstance(told, Finished)
    assert (told.begin_ns, told.end_ns, told.first_ns, told.stop_ns) == (-90, -70, None, None)
    assert (told.cpu_ns, told.wall_ns, told.stepped_ns) == (7, 8, 9)


@pytest.mark.slow
def test_relayed_loads_are_counted_and_their_ledgers_brought_home(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    profile = Profile(mix=MIX, users=4, requests=200, processes=2)
    with (
        serving() as server,
        Driver(
            base_url=server.url, ledger_dir=near, run_id="run", commands=lambda _: relay_command(far, "env -- ")
        ) as driver,
    ):
        result = driver.run(profile, "burst")
    assert result.requests == 200
    assert sum(result.ledger.tally().certain.values()) == 200
    assert len({entry.request_id for entry in result.ledger.entries()}) == 200
    assert sorted(path.name for path in near.iterdir()) == ["load-00001-0.jsonl", "load-00001-1.jsonl"]
    assert not list(far.iterdir())


@pytest.mark.slow
def test_relayed_ledger_that_arrives_cut_short_is_refused(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    cutting = tmp_path / "cutting"
    cutting.write_text('#!/bin/sh\nif [ "$1" = cat ]; then head -c 100 "$2"; else exec "$@"; fi\n')
    cutting.chmod(cutting.stat().st_mode | stat.S_IXUSR)
    with (
        serving() as server,
        Driver(
            base_url=server.url, ledger_dir=near, run_id="run", commands=lambda _: relay_command(far, str(cutting))
        ) as driver,
        pytest.raises(LoadError, match="bytes of the ledger") as caught,
    ):
        driver.run(Profile(mix=MIX, users=1, requests=20), "burst")
    assert "got 100" in str(caught.value)
    assert [path.suffix for path in near.iterdir()] != [".part"]


@pytest.mark.slow
def test_relay_ends_with_the_far_child(tmp_path: Path) -> None:
    with serving() as server:
        driver = Driver(
            base_url=server.url,
            ledger_dir=tmp_path,
            run_id="run",
            commands=lambda _: relay_command(tmp_path, "sh -c 'exit 7' --"),
        )
        with driver, pytest.raises(LoadError, match="ended with status 7"):
            driver.run(Profile(mix=MIX, users=1, requests=5), "burst")
