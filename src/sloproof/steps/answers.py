"""Sentences about the answers that clients got, and about the ledger that holds them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

from pytest_bdd import parsers, then

from sloproof.errors import FeatureError
from sloproof.finding import Query
from sloproof.shareable import shareable
from sloproof.steps.types import TYPES
from sloproof.trial import Trial


@then(parsers.parse("every response has status {status:d}", TYPES))
@shareable
def every_status(trial: Trial, status: int) -> None:
    """Judge the ledger: every request was answered, and with this status."""
    seen = Counter(entry.failure or str(entry.status) for entry in trial.observation.sent_entries)
    trial.expect(
        f"every response has status {status}",
        expected=f"{sum(seen.values())} responses, all {status}",
        measured=", ".join(f"{count} x {name}" for name, count in sorted(seen.items())) or "no request",
        holds=set(seen) == {str(status)},
        queries=(Query("ledger", "status of every request since the scenario's first"),),
    )


@then(parsers.parse("the response has status {status:d}", TYPES))
@shareable
def response_status(trial: Trial, status: int) -> None:
    """Judge the last single request: its status."""
    seen = trial.response.status
    trial.expect(
        f"the response has status {status}",
        expected=str(status),
        holds=seen == status,
        measured=f"{seen}: {trial.response.body[:300].decode(errors='replace')}",
    )


@then(parsers.parse('the response has header "{name:text}" set to "{value:text}"', TYPES))
@shareable
def response_header(trial: Trial, name: str, value: str) -> None:
    """Judge the last single request: a header's value, to the letter."""
    seen = trial.response.headers.get(name)
    trial.expect(f"the response has {name}: {value}", expected=value, measured=str(seen), holds=seen == value)


@then(parsers.parse('the response has a header "{name:text}" of its own', TYPES))
@shareable
def response_own_header(trial: Trial, name: str) -> None:
    """Judge all single requests of the scenario: each has the header, no two the same value."""
    seen = [response.headers.get(name) for response in trial.responses]
    trial.expect(
        f"every response has a {name} of its own",
        expected=f"{len(seen)} different values",
        measured=", ".join(map(str, seen)),
        holds=None not in seen and len(set(seen)) == len(seen),
    )


@then("the response is the body that was sent")
@shareable
def response_echo(trial: Trial, docstring: str) -> None:
    """Judge the last single request: its body is this text, byte for byte."""
    seen = trial.response.body
    trial.expect(
        "the response is the body that was sent",
        expected=docstring,
        measured=seen.decode(errors="replace"),
        holds=seen == docstring.encode(),
    )


@then("the response is the JSON")
@shareable
def response_json(trial: Trial, docstring: str) -> None:
    """Judge the last single request: its body means this JSON."""
    seen = trial.response.body.decode(errors="replace")
    try:
        same = json.loads(seen) == json.loads(docstring)
    except ValueError:
        same = False
    trial.expect("the response is the JSON expected", expected=docstring, measured=seen, holds=same)


@then(parsers.parse('the response names "{text:text}"', TYPES))
@shareable
def response_contains(trial: Trial, text: str) -> None:
    """Judge the last single request: its body contains the text."""
    seen = trial.response.body.decode(errors="replace")
    trial.expect(f"the response names {text}", expected=f"... {text} ...", measured=seen[:500], holds=text in seen)


@then(parsers.parse('every response took at least "{bound:duration}" and the slowest at most "{most:duration}"', TYPES))
def response_times(trial: Trial, bound: timedelta, most: timedelta) -> None:
    """Judge the ledger: how long answers took, from send to last byte."""
    low, high = bound.total_seconds(), most.total_seconds()
    durations = [entry.duration_ns / 1e9 for entry in trial.observation.sent_entries]
    trial.expect(
        "responses took as long as they should",
        check="load",
        expected=f"{low:g} s to {high:g} s",
        measured=f"{min(durations):.3f} s to {max(durations):.3f} s" if durations else "no request",
        holds=bool(durations) and min(durations) >= low and max(durations) <= high,
        queries=(Query("ledger", "duration of every request since the scenario's first"),),
    )


@then(parsers.parse("the achieved rate is within {percent:g} % of the asked rate", TYPES))
@shareable
def achieved_rate(trial: Trial, percent: float) -> None:
    """Judge the driver: it sent what it was asked to send, and says so if it did not."""
    load = trial.harness.last_load
    if load is None or load.asked_rate is None:
        raise FeatureError("expected an earlier step to have driven a load in the open model, but none has")
    off = abs(load.achieved_rate / load.asked_rate - 1) * 100
    trial.expect(
        f"the load was driven within {percent:g} % of the asked rate",
        check="load",
        expected=f"{load.asked_rate:g} requests a second, none unsent",
        measured=f"{load.achieved_rate:.2f} requests a second, {load.unsent} unsent",
        holds=off <= percent and load.unsent == 0,
        evidence=tuple(("warning", text) for text in load.warnings),
    )


@then("every request was answered")
@shareable
def every_answered(trial: Trial) -> None:
    """Judge the ledger: no request was refused, reset, timed out or left unsent."""
    entries = trial.observation.sent_entries
    failed = Counter(entry.failure for entry in entries if entry.failure)
    count = len(entries)
    trial.expect(
        "every request was answered",
        expected=f"{count} requests, no failure",
        measured=", ".join(f"{number} x {kind}" for kind, number in sorted(failed.items())) or "no failure",
        holds=bool(count) and not failed,
        queries=(Query("ledger", "failure of every request since the scenario's first"),),
    )


@then(parsers.parse("between {low:g} % and {high:g} % of the responses have status {status:d}", TYPES))
@shareable
def share_of_status(trial: Trial, low: float, high: float, status: int) -> None:
    """Judge the ledger: the share of a status among all answers."""
    entries = trial.observation.sent_entries
    ratio = sum(entry.status == status for entry in entries) / len(entries) if entries else 0.0
    trial.expect(
        f"between {low:g} % and {high:g} % of the responses have status {status}",
        expected=f"{low:g} % to {high:g} % of {len(entries)}",
        measured=f"{ratio * 100:.1f} %",
        holds=bool(entries) and low <= ratio * 100 <= high,
    )


@then(parsers.parse('the response has header "{name:text}" that is not "{value:text}"', TYPES))
@shareable
def response_other_header(trial: Trial, name: str, value: str) -> None:
    """Judge the last single request: it has the header, with another value."""
    seen = trial.response.headers.get(name)
    trial.expect(
        f"the response has a {name} of the service's own",
        expected=f"anything but {value}",
        measured=str(seen),
        holds=bool(seen) and seen != value,
    )


@then(parsers.parse("exactly {count:d} requests are in the ledger", TYPES))
@shareable
def ledger_holds(trial: Trial, count: int) -> None:
    """Judge the driver: it recorded as many requests as it was asked to send, each with an id of its own."""
    entries = trial.observation.sent_entries
    ids = {entry.request_id for entry in entries}
    trial.expect(
        f"exactly {count} requests are in the ledger",
        expected=f"{count} requests, as many ids",
        measured=f"{len(entries)} requests, {len(ids)} ids",
        holds=len(entries) == len(ids) == count,
    )


@then(parsers.parse('the ledger holds {count:d} requests that failed by "{kind:text}"', TYPES))
@shareable
def ledger_failures(trial: Trial, count: int, kind: str) -> None:
    """Judge the driver: it recorded failures as what they were."""
    seen = Counter(entry.failure or str(entry.status) for entry in trial.observation.sent_entries)
    trial.expect(
        f"the ledger holds {count} requests that failed by {kind}",
        expected=f"{count} x {kind}",
        measured=", ".join(f"{number} x {name}" for name, number in sorted(seen.items())),
        holds=seen[kind] == count,
    )
