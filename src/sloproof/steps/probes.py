"""Sentences about liveness and readiness: "within" counts from the last fault or repair."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pytest_bdd import parsers, then, when

from sloproof.checks import probe_truth
from sloproof.clients.service import ProbeKind, ProbeSample
from sloproof.duration import format_duration
from sloproof.finding import Query
from sloproof.steps.types import TYPES
from sloproof.trial import Trial

GREEN = 200


@then(parsers.parse('{kind:probe} turns {colour:colour} within "{bound:duration}"', TYPES))
def turns(trial: Trial, kind: ProbeKind, colour: str, bound: timedelta) -> None:
    """Judge that the probe gives that answer within a bound of the last fault or repair, and gives it again."""
    since = trial.changed_at or datetime.now(UTC)
    left = max(bound - (datetime.now(UTC) - since), timedelta(0))
    samples = trial.watch(kind, left, until=lambda sample: _is(sample, colour), every=timedelta(milliseconds=20))
    turned = [sample for sample in samples if _is(sample, colour)]
    steady = bool(turned) and _is(trial.harness.clients.service.probe(kind), colour)
    took = turned[0].time + turned[0].duration - since if turned else None
    trial.expect(
        f"{kind} turns {colour} within {format_duration(bound)}",
        check=probe_truth.CHECK,
        expected=f"{colour} at most {format_duration(bound)} after {since.isoformat(timespec='milliseconds')}",
        measured=f"{colour} after {took.total_seconds():.3f} s" if took is not None else _history(samples),
        holds=steady and took is not None and took <= bound,
        queries=(Query("http", f"GET {kind} probe"),),
        evidence=(("answers", _history(samples)),),
    )


@then(parsers.parse('{kind:probe} stays {colour:colour} throughout the next "{length:duration}"', TYPES))
def stays(trial: Trial, kind: ProbeKind, colour: str, length: timedelta) -> None:
    """Judge every answer of a stretch of time, asked twenty times a second."""
    samples = trial.watch(kind, length)
    wrong = [sample for sample in samples if not _is(sample, colour)]
    trial.expect(
        f"{kind} stays {colour} for {format_duration(length)}",
        check=probe_truth.CHECK,
        expected=f"{len(samples)} answers, all {colour}",
        measured=f"{len(wrong)} of {len(samples)} were not",
        holds=bool(samples) and not wrong,
        evidence=(("answers", _history(samples)),),
    )


@then(parsers.parse('{kind:probe} answers within "{bound:duration}" throughout the next "{length:duration}"', TYPES))
def answers(trial: Trial, kind: ProbeKind, bound: timedelta, length: timedelta) -> None:
    """Judge how long every answer of a stretch of time took, whatever it said."""
    samples = trial.watch(kind, length)
    slow = [sample for sample in samples if sample.status is None or sample.duration > bound]
    slowest = max(sample.duration for sample in samples)
    trial.expect(
        f"{kind} answers within {format_duration(bound)}",
        check=probe_truth.CHECK,
        expected=f"{len(samples)} answers, each within {format_duration(bound)}",
        measured=f"the slowest took {slowest.total_seconds():.3f} s, {len(slow)} were late",
        holds=bool(samples) and not slow,
        evidence=(("answers", _history(samples)),),
    )


@then(parsers.parse('{kind:probe} gives the reason "{text:text}"', TYPES))
def gives_reason(trial: Trial, kind: ProbeKind, text: str) -> None:
    """Judge that the probe's answer says why."""
    sample = trial.harness.clients.service.probe(kind)
    body = sample.body.decode(errors="replace")
    trial.expect(
        f"{kind} gives its reason",
        check=probe_truth.CHECK,
        expected=f"... {text} ...",
        measured=body,
        holds=text in body,
    )


@when(parsers.parse("liveness and readiness are asked {count:d} times each", TYPES))
def ask_probes(trial: Trial, count: int) -> None:
    """Ask both probes, and keep the observation of everything counted meanwhile."""
    trial.mark_beginning()
    for _ in range(count):
        trial.harness.clients.service.probe("liveness")
        trial.harness.clients.service.probe("readiness")


@when(parsers.parse("the metrics are read {count:d} times", TYPES))
def read_metrics(trial: Trial, count: int) -> None:
    """Read the exposition, as Prometheus does, and keep the observation of everything counted meanwhile."""
    trial.mark_beginning()
    for _ in range(count):
        trial.harness.clients.service.send("GET", trial.harness.settings.service.metrics)


def _is(sample: ProbeSample, colour: str) -> bool:
    return sample.status == GREEN if colour == "green" else sample.status is not None and sample.status != GREEN


def _history(samples: tuple[ProbeSample, ...]) -> str:
    """Return the answers as runs of equal ones: `12:00:01.250 200 x 7`."""
    rows: list[list[object]] = []
    for sample in samples:
        said = sample.status if sample.status is not None else sample.failure
        if rows and rows[-1][1] == said:
            rows[-1][2] = int(str(rows[-1][2])) + 1
        else:
            rows.append([sample.time.isoformat(timespec="milliseconds"), said, 1])
    return "\n".join(f"{time} {said} x {count}" for time, said, count in rows)
