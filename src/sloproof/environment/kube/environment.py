"""The environment in a cluster: the service's chart and a monitoring stack in one namespace that is ours."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from sloproof.environment.base import ComponentStatus
from sloproof.environment.kube.access import Access, Installation
from sloproof.environment.kube.api import KubeApi
from sloproof.environment.kube.cluster import Cluster, hopeless, pod_text
from sloproof.environment.kube.diagnosis import write_diagnosis
from sloproof.environment.kube.kubectl import ServiceProxy
from sloproof.environment.kube.lease import NamespaceLease
from sloproof.environment.kube.objects import Pod
from sloproof.environment.kube.parts import Part
from sloproof.environment.kube.pod_watch import PodWatch
from sloproof.environment.kube.readiness import Readiness
from sloproof.environment.kube.routes import NOWHERE, ServiceRoutes
from sloproof.environment.kube.wish import CAPABILITIES
from sloproof.errors import ComponentExitedError, EnvironmentStartError, SloproofError, UnavailableError
from sloproof.settings import Settings

T = TypeVar("T")
# A budget that the run before has spent, and a page that it has sent, would be held against this one.
_WITH_A_PAST = ("prometheus", "alertmanager")


class KubeEnvironment:
    """The service and its monitoring in a cluster; implements `Environment`.

    The service is asked through a NodePort that leads to its pod whether it is ready or not, as a process on this
    machine would be; the address `gate` leads to ready ones only, and is what Kubernetes scenarios look at. The
    monitoring is asked through the API's service proxy.

    Args:
        name: The backend's name.
        settings: The project's settings.
        run_id: Names the run.
        open_cluster: Gives the ways into the cluster; may take minutes, where it has to be made first.
        installation: What is installed, given those ways.
        evidence: Folder for what a failed start leaves to look at; None to keep nothing.
        keep: Leave everything as it is at the end.
        reuse: Bring what is there up to date, instead of beginning with an empty namespace.
        goes_with_cluster: The cluster itself goes at the end, with all that is in it, unless all is kept.
        after: Called at the very end, once the namespace is gone or left, with whether all is to be kept.
    """

    capabilities = CAPABILITIES

    def __init__(
        self,
        *,
        name: str,
        settings: Settings,
        run_id: str,
        open_cluster: Callable[[], Access],
        installation: Callable[[Access], Installation],
        evidence: Path | None = None,
        keep: bool = False,
        reuse: bool = False,
        goes_with_cluster: bool = False,
        after: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.run_id = run_id
        self.faults_token = ""
        self.addresses: Mapping[str, str] = {}
        self.timings: dict[str, timedelta] = {}
        self.namespace = settings.service.namespace
        self._settings = settings
        self._open_cluster = open_cluster
        self._make_installation = installation
        self._evidence = evidence
        self._keep = keep
        self._reuse = reuse
        self._goes_with_cluster = goes_with_cluster
        self._after = after
        self._access: Access | None = None
        self._cluster: Cluster | None = None
        self._installation: Installation | None = None
        self._proxy: ServiceProxy | None = None
        self._routes: ServiceRoutes | None = None
        self._lease: NamespaceLease | None = None
        self._watch: PodWatch | None = None
        self._parts: dict[str, Part] = {}
        self._stopped: dict[str, int] = {}
        self._restarts: dict[str, int] = {}
        self._restarting: set[str] = set()
        self._is_ours = False

    @property
    def access(self) -> Access:
        """Return the ways into the cluster."""
        return self._started(self._access)

    @property
    def cluster(self) -> Cluster:
        """Return the cluster."""
        return self._started(self._cluster)

    @property
    def proxy(self) -> ServiceProxy:
        """Return the way to Services and pods of the namespace."""
        return self._started(self._proxy)

    @staticmethod
    def _started(what: T | None) -> T:
        if what is None:
            raise UnavailableError("expected a running environment, but it was not started or is stopped")
        return what

    @property
    def parts(self) -> Mapping[str, Part]:
        """Return the components by name."""
        return self._parts

    @property
    def instances(self) -> tuple[str, ...]:
        """Return the `instance` label of every live pod of the service."""
        part = self._parts["service"]
        return tuple(f"{pod.status.pod_ip}:{part.port}" for pod in part.pods(self._pods()) if pod.status.pod_ip)

    def start(self) -> None:
        """Bring everything up; see `Environment.start`."""
        begin = time.monotonic()
        try:
            self._start(begin)
        except BaseException as error:
            self._tell_what_failed(error)
            self.stop()
            raise

    def _start(self, begin: float) -> None:
        access = self._access = self._open_cluster()
        cluster = self._cluster = Cluster(KubeApi(access.kubeconfig, access.context))
        self._time("cluster", begin)
        installation = self._installation = self._make_installation(access)
        lease = self._lease = NamespaceLease(cluster.api, self.namespace)
        self._proxy = ServiceProxy(access.kubectl, self.namespace)
        if not self._reuse:
            self._clear(lease, installation)
        self.cluster.claim_namespace(self.namespace, self.run_id)
        lease.take()
        self._is_ours = True
        self._time("namespace", begin)
        self._parts = {part.name: part for part in installation.install()}
        if self._reuse:
            self._readiness(begin).replace(_WITH_A_PAST)
        self.faults_token = installation.faults_token
        self._time("releases installed", begin)
        watch = self._watch = PodWatch(KubeApi(self.access.kubeconfig, self.access.context), self.namespace)
        watch.start()
        self._accept_restarts()  # of pods that are there already: it was not in this run that they were restarted
        readiness = self._readiness(begin)
        readiness.await_ready(list(self._parts))
        if self._reuse:
            readiness.await_rolled_out()
        self.proxy.start()
        self.addresses = self._find_addresses()
        readiness.await_answers(self.addresses, list(self._parts))
        self._accept_restarts()

    def _clear(self, lease: NamespaceLease, installation: Installation) -> None:
        """Begin with nothing: what a killed run has left is taken away first, unless its run lives."""
        there = self.cluster.find_namespace(self.namespace)
        if there is None or not self.cluster.is_ours(there):
            return  # there is nothing, or claiming it will say whose it is
        lease.check()
        installation.uninstall()
        self.cluster.delete_namespace(self.namespace)

    def _find_addresses(self) -> Mapping[str, str]:
        host = self.access.node_host or next(
            (node.internal_ip for node in self.cluster.nodes() if node.internal_ip), ""
        )
        routes = self._routes = ServiceRoutes(self.cluster, self.namespace, host)
        found = {
            part.name: self.proxy.url(part.service, part.port)
            for part in self._parts.values()
            if part.service and part.name != "service"
        }
        return {**routes.hook_up(self._parts["service"]), **found}

    def _readiness(self, begin: float) -> Readiness:
        """Return what waits for components, and notes how long after `begin` each was there."""
        return Readiness(
            cluster=self.cluster,
            namespace=self.namespace,
            parts=self._parts,
            pods=self._pods,
            check_alive=self.check_alive,
            note=lambda part: self._time(part, begin),
            ready_seconds=self._settings.kube.start_seconds,
            answer_seconds=self._settings.service.start_seconds,
            evidence=self._evidence,
        )

    def stop(self) -> None:
        """Take everything away, unless it is to be kept; see `Environment.stop`."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._proxy is not None:
            self._proxy.stop()
        # What there is to end is forgotten only once it has ended, so that an interrupted stop can be taken up again.
        try:
            if self._is_ours:
                self._give_up_namespace()
                self._is_ours = False
        finally:
            self._after(self._keep)
        if self._cluster is not None:
            self._cluster.api.close()
            self._cluster = None

    def _give_up_namespace(self) -> None:
        lease = self._started(self._lease)
        # A run that was suspended for long may have lost its namespace; what is there is then another's.
        lease.check()
        if not self._keep and not self._goes_with_cluster:
            self._started(self._installation).uninstall()
            self.cluster.delete_namespace(self.namespace)
        lease.release()

    def detach(self) -> None:
        """Let go of it and leave it running; see `Environment.detach`."""
        self._keep = True
        self.stop()

    def check_alive(self) -> None:
        """Return at once if every component that should run does; see `Environment.check_alive`."""
        pods = tuple(self._pods())
        for part in self._parts.values():
            if part.name in self._stopped or part.name in self._restarting:
                continue
            own = part.pods(pods)
            # Pod by pod: one that takes another's place may have been restarted less often than that.
            is_restarted = any(pod.restarts > self._restarts.get(pod.name, 0) for pod in own)
            if is_restarted or hopeless(own) is not None:
                ended = part.end(pods)
                raise ComponentExitedError(
                    part.name,
                    ended.exit_code if ended else None,
                    self.last_lines(part.name),
                    environment=self.name,
                    why=ended.reason if ended else "",
                    pods="\n".join(map(pod_text, part.pods(pods))),
                )
        self.proxy.check()

    def expect_restarts(self, component: str) -> None:
        """Take restarts of a component for wanted from now on, until `accept_restarts`."""
        self._restarting.add(component)

    def accept_restarts(self) -> None:
        """Take what was restarted so far for wanted, and nothing from now on."""
        self._accept_restarts()

    def _accept_restarts(self) -> None:
        self._restarts = {pod.name: pod.restarts for pod in self._pods()}
        self._restarting.clear()

    def status(self) -> Sequence[ComponentStatus]:
        """Return the state of every component."""
        pods = tuple(self._pods())
        return [part.status(pods, is_stopped=name in self._stopped) for name, part in self._parts.items()]

    def last_lines(self, component: str, count: int = 20) -> tuple[str, ...]:
        """Return the end of a component's own log: of its newest pod, and of what ran there before if it is new."""
        part = self._parts.get(component)
        own = part.pods(self._pods()) if part is not None else ()
        if part is None or not own:
            return ()
        pod = own[-1]
        with contextlib.suppress(SloproofError):
            before: tuple[str, ...] = ()
            if pod.restarts:
                before = self.cluster.pod_log(self.namespace, pod.name, part.container, lines=count, previous=True)
            now = self.cluster.pod_log(self.namespace, pod.name, part.container, lines=count)
            return (*before, *now)[-count:]
        return ()

    def stop_component(self, component: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End all pods of a component on purpose, and wait for it."""
        part = self._parts[component]
        if component == "service":
            self._started(self._routes).unhook(part)
        if component not in self._stopped:
            there = self.cluster.workload(self.namespace, part.kind, part.workload)
            self._stopped[component] = there.spec.replicas if there is not None else 1
        body = _placement(NOWHERE) if part.kind == "DaemonSet" else {"spec": {"replicas": 0}}
        self.cluster.patch_workload(self.namespace, part.kind, part.workload, body)
        if how == signal.SIGKILL:
            for pod in part.pods(self._pods()):
                self.cluster.delete_pod(self.namespace, pod.name, grace=0)
        self.cluster.await_pods(
            self.namespace, "", lambda pods: not part.pods(pods), what=f"no pod of {component}",
            timeout=timedelta(seconds=self._settings.service.stop_seconds + 60),
        )  # fmt: skip

    def start_component(self, component: str) -> None:
        """Start a component that was stopped and wait until it is ready; its address stays, its pods are new."""
        part = self._parts[component]
        readiness = self._readiness(time.monotonic())
        body = (
            _placement(dict.fromkeys(NOWHERE))
            if part.kind == "DaemonSet"
            else {"spec": {"replicas": self._stopped.get(component, 1)}}
        )
        self.cluster.patch_workload(self.namespace, part.kind, part.workload, body)
        readiness.await_ready([component])
        if component == "service":
            self._started(self._routes).hook_up(part)
        self._stopped.pop(component, None)
        self._accept_restarts()
        readiness.await_answers(self.addresses, [component])

    def pause_component(self, component: str) -> None:
        """Refuse: nothing outside a pod can freeze what runs in it."""
        raise EnvironmentStartError(
            f"expected to freeze {component}, but in a cluster nothing can", hint="tag the scenario @needs_processes"
        )

    def resume_component(self, component: str) -> None:
        """Start it again if it was stopped; nothing is ever frozen here."""
        if component in self._stopped:
            self.start_component(component)

    def load_command(self, process: int) -> tuple[str, ...] | None:
        """Return the command of a load process in the cluster; see `Environment.load_command`."""
        return self._started(self._installation).load_command(process)

    def file(self, name: str) -> Path | None:  # noqa: ARG002 - the protocol's
        """Return None: the files are on the cluster's nodes."""
        return None

    def keep_evidence(self, folder: Path) -> None:
        """Write down what the cluster says: pods, events, and the logs of what ran in the pods before."""
        write_diagnosis(self.cluster, self.namespace, folder)

    def _pods(self) -> Sequence[Pod]:
        if self._watch is None:
            return self.cluster.pods(self.namespace) if self._is_ours else ()
        if self._watch.error is not None:
            raise self._watch.error
        return tuple(self._watch.pods.values())

    def _tell_what_failed(self, error: BaseException) -> None:
        """Keep evidence of a failed start before it is cleaned away."""
        if self._evidence is None or not self._is_ours or isinstance(error, KeyboardInterrupt):
            return
        with contextlib.suppress(SloproofError, OSError):
            self.keep_evidence(self._evidence)

    def _time(self, part: str, begin: float) -> None:
        self.timings[part] = timedelta(seconds=time.monotonic() - begin)


def _placement(labels: Mapping[str, str | None]) -> dict[str, object]:
    return {"spec": {"template": {"spec": {"nodeSelector": dict(labels)}}}}
