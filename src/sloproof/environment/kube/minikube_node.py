"""A Minikube profile's node as its own API server describes it: an answer that does not come from minikube."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sloproof.environment.kube.api import KubeApi
from sloproof.environment.kube.cluster import Cluster
from sloproof.environment.kube.minikube_wish import OWNER_LABEL
from sloproof.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node.

    Attributes:
        owner: The mark it carries; empty where it carries none.
        ip: Its address in the cluster.
        kubelet: Version of Kubernetes on it, such as `v1.33.1`.
        runtime: Container runtime and version, such as `containerd://1.7.27`.
    """

    owner: str
    ip: str
    kubelet: str
    runtime: str


def node_facts(kubeconfig: Path, context: str) -> NodeFacts:
    """Return what the API server that a kubeconfig file leads to says of its first node.

    Raises:
        UnavailableError: It does not answer, or knows of no node.
        QueryError: It refuses.
        SettingsError: There is no such file or context.
    """
    nodes = Cluster(KubeApi(kubeconfig, context)).nodes()
    if not nodes:
        raise UnavailableError("expected a node in the Minikube cluster, but its API server knows of none")
    node = nodes[0]
    info = node.status.node_info
    return NodeFacts(
        owner=node.metadata.labels.get(OWNER_LABEL, ""),
        ip=node.internal_ip,
        kubelet=info.kubelet_version,
        runtime=info.container_runtime_version,
    )
