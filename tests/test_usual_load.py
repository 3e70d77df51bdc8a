from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sloproof.errors import SettingsError
from sloproof.load.profile import Locustfile, Profile, Stage
from sloproof.settings import EndpointSettings, LoadSettings, MixSettings, Settings
from sloproof.usual_load import usual_load
from tests.fakes import SETTINGS
from tests.harnessed import World

SHAPE = Profile(stages=(Stage(seconds=2, rate=5),), arrivals="poisson")


def usual(folder: Path, load: LoadSettings) -> Profile:
    endpoints = [EndpointSettings(path="/users/[0-9]+", endpoint="/users/<id>")]
    settings: Settings = msgspec.structs.replace(SETTINGS, load=load, endpoints=endpoints)
    world = World(folder, settings)
    try:
        return usual_load(world.harness, SHAPE)
    finally:
        world.harness.close()


def test_usual_load_has_the_shape_that_is_asked_for_and_the_mix_of_the_settings(tmp_path: Path) -> None:
    profile = usual(tmp_path, LoadSettings(mix=[MixSettings(path="/users/7")], seed=9, timeout_seconds=3))

    assert [(one.path, one.endpoint) for one in profile.mix] == [("/users/7", "/users/<id>")]
    assert (profile.stages, profile.arrivals, profile.seed, profile.timeout_seconds) == (SHAPE.stages, "poisson", 9, 3)
    assert profile.locustfile is None


def test_usual_load_of_a_project_with_a_locustfile_is_what_its_users_send(tmp_path: Path) -> None:
    profile = usual(tmp_path, LoadSettings(locustfile="load/users.py"))

    assert profile.locustfile == Locustfile(
        path=str(tmp_path / "load" / "users.py"), endpoints=(("/users/[0-9]+", "/users/<id>"),)
    )
    assert (profile.mix, profile.stages) == ((), SHAPE.stages)
    profile.check()


def test_usual_load_of_a_project_that_says_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a usual mix of requests"):
        usual(tmp_path, LoadSettings())
