"""Waits for the components of an environment in a cluster: ready pods, complete rollouts, answers at addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sloproof.environment.kube.cluster import Cluster, hopeless, pod_text
from sloproof.environment.kube.objects import Pod
from sloproof.environment.kube.parts import Part, missing_of
from sloproof.environment.kube.routes import answer
from sloproof.errors import DeadlineError, EnvironmentStartError
from sloproof.polling import wait_until

_POLL_SECONDS = 0.05
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Waits for components, and tells of each as soon as it is there.

    Attributes:
        cluster: The cluster.
        namespace: Of the environment.
        parts: The components by name.
        pods: Returns the namespace's pods as they are now.
        check_alive: Raises if a component has ended by itself.
        note: Told of what is there: `<name> ready` for its pods, `<name>` for its answer.
        ready_seconds: How long pods and rollouts may take.
        answer_seconds: How long answers may take.
        evidence: Folder with what a failed start leaves, for the error; None where nothing is kept.
    """

    cluster: Cluster
    namespace: str
    parts: Mapping[str, Part]
    pods: Callable[[], Sequence[Pod]]
    check_alive: Callable[[], None]
    note: Callable[[str], None]
    ready_seconds: float
    answer_seconds: float
    evidence: Path | None = None

    def replace(self, names: Collection[str]) -> None:
        """Take away kept pods of some components, so that new ones begin with nothing, and all that are hopeless.

        A StatefulSet waits for a pod that will never be ready before it makes a new one.
        """
        pods = self.cluster.pods(self.namespace)
        for name, part in self.parts.items():
            for pod in part.pods(pods):
                if hopeless([pod]) is not None:
                    self.cluster.delete_pod(self.namespace, pod.name, grace=0)
                elif name in names:
                    self.cluster.delete_pod(self.namespace, pod.name, grace=1)

    def await_ready(self, names: Sequence[str]) -> None:
        """Wait until a pod of each component is ready; one that cannot get ready ends the wait.

        Raises:
            EnvironmentStartError: A pod cannot get ready, or is not in time.
        """
        waiting = set(names)

        def all_ready(pods: Sequence[Pod]) -> bool:
            for name in list(waiting):
                own = self.parts[name].pods(pods)
                if own and all(pod.is_ready for pod in own if pod.metadata.deletion_timestamp is None):
                    waiting.discard(name)
                    self.note(f"{name} ready")
            return not waiting

        def still_hopeful(pods: Sequence[Pod]) -> None:
            own = [pod for name in waiting for pod in self.parts[name].newest(pods)]
            if (bad := hopeless(own)) is not None:
                raise EnvironmentStartError(
                    f"expected {', '.join(sorted(waiting))} to get ready, but {pod_text(bad)}",
                    last_lines="\n".join(
                        self.cluster.pod_log(self.namespace, bad.name, self._container_of(bad), previous=True)
                        or self.cluster.pod_log(self.namespace, bad.name, self._container_of(bad))
                    ),
                    evidence=self.evidence or "",
                    context=self.cluster.api.context,
                )

        limit = timedelta(seconds=self.ready_seconds)
        try:
            self.cluster.await_pods(
                self.namespace, "", all_ready, what=f"all of {', '.join(names)} to be ready", timeout=limit,
                check=still_hopeful,
            )  # fmt: skip
        except DeadlineError as error:
            raise EnvironmentStartError(
                f"expected {', '.join(sorted(waiting))} to be ready within {limit.total_seconds():g} s",
                **error.details,
                hint="tool.sloproof.kube.start_seconds is the limit",
            ) from error

    def _container_of(self, pod: Pod) -> str:
        return next((part.container for part in self.parts.values() if pod in part.pods([pod])), "")

    def await_rolled_out(self) -> None:
        """Wait until pods of the run before are gone: a ready one may be about to be replaced by what was installed.

        Raises:
            DeadlineError: They are not gone in time.
        """

        def missing() -> str:
            pods = tuple(self.pods())
            for part in self.parts.values():
                there = self.cluster.workload(self.namespace, part.kind, part.workload)
                if text := missing_of(there, part.pods(pods)):
                    return f"{part.name}: {text}"
            return ""

        wait_until(missing, lambda text: not text, what="what was kept to be brought up to date",
                   timeout=timedelta(seconds=self.ready_seconds),
                   interval=timedelta(seconds=_POLL_SECONDS * 2))  # fmt: skip
        self.note("brought up to date")

    def await_answers(self, addresses: Mapping[str, str], names: Sequence[str]) -> None:
        """Wait until each component that has an address answers at it: routes come up a little after pods do.

        Args:
            addresses: Base URLs by component; `gate` leads to the service, too.
            names: The components that are asked.

        Raises:
            EnvironmentStartError: One does not answer in time.
            ComponentExitedError: A component has ended meanwhile.
        """
        asked = {
            name: addresses[name] + self.parts[name].ready
            for name in names
            if name in addresses and self.parts[name].ready
        }
        if "service" in asked:
            asked["gate"] = addresses["gate"] + self.parts["service"].ready
        waiting = dict.fromkeys(asked, "not asked yet")
        end = time.monotonic() + self.answer_seconds
        while waiting:
            self.check_alive()
            for name in list(waiting):
                said = answer(asked[name])
                if said == _OK:
                    del waiting[name]
                    self.note(name)
                else:
                    waiting[name] = str(said)
            if waiting and time.monotonic() > end:
                name, last = next(iter(waiting.items()))
                raise EnvironmentStartError(
                    f"expected {', '.join(waiting)} to answer, but {name} does not",
                    last_answer=last,
                    asked=asked[name],
                    hint="are NodePorts of the cluster reachable from here? --kube-node-host names another host",
                )
            if waiting:
                time.sleep(_POLL_SECONDS)
