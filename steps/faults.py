"""Sentences that break the service from outside, through its fault switch, and mend it again."""

from __future__ import annotations

from datetime import timedelta

from pytest_bdd import given, parsers, then, when

from sloproof.steps.types import TYPES
from sloproof.trial import Trial


@given(parsers.parse("the database fails for {percent:g} % of requests", TYPES))
@when(parsers.parse("the database fails for {percent:g} % of requests", TYPES))
def database_fails(trial: Trial, percent: float) -> None:
    """Make that share of the users queries fail, drawn at random; 0 makes none fail."""
    trial.set_faults(error_ratio=percent / 100)


@when(parsers.parse('every query takes "{delay:duration}" longer', TYPES))
@given(parsers.parse('every query takes "{delay:duration}" longer', TYPES))
def queries_slow(trial: Trial, delay: timedelta) -> None:
    """Add a fixed time to every users query."""
    trial.set_faults(added_latency_seconds=delay.total_seconds(), error_ratio=0.0)


@when("the database goes down")
def database_down(trial: Trial) -> None:
    """Take the simulated dependency away."""
    trial.set_faults(dependency_down=True)


@when("the database comes back")
def database_back(trial: Trial) -> None:
    """End every fault of the database."""
    trial.clear_faults()


@when(parsers.parse('the database is down for "{length:duration}" while the probes are watched', TYPES))
def database_down_watched(trial: Trial, length: timedelta) -> None:
    """Watch both probes for a while, take the database away, give it back, and watch on."""
    with trial.watching("liveness", "readiness"):
        trial.watch_truth(timedelta(seconds=0.5), is_green=True, because="the database is up")
        trial.set_faults(dependency_down=True)
        trial.watch_truth(length, is_green=False, because="the database is down")
        trial.clear_faults()
        trial.watch_truth(timedelta(seconds=0.5), is_green=True, because="the database is up again")


@then(parsers.parse('readiness was red exactly while the database was down, within "{tolerance:duration}"', TYPES))
def readiness_truth(trial: Trial, tolerance: timedelta) -> None:
    """Judge every answer of readiness against what was so when it was asked."""
    trial.harness.judge(*trial.probes_told("readiness", tolerance))


@then("liveness was green all the time")
def liveness_truth(trial: Trial) -> None:
    """Judge every answer of liveness: the database is none of its business."""
    trial.harness.judge(*trial.probes_told("liveness", timedelta(0), always_green=True))


@given("the service hangs")
def service_hangs(trial: Trial) -> None:
    """Let every request to the API wait until the fault ends; probes and metrics still answer."""
    trial.set_faults(hang=True)


@when("the service goes on")
def service_goes_on(trial: Trial) -> None:
    """End the fault; what has waited is answered."""
    trial.clear_faults()


@given("the service stops writing logs")
def service_silent(trial: Trial) -> None:
    """Keep the service from writing any log line until the scenario ends."""
    trial.set_faults(log_silence=True)
