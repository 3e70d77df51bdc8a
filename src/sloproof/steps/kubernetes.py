"""Sentences about the service's pods in a cluster: the gate leads to ready ones only, as any Service does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pytest_bdd import given, parsers, then, when

from sloproof.barrier import is_sentinel
from sloproof.claims import pods, service
from sloproof.claims.pods import GateSighting
from sloproof.errors import CapabilityError
from sloproof.load.profile import Profile
from sloproof.model import Window, ns_from_instant
from sloproof.plugin import running
from sloproof.polling import wait_until
from sloproof.steps.types import TYPES
from sloproof.trial import Trial

if TYPE_CHECKING:
    from sloproof.environment.kube.neighbours import Neighbours
    from sloproof.environment.kube.service_pods import ServicePods

_LOOK = timedelta(milliseconds=30)
_LONGER = timedelta(seconds=1)
_SHIPPED = timedelta(seconds=15)


class PodScene:
    """What a scenario about pods has at hand, and has noted so far."""

    def __init__(self, service: ServicePods, neighbours: Neighbours) -> None:
        self.service = service
        self.neighbours = neighbours
        self.pod = ""
        self.old: frozenset[str] = frozenset()


@pytest.fixture
def scene(trial: Trial, request: pytest.FixtureRequest) -> Iterator[PodScene]:
    """The service's pods in a cluster; what the scenario changes of them is put back when it ends."""
    environment = trial.harness.environment
    if "kubernetes" not in environment.capabilities:
        raise CapabilityError("needs pods, and there are none here", hint="tag the scenario @needs_kubernetes")
    # Only here: the client of the cluster's API is large, and no other environment needs it.
    from sloproof.environment.kube.environment import KubeEnvironment  # noqa: PLC0415
    from sloproof.environment.kube.neighbours import Neighbours  # noqa: PLC0415
    from sloproof.environment.kube.service_pods import ServicePods  # noqa: PLC0415

    assert isinstance(environment, KubeEnvironment)
    settings = trial.harness.settings

    def has_seen(instances: Sequence[str]) -> bool:
        # One that is gone stays a target for a while and would be waited for, and then a sample that looks fresh.
        prometheus, now = trial.harness.clients.prometheus, datetime.now(UTC)
        targets = [one for one in prometheus.targets() if one.job == settings.service.name]
        fresh = Window(now - service.max_age(trial.harness.scrape_interval), now)
        seen = prometheus.samples(f'up{{app="{settings.service.name}"}}', fresh).series
        return (
            {one.instance for one in targets} == set(instances) == {one.labels.get("instance") for one in seen}
            and all(one.health == "up" for one in targets)
        )  # fmt: skip

    made = ServicePods(environment, settings, has_seen)
    beside = Neighbours(environment.cluster, environment.access.kubectl, environment.namespace)
    yield PodScene(made, beside)
    if running.has_environment(request.config):
        try:
            beside.remove()
        finally:
            made.restore(at_once=True)


# What is sent through the gate


@when(parsers.parse('{count:d} requests are sent to {method:method} "{path:text}" through the gate', TYPES))
def send_through_gate(trial: Trial, scene: PodScene, count: int, method: str, path: str) -> None:
    """Send that many equal requests the way that clients in the cluster are led, and observe them."""
    name = f"{count} x {method} {path} through the gate"
    trial.begin(_burst(trial, count, method, path), name, base_url=scene.service.gate_url)
    trial.harness.end_load(by_itself=True)
    _await_each_pod(trial, scene)


@when(parsers.parse('{count:d} requests more are sent to {method:method} "{path:text}" through the gate', TYPES))
def send_more_through_gate(trial: Trial, scene: PodScene, count: int, method: str, path: str) -> None:
    """Send that many equal requests through the gate; what is judged reaches from the scenario's first request on."""
    profile = _burst(trial, count, method, path)
    trial.harness.run(profile, f"{count} x {method} {path} more through the gate", base_url=scene.service.gate_url)


@when("the load through the gate ends")
def end_load_through_gate(trial: Trial, scene: PodScene) -> None:
    """End the load that runs in the background, once what is in flight has been answered by whichever pod."""
    trial.end_load()
    _await_each_pod(trial, scene)


def _await_each_pod(trial: Trial, scene: PodScene) -> None:
    """Wait until each pod has accounted for what it has answered, and its lines have arrived.

    The barrier asks one of them; lines of another may arrive later.
    """
    harness, clients = trial.harness, scene.service.clients()
    if len(clients) == 1:
        return
    for client in clients:
        gauge = harness.settings.metrics.in_flight
        if gauge is not None:
            wait_until(
                partial(client.gauge_value, gauge),
                lambda value: value == 0,
                what=f"{gauge} at 0 in each pod",
                timeout=timedelta(seconds=2),
                interval=_LOOK,
            )
        sent = datetime.now(UTC)
        answer = harness.send("GET", harness.settings.service.index, client=client)
        selector = f'{{app="{harness.settings.service.name}"}} |= "{answer.request_id}"'
        wait_until(
            partial(harness.clients.loki.query_range, selector, Window(sent - _LONGER, sent + _SHIPPED), limit=1),
            bool,
            what="a line of each pod in Loki",
            timeout=_SHIPPED,
            interval=_LOOK,
            check_alive=harness.environment.check_alive,
        )


@given(parsers.parse('{count:d} requests to {method:method} "{path:text}" are under way through the gate', TYPES))
def under_way(trial: Trial, scene: PodScene, count: int, method: str, path: str) -> None:
    """Send that many requests at once, and return when the service works on all of them."""
    scene.pod = scene.service.only.name
    name = f"{count} x {method} {path} under way"
    trial.begin(_burst(trial, count, method, path), name, base_url=scene.service.gate_url)
    gauge = trial.harness.settings.metrics.in_flight
    assert gauge is not None
    wait_until(
        lambda: trial.harness.clients.service.gauge_value(gauge),
        lambda value: value >= count,
        what=f"{count} requests in flight",
        timeout=timedelta(seconds=5),
        interval=_LOOK,
        check_alive=trial.harness.environment.check_alive,
    )


@given(parsers.parse('load of {rate:g} requests a second to {method:method} "{path:text}" through the gate', TYPES))
def load_through_gate(trial: Trial, scene: PodScene, rate: float, method: str, path: str) -> None:
    """Start one kind of request in the open model, led as clients in the cluster are; it goes on until it is ended."""
    load = trial.harness.settings.load
    profile = Profile(
        mix=(trial.harness.request(path, method),),
        rate=rate,
        duration_seconds=600,
        seed=load.seed,
        timeout_seconds=load.timeout_seconds,
    )
    name = f"{rate:g}/s of {method} {path} through the gate"
    trial.begin(profile, name, base_url=scene.service.gate_url)


def _burst(trial: Trial, count: int, method: str, path: str) -> Profile:
    load = trial.harness.settings.load
    return Profile(
        mix=(trial.harness.request(path, method),),
        users=min(count, 8),
        requests=count,
        seed=load.seed,
        timeout_seconds=load.timeout_seconds,
    )


# Readiness


@then("the pod is out of the endpoints within its bound")
def leaves_endpoints(trial: Trial, scene: PodScene) -> None:
    """Judge how long after the last fault its pod is led to; the bound is the sum that its readiness probe makes."""
    scene.pod = scene.pod or scene.service.only.name
    _judge_gate(trial, scene, is_behind=False)


@then("the pod is in the endpoints again within its bound")
def returns_to_endpoints(trial: Trial, scene: PodScene) -> None:
    """Judge how long after the last repair its pod is led to again; the bound is the sum its readiness probe makes."""
    _judge_gate(trial, scene, is_behind=True)


def _judge_gate(trial: Trial, scene: PodScene, *, is_behind: bool) -> None:
    since = trial.changed_at
    assert since is not None
    workload = scene.service
    bound = workload.returns_within if is_behind else workload.leaves_within
    sightings: list[GateSighting] = []
    end: datetime | None = None
    # Watched on for a while: what goes out and comes in again is not out.
    while end is None or datetime.now(UTC) < end:
        found = workload.behind_gate()
        sightings.append(GateSighting(datetime.now(UTC), found))
        if end is None and ((scene.pod in found) == is_behind or sightings[-1].at > since + bound.length):
            end = sightings[-1].at + _LONGER
        trial.harness.linger(_LOOK)
    trial.harness.judge(pods.gate_follows(scene.pod, since, sightings, bound, is_behind=is_behind))


@then("the requests that were under way are answered with success")
def in_flight_finish(trial: Trial, scene: PodScene) -> None:
    """Judge the ledger: what was begun before the pod left the endpoints outlasts that, and succeeds."""
    now = datetime.now(UTC)
    assert scene.pod not in scene.service.behind_gate()
    trial.end_load()
    begun = [one for one in trial.observation.sent_entries if one.start_ns < ns_from_instant(now)]
    trial.harness.judge(pods.in_flight_finish(begun, ns_from_instant(now), now))


@then("none of those requests got through")
def none_got_through(trial: Trial) -> None:
    """Judge the ledger: each request was refused, or found no way; none was answered, and none is of unknown outcome."""
    seen = trial.observation
    trial.harness.judge(pods.none_arrived(seen.sent_entries, seen.at))


# Liveness


@given(parsers.parse('{count:d} requests to {method:method} "{path:text}" were counted before the service\'s pod hangs', TYPES))  # fmt: skip
def counted_before(trial: Trial, scene: PodScene, count: int, method: str, path: str) -> None:
    """Send that many requests and wait for the evidence of them: what is counted and not scraped is lost with it."""
    trial.mark_beginning()
    scene.pod = scene.service.only.name
    trial.harness.burst(count, trial.harness.request(path, method))


@when("every process of the service's pod freezes")
def freeze(trial: Trial, scene: PodScene) -> None:
    """Stop the processes where they stand: connections are accepted still, and nothing is answered."""
    scene.pod = scene.service.only.name
    begin = datetime.now(UTC)
    scene.service.freeze(scene.pod)
    trial.changed(begin)


@then("its container is restarted within its bound, with the reason as an event")
def restarted(trial: Trial, scene: PodScene) -> None:
    """Judge how long it hung; the bound is the sum that its liveness probe and its time to end make."""
    since = trial.changed_at
    assert since is not None
    bound = scene.service.restarts_within
    before = scene.service.restarts_of(scene.pod)
    end = since + bound.length
    at: datetime | None = None
    while at is None and datetime.now(UTC) < end:
        if scene.service.restarts_of(scene.pod) > before:
            at = datetime.now(UTC)
        trial.harness.linger(_LOOK)
    events = [one for one in scene.service.events_of(scene.pod) if one.time is None or one.time >= since - _LONGER]
    scene.service.await_settled()
    trial.harness.judge(pods.restarted_in_time(since, at, bound, events))


# Pods that come and go


@given(parsers.parse("{count:d} replicas of the service", TYPES))
def replicas(scene: PodScene, count: int) -> None:
    """Have that many pods, and return once each is ready and scraped."""
    scene.service.scale(count)


@when("the service is rolled out anew")
def roll_out(scene: PodScene) -> None:
    """Replace every pod by a new one, as a release does, and return once the old ones are gone."""
    scene.old = frozenset(pod.name for pod in scene.service.now)
    scene.service.roll()


@then("each pod counted its share of those requests")
def shared(trial: Trial, scene: PodScene) -> None:
    """Judge the request counter by pod: each is in it, and together they tell the ledger's number."""
    _judge_shares(trial, {pod.name: [pod.name] for pod in scene.service.now})


@then("old and new pods counted those requests between them")
def shared_by_old_and_new(trial: Trial, scene: PodScene) -> None:
    """Judge the request counter by pod: some is told by pods that are gone, some by new ones, and together all of it."""
    new = {pod.name for pod in scene.service.now}
    _judge_shares(trial, {"old pods": scene.old - new, "new pods": new})


def _judge_shares(trial: Trial, shares: Mapping[str, Collection[str]]) -> None:
    seen = trial.observation
    answered = sum(seen.tally.certain.values())
    trial.harness.judge(pods.shared_by(pods.counted_by_pod(seen), shares, answered, seen.at))


@when(parsers.parse('{count:d} requests are answered by {method:method} "{path:text}", and their pod is killed at once', TYPES))  # fmt: skip
def kill_after(trial: Trial, scene: PodScene, count: int, method: str, path: str) -> None:
    """Send that many requests, and delete the pod as soon as the last is answered: what it logged is yet to be shipped."""
    scene.pod = scene.service.only.name
    trial.begin(_burst(trial, count, method, path), f"{count} x {method} {path}, then killed")
    trial.harness.end_load(by_itself=True)
    scene.service.kill(scene.pod)


@then("every line of that pod is in Loki, exactly once")
def lines_kept(trial: Trial, scene: PodScene) -> None:
    """Judge that each request that the pod answered has one line, and that it is the pod's."""
    seen = trial.observation
    ids = [one.request_id for one in seen.entries if not one.failure and not is_sentinel(one.request_id)]
    trial.harness.judge(pods.lines_are_of(seen.streams, seen.parser, ids, scene.pod, seen.at))
