"""What an environment in a cluster is given: the ways into the cluster, and what is to stand in its namespace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sloproof.environment.kube.kubectl import Kubectl
from sloproof.environment.kube.parts import Part


@dataclass(frozen=True, slots=True)
class Access:
    """The ways into a cluster.

    Attributes:
        kubeconfig: File that describes it.
        context: The context in it.
        kubectl: The program, bound to both.
        node_host: Host by which NodePorts are reached; empty for the first node's own address.
    """

    kubeconfig: Path
    context: str
    kubectl: Kubectl
    node_host: str = ""


class Installation(Protocol):
    """What stands in the namespace.

    Attributes:
        faults_token: Bearer token of the service's fault switch, once it is installed; empty where it has none.
    """

    faults_token: str

    def install(self) -> Sequence[Part]:
        """Bring images and releases there, and return the components; what is there already is brought up to date."""

    def uninstall(self) -> None:
        """Take the releases away, with what they made outside of the namespace."""

    def load_command(self, process: int) -> tuple[str, ...] | None:
        """Return the command of a load process in the cluster; None where the load is driven from here."""
