"""Sentences about what is sent."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from pytest_bdd import given, parsers, when

from sloproof.duration import format_duration, parse_duration
from sloproof.errors import FeatureError
from sloproof.load.hostile import hostile_requests
from sloproof.load.ledger import Ledger
from sloproof.load.profile import Profile, Stage
from sloproof.load.recording import recorded
from sloproof.shareable import shareable
from sloproof.steps.types import TYPES
from sloproof.trial import Trial
from sloproof.usual_load import locustfile_of, usual_load


@when(parsers.parse('{count:d} requests are sent to {method:method} "{path:text}"', TYPES))
@shareable
def send_burst(trial: Trial, count: int, method: str, path: str) -> None:
    """Send that many equal requests as fast as eight users can, wait for the evidence, and observe them."""
    trial.burst(count, method, path)


@when(parsers.parse('{count:d} requests are sent to {method:method} "{path:text}" with the JSON body', TYPES))
@shareable
def send_burst_with_body(trial: Trial, count: int, method: str, path: str, docstring: str) -> None:
    """Send that many equal requests with a JSON body, wait for the evidence, and observe them."""
    trial.burst(count, method, path, headers={"Content-Type": "application/json"}, body=docstring)


@when(parsers.parse('a request is sent to {method:method} "{path:text}"', TYPES))
@shareable
def send_one(trial: Trial, method: str, path: str) -> None:
    """Send one request and keep its answer for the steps that follow."""
    trial.send(method, path)


@when(parsers.parse('a request is sent to {method:method} "{path:text}" with header "{name:text}" set to "{value:text}"', TYPES))  # fmt: skip
def send_one_with_header(trial: Trial, method: str, path: str, name: str, value: str) -> None:
    """Send one request with one header of its own, and keep its answer."""
    trial.send(method, path, headers={name: value})


@when(parsers.parse('a request is sent to {method:method} "{path:text}" with content type "{kind:text}" and the body', TYPES))  # fmt: skip
@shareable
def send_one_with_body(trial: Trial, method: str, path: str, kind: str, docstring: str) -> None:
    """Send one request with exactly the bytes of the text, UTF-8, and keep its answer."""
    trial.send(method, path, headers={"Content-Type": kind}, body=docstring)


@when(parsers.parse('a request with a JSON body of {size:d} bytes is sent to {method:method} "{path:text}"', TYPES))
@shareable
def send_one_of_size(trial: Trial, size: int, method: str, path: str) -> None:
    """Send one JSON text of exactly that many bytes, and keep its answer."""
    trial.send(method, path, headers={"Content-Type": "application/json"}, body='"' + "a" * (size - 2) + '"')


@when(parsers.parse('load of {rate:g} requests a second runs for "{duration:duration}" on the usual mix', TYPES))
@shareable
def run_load(trial: Trial, rate: float, duration: timedelta) -> None:
    """Drive the usual mix in the open model to its end, wait for the evidence, and observe it."""
    trial.run_usual(rate, duration)


@when(parsers.parse('{users:d} users send requests to {method:method} "{path:text}" for "{duration:duration}"', TYPES))
@shareable
def run_users(trial: Trial, users: int, method: str, path: str, duration: timedelta) -> None:
    """Drive one kind of request in the closed model: each user sends again as soon as it is answered."""
    profile = Profile(
        mix=(trial.harness.request(path, method),),
        users=users,
        duration_seconds=duration.total_seconds(),
        seed=trial.harness.settings.load.seed,
        timeout_seconds=trial.harness.settings.load.timeout_seconds,
    )
    trial.run(profile, f"{users} users, {method} {path}, {format_duration(duration)}")


@given(parsers.parse("load of {rate:g} requests a second on the usual mix", TYPES))
def begin_load(trial: Trial, rate: float) -> None:
    """Start the usual mix in the open model; it goes on until the scenario ends it, or ends."""
    trial.begin(trial.usual(rate, timedelta(minutes=10)), f"{rate:g}/s in the background")


@given(parsers.parse('load of {rate:g} requests a second to {method:method} "{path:text}"', TYPES))
def begin_load_of(trial: Trial, rate: float, method: str, path: str) -> None:
    """Start one kind of request in the open model; it goes on until the scenario ends it, or ends."""
    profile = Profile(
        mix=(trial.harness.request(path, method),),
        rate=rate,
        duration_seconds=600,
        seed=1,
        timeout_seconds=trial.harness.settings.load.timeout_seconds,
    )
    trial.begin(profile, f"{rate:g}/s of {method} {path} in the background")


@when("the load ends")
def end_load(trial: Trial) -> None:
    """End the load that runs in the background, once what is in flight has been answered."""
    trial.end_load()


@when(parsers.parse('load of {rate:g} requests a second to "{path:text}" runs for "{duration:duration}"', TYPES))
@shareable
def run_load_of(trial: Trial, rate: float, path: str, duration: timedelta) -> None:
    """Drive one kind of GET in the open model to its end, wait for the evidence, and observe it."""
    load = trial.harness.settings.load
    profile = Profile(
        mix=(trial.harness.request(path),),
        rate=rate,
        duration_seconds=duration.total_seconds(),
        seed=load.seed,
        timeout_seconds=load.timeout_seconds,
    )
    trial.run(profile, f"{rate:g}/s of GET {path} for {format_duration(duration)}")


@when(parsers.parse('{count:d} bodies of "{body:text}" with content type "{kind:text}" are sent to {method:method} "{path:text}"', TYPES))  # fmt: skip
@shareable
def send_bodies(trial: Trial, count: int, body: str, kind: str, method: str, path: str) -> None:
    """Send that many equal requests with exactly this body and content type; an empty type is not sent."""
    trial.burst(count, method, path, headers={"Content-Type": kind} if kind else {}, body=body)


@when(parsers.parse('{count:d} requests that wait at most "{most:duration}" are sent to {method:method} "{path:text}"', TYPES))  # fmt: skip
def send_impatient(trial: Trial, count: int, most: timedelta, method: str, path: str) -> None:
    """Send that many equal requests at once; each gives up when it has waited this long."""
    profile = Profile(
        mix=(trial.harness.request(path, method),),
        users=count,
        requests=count,
        seed=1,
        timeout_seconds=most.total_seconds(),
    )
    trial.run(profile, f"{count} x {method} {path}, waiting at most {format_duration(most)}")


@when(parsers.parse('one request of each method is sent to "{path:text}"', TYPES))
@shareable
def send_each_method(trial: Trial, path: str) -> None:
    """Send GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, one each."""
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        trial.send(method, path)


@when(parsers.parse('{count:d} clients hang up on {method:method} "{path:text}" after "{patience:duration}"', TYPES))
def hang_up(trial: Trial, count: int, method: str, path: str, patience: timedelta) -> None:
    """Send that many requests at once, and close each connection before its answer."""
    profile = Profile(
        mix=(trial.harness.request(path, method),),
        users=count,
        requests=count,
        seed=1,
        timeout_seconds=patience.total_seconds(),
    )
    trial.run(profile, f"{count} clients hang up on {method} {path}")


@when(parsers.parse("{count:d} hostile requests are sent", TYPES))
def send_hostile(trial: Trial, count: int) -> None:
    """Send requests with hostile paths, queries, methods, headers and bodies, drawn from the seed."""
    for request in hostile_requests(count, trial.harness.settings.load.seed):
        trial.send(request.method, request.path, headers=dict(request.headers), body=request.body)


@when(parsers.parse('load of {rate:g} requests a second at random instants runs for "{duration:duration}" on the usual mix', TYPES))  # fmt: skip
@shareable
def run_random_load(trial: Trial, rate: float, duration: timedelta) -> None:
    """Drive the usual mix with the gaps of a Poisson process, drawn from the seed, as independent clients would."""
    profile = msgspec.structs.replace(trial.usual(rate, duration), arrivals="poisson")
    trial.run(profile, f"{rate:g}/s at random for {format_duration(duration)}")


@when(parsers.parse('load that goes from {first:g} to {last:g} requests a second runs for "{duration:duration}" on the usual mix', TYPES))  # fmt: skip
@shareable
def run_ramp(trial: Trial, first: float, last: float, duration: timedelta) -> None:
    """Drive the usual mix at a rate that changes evenly, up or down."""
    stage = Stage(seconds=duration.total_seconds(), rate=first, to_rate=last)
    trial.run(_staged(trial, stage), f"{first:g}/s to {last:g}/s in {format_duration(duration)}")


@when(parsers.parse('load of {rate:g} requests a second with a spike of {peak:g} for "{spike:duration}" runs for "{duration:duration}" on the usual mix', TYPES))  # fmt: skip
@shareable
def run_spike(trial: Trial, rate: float, peak: float, spike: timedelta, duration: timedelta) -> None:
    """Drive the usual mix with a spike in the middle, of any length: milliseconds, too."""
    rest = (duration - spike).total_seconds() / 2
    if rest <= 0:
        raise FeatureError(
            "expected a spike that is shorter than the load, "
            f"got {format_duration(spike)} in {format_duration(duration)}"
        )
    around = Stage(seconds=rest, rate=rate)
    profile = _staged(trial, around, Stage(seconds=spike.total_seconds(), rate=peak), around)
    trial.run(profile, f"{rate:g}/s with {peak:g}/s for {format_duration(spike)}")


@when("load runs on the usual mix in these steps")
@shareable
def run_steps(trial: Trial, datatable: list[list[str]]) -> None:
    """Drive the usual mix at one rate after the other; the table has the columns `requests a second` and `for`."""
    header, *rows = datatable
    if header != ["requests a second", "for"] or not rows:
        raise FeatureError('expected a table with the columns "requests a second" and "for", and a row for each step')
    stages = [Stage(seconds=parse_duration(length).total_seconds(), rate=_rate(rate)) for rate, length in rows]
    trial.run(_staged(trial, *stages), f"{len(stages)} steps, {' '.join(rate for rate, _ in rows)} a second")


@when("the last load is sent again")
@shareable
def replay_last(trial: Trial) -> None:
    """Drive what the last load sent, each request due when it was due then."""
    load = trial.harness.last_load
    if load is None:
        raise FeatureError("expected an earlier step to have driven a load, but none has")
    _replay(trial, load.ledger, f"{load.name}, again")


@when(parsers.parse('the load in ledger "{path:text}" is sent again', TYPES))
@shareable
def replay_file(trial: Trial, path: str) -> None:
    """Drive what a ledger file, or a folder of them, recorded; the path is relative to the project's root.

    Bodies and headers are not in a ledger: those of the usual mix are sent, where method and path are the same.
    """
    place = trial.harness.root / path
    if not place.exists():
        raise FeatureError("expected a ledger to send again, found no such file", where=place)
    _replay(trial, Ledger.open(place), f"{path}, again")


@given(parsers.parse('load of {users:d} users from "{path:text}"', TYPES))
def begin_own_users(trial: Trial, users: int, path: str) -> None:
    """Start users of a locustfile, taken as it is; they go on until the scenario ends the load, or ends.

    The path is relative to the project's root. What they send to the service is in the ledger, redirects too.
    """
    trial.begin(_own(trial, users, path, timedelta(minutes=10)), f"{users} users from {path} in the background")


@when(parsers.parse('{users:d} users from "{path:text}" run for "{duration:duration}"', TYPES))
def run_own_users(trial: Trial, users: int, path: str, duration: timedelta) -> None:
    """Let users of a locustfile, taken as it is, run to the end of that time, wait for the evidence, and observe it."""
    trial.run(_own(trial, users, path, duration), f"{users} users from {path} for {format_duration(duration)}")


def _own(trial: Trial, users: int, path: str, duration: timedelta) -> Profile:
    place = trial.harness.root / path
    if not place.is_file():
        raise FeatureError("expected a locustfile, found no such file", where=place)
    return Profile(
        locustfile=locustfile_of(trial.harness, place),
        users=users,
        duration_seconds=duration.total_seconds(),
        timeout_seconds=trial.harness.settings.load.timeout_seconds,
    )


def _replay(trial: Trial, ledger: Ledger, name: str) -> None:
    known = trial.harness.usual_mix if trial.harness.settings.load.mix else ()
    mix, recording = recorded(ledger, known)
    load = trial.harness.settings.load
    trial.run(Profile(mix=mix, recording=recording, seed=load.seed, timeout_seconds=load.timeout_seconds), name)


def _staged(trial: Trial, *stages: Stage) -> Profile:
    return usual_load(trial.harness, Profile(stages=stages))


def _rate(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FeatureError(f"expected a number of requests a second, got {text!r}") from None
