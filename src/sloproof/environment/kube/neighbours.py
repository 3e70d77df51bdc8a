"""Pods that a scenario starts beside the stack, and what the pods of a namespace ask for and use of a node's memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import msgspec

from sloproof.environment.kube.cluster import MADE_BY, Cluster
from sloproof.environment.kube.kubectl import Kubectl
from sloproof.environment.kube.objects import Pod, Terminated
from sloproof.environment.kube.pod_wish import RankedPod, RankedPodList

_STATS = "/api/v1/nodes/{node}/proxy/stats/summary"
_LIMIT = timedelta(seconds=60)


class _Memory(msgspec.Struct, frozen=True, rename="camel"):
    working_set_bytes: int = 0


class _PodRef(msgspec.Struct, frozen=True):
    name: str
    namespace: str


class _PodStats(msgspec.Struct, frozen=True, rename="camel"):
    pod_ref: _PodRef
    memory: _Memory = _Memory()


class _Stats(msgspec.Struct, frozen=True):
    pods: list[_PodStats]


class Neighbours:
    """Pods of a scenario's own in the stack's namespace.

    Args:
        cluster: The cluster.
        kubectl: The way into its pods.
        namespace: The stack's.
    """

    def __init__(self, cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
        self._cluster = cluster
        self._kubectl = kubectl
        self._namespace = namespace
        self._names: list[str] = []

    def start(self, name: str, image: str, command: Sequence[str]) -> None:
        """Start a pod that asks for no memory and may have all, and return once it runs."""
        self._create(name, image, command, {})
        self._await(name, lambda pod: pod.is_ready)

    def end_of(self, name: str, image: str, command: Sequence[str], memory: str) -> Terminated:
        """Run a pod within so much memory, such as `32Mi`, and return how it ended."""
        self._create(name, image, command, {"requests": {"memory": memory}, "limits": {"memory": memory}})
        ended = _end_of(self._await(name, lambda pod: _end_of(pod) is not None))
        assert ended is not None
        return ended

    def ranked(self) -> tuple[Sequence[RankedPod], Mapping[str, int]]:
        """Return the namespace's pods with what decides on evictions, and the memory of each in bytes, by name."""
        pods = self._cluster.api.get(f"/api/v1/namespaces/{self._namespace}/pods", RankedPodList).items
        used = {
            one.pod_ref.name: one.memory.working_set_bytes
            for node in self._cluster.nodes()
            for one in self._cluster.api.get(_STATS.format(node=node.metadata.name), _Stats).pods
            if one.pod_ref.namespace == self._namespace
        }
        return pods, used

    def oom_score(self, pod: str) -> int:
        """Return how readily the kernel ends a pod's first process when the node has no memory left."""
        said = self._kubectl.run("exec", "-n", self._namespace, pod, "--", "cat", "/proc/1/oom_score_adj")
        return int(said)

    def remove(self) -> None:
        """Delete those that were started; safe to call at any time."""
        while self._names:
            self._cluster.delete_pod(self._namespace, self._names[-1], grace=0)
            self._names.pop()

    def _create(self, name: str, image: str, command: Sequence[str], resources: Mapping[str, object]) -> None:
        self._names.append(name)
        container = {
            "name": name,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": list(command),
            "resources": resources,
        }
        spec = {
            "containers": [container],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
        }
        meta = {"name": name, "labels": {**MADE_BY, "app.kubernetes.io/name": name}}
        self._cluster.api.create(
            f"/api/v1/namespaces/{self._namespace}/pods",
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec},
        )

    def _await(self, name: str, satisfied: Callable[[Pod], bool]) -> Pod:
        (pod,) = self._cluster.await_pods(
            self._namespace,
            f"app.kubernetes.io/name={name}",
            lambda pods: any(map(satisfied, pods)),
            what=f"the pod {name}",
            timeout=_LIMIT,
        )
        return pod


def _end_of(pod: Pod) -> Terminated | None:
    return next((one.state.terminated for one in pod.status.container_statuses), None)
