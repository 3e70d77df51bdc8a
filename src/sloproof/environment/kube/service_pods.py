"""The service's pods in a cluster, as a scenario changes and watches them; what it has changed it puts back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sloproof.clients.service import ServiceClient
from sloproof.environment.kube.environment import KubeEnvironment
from sloproof.environment.kube.objects import Event, Pod
from sloproof.environment.kube.parts import Part, missing_of
from sloproof.environment.kube.pod_wish import (
    Bound,
    WishfulWorkload,
    leaves_within,
    restarts_within,
    returns_within,
)
from sloproof.environment.kube.routes import GATE, OBSERVER, answer
from sloproof.errors import ComponentExitedError, DeadlineError, SettingsError
from sloproof.polling import wait_until
from sloproof.settings import Settings

SERVICE = "service"
_POLL = timedelta(milliseconds=100)
_ROLLED_OUT = timedelta(seconds=120)
_LED = timedelta(seconds=30)
_OK = 200
# In a row: one may meet a pod that is led to already, and the next one that is led to no more.
_ANSWERS = 6
_STRATEGIC, _JSON_PATCH = "application/strategic-merge-patch+json", "application/json-patch+json"


class _RawSpec(msgspec.Struct, frozen=True):
    template: dict[str, Any]
    replicas: int = 1


class _RawWorkload(msgspec.Struct, frozen=True):
    spec: _RawSpec


class ServicePods:
    """The service's Deployment and its pods.

    Args:
        environment: Up already.
        settings: The project's settings.
        has_seen: Says whether whoever scrapes the service knows of exactly these instances.
    """

    def __init__(
        self, environment: KubeEnvironment, settings: Settings, has_seen: Callable[[Sequence[str]], bool]
    ) -> None:
        self._environment = environment
        self._settings = settings
        self._has_seen = has_seen
        self._before: _RawSpec | None = None
        self._is_led_by_readiness = False

    # What there is

    @property
    def part(self) -> Part:
        """Return the service as a component."""
        return self._environment.parts[SERVICE]

    @property
    def gate_url(self) -> str:
        """Return the address that leads to ready pods only."""
        return self._environment.addresses["gate"]

    @property
    def now(self) -> tuple[Pod, ...]:
        """Return its pods, those on their way out included, the newest last."""
        return self.part.pods(self._environment.cluster.pods(self._environment.namespace))

    @property
    def only(self) -> Pod:
        """Return its one pod.

        Raises:
            SettingsError: There are several.
        """
        pods = [pod for pod in self.now if pod.metadata.deletion_timestamp is None]
        if len(pods) != 1:
            raise SettingsError(f"expected one pod of the service, but there are {len(pods)}")
        return pods[0]

    @property
    def image(self) -> str:
        """Return the image that its pods run."""
        return self._wish().container(self.part.container).image

    def behind_gate(self) -> frozenset[str]:
        """Return the names of the pods that the gate leads to now."""
        found = self._environment.cluster.endpoints(self._environment.namespace, GATE)
        return frozenset(
            one.target_ref.name for one in found if one.target_ref is not None and one.conditions.ready is not False
        )

    def clients(self) -> tuple[ServiceClient, ...]:
        """Return a client of each pod that is to stay, by way of the cluster's API; for questions, never for load."""
        staying = [pod for pod in self.now if pod.metadata.deletion_timestamp is None]
        urls = [self._environment.proxy.pod_url(pod.name, self.part.port) for pod in staying]
        return tuple(ServiceClient(url, self._settings.service) for url in urls)

    @property
    def leaves_within(self) -> Bound:
        """Return how long a pod that says no may stay among a Service's endpoints."""
        probe = self._wish().container(self.part.container).readiness_probe
        if probe is None:
            raise SettingsError("expected the service's pods to have a readiness probe, but they have none")
        return leaves_within(probe)

    @property
    def returns_within(self) -> Bound:
        """Return how long a pod that says yes may be missing among a Service's endpoints."""
        probe = self._wish().container(self.part.container).readiness_probe
        if probe is None:
            raise SettingsError("expected the service's pods to have a readiness probe, but they have none")
        return returns_within(probe)

    @property
    def restarts_within(self) -> Bound:
        """Return how long a container that hangs may go on until another one runs in its place."""
        wish = self._wish()
        probe = wish.container(self.part.container).liveness_probe
        if probe is None:
            raise SettingsError("expected the service's pods to have a liveness probe, but they have none")
        return restarts_within(probe, wish.spec.template.spec.termination_grace_period_seconds)

    def restarts_of(self, pod: str) -> int:
        """Return how often a pod's container was replaced by one that runs."""
        there = next((one for one in self.now if one.name == pod), None)
        if there is None:
            return 0
        return sum(one.restart_count for one in there.status.container_statuses if one.state.running is not None)

    def events_of(self, pod: str) -> tuple[Event, ...]:
        """Return what the cluster noted about a pod, oldest first."""
        found = self._environment.cluster.events(self._environment.namespace)
        return tuple(event for event in found if event.involved_object.name == pod)

    def end_report(self) -> ComponentExitedError | None:
        """Return what the environment reports of a service that has ended by itself; None where it reports nothing."""
        self._environment.accept_restarts()
        try:
            self._environment.check_alive()
        except ComponentExitedError as error:
            return error
        finally:
            self._environment.expect_restarts(SERVICE)
        return None

    # What is done to it

    def scale(self, replicas: int) -> None:
        """Have so many pods, and return once they are ready, and known to whoever scrapes them."""
        self._change({"spec": {"replicas": replicas}})
        self.await_settled()

    def roll(self) -> None:
        """Replace every pod by a new one of the same content, and return once it is done."""
        kept = self._before
        self._change(_annotated(self._settings.service.name))
        self.await_settled()
        # The new pods are as the old ones were: only how many there are may have to be put back.
        rolled = self._environment.cluster.api.get(self._path, _RawWorkload).spec
        self._before = msgspec.structs.replace(rolled, replicas=kept.replicas) if kept is not None else None

    def release(self, command: Sequence[str]) -> None:
        """Begin to roll out a revision whose program is another command, and return at once."""
        self._environment.expect_restarts(SERVICE)
        container = {"name": self.part.container, "command": list(command), "args": []}
        self._change({"spec": {"template": {"spec": {"containers": [container]}}}})

    def freeze(self, pod: str) -> None:
        """Stop every process of a pod but its first: nothing is answered any more, and no connection is closed."""
        self._environment.expect_restarts(SERVICE)
        # A kill of -1 spares whoever sends it, and the first process of a container cannot be stopped from within.
        where = ("-n", self._environment.namespace, pod, "-c", self.part.container)
        self._environment.access.kubectl.run("exec", *where, "--", "sh", "-c", "kill -STOP -1")

    def kill(self, pod: str) -> None:
        """Delete a pod with no time to end in, and return once another is ready in its place; send nothing meanwhile.

        A node may lead to a pod that is gone for a moment, and what is sent to it then has no answer.
        """
        self._environment.cluster.delete_pod(self._environment.namespace, pod, grace=0)
        self.await_settled()

    def restore(self, *, at_once: bool = False) -> None:
        """Put the workload back as it was, if it was changed, and return once its pods are.

        Args:
            at_once: Nothing is sent any more, so that pods on their way out need no time to end in.
        """
        before = self._before
        if before is None:
            return
        body = [
            {"op": "replace", "path": "/spec/template", "value": before.template},
            {"op": "replace", "path": "/spec/replicas", "value": before.replicas},
        ]
        self._patch(body, _JSON_PATCH)
        self.await_settled(at_once=at_once)
        self._before = None

    def await_settled(self, *, at_once: bool = False) -> None:
        """Return once exactly the pods that are wished for are there, ready, and known to whoever scrapes them.

        Args:
            at_once: Pods on their way out are killed.
        """
        try:
            self._await_ready(self._hurried_state if at_once else self._state)
        finally:
            self._lead_observer(by_readiness=False)
        # A node learns of new endpoints up to seconds after the pods are ready; until then it refuses what is sent.
        wait_until(
            self._gate_answers,
            lambda said: said == [_OK] * _ANSWERS,
            what="the gate to lead to the service's pods, and to nothing else",
            timeout=_LED,
            interval=_POLL,
        )
        wait_until(
            lambda: self._environment.instances,
            self._has_seen,
            what="the service's pods, and no others, as targets",
            timeout=timedelta(seconds=30),
            interval=_POLL,
        )
        self._environment.accept_restarts()

    def _gate_answers(self) -> list[int | str]:
        found: list[int | str] = []
        while len(found) < _ANSWERS and found[-1:] in ([], [_OK]):
            found.append(answer(self.gate_url + self.part.ready))
        return found

    def _await_ready(self, look: Callable[[], str]) -> None:
        try:
            wait_until(look, lambda state: state == "", what="the service's rollout to be complete",
                       timeout=_ROLLED_OUT, interval=_POLL)  # fmt: skip
        except DeadlineError as error:
            raise DeadlineError(
                error.headline, **error.details, pods=", ".join(pod.name for pod in self.now)
            ) from error

    def _state(self) -> str:
        """Return what is missing until the rollout is complete; empty once it is."""
        workload = self._environment.cluster.workload(self._environment.namespace, self.part.kind, self.part.workload)
        pods = self.now
        return missing_of(workload, pods)

    def _hurried_state(self) -> str:
        for pod in self.now:
            if pod.metadata.deletion_timestamp is not None:
                self._environment.cluster.delete_pod(self._environment.namespace, pod.name, grace=0)
        return self._state()

    def _change(self, body: Mapping[str, object]) -> None:
        if self._before is None:
            self._before = self._environment.cluster.api.get(self._path, _RawWorkload).spec
        # While pods come and go, what leads to all leads to ready ones only: one that is gone answers nothing.
        self._lead_observer(by_readiness=True)
        self._patch(body, _STRATEGIC)

    def _lead_observer(self, *, by_readiness: bool) -> None:
        if self._is_led_by_readiness == by_readiness:
            return
        path = f"/api/v1/namespaces/{self._environment.namespace}/services/{OBSERVER}"
        self._environment.cluster.api.patch(path, {"spec": {"publishNotReadyAddresses": not by_readiness}})
        self._is_led_by_readiness = by_readiness

    @property
    def _path(self) -> str:
        part = self.part
        return f"/apis/apps/v1/namespaces/{self._environment.namespace}/{part.kind.lower()}s/{part.workload}"

    def _patch(self, body: object, content_type: str) -> None:
        # A patch in this form is a list, which the API takes as it takes an object.
        self._environment.cluster.api.patch(self._path, body, content_type)  # type: ignore[arg-type]

    def _wish(self) -> WishfulWorkload:
        return self._environment.cluster.api.get(self._path, WishfulWorkload)


def _annotated(name: str) -> Mapping[str, object]:
    at = {f"sloproof/{name}-rolled-at": datetime.now(UTC).isoformat()}
    return {"spec": {"template": {"metadata": {"annotations": at}}}}
