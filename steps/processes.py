"""Sentences about the service's processes: a worker that dies, and a service that is told to end."""

from __future__ import annotations

from datetime import timedelta

import psutil
from pytest_bdd import parsers, then, when

from sloproof.polling import wait_until
from sloproof.steps.types import TYPES
from sloproof.trial import Trial


@when(parsers.parse('{count:d} requests are sent to {method:method} "{path:text}" around the death of a worker', TYPES))
def around_death(trial: Trial, count: int, method: str, path: str) -> None:
    """Send that many requests, kill the worker that has run longest, send them again, and observe all of it."""
    trial.mark_beginning()
    spec = trial.harness.request(path, method)
    trial.harness.burst(count, spec)
    master = next(one.pid for one in trial.harness.environment.status() if one.name == "service")
    workers = set(psutil.Process(master).children())
    min(workers, key=psutil.Process.create_time).kill()
    wait_until(
        lambda: set(psutil.Process(master).children()),
        lambda now: len(now) == len(workers) and now != workers,
        what="another worker in place of the one that was killed",
        timeout=timedelta(seconds=5),
        interval=timedelta(milliseconds=10),
    )
    trial.harness.burst(count, spec)


@then(parsers.parse('readiness gave the reason "{text:text}" before the service was gone', TYPES))
def reason_before_gone(trial: Trial, text: str) -> None:
    """Judge readiness while the service drained: each red answer says why, and there is at least one."""
    red = [sample for sample in trial.drain if sample.status == 503]  # noqa: PLR2004 - HTTP
    silent = [sample.body.decode(errors="replace") for sample in red if text.encode() not in sample.body]
    trial.expect(
        f"readiness gave the reason {text!r} before the service was gone",
        check="probe_truth",
        expected=f"at least one red answer, and {text!r} in each",
        measured=f"{len(red)} red answers, {len(silent)} without it: {silent[:3]}",
        holds=bool(red) and not silent,
    )
