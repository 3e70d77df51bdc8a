from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sloproof.errors import ExpectationError, FeatureError
from sloproof.finding import Verdict
from sloproof.load.profile import Profile
from sloproof.trial import Trial
from tests.fakes import seconds
from tests.harnessed import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.harness.close()


@pytest.fixture
def trial(world: World) -> Trial:
    return Trial(world.harness)


def test_observation_before_anything_was_sent_is_refused(trial: Trial) -> None:
    with pytest.raises(FeatureError, match="none has"):
        _ = trial.observation
    with pytest.raises(FeatureError, match="single request"):
        _ = trial.response


def test_observation_is_one_until_something_is_sent_again(trial: Trial) -> None:
    trial.send("GET", "/")
    first = trial.observation
    assert trial.observation is first
    trial.send("GET", "/")
    second = trial.observation
    assert second is not first
    # All that the scenario has sent is in it, from the first request on.
    assert second.before is first.before


def test_burst_is_observed_from_its_own_baseline(trial: Trial, world: World) -> None:
    trial.burst(2, "GET", "/")
    assert (trial.observation.before, trial.observation.after) == tuple(world.anchors)


def test_load_in_the_background_is_observed_after_its_end_from_its_begin(trial: Trial, world: World) -> None:
    trial.begin(trial_profile(world), "a")
    trial.end_load()
    assert trial.observation.before is world.anchors[0]
    assert [at_rest for _, at_rest in world.barrier.asked] == [True, True]


def trial_profile(world: World) -> Profile:
    return Profile(mix=(world.harness.request("/"),), users=1, requests=1)


def test_faults_add_up_until_they_are_cleared(trial: Trial, world: World) -> None:
    trial.set_faults(delay=1)
    trial.set_faults(errors=0.5)
    assert world.service.set == {"delay": 1, "errors": 0.5}
    assert trial.changed_at is not None
    trial.clear_faults()
    trial.set_faults(errors=1)
    assert world.service.set == {"errors": 1}


def test_expect_records_a_finding_and_raises_where_it_does_not_hold(trial: Trial, world: World) -> None:
    trial.expect("c", expected="1", measured="1", holds=True)
    with pytest.raises(ExpectationError):
        trial.expect("c", expected="1", measured="2", holds=False)
    assert [one.verdict for one in world.findings] == [Verdict.PASS, Verdict.FAIL]


def test_probes_are_judged_only_up_to_where_the_truth_is_known(trial: Trial) -> None:
    with trial.watching("readiness"):
        trial.watch_truth(seconds(0.1), is_green=True, because="the process runs")
    asked = len(trial.answers["readiness"])
    findings = trial.probes_told("readiness", seconds(0.05))
    assert asked >= 1
    assert len(findings) >= 1


def test_probes_without_an_answer_do_not_pass(trial: Trial) -> None:
    trial.watch_truth(seconds(0.01), is_green=True, because="the process runs")
    assert Verdict.PASS not in {one.verdict for one in trial.probes_told("readiness", seconds(0.05))}


def test_recalled_observation_is_judged_again(trial: Trial, world: World) -> None:
    trial.burst(2, "GET", "/")
    later = Trial(world.harness)
    later.recall(trial.observation)
    assert later.observation is trial.observation


def test_a_load_that_is_still_running_is_not_judged(trial: Trial, world: World) -> None:
    trial.begin(trial_profile(world), "in the background")
    with pytest.raises(FeatureError, match="still running") as raised:
        _ = trial.observation
    assert "When the load ends" in str(raised.value)
    trial.end_load()
    assert trial.observation is not None
