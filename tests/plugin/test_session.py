from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sloproof import harness as harness_module
from sloproof.environment.base import Environment
from sloproof.errors import EnvironmentStartError, LoadError, UnavailableError
from sloproof.harness import Harness
from sloproof.load.profile import Profile
from sloproof.plugin import session as subject
from sloproof.plugin.session import RunSession
from sloproof.report.run_id import new_run_id
from sloproof.servers import Clients
from sloproof.settings import Settings
from tests.fakes import SETTINGS, FakeEnvironment, clients
from tests.harnessed import FakeBarrier, FakeDriver, load_result


class StartingDriver(FakeDriver):
    def start(self) -> None:
        self.did.append("start driver")


class World:
    """A session whose environment, driver and barrier are stand-ins."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, keep: bool = False) -> None:
        self.environment = FakeEnvironment()
        self.made = 0
        self.barrier = FakeBarrier()
        self.driver = StartingDriver(folder, self.environment.did)

        def connect(environment: Environment, settings: Settings, faults_token: str = "") -> Clients:
            return clients()

        monkeypatch.setattr(subject, "Driver", lambda **_: self.driver)
        monkeypatch.setattr(subject, "connect", connect)
        monkeypatch.setattr(harness_module, "Barrier", lambda **_: self.barrier)
        self.session = RunSession(
            settings=SETTINGS,
            root=folder,
            run_id="run",
            folder=folder / "report",
            make_environment=self.make,
            keep=keep,
        )

    def make(self) -> Environment:
        self.made += 1
        return self.environment


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_run_id_is_sortable_sane_and_not_met_twice() -> None:
    now = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
    ids = {new_run_id(now) for _ in range(20)}
    assert len(ids) > 15
    assert all(re.fullmatch(r"20260301-120005-[0-9a-f]{4}", one) for one in ids)


def test_nothing_is_started_before_the_first_scenario_that_needs_it(world: World) -> None:
    assert world.made == 0
    world.session.close()
    assert world.environment.did == []


def test_environment_is_brought_up_once_and_seen_alive_before_use(world: World) -> None:
    first = world.session.up()
    assert world.session.up() is first
    assert world.made == 1
    assert world.environment.did == ["start", "start driver"]
    assert len(world.session.anchors) == 1
    assert world.session.timings["barrier"] == timedelta(seconds=0.25)
    world.session.close()
    assert world.environment.did[2:] == ["close driver", "stop"]


def test_environment_that_failed_to_start_is_stopped(world: World) -> None:
    world.environment.death = EnvironmentStartError("not ready")
    with pytest.raises(EnvironmentStartError):
        world.session.up()
    world.session.close()
    assert world.environment.did == ["start", "stop"]


def test_driver_is_closed_where_no_harness_came_about(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(environment: Environment, settings: Settings, faults_token: str = "") -> Clients:
        raise LoadError("no way to connect")

    monkeypatch.setattr(subject, "connect", connect)
    with pytest.raises(LoadError):
        world.session.up()
    world.session.close()
    assert world.environment.did == ["start", "start driver", "close driver", "stop"]


def test_close_is_safe_twice(world: World) -> None:
    world.session.up()
    world.session.close()
    did = list(world.environment.did)
    world.session.close()
    assert world.environment.did == did


def test_environment_is_stopped_although_the_harness_cannot_be_closed(world: World) -> None:
    harness = world.session.up()
    harness.begin(harness_profile(harness), "a")
    world.driver.loads[0].error = LoadError("died")
    with pytest.raises(LoadError):
        world.session.close()
    assert world.environment.did[-2:] == ["close driver", "stop"]


def harness_profile(harness: Harness) -> Profile:
    return Profile(mix=(harness.request("/"),), users=1, requests=1)


def test_environment_that_is_to_be_kept_is_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, monkeypatch, keep=True)
    world.session.up()
    world.session.close()
    assert world.environment.did[-1] == "detach"
    assert "stop" not in world.environment.did


def test_loads_are_kept_by_the_scenario_that_drove_them(world: World, tmp_path: Path) -> None:
    harness = world.session.up()
    world.session.current = "a scenario"
    harness.run(harness_profile(harness), "one")
    assert [(scenario, load.name) for scenario, load in world.session.loads] == [("a scenario", "one")]
    assert load_result("one", tmp_path).name == "one"
    world.session.close()


def test_diagnosis_says_how_each_component_is_and_what_it_said_last(world: World) -> None:
    assert world.session.diagnose() == ((), ())
    world.session.up()
    world.environment.states["loki"] = "exited"
    health, lines = world.session.diagnose()
    assert dict(health)["loki"] == "exited with status 3"
    assert dict(health)["service"] == "running"
    assert dict(lines)["loki"] == "loki said this"
    world.session.close()


def test_environment_that_never_came_up_has_no_health_to_tell_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def status() -> tuple[()]:
        raise UnavailableError("expected a running environment")

    world.environment.death = EnvironmentStartError("not ready")
    with pytest.raises(EnvironmentStartError):
        world.session.up()
    monkeypatch.setattr(world.environment, "status", status)
    assert world.session.diagnose() == ((), ())
    world.session.close()


def test_environment_that_has_died_since_is_told_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def status() -> tuple[()]:
        raise UnavailableError("expected a running environment")

    world.session.up()
    monkeypatch.setattr(world.environment, "status", status)
    with pytest.raises(UnavailableError):
        world.session.diagnose()
    world.session.close()


def test_logs_are_kept_beside_the_ledger(world: World) -> None:
    world.session.keep_logs()
    assert not (world.session.evidence / "logs").exists()
    world.session.up()
    world.session.keep_logs()
    world.session.close()
    assert (world.session.evidence / "logs" / "loki.log").read_text(encoding="utf-8") == "loki said this\n"
