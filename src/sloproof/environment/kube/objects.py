"""What is read of Kubernetes objects: only the fields that are used, in the names of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """An object's metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """A list's metadata."""

    resource_version: str = ""


class Waiting(msgspec.Struct, frozen=True):
    """A container that does not run yet, or not again."""

    reason: str = ""
    message: str = ""


class Running(msgspec.Struct, frozen=True, rename="camel"):
    """A container that runs."""

    started_at: datetime | None = None


class Terminated(msgspec.Struct, frozen=True, rename="camel"):
    """A container that has ended."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    finished_at: datetime | None = None


class ContainerState(msgspec.Struct, frozen=True):
    """Exactly one of the three is there."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A container as the node sees it."""

    name: str
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    image: str = ""


class Condition(msgspec.Struct, frozen=True):
    """A condition of a pod, a node or a workload; `status` is `True`, `False` or `Unknown`."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A pod's state."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    host_ip: str = msgspec.field(default="", name="hostIP")
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: list[Condition] = []
    container_statuses: list[ContainerStatus] = []
    init_container_statuses: list[ContainerStatus] = []


class Container(msgspec.Struct, frozen=True):
    """What of a container's wish is used."""

    name: str
    image: str = ""


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    """What of a pod's wish is used."""

    node_name: str = ""
    containers: list[Container] = []


class Pod(msgspec.Struct, frozen=True):
    """A pod."""

    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def name(self) -> str:
        """Return its name."""
        return self.metadata.name

    @property
    def is_ready(self) -> bool:
        """Return whether it may get traffic and is not on its way out."""
        ready = any(one.type == "Ready" and one.status == "True" for one in self.status.conditions)
        return ready and self.metadata.deletion_timestamp is None

    @property
    def restarts(self) -> int:
        """Return how often its containers were started again."""
        return sum(one.restart_count for one in self.status.container_statuses)


class Bookmark(msgspec.Struct, frozen=True):
    """What a watch's bookmark carries: an object with nothing in it but the version of the collection."""

    metadata: Meta


class PodList(msgspec.Struct, frozen=True):
    """Pods, and the version of the collection."""

    metadata: ListMeta
    items: list[Pod]


class Selector(msgspec.Struct, frozen=True, rename="camel"):
    """Which pods are a workload's."""

    match_labels: dict[str, str] = {}


class WorkloadSpec(msgspec.Struct, frozen=True):
    """What is wished of a workload."""

    replicas: int = 1
    selector: Selector = Selector()


class WorkloadStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A Deployment's, StatefulSet's or DaemonSet's state; the last has names of its own."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    desired_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    conditions: list[Condition] = []


class Workload(msgspec.Struct, frozen=True):
    """A Deployment, StatefulSet or DaemonSet."""

    metadata: Meta
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()


class WorkloadList(msgspec.Struct, frozen=True):
    """Workloads of one kind."""

    metadata: ListMeta
    items: list[Workload]


class NodeAddress(msgspec.Struct, frozen=True):
    """An address of a node."""

    type: str
    address: str


class NodeInfo(msgspec.Struct, frozen=True, rename="camel"):
    """What a node runs."""

    container_runtime_version: str = ""
    kubelet_version: str = ""


class NodeStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A node's state."""

    addresses: list[NodeAddress] = []
    node_info: NodeInfo = NodeInfo()
    conditions: list[Condition] = []


class Node(msgspec.Struct, frozen=True):
    """A node."""

    metadata: Meta
    status: NodeStatus = NodeStatus()

    @property
    def internal_ip(self) -> str:
        """Return the address that the cluster knows it by; empty where it has none."""
        return next((one.address for one in self.status.addresses if one.type == "InternalIP"), "")


class NodeList(msgspec.Struct, frozen=True):
    """The cluster's nodes."""

    items: list[Node]


class Namespace(msgspec.Struct, frozen=True):
    """A namespace."""

    metadata: Meta


class NamespaceList(msgspec.Struct, frozen=True):
    """Namespaces."""

    items: list[Namespace]


class ServicePort(msgspec.Struct, frozen=True, rename="camel"):
    """A port of a Service."""

    port: int
    name: str = ""
    node_port: int = 0


class ServiceSpec(msgspec.Struct, frozen=True, rename="camel"):
    """What of a Service's wish is used."""

    ports: list[ServicePort] = []
    type: str = "ClusterIP"


class Service(msgspec.Struct, frozen=True):
    """A Service."""

    metadata: Meta
    spec: ServiceSpec = ServiceSpec()


class EndpointConditions(msgspec.Struct, frozen=True):
    """Whether an endpoint gets traffic: `ready`; None is taken for true, as the API says."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class TargetRef(msgspec.Struct, frozen=True):
    """The pod behind an endpoint."""

    name: str = ""


class Endpoint(msgspec.Struct, frozen=True, rename="camel"):
    """One endpoint of a slice."""

    addresses: list[str] = []
    conditions: EndpointConditions = EndpointConditions()
    target_ref: TargetRef | None = None


class EndpointSlice(msgspec.Struct, frozen=True):
    """Part of a Service's endpoints."""

    metadata: Meta
    endpoints: list[Endpoint] | None = None


class EndpointSliceList(msgspec.Struct, frozen=True):
    """A Service's endpoints."""

    metadata: ListMeta
    items: list[EndpointSlice]


class InvolvedObject(msgspec.Struct, frozen=True):
    """What an event is about."""

    kind: str = ""
    name: str = ""


class EventSeries(msgspec.Struct, frozen=True, rename="camel"):
    """How often an event came again."""

    count: int = 0
    last_observed_time: datetime | None = None


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """Something that the cluster noted."""

    metadata: Meta
    involved_object: InvolvedObject = InvolvedObject()
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    event_time: datetime | None = None
    last_timestamp: datetime | None = None
    series: EventSeries | None = None

    @property
    def time(self) -> datetime | None:
        """Return when it last came."""
        last = self.series.last_observed_time if self.series else None
        return last or self.last_timestamp or self.event_time or self.metadata.creation_timestamp


class EventList(msgspec.Struct, frozen=True):
    """Events."""

    items: list[Event]


class Version(msgspec.Struct, frozen=True, rename="camel"):
    """The API server's version."""

    git_version: str = ""


Manifest = dict[str, Any]
