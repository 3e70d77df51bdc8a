"""Sentences that stop, freeze and restart programs of the environment."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import given, parsers, when

from sloproof.steps.types import TYPES
from sloproof.trial import Trial


@given(parsers.parse('component "{name:text}" is stopped', TYPES))
@when(parsers.parse('component "{name:text}" is stopped', TYPES))
def stop(trial: Trial, name: str) -> None:
    """Stop one program on purpose; it is started again when the scenario ends."""
    # The outage begins with the order at the earliest, and with the end of the drain at the latest.
    begin = datetime.now(UTC)
    trial.harness.stop_component(name)
    trial.changed(begin, datetime.now(UTC) - begin)


@given(parsers.parse('component "{name:text}" is frozen', TYPES))
@when(parsers.parse('component "{name:text}" is frozen', TYPES))
def freeze(trial: Trial, name: str) -> None:
    """Freeze one program where it stands: it keeps its connections and answers nothing, until the scenario ends."""
    begin = datetime.now(UTC)
    trial.harness.pause_component(name)
    trial.changed(begin)


@when(parsers.parse('component "{name:text}" is started again', TYPES))
def start_again(trial: Trial, name: str) -> None:
    """Start a program that was stopped, or let a frozen one go on, and wait until it is ready."""
    # It may be seen again before it says that it is ready.
    begin = datetime.now(UTC)
    trial.harness.revive_component(name)
    trial.changed(begin, datetime.now(UTC) - begin)


@when(parsers.parse('component "{name:text}" is restarted', TYPES))
def restart(trial: Trial, name: str) -> None:
    """Stop one program, start it again on its old address, and wait until it is ready."""
    trial.harness.restart_component(name)
    trial.changed(datetime.now(UTC))
