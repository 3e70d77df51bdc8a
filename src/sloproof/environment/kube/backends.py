"""Makes environments in clusters: in one that is there, or in a Minikube profile of our own."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import msgspec
from rich.console import Console

from sloproof.environment.backends import Wish, find_tools, state_file
from sloproof.environment.components import TOOLS
from sloproof.environment.kube.access import Access
from sloproof.environment.kube.api import KubeApi
from sloproof.environment.kube.cluster import Cluster
from sloproof.environment.kube.context_guard import allowed_context
from sloproof.environment.kube.environment import KubeEnvironment
from sloproof.environment.kube.helm import Helm
from sloproof.environment.kube.helm_program import find_helm
from sloproof.environment.kube.image_supply import ImageSupply, Loader, no_loader, running
from sloproof.environment.kube.installation import ChartInstallation
from sloproof.environment.kube.kubectl import Kubectl
from sloproof.environment.kube.minikube import Minikube
from sloproof.environment.kube.minikube_image import archived_ids
from sloproof.environment.kube.minikube_profiles import full_tag
from sloproof.environment.kube.minikube_wish import load_wish
from sloproof.environment.kube.wish import ClusterWish, HeldProfile
from sloproof.environment.progress_display import showing
from sloproof.environment.toolchain import Tool, default_cache_dir
from sloproof.errors import SloproofError, ToolError
from sloproof.platform_files import platform_file


def make(name: str, wish: Wish, cluster: ClusterWish, evidence: Path) -> KubeEnvironment:
    """Return an environment that is not started yet.

    Args:
        name: `kube` or `minikube`.
        wish: What is asked of any environment.
        cluster: What is asked of one in a cluster.
        evidence: Folder for what a failed start leaves to look at.

    Raises:
        SettingsError: The cluster must not be used, or was not named.
        ToolError: helm or kubectl cannot be had.
    """
    return (_Minikube if name == "minikube" else _Kube)(wish, cluster, evidence).environment()


@dataclass(frozen=True, slots=True)
class _Kube:
    """A cluster that is there."""

    wish: Wish
    cluster: ClusterWish
    evidence: Path

    def environment(self) -> KubeEnvironment:
        path, context = allowed_context(self.cluster.context, self.cluster.kubeconfig, self.wish.environ)
        access = Access(path, context, self.kubectl(path, context), self.cluster.node_host)
        loader = running(self.cluster.image_load, self.wish.environ) if self.cluster.image_load else no_loader
        return self.made("kube", lambda: access, loader)

    def made(
        self,
        name: str,
        open_cluster: Callable[[], Access],
        loader: Loader,
        after: Callable[[bool], None] = lambda _: None,
    ) -> KubeEnvironment:
        wish, cluster = self.wish, self.cluster
        platform_dir = wish.root / wish.settings.platform_dir if wish.settings.platform_dir else None
        with showing(Console(stderr=True)) as progress:
            helm = find_helm(
                platform_dir, environ=wish.environ, progress=progress, mirror=wish.tools_mirror,
                offline=wish.tools_offline,
            )  # fmt: skip
        tools = self.tools()
        settings = wish.settings
        if cluster.stack:
            settings = msgspec.structs.replace(
                settings, kube=msgspec.structs.replace(settings.kube, stack=cluster.stack)
            )
        images = ImageSupply(
            root=wish.root,
            platform_dir=platform_dir,
            settings=settings.kube,
            cluster=cluster,
            tools={name: tool.path for name, tool in tools.items()},
            cache=default_cache_dir(wish.environ) / "images",
            environ=wish.environ,
            load=loader,
        )

        def installation(access: Access) -> ChartInstallation:
            return ChartInstallation(
                settings=settings,
                root=wish.root,
                platform_dir=platform_dir,
                access=access,
                helm=Helm(helm, kubeconfig=access.kubeconfig, context=access.context, environ=wish.environ),
                images=images,
                rules=wish.rules,
                load_workers=cluster.load_workers,
            )

        return KubeEnvironment(
            name=name,
            settings=wish.settings,
            run_id=wish.run_id,
            open_cluster=open_cluster,
            installation=installation,
            evidence=self.evidence,
            # What was kept is not thrown away because one start on it has failed.
            keep=cluster.keep or cluster.reuse,
            reuse=cluster.reuse,
            goes_with_cluster=name == "minikube",
            after=after,
        )

    def tools(self) -> Mapping[str, Tool]:
        """Return the programs that images are packed from."""
        return find_tools(self.wish, Console(stderr=True), TOOLS) if self.cluster.tool_images == "tools" else {}

    def kubectl(self, kubeconfig: Path, context: str) -> Kubectl:
        found = shutil.which("kubectl", path=self.wish.environ.get("PATH", os.defpath))
        if found is None:
            raise ToolError(
                "expected the program kubectl on PATH, found none",
                hint="every distribution has it; it is also an asset of each Kubernetes release",
            )
        return Kubectl(Path(found), kubeconfig, context, self.wish.environ)


class MinikubeHost:
    """The Minikube profile of a run, from when it is needed until the run ends.

    Args:
        wish: What is asked of any environment.
        cluster: What is asked of one in a cluster.
        failure_log: Where `minikube logs` of a failed start goes.
    """

    def __init__(self, wish: Wish, cluster: ClusterWish, failure_log: Path) -> None:
        platform_dir = wish.root / wish.settings.platform_dir if wish.settings.platform_dir else None
        self._wanted = load_wish(
            platform_file(platform_dir, "minikube.yaml"), profile=cluster.profile, extra_args=cluster.minikube_args
        )
        # One folder a user: a profile's name is the same in every checkout.
        state_dir = state_file(wish.root, wish.environ).parent / "minikube"
        self._minikube = Minikube(
            cluster.minikube, state_dir=state_dir, environ=wish.environ, is_held=cluster.held is not None
        )
        self._cluster = cluster
        self._failure_log = failure_log
        self._hold = contextlib.ExitStack()
        self._one_at_a_time = Lock()
        self._there: Mapping[str, str] | None = None

    @property
    def kubeconfig(self) -> Path:
        """Return the file that leads to the profile."""
        return self._minikube.kubeconfig(self._cluster.profile)

    def open(self, namespaces: Collection[str]) -> HeldProfile:
        """Bring the profile up and keep it from other runs, or find the one that the controller keeps.

        Args:
            namespaces: Those that the run is going to use; others that an earlier run has left are taken away.

        Raises:
            EnvironmentStartError: It does not start, is not ours, or another run has it.
            ToolError: There is no minikube, or of a version that does not serve.
        """
        profile = self._cluster.profile
        if self._cluster.held is not None:
            return self._cluster.held
        self._hold.enter_context(self._minikube.held(profile))
        with showing(Console(stderr=True)) as progress:
            found = self._minikube.ensure(
                self._wanted, reuse=self._cluster.reuse, progress=progress, failure_log=self._failure_log
            )
        if found.how in ("reused", "restarted"):
            there = Cluster(KubeApi(self.kubeconfig, profile))
            for name in set(there.own_namespaces()) - set(namespaces):
                there.delete_namespace(name)
        return HeldProfile(found.node_ip)

    def load(self, archive: Path, tag: str) -> None:
        """Bring an image to the node; see `Loader`."""
        # Images are made at the same time; minikube takes a second call for the leftover of a killed run.
        with self._one_at_a_time:
            profile = self._cluster.profile
            # Each question costs minikube a second, and a run has half a dozen images.
            if self._there is None:
                self._there = self._minikube.images(profile)
            if self._there.get(full_tag(tag)) not in archived_ids(archive, tag):
                self._minikube.load_image(profile, archive, tag)

    def close(self, kept: bool) -> None:  # noqa: FBT001 - the environment's own word
        """Delete the profile unless it is to be kept, or is the controller's; safe to call twice."""
        with self._hold:
            if not kept and self._cluster.held is None:
                with contextlib.suppress(SloproofError):
                    self._minikube.delete(self._cluster.profile)


class _Minikube(_Kube):
    """A profile of our own."""

    def environment(self) -> KubeEnvironment:
        cluster = self.cluster
        host = MinikubeHost(self.wish, cluster, self.evidence / "minikube.log")
        kubectl = self.kubectl(host.kubeconfig, cluster.profile)  # refuses before anything is started

        def open_cluster() -> Access:
            held = host.open([self.wish.settings.service.namespace])
            return Access(host.kubeconfig, cluster.profile, kubectl, cluster.node_host or held.node_ip)

        return self.made("minikube", open_cluster, host.load, host.close)
