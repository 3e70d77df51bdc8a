"""The releases of an environment in a cluster: the monitoring stack's and the service's, and what they come to."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec

from sloproof.environment.components import ExtraRules
from sloproof.environment.kube.access import Access
from sloproof.environment.kube.api import KubeApi
from sloproof.environment.kube.chart_source import ChartSource
from sloproof.environment.kube.cluster import MADE_BY, Cluster
from sloproof.environment.kube.helm import Helm
from sloproof.environment.kube.image_supply import ImageSupply
from sloproof.environment.kube.load_pods import LoadPods
from sloproof.environment.kube.objects import Workload
from sloproof.environment.kube.parts import Kind, Part
from sloproof.environment.kube.release_values import monitoring_release_values, service_values
from sloproof.environment.kube.stack import Release, Stack, load_stack
from sloproof.errors import EnvironmentStartError
from sloproof.platform_files import platform_file
from sloproof.settings import Settings

FAULTS_SECRET = "sloproof-faults"  # noqa: S105 - its name
_KINDS: tuple[Kind, ...] = ("Deployment", "StatefulSet", "DaemonSet")
_READY = {"prometheus": "/-/ready", "alertmanager": "/-/ready", "loki": "/ready", "receiver": "/ready"}
_NAMES = ("prometheus", "alertmanager", "loki", "promtail", "alloy", "receiver", "grafana")
# Labels that may say which component a workload is, in the order in which they are believed.
_SAYING = ("app.kubernetes.io/component", "app.kubernetes.io/name")
_LIMIT = timedelta(minutes=3)


class _Secret(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}


@dataclass(slots=True, kw_only=True)
class ChartInstallation:
    """Charts in one namespace; implements `Installation`.

    Attributes:
        settings: The project's settings.
        root: The project's root.
        platform_dir: The project's platform folder; None for the one that comes with sloproof.
        access: The ways into the cluster.
        helm: The helm command, bound to the cluster.
        images: Where images come from.
        rules: Rules besides the platform's own.
        load_workers: So many pods for the load; 0 for none.
        faults_token: Bearer token of the service's fault switch, once it is installed.
        workers: Names of the load's pods, once they are there.
    """

    settings: Settings
    root: Path
    platform_dir: Path | None
    access: Access
    helm: Helm
    images: ImageSupply
    rules: ExtraRules | None = None
    load_workers: int = 0
    faults_token: str = ""
    workers: tuple[str, ...] = ()
    _cluster: Cluster = field(init=False)
    _stack: Stack = field(init=False)

    def __post_init__(self) -> None:
        """Read the stack, so that one that is not valid is refused before anything is done."""
        self._cluster = Cluster(KubeApi(self.access.kubeconfig, self.access.context))
        self._stack = load_stack(self.platform_dir, self.settings.kube.stack)

    @property
    def namespace(self) -> str:
        """Return the namespace of the environment."""
        return self.settings.service.namespace

    def install(self) -> Sequence[Part]:
        """Bring images and releases there, and return the components; see `Installation.install`."""
        # One that was kept may have another stack, whose workloads would be taken for this one's.
        ours = [one.name for one in self._stack.releases if one.namespace(self.namespace) == self.namespace]
        self.helm.recover(self.namespace, [*ours, self.settings.service.name])
        if self.settings.service.faults:
            self.faults_token = self._faults_token()
        runtime = self._cluster.runtime()
        # Images wait for the disk and for the cluster, not for each other.
        with ThreadPoolExecutor(max_workers=3) as pool:
            service_image = pool.submit(self.images.service)
            worker_image = pool.submit(self.images.load_worker) if self.load_workers else None
            programs = self.images.programs()
            base = service_image.result()
            releases = [
                pool.submit(self._install_release, one, programs, base, runtime) for one in self._stack.releases
            ]
            service = pool.submit(self._install_service, base)
            for each in (*releases, service):
                each.result()
            if worker_image is not None:
                self.workers = self._pods(worker_image.result()).start(_LIMIT)
        return [self._service_part(), *self._monitoring_parts()]

    def uninstall(self) -> None:
        """Take the releases away; see `Installation.uninstall`."""
        for release in reversed(self._stack.releases):
            self.helm.uninstall(release.name, release.namespace(self.namespace))
        self.helm.uninstall(self.settings.service.name, self.namespace)

    def load_command(self, process: int) -> tuple[str, ...] | None:
        """Return the command of a load process in a pod; None where the load is driven from here."""
        if not self.workers:
            return None
        service = self.settings.service.name
        url = f"http://{service}.{self.namespace}.svc:{self.settings.kube.port}"
        return self._pods("").command(self.workers[process % len(self.workers)], url)

    def _pods(self, image: str) -> LoadPods:
        return LoadPods(self._cluster, self.access.kubectl, self.namespace, image, self.load_workers)

    def _faults_token(self) -> str:
        """Return the token that the namespace has already, else a new one that is put there."""
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{FAULTS_SECRET}"
        there = self._cluster.api.find(path, _Secret)
        if there is not None and "token" in there.data:
            return base64.b64decode(there.data["token"]).decode()
        token = secrets.token_urlsafe(24)
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": FAULTS_SECRET, "labels": dict(MADE_BY)},
            "stringData": {"token": token},
        }
        self._cluster.api.apply(path, manifest)
        return token

    def _install_release(self, release: Release, programs: Mapping[str, str], base: str, runtime: str) -> None:
        values = monitoring_release_values(
            release,
            self.settings,
            platform_dir=self.platform_dir,
            runtime=runtime,
            programs=programs,
            is_packed=bool(self.images.tools),
            base_image=base,
            rules=self.rules or ExtraRules(),
        )
        self.helm.upgrade_install(
            release.name,
            release.chart,
            release.namespace(self.namespace),
            values_files=release.values_files,
            values=msgspec.json.encode(values),
            timeout=_LIMIT,
            wait=False,
        )

    def _install_service(self, image: str) -> None:
        folder = platform_file(self.platform_dir, self.settings.kube.chart)
        self.helm.upgrade_install(
            self.settings.service.name,
            ChartSource(folder.name, folder=folder),
            self.namespace,
            values_files=[self.root / name for name in self.settings.kube.values],
            values=msgspec.json.encode(
                service_values(self.settings, image, FAULTS_SECRET if self.faults_token else "")
            ),
            timeout=_LIMIT,
            wait=False,
        )

    def _service_part(self) -> Part:
        name = self.settings.service.name
        for kind in _KINDS:
            found = self._cluster.workload(self.namespace, kind, name)
            if found is not None:
                return Part(
                    name="service",
                    kind=kind,
                    workload=name,
                    labels=found.spec.selector.match_labels,
                    container=name,
                    service=name,
                    port=self.settings.kube.port,
                    ready=self.settings.service.readiness,
                )
        raise EnvironmentStartError(
            f"expected the service's chart to make a workload named {name}, but it makes none",
            chart=self.settings.kube.chart,
            hint="set fullnameOverride, or what the chart calls it, in the values files of tool.sloproof.kube",
        )

    def _monitoring_parts(self) -> list[Part]:
        parts = []
        for kind in _KINDS:
            for workload in self._cluster.workloads(self.namespace, kind):
                name = _component(workload)
                if name:
                    parts.append(self._part(name, kind, workload))
        missing = [name for release in self._stack.releases for name in release.addresses if name not in _names(parts)]
        if missing:
            raise EnvironmentStartError(
                f"expected the stack {self._stack.name} to run {', '.join(missing)}, but it has no such workload",
                runs=", ".join(sorted(_names(parts))) or "none",
            )
        return parts

    def _part(self, name: str, kind: Kind, workload: Workload) -> Part:
        addresses = {key: one for release in self._stack.releases for key, one in release.addresses.items()}
        address = addresses.get(name)
        return Part(
            name=name,
            kind=kind,
            workload=workload.metadata.name,
            labels=workload.spec.selector.match_labels,
            service=address.service if address else "",
            port=address.port if address else 0,
            ready=_READY.get(name, "") if address else "",
        )


def _names(parts: Sequence[Part]) -> set[str]:
    return {part.name for part in parts}


def _component(workload: Workload) -> str:
    """Return which component of a monitoring a workload is; empty for none."""
    told = (*(workload.metadata.labels.get(label, "") for label in _SAYING), workload.metadata.name)
    return next((name for name in told if name in _NAMES), "")
