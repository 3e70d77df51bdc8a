"""What is asked of an environment in a cluster, beyond what is asked of any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# What scenarios may do on it; said here, where it costs nothing to know.
CAPABILITIES = frozenset({"faults", "kubernetes", "stopping"})


@dataclass(frozen=True, slots=True)
class HeldProfile:
    """A Minikube profile that a run's controller has brought up and keeps for its workers.

    Attributes:
        node_ip: Of its control plane.
    """

    node_ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterWish:
    """Which cluster, and how images get there.

    Attributes:
        kubeconfig: File that describes the cluster; None for the usual places.
        context: The context that was named; None where none was.
        node_host: Host by which NodePorts are reached; empty for the first node's own address.
        profile: Name of the Minikube profile.
        minikube: The command that is Minikube.
        minikube_args: Further arguments of `minikube start`.
        image_build: Command that builds an image; `{tag}`, `{dockerfile}` and `{context}` are filled in.
        image_load: Command that brings an archive's image to the cluster's nodes; `{archive}` and `{tag}` are filled
            in. Empty where nodes can pull it, or where Minikube loads it.
        base_image: Of the service's image and the load workers'; empty for the Dockerfile's own.
        tool_images: `published` takes the images that the projects publish, `tools` packs the programs of the tool
            cache, where no registry can be reached.
        load_workers: So many pods drive the load from inside the cluster; 0 drives it from here.
        stack: The monitoring stack; empty for the one that the settings name.
        keep: Leave everything as it is at the end.
        reuse: Bring what is there up to date, instead of beginning with nothing.
        held: The profile that a worker finds up; None to bring it up.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    node_host: str = ""
    profile: str = "sloproof"
    minikube: tuple[str, ...] = ("minikube",)
    minikube_args: tuple[str, ...] = ()
    image_build: tuple[str, ...] = ()
    image_load: tuple[str, ...] = ()
    base_image: str = ""
    tool_images: Literal["published", "tools"] = "published"
    load_workers: int = 0
    stack: str = ""
    keep: bool = False
    reuse: bool = False
    held: HeldProfile | None = None
