from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sloproof.errors import (
    ComponentExitedError,
    ExpectationError,
    LoadError,
    SettingsError,
    UnavailableError,
)
from sloproof.finding import Finding, Verdict
from sloproof.load.profile import Profile
from sloproof.servers import connect
from sloproof.settings import LoadSettings, MixSettings
from tests.fakes import INSTANCE, SETTINGS, FakeEnvironment, seconds, target
from tests.harnessed import World

BAD = [one for one in Verdict if one is not Verdict.PASS]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.harness._own.close()


def finding(verdict: Verdict, claim: str = "c") -> Finding:
    return Finding("check", verdict, claim, "e", "m")


def profile(world: World) -> Profile:
    return Profile(mix=(world.harness.request("/"),), users=1, requests=1)


def test_baseline_is_the_last_anchor_while_nothing_was_sent(world: World) -> None:
    first = world.harness.anchor()
    assert world.harness.baseline() is first
    assert world.anchors == [first]


def test_baseline_is_new_where_there_was_none(world: World) -> None:
    assert world.harness.baseline() is world.anchors[0]


def test_baseline_is_new_after_a_single_request(world: World) -> None:
    first = world.harness.anchor()
    world.harness.send("GET", "/")
    assert world.harness.baseline() is not first


def test_baseline_is_new_after_a_request_that_failed(world: World) -> None:
    first = world.harness.anchor()
    world.service.silence = UnavailableError("x", kind="timeout")
    with pytest.raises(UnavailableError):
        world.harness.send("GET", "/")
    assert world.harness.baseline() is not first


def test_baseline_is_new_while_a_pipeline_is_dead(world: World) -> None:
    world.barrier.dead = {"logs": "loki was stopped"}
    first = world.harness.anchor()
    assert world.harness.baseline() is not first


def test_baseline_is_new_while_requests_are_still_in_flight(world: World) -> None:
    """They are counted and logged later: the next scenario must not be blamed for them."""
    world.barrier.is_settled = False
    first = world.harness.anchor()
    world.barrier.is_settled = True
    second = world.harness.baseline()
    assert second is not first
    assert world.harness.baseline() is second


def test_baseline_is_new_while_a_load_runs(world: World) -> None:
    world.harness.begin(profile(world), "background")
    under_load = world.harness.anchor()
    assert world.harness.baseline() is not under_load
    assert [at_rest for _, at_rest in world.barrier.asked] == [True, False, False]


def test_run_waits_for_the_load_and_then_for_its_evidence(world: World) -> None:
    seen = world.harness.run(profile(world), "one")
    assert world.environment.did == ["begin one", "wait one"]
    assert (seen.before, seen.after) == tuple(world.anchors)
    assert world.harness.last_load is world.loads[0]
    assert world.shown == ["one"]
    assert world.harness.baseline() is seen.after


def test_component_that_exits_ends_a_run(world: World) -> None:
    world.environment.death = ComponentExitedError("loki", 1, ())
    with pytest.raises(ComponentExitedError):
        world.harness.run(profile(world), "one")


def test_single_request_is_in_the_ledger_as_it_was_answered(world: World) -> None:
    world.harness.send("POST", "/api?x=1", headers={"x-request-id": "mine"}, body="{}")
    (entry,) = world.ledger.entries()
    assert (entry.method, entry.path, entry.endpoint, entry.status) == ("POST", "/api?x=1", "/api", 200)
    assert (entry.request_id, entry.failure, entry.bytes, entry.duration_ns) == ("mine", "", 2, 2_000_000)


def test_single_requests_have_ids_of_their_own(world: World) -> None:
    for _ in range(3):
        world.harness.send("GET", "/")
    ids = [entry.request_id for entry in world.ledger.entries()]
    assert len(set(ids)) == 3
    assert ids == [headers["X-Request-ID"] for _, _, headers in world.service.sent]


@pytest.mark.parametrize(
    ("kind", "failure"), [("timeout", "timeout"), ("reset", "reset"), ("", "reset"), ("status", "reset")]
)
def test_single_request_that_failed_is_in_the_ledger_as_unknown(world: World, kind: str, failure: str) -> None:
    """What became of it nobody knows; that it was sent is known."""
    world.service.silence = UnavailableError("x", kind=kind)
    with pytest.raises(UnavailableError):
        world.harness.send("GET", "/")
    (entry,) = world.ledger.entries()
    assert (entry.status, entry.failure) == (0, failure)
    tally = world.ledger.tally()
    assert (tally.certain, tally.unknown, tally.refused) == ({}, {("/", "GET"): 1}, 0)


@pytest.mark.parametrize("kind", ["refused", "connect"])
def test_single_request_that_never_arrived_is_not_unknown(world: World, kind: str) -> None:
    world.service.silence = UnavailableError("x", kind=kind)
    with pytest.raises(UnavailableError):
        world.harness.send("GET", "/")
    tally = world.ledger.tally()
    assert (tally.unknown, tally.refused) == ({}, 1)


def test_sentinel_is_in_the_ledger_too(world: World) -> None:
    sentinel = world.harness._own.send_sentinel()
    (entry,) = world.ledger.entries()
    assert entry.request_id == sentinel.request_id
    assert sentinel.sent <= sentinel.answered


@pytest.mark.parametrize("bad", BAD)
def test_judge_raises_on_every_verdict_that_is_no_pass(world: World, bad: Verdict) -> None:
    with pytest.raises(ExpectationError, match=bad.value.upper()):
        world.harness.judge(finding(bad))


def test_judge_records_every_finding_also_those_after_a_bad_one(world: World) -> None:
    findings = [finding(Verdict.FAIL, "a"), finding(Verdict.PASS, "b"), finding(Verdict.BLOCKED, "c")]
    with pytest.raises(ExpectationError) as caught:
        world.harness.judge(*findings)
    assert world.findings == findings
    assert "] a" in str(caught.value)
    assert "] c" in str(caught.value)
    assert "] b" not in str(caught.value)


def test_judge_lets_a_pass_pass(world: World) -> None:
    world.harness.judge(finding(Verdict.PASS))
    assert len(world.findings) == 1


def test_one_load_in_the_background_at_most(world: World) -> None:
    world.harness.begin(profile(world), "a")
    assert world.harness.is_loaded
    with pytest.raises(LoadError, match="one load in the background"):
        world.harness.begin(profile(world), "b")
    assert world.harness.end_load() is world.loads[0]
    assert world.harness.end_load() is None
    assert not world.harness.is_loaded


def test_restore_revives_clears_faults_and_ends_the_load(world: World) -> None:
    world.harness.begin(profile(world), "a")
    world.harness.stop_component("loki")
    world.harness.pause_component("prometheus")
    world.service.set = {"delay": 1}
    world.environment.did.clear()
    world.harness.restore()
    assert world.environment.did == ["start loki", "resume prometheus", "stop a"]
    assert (world.service.set, world.service.cleared, world.barrier.forgotten) == ({}, 1, 3)
    world.harness.restore()
    assert world.environment.did == ["start loki", "resume prometheus", "stop a"]
    assert world.service.cleared == 1


def test_what_is_stopped_or_paused_is_known_to_the_barrier_until_it_is_revived(tmp_path: Path) -> None:
    world = World(tmp_path)
    down = world.harness._down
    world.harness.stop_component("loki")
    world.harness.pause_component("service")
    assert down == {"loki": "stopped", "service": "paused"}
    world.harness.revive_component("loki")
    assert down == {"service": "paused"}
    world.harness.close()


def test_close_closes_the_driver_although_the_load_has_failed(world: World) -> None:
    world.harness.begin(profile(world), "a")
    world.driver.loads[0].error = LoadError("the load process died")
    with pytest.raises(LoadError):
        world.harness.close()
    assert world.environment.did[-1] == "close driver"


def test_burst_is_a_closed_load_of_so_many_requests(world: World) -> None:
    world.harness.burst(3, world.harness.request("/"))
    (asked,) = world.driver.profiles
    assert (asked.requests, asked.users, asked.rate) == (3, 3, None)


def test_usual_mix_is_that_of_the_settings(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(SettingsError, match=r"tool.sloproof.load.mix"):
        _ = world.harness.usual_mix
    world.harness.close()
    load = LoadSettings(mix=[MixSettings(path="/a?b=1", weight=2.0)])
    other = World(tmp_path / "other", msgspec.structs.replace(SETTINGS, load=load))
    (spec,) = other.harness.usual_mix
    assert (spec.path, spec.endpoint, spec.weight) == ("/a?b=1", "/a", 2.0)
    other.harness.close()


def test_scrape_interval_is_the_slowest_of_the_service_as_prometheus_says(world: World) -> None:
    world.prometheus.scraped = (target(interval=0.2), target("b:1", interval=0.5), target("p:1", "prometheus", 9))
    assert world.harness.scrape_interval == seconds(0.5)
    world.prometheus.scraped = (target("p:1", "prometheus"),)
    # A service that is gone has no target where targets are discovered.
    assert world.harness.scrape_interval == seconds(0.5)


def test_scrape_interval_of_a_service_that_was_never_a_target_is_not_known(world: World) -> None:
    world.prometheus.scraped = (target("p:1", "prometheus"),)
    with pytest.raises(UnavailableError, match="no such target"):
        _ = world.harness.scrape_interval


def test_watch_ends_at_the_answer_that_is_waited_for(world: World) -> None:
    samples = world.harness.watch("readiness", seconds(5), until=lambda sample: sample.status == 200)
    assert len(samples) == 1
    assert len(world.harness.watch("readiness", seconds(0.02), every=seconds(0.005))) > 1


def test_linger_ends_when_a_component_exits(world: World) -> None:
    world.environment.death = ComponentExitedError("loki", 1, ())
    with pytest.raises(ComponentExitedError):
        world.harness.linger(seconds(5))


def test_drain_tells_what_readiness_said_until_the_service_was_gone(world: World) -> None:
    assert all(sample.status == 200 for sample in world.harness.drain_service())
    assert world.environment.did == ["stop service"]


def test_clients_are_made_for_the_servers_that_are_there() -> None:
    known = connect(FakeEnvironment(), SETTINGS)
    assert (known.alertmanager, known.receiver) == (None, None)
    assert known.service.base_url == f"http://{INSTANCE}"
