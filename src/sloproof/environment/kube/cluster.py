"""A cluster as sloproof uses it: namespaces that are ours, pods, workloads, endpoints, events, logs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

from sloproof.environment.kube.api import GoneError, KubeApi
from sloproof.environment.kube.objects import (
    Endpoint,
    EndpointSliceList,
    Event,
    EventList,
    Namespace,
    NamespaceList,
    Node,
    NodeList,
    Pod,
    PodList,
    Service,
    Version,
    Workload,
    WorkloadList,
)
from sloproof.errors import DeadlineError, EnvironmentStartError, QueryError, SloproofError, UnavailableError

T = TypeVar("T")
# Who made an object, and for which run: nothing without the first is ever deleted.
MADE_BY = {"app.kubernetes.io/managed-by": "sloproof"}
RUN_LABEL = "sloproof/run"
# What a pod says when waiting longer is no use, or is not likely to be.
HOPELESS = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
_KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
_WATCH_SECONDS = 20
_NOT_FOUND, _CONFLICT = 404, 409
_LEAST_TURN = 0.05


class Cluster:
    """A cluster behind its API."""

    def __init__(self, api: KubeApi) -> None:
        self.api = api

    # The cluster

    def version(self) -> str:
        """Return the API server's version, such as `v1.33.1`."""
        return self.api.get("/version", Version).git_version

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes."""
        return tuple(self.api.get("/api/v1/nodes", NodeList).items)

    def runtime(self) -> str:
        """Return `containerd`, `docker` or `cri-o`: what writes the pods' logs on the nodes.

        Raises:
            EnvironmentStartError: The nodes do not agree.
        """
        found = {node.status.node_info.container_runtime_version.partition(":")[0] for node in self.nodes()}
        if len(found) != 1:
            raise EnvironmentStartError(
                f"expected one container runtime on all nodes, found {', '.join(sorted(found)) or 'no nodes'}",
                hint="the log shipper is set up for the line format of one runtime",
            )
        return found.pop()

    # Namespaces

    def find_namespace(self, name: str) -> Namespace | None:
        """Return a namespace; None where there is none of that name."""
        return self.api.find(f"/api/v1/namespaces/{name}", Namespace)

    def claim_namespace(self, name: str, run_id: str) -> None:
        """Make a namespace that is ours, or take over one that is; one on its way out is awaited first.

        Raises:
            EnvironmentStartError: There is one of that name which sloproof has not made.
            DeadlineError: One on its way out is not gone in time.
        """
        path = f"/api/v1/namespaces/{name}"
        labels = {**MADE_BY, RUN_LABEL: run_id}
        there = self.api.find(path, Namespace)
        if there is not None and there.metadata.deletion_timestamp is not None:
            self._await_gone(there)
            there = None
        if there is None:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            try:
                self.api.create("/api/v1/namespaces", body)
            except QueryError as error:
                if error.status != _CONFLICT:
                    raise
                self.claim_namespace(name, run_id)
        elif not self.is_ours(there):
            raise EnvironmentStartError(
                f"expected the namespace {name} to be free or made by sloproof, but it is somebody else's",
                labels=", ".join(f"{key}={text}" for key, text in there.metadata.labels.items()) or "none",
                context=self.api.context,
                hint="name another one in tool.sloproof.service.namespace",
            )
        else:
            self.api.patch(path, {"metadata": {"labels": labels}})

    def own_namespaces(self) -> tuple[str, ...]:
        """Return the names of all namespaces that sloproof has made."""
        selector = ",".join(f"{key}={text}" for key, text in MADE_BY.items())
        found = self.api.get("/api/v1/namespaces", NamespaceList, labelSelector=selector).items
        return tuple(one.metadata.name for one in found)

    @staticmethod
    def is_ours(namespace: Namespace) -> bool:
        """Return whether sloproof has made a namespace."""
        return all(namespace.metadata.labels.get(key) == text for key, text in MADE_BY.items())

    def delete_namespace(self, name: str, timeout: timedelta = timedelta(seconds=90)) -> None:
        """Delete a namespace of ours with all that is in it, and wait until it is gone; none is fine.

        Raises:
            EnvironmentStartError: It is somebody else's.
            DeadlineError: It is not gone in time; carries what holds it.
        """
        path = f"/api/v1/namespaces/{name}"
        there = self.api.find(path, Namespace)
        if there is None:
            return
        if not self.is_ours(there):
            raise EnvironmentStartError(f"expected to delete a namespace of sloproof's own, but {name} is not")
        try:
            # By its own identity: one of the same name that somebody made in the meantime is left alone.
            self.api.request("DELETE", path, body={"preconditions": {"uid": there.metadata.uid}})
        except QueryError as error:
            # It went meanwhile, it is on its way, or it is another one now: looking again tells.
            if error.status not in (_NOT_FOUND, _CONFLICT):
                raise
        self._await_gone(there, timeout)

    def _await_gone(self, namespace: Namespace, timeout: timedelta = timedelta(seconds=90)) -> None:
        """Return once that very namespace is gone, whether or not there is another of its name."""
        meta, silence = namespace.metadata, ""
        seconds = timeout.total_seconds()
        end = time.monotonic() + seconds
        while True:
            try:
                there = self.find_namespace(meta.name)
                if there is None or there.metadata.uid != meta.uid:
                    return
                meta, silence = there.metadata, ""
            except UnavailableError as error:
                silence = error.headline
            if time.monotonic() > end:
                raise DeadlineError(
                    f"expected the namespace {meta.name} to be gone within {seconds:g} s, but it is there",
                    deleted_at=meta.deletion_timestamp or "never",
                    last_error=silence,
                    hint=f"kubectl get all,events -n {meta.name} --context {self.api.context} shows what holds it",
                )
            time.sleep(_LEAST_TURN * 4)

    # Pods

    def pods(self, namespace: str, selector: str = "") -> tuple[Pod, ...]:
        """Return a namespace's pods, by name."""
        return tuple(sorted(self._pod_list(namespace, selector).items, key=lambda pod: pod.name))

    def _pod_list(self, namespace: str, selector: str) -> PodList:
        query = {"labelSelector": selector} if selector else {}
        return self.api.get(f"/api/v1/namespaces/{namespace}/pods", PodList, **query)

    def await_pods(
        self,
        namespace: str,
        selector: str,
        satisfied: Callable[[Sequence[Pod]], bool],
        *,
        what: str,
        timeout: timedelta,
        check: Callable[[Sequence[Pod]], None] = lambda _: None,
    ) -> tuple[Pod, ...]:
        """Return the pods as soon as they satisfy: looked at at once, and again whenever one changes.

        Args:
            namespace: Where.
            selector: Which.
            satisfied: Judges all of them.
            what: What is waited for, for the error.
            timeout: How long at most.
            check: Called on each look; raises to end the wait.

        Raises:
            DeadlineError: They did not satisfy in time; carries their states.
        """
        end = time.monotonic() + timeout.total_seconds()
        path = f"/api/v1/namespaces/{namespace}/pods"
        pods: tuple[Pod, ...] = ()
        silence = ""
        while True:
            try:
                found = self._pod_list(namespace, selector)
                pods, silence = tuple(sorted(found.items, key=lambda pod: pod.name)), ""
                check(pods)
                if satisfied(pods):
                    return pods
                rest = end - time.monotonic()
                if rest <= 0:
                    break
                self._await_change(path, selector, found.metadata.resource_version, rest)
            except (GoneError, UnavailableError) as error:
                silence = error.headline
                if time.monotonic() > end:
                    break
                time.sleep(_LEAST_TURN)
        events: tuple[Event, ...] = ()
        with contextlib.suppress(SloproofError):  # not being told why does not change that it did not come
            events = self.events(namespace)[-8:]
        raise DeadlineError(
            f"expected {what} within {timeout.total_seconds():g} s, but it did not come",
            pods="\n".join(map(pod_text, pods)) or "none",
            last_error=silence,
            events="\n".join(map(event_text, events)),
            context=self.api.context,
        )

    def _await_change(self, path: str, selector: str, version: str, rest: float) -> None:
        """Return when something changed after a version, or it is time to look anyway."""
        seconds = max(1, min(_WATCH_SECONDS, int(rest) + 1))
        query = {"labelSelector": selector} if selector else {}
        stream = self.api.watch(path, version=version, seconds=seconds, **query)
        for event in stream:
            if event.type != "BOOKMARK":
                return

    def delete_pod(self, namespace: str, name: str, *, grace: int | None = None) -> bool:
        """Delete a pod, and return whether there was one; `grace` is in seconds, 0 kills it at once."""
        query = {} if grace is None else {"gracePeriodSeconds": str(grace)}
        return self.api.delete(f"/api/v1/namespaces/{namespace}/pods/{name}", **query)

    def pod_log(
        self, namespace: str, pod: str, container: str = "", *, lines: int = 20, previous: bool = False
    ) -> tuple[str, ...]:
        """Return the end of a container's log, oldest first; empty where there is none."""
        query = {"tailLines": str(lines), "previous": str(previous).lower()}
        if container:
            query["container"] = container
        try:
            data = self.api.request("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/log", query=query)
        except QueryError:  # it has not started yet, or there was none before
            return ()
        # Broken as bytes: what else Unicode takes for the end of a line is part of one.
        return tuple(line.decode(errors="replace") for line in data.splitlines())

    # Workloads

    def workload(self, namespace: str, kind: str, name: str) -> Workload | None:
        """Return a Deployment, StatefulSet or DaemonSet; None where there is none of that name."""
        return self.api.find(self._workload_path(namespace, kind, name), Workload)

    def workloads(self, namespace: str, kind: str) -> tuple[Workload, ...]:
        """Return a namespace's workloads of one kind."""
        return tuple(self.api.get(f"/apis/apps/v1/namespaces/{namespace}/{_KINDS[kind]}", WorkloadList).items)

    def patch_workload(self, namespace: str, kind: str, name: str, body: Mapping[str, object]) -> None:
        """Change part of a workload."""
        self.api.patch(self._workload_path(namespace, kind, name), body)

    @staticmethod
    def _workload_path(namespace: str, kind: str, name: str) -> str:
        return f"/apis/apps/v1/namespaces/{namespace}/{_KINDS[kind]}/{name}"

    # Services

    def apply_service(self, namespace: str, manifest: Mapping[str, object], name: str) -> Service:
        """Make a Service so, and return it as it is."""
        path = f"/api/v1/namespaces/{namespace}/services/{name}"
        self.api.apply(path, manifest)
        return self.api.get(path, Service)

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a Service; None where there is none."""
        return self.api.find(f"/api/v1/namespaces/{namespace}/services/{name}", Service)

    def endpoints(self, namespace: str, service: str) -> tuple[Endpoint, ...]:
        """Return a Service's endpoints, over its slices."""
        found = self.api.get(
            f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
            EndpointSliceList,
            labelSelector=f"kubernetes.io/service-name={service}",
        )
        return tuple(one for each in found.items for one in each.endpoints or ())

    # Events

    def events(self, namespace: str) -> tuple[Event, ...]:
        """Return what the cluster noted in a namespace, oldest first."""
        found = self.api.get(f"/api/v1/namespaces/{namespace}/events", EventList).items
        return tuple(sorted(found, key=lambda one: one.time.timestamp() if one.time else 0.0))


def pod_text(pod: Pod) -> str:
    """Return a pod's state in one line: why it is not ready, or that it is."""
    if pod.is_ready:
        state = "ready"
    elif pod.metadata.deletion_timestamp is not None:
        state = "terminating"
    else:
        state = trouble_of(pod) or pod.status.phase or "unknown"
    times = "once" if pod.restarts == 1 else f"{pod.restarts} times"
    restarts = f", restarted {times}" if pod.restarts else ""
    return " ".join(f"{pod.name}: {state}{restarts}".split())


def trouble_of(pod: Pod) -> str:
    """Return the reason for which a pod is not ready, as the cluster words it; empty where it gives none."""
    for one in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waiting, ended = one.state.waiting, one.state.terminated or one.last_state.terminated
        last = f" (last ended: {ended.reason or 'ended'}, exit code {ended.exit_code})" if ended else ""
        if waiting is not None and waiting.reason not in ("", "ContainerCreating", "PodInitializing"):
            return f"{waiting.reason}: {waiting.message or one.image}{last}"
        now = one.state.terminated
        # A container that prepares the others has to end; only how it ends can be what is wrong.
        if now is not None and (now.exit_code or one not in pod.status.init_container_statuses):
            return f"{now.reason or 'ended'}, exit code {now.exit_code}"
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"{condition.reason}: {condition.message}"
    return f"{pod.status.reason}: {pod.status.message}" if pod.status.reason else ""


def hopeless(pods: Sequence[Pod]) -> Pod | None:
    """Return a pod that will not get ready by waiting: its image cannot be had, it crashes, it fits on no node.

    One on its way out need not get ready, whatever is wrong with it.
    """
    for pod in pods:
        if pod.metadata.deletion_timestamp is not None:
            continue
        for one in (*pod.status.init_container_statuses, *pod.status.container_statuses):
            if one.state.waiting is not None and one.state.waiting.reason in HOPELESS:
                return pod
        for condition in pod.status.conditions:
            if condition.type == "PodScheduled" and condition.reason == "Unschedulable":
                return pod
    return None


def event_text(event: Event) -> str:
    """Return an event in one line."""
    when = f"{event.time:%H:%M:%S}" if event.time else "--:--:--"
    about = f"{event.involved_object.kind}/{event.involved_object.name}"
    return " ".join(f"{when} {event.type} {event.reason} {about}: {event.message}".split())
