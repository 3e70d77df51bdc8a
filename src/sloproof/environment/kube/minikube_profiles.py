"""Minikube's own answers about profiles and images, read by what is used of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from sloproof.errors import UnavailableError

T = TypeVar("T")


class _Option(msgspec.Struct, frozen=True, rename="pascal"):
    component: str = ""
    key: str = ""
    value: str = ""


class _Node(msgspec.Struct, frozen=True):
    ip: str = msgspec.field(name="IP", default="")


class _KubernetesConfig(msgspec.Struct, frozen=True):
    version: str = msgspec.field(name="KubernetesVersion", default="")
    runtime: str = msgspec.field(name="ContainerRuntime", default="")
    options: list[_Option] | None = msgspec.field(name="ExtraOptions", default=None)


class ProfileConfig(msgspec.Struct, frozen=True):
    """What a profile was made as.

    Attributes:
        driver: Such as `docker`.
        cpus: How many.
        memory: In MiB.
        kubernetes: Version, runtime, and options of its components.
        nodes: One or more, the control plane first.
    """

    driver: str = msgspec.field(name="Driver", default="")
    cpus: int = msgspec.field(name="CPUs", default=0)
    memory: int = msgspec.field(name="Memory", default=0)
    kubernetes: _KubernetesConfig = msgspec.field(name="KubernetesConfig", default=_KubernetesConfig())
    nodes: list[_Node] = msgspec.field(name="Nodes", default=[])

    @property
    def runtime(self) -> str:
        """Return the container runtime's name."""
        return self.kubernetes.runtime

    @property
    def node_ip(self) -> str:
        """Return the control plane's address; empty where it has none yet."""
        return self.nodes[0].ip if self.nodes else ""

    def node_label(self, label: str) -> str:
        """Return the value of a label that the profile's nodes are made with; empty where they are not."""
        for option in self.kubernetes.options or ():
            if (option.component, option.key) == ("kubelet", "node-labels"):
                for pair in option.value.split(","):
                    name, _, value = pair.partition("=")
                    if name == label:
                        return value
        return ""


class Profile(msgspec.Struct, frozen=True):
    """A profile that minikube lists.

    Attributes:
        name: Its name.
        config: What it was made as; None where only traces of it are left, or its container belongs to another home.
        status: What minikube thinks of it, such as `OK` or `Stopped`.
    """

    name: str = msgspec.field(name="Name")
    config: ProfileConfig | None = msgspec.field(name="Config", default=None)
    status: str = msgspec.field(name="Status", default="")


class _ProfileList(msgspec.Struct, frozen=True):
    valid: list[Profile] = []
    invalid: list[Profile] = []
    error: object = None


@dataclass(frozen=True, slots=True)
class Profiles:
    """All profiles that minikube knows: whole ones, and those that a failed start or a foreign home left."""

    valid: tuple[Profile, ...]
    invalid: tuple[Profile, ...]

    def find(self, name: str) -> Profile | None:
        """Return the profile of a name, whole or not; None where there is none."""
        return next((one for one in (*self.valid, *self.invalid) if one.name == name), None)


class ProfileStatus(msgspec.Struct, frozen=True, rename="pascal"):
    """The state of a node, in minikube's words, such as `Running`, `Stopped`, `Paused`, `Nonexistent`."""

    host: str = ""
    kubelet: str = ""
    api_server: str = msgspec.field(name="APIServer", default="")
    kubeconfig: str = ""

    @property
    def is_running(self) -> bool:
        """Return whether all of it runs."""
        return {self.host, self.kubelet} == {"Running"} and self.api_server in {"Running", "Irrelevant"}

    @property
    def is_reachable(self) -> bool:
        """Return whether the kubeconfig file leads to it."""
        return self.kubeconfig in {"Configured", "Irrelevant"}

    def text(self) -> str:
        """Return it in one line."""
        return f"host {self.host}, kubelet {self.kubelet}, API server {self.api_server}, kubeconfig {self.kubeconfig}"


class _Image(msgspec.Struct, frozen=True, rename="camel"):
    id: str = ""
    repo_tags: list[str] | None = None


def read_profiles(answer: str) -> Profiles:
    """Return what `profile list` answered.

    Raises:
        UnavailableError: It is not that.
    """
    found = _read(answer, _ProfileList, "profile list")
    if found.error:
        raise UnavailableError("expected minikube's list of profiles, but it could not make one", seen=found.error)
    return Profiles(tuple(found.valid), tuple(found.invalid))


def read_status(answer: str) -> ProfileStatus:
    """Return what `status` answered: of several nodes the one that is worst off.

    Raises:
        UnavailableError: It is not that.
    """
    if not answer.lstrip().startswith("["):
        return _read(answer, ProfileStatus, "status")
    nodes = _read(answer, list[ProfileStatus], "status")
    if not nodes:
        raise UnavailableError("expected the state of a node, but minikube knows of none", kind="protocol")
    return min(nodes, key=lambda one: (one.is_running, one.is_reachable))


def read_images(answer: str) -> dict[str, str]:
    """Return the images that `image ls` answered: full tag to id, such as `sha256:...`.

    Raises:
        UnavailableError: It is not that.
    """
    images = _read(answer, list[_Image] | None, "image ls") or ()  # type: ignore[arg-type]
    return {full_tag(tag): _full_id(image.id) for image in images for tag in image.repo_tags or ()}


def full_tag(tag: str) -> str:
    """Return a tag with registry and version, as runtimes list it: `app` is `docker.io/library/app:latest`."""
    name, _, version = tag.rpartition(":") if ":" in tag.rsplit("/", 1)[-1] else (tag, "", "")
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    return f"{name}:{version or 'latest'}"


def _full_id(identity: str) -> str:
    return identity if ":" in identity else f"sha256:{identity}"


def _read(answer: str, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(answer, type=kind)
    except msgspec.DecodeError as error:
        raise UnavailableError(
            f"expected JSON from minikube {what}, but it cannot be read: {error}",
            kind="protocol",
            seen=answer[-300:] or "nothing",
        ) from error
