"""Sentences about load: the profile that each of them drives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from sloproof.errors import FeatureError
from sloproof.load.ledger import Entry, LedgerWriter
from sloproof.load.profile import Profile, Recording, Stage
from sloproof.settings import LoadSettings, MixSettings
from sloproof.steps import traffic
from sloproof.trial import Trial
from tests.harnessed import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    mix = LoadSettings(mix=[MixSettings(path="/a"), MixSettings(path="/b", method="POST", body="{}")], seed=5)
    world.harness.settings = msgspec.structs.replace(world.harness.settings, load=mix)
    world.harness.root = tmp_path
    yield world
    world.harness._own._writer.close()


@pytest.fixture
def trial(world: World) -> Trial:
    return Trial(harness=world.harness)


def driven(world: World) -> Profile:
    profile = world.driver.profiles[-1]
    profile.check()
    return profile


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_ramp_goes_from_the_first_rate_to_the_last(world: World, trial: Trial) -> None:
    traffic.run_ramp(trial, 20, 100, seconds(2))
    assert driven(world).stages == (Stage(seconds=2, rate=20, to_rate=100),)
    assert driven(world).seed == 5


def test_spike_stands_in_the_middle(world: World, trial: Trial) -> None:
    traffic.run_spike(trial, 10, 500, seconds(0.1), seconds(1.1))
    around = Stage(seconds=0.5, rate=10)
    assert driven(world).stages == (around, Stage(seconds=0.1, rate=500), around)
    with pytest.raises(FeatureError, match="shorter than the load"):
        traffic.run_spike(trial, 10, 500, seconds(2), seconds(1))


def test_steps_are_read_from_their_table(world: World, trial: Trial) -> None:
    traffic.run_steps(trial, [["requests a second", "for"], ["50", "400 ms"], ["0", "1 s"]])
    assert driven(world).stages == (Stage(seconds=0.4, rate=50), Stage(seconds=1, rate=0))
    for table in ([["rate", "for"], ["50", "1 s"]], [["requests a second", "for"]]):
        with pytest.raises(FeatureError, match="the columns"):
            traffic.run_steps(trial, table)
    with pytest.raises(FeatureError, match="a number of requests a second, got 'many'"):
        traffic.run_steps(trial, [["requests a second", "for"], ["many", "1 s"]])


def test_random_instants_are_poisson(world: World, trial: Trial) -> None:
    traffic.run_random_load(trial, 30, seconds(1))
    assert (driven(world).arrivals, driven(world).rate) == ("poisson", 30)


def test_load_is_sent_again_with_the_bodies_of_the_mix(world: World, trial: Trial, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="to have driven a load"):
        traffic.replay_last(trial)
    place = tmp_path / "old" / "a.jsonl"
    with LedgerWriter(place, run_id="r") as writer:
        for at, method, path in [(7, "POST", "/b"), (3, "GET", "/c")]:
            writer.write(Entry(at, at, 1, method, path, path, 200, "", str(at), 0))
    traffic.replay_file(trial, "old")
    profile = driven(world)
    assert [(one.method, one.path, one.body) for one in profile.mix] == [("GET", "/c", None), ("POST", "/b", "{}")]
    assert profile.recording == Recording(offsets_ns=(0, 4), kinds=(0, 1))
    with pytest.raises(FeatureError, match="found no such file"):
        traffic.replay_file(trial, "nowhere")


def test_users_of_a_locustfile_get_the_settings_endpoints(world: World, trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "own.py").touch()
    traffic.run_own_users(trial, 3, "own.py", seconds(2))
    profile = driven(world)
    assert profile.locustfile is not None
    assert profile.locustfile.path == str(tmp_path / "own.py")
    assert (profile.users, profile.duration_seconds) == (3, 2)
    with pytest.raises(FeatureError, match="a locustfile, found no such file"):
        traffic.begin_own_users(trial, 3, "another.py")
