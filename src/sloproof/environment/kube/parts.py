"""The components of an environment in a cluster: which workload each is, and what its pods say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sloproof.environment.base import ComponentStatus
from sloproof.environment.kube.objects import Pod, Terminated, Workload

Kind = Literal["Deployment", "StatefulSet", "DaemonSet"]


@dataclass(frozen=True, slots=True)
class Part:
    """One component.

    Attributes:
        name: Its name in the environment, such as `prometheus`.
        kind: Of its workload.
        workload: The workload's name.
        labels: What its pods carry, and no others'.
        container: Whose log and state are its own, where its pods have several.
        service: The Service that it answers by; empty where it is not asked.
        port: The Service's port.
        ready: Path that answers 200 once it is ready.
    """

    name: str
    kind: Kind
    workload: str
    labels: Mapping[str, str] = field(default_factory=dict)
    container: str = ""
    service: str = ""
    port: int = 0
    ready: str = ""

    def pods(self, pods: Iterable[Pod]) -> tuple[Pod, ...]:
        """Return those pods that are its own, the newest last."""
        own = [pod for pod in pods if self.labels.items() <= pod.metadata.labels.items()]
        return tuple(sorted(own, key=lambda pod: (str(pod.metadata.creation_timestamp), pod.name)))

    def newest(self, pods: Iterable[Pod]) -> tuple[Pod, ...]:
        """Return those of its own pods that are of the last revision; those of an older one are on their way out."""
        own = self.pods(pods)
        return tuple(pod for pod in own if _revision(pod) == _revision(own[-1]))

    def restarts(self, pods: Iterable[Pod]) -> int:
        """Return how often its containers were started again, over the pods that there are."""
        return sum(pod.restarts for pod in self.pods(pods))

    def end(self, pods: Sequence[Pod]) -> Terminated | None:
        """Return how its container ended last, if it did."""
        for pod in reversed(self.pods(pods)):
            for one in pod.status.container_statuses:
                if self.container in ("", one.name) and (ended := one.state.terminated or one.last_state.terminated):
                    return ended
        return None

    def status(self, pods: Sequence[Pod], *, is_stopped: bool) -> ComponentStatus:
        """Return how it is doing."""
        own = self.pods(pods)
        state: Literal["running", "stopped", "exited"] = "running"
        ended = self.end(pods)
        if is_stopped:
            state = "stopped"
        elif not any(pod.is_ready for pod in own):
            state = "exited"
        return ComponentStatus(
            name=self.name,
            state=state,
            pid=None,
            exit_status=ended.exit_code if ended is not None and state == "exited" else None,
            restarts=self.restarts(pods),
        )


def _revision(pod: Pod) -> str:
    labels = pod.metadata.labels
    return labels.get("pod-template-hash") or labels.get("controller-revision-hash", "")


def missing_of(workload: Workload | None, pods: Sequence[Pod]) -> str:
    """Return what is missing until a workload's rollout is complete; empty once its pods are what is wished for.

    Args:
        workload: As it is now; None where there is none.
        pods: Its own, those on their way out included.
    """
    if workload is None:
        return "there is no such workload"
    status = workload.status
    if status.observed_generation < workload.metadata.generation:
        return "the change is not seen yet"
    is_on_each_node = bool(status.desired_number_scheduled)
    wanted = status.desired_number_scheduled if is_on_each_node else workload.spec.replicas
    new = status.updated_number_scheduled if is_on_each_node else status.updated_replicas
    available = status.number_available if is_on_each_node else status.available_replicas
    there = wanted if is_on_each_node else status.replicas
    if not new == available == there == wanted:
        return f"{new} new and {available} available of {wanted}"
    going = [pod.name for pod in pods if pod.metadata.deletion_timestamp is not None]
    if going:
        return f"{', '.join(going)} on the way out"
    ready = [pod for pod in pods if pod.is_ready]
    return "" if len(ready) == len(pods) == wanted else f"{len(ready)} ready of {len(pods)}"
