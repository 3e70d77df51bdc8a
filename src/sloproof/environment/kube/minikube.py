"""One Minikube profile of our own: started, used again, made anew, stopped and deleted; never anybody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from sloproof.environment.kube.minikube_calls import MinikubeCalls
from sloproof.environment.kube.minikube_events import Told
from sloproof.environment.kube.minikube_image import load
from sloproof.environment.kube.minikube_node import NodeFacts, node_facts
from sloproof.environment.kube.minikube_ownership import Marker, Ownership, new_owner
from sloproof.environment.kube.minikube_profiles import ProfileConfig, Profiles, ProfileStatus
from sloproof.environment.kube.minikube_program import MinikubeProgram
from sloproof.environment.kube.minikube_start import Start
from sloproof.environment.kube.minikube_wish import MinikubeWish, lasting
from sloproof.environment.obtaining import Progress, Silence
from sloproof.environment.tool_version import accepts
from sloproof.errors import EnvironmentStartError, SloproofError, ToolError

How = Literal["reused", "restarted", "started", "recreated"]
_END_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class MinikubeCluster:
    """A profile that runs, is ours and is as wished.

    Attributes:
        profile: Its name; also the name of its context.
        kubeconfig: The file that leads to it, of our own.
        node_ip: Of its control plane.
        kubernetes_version: What its node runs.
        runtime_version: Container runtime and version, such as `containerd://1.7.27`.
        minikube_version: Of the program.
        how: What had to be done.
        why: Why an earlier profile of ours did not serve; empty where there was none or it did.
        took: How long it took.
    """

    profile: str
    kubeconfig: Path
    node_ip: str
    kubernetes_version: str
    runtime_version: str
    minikube_version: str
    how: How
    why: str
    took: timedelta


class Minikube:
    """Minikube, for profiles of our own.

    Args:
        command: How it is started; the last word is its name or path, what stands before may choose another network
            namespace or user.
        state_dir: Folder of our own that outlasts runs: what is ours, kubeconfig files, locks, last output. Runs that
            are to share a profile share it.
        environ: Environment variables that it inherits.
        home: In the place of `MINIKUBE_HOME`; None for what it inherits.
        look: Asks a cluster's own API server about its node.
        is_held: Whoever has started this process keeps the profiles for it already, from any other run.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        state_dir: Path,
        environ: Mapping[str, str],
        home: Path | None = None,
        look: Callable[[Path, str], NodeFacts] = node_facts,
        is_held: bool = False,
    ) -> None:
        self._is_held = is_held
        self._ours = Ownership(state_dir.resolve())
        self._calls = MinikubeCalls(MinikubeProgram(tuple(command), environ, home), self._ours, look)

    # What there is

    def kubeconfig(self, profile: str) -> Path:
        """Return the file that leads to a profile's cluster, by the context of the profile's name."""
        return self._ours.kubeconfig(profile)

    def version(self) -> str:
        """Return the program's version, such as `v1.36.0`.

        Raises:
            ToolError: There is no such program, or it tells none.
        """
        return self._calls.version()

    def profiles(self) -> Profiles:
        """Return all profiles, of anybody, whole or not.

        Raises:
            UnavailableError: Minikube cannot list them.
        """
        return self._calls.profiles()

    def status(self, profile: str) -> ProfileStatus | None:
        """Return a profile's state; None where there is no such profile."""
        return self._calls.status(profile)

    def images(self, profile: str) -> Mapping[str, str]:
        """Return the images on a profile's node: full tag to id.

        Raises:
            UnavailableError: Minikube cannot list them.
        """
        return self._calls.images(profile)

    def logs(self, profile: str, path: Path) -> Path:
        """Write what a profile's parts have logged into a file, and return it; what keeps it from that goes in too."""
        return self._calls.logs(profile, path)

    def node_ip(self, profile: str) -> str:
        """Return the address of a profile's control plane.

        Raises:
            EnvironmentStartError: It is not ours, or there is none.
        """
        return self._owned(profile, "asked for its address").node_ip

    # The profile's life

    @contextmanager
    def held(self, profile: str, wait: timedelta = timedelta(0)) -> Iterator[None]:
        """Keep a profile for this process while the block lasts, from any other run; `wait` is for one that has it.

        Raises:
            EnvironmentStartError: Another run still has it; carries who.
        """
        if self._is_held:
            yield
            return
        with self._ours.held(profile, wait):
            yield

    def ensure(
        self,
        wish: MinikubeWish,
        *,
        reuse: bool,
        progress: Progress | None = None,
        failure_log: Path | None = None,
        wait: timedelta = timedelta(0),
    ) -> MinikubeCluster:
        """Return a cluster that is as wished: the one that is there if it serves, else a new one.

        A start that fails or is interrupted leaves no profile.

        Args:
            wish: What is wanted.
            reuse: Use a profile of ours that is as wished; else any of ours is made anew.
            progress: Told how it goes.
            failure_log: Where `minikube logs` of a failed start goes.
            wait: How long at most for another run that has the profile.

        Raises:
            EnvironmentStartError: It does not start; or there is a profile of that name that is not ours; or another
                run has it.
            ToolError: There is no minikube, or of a version that does not serve.
            SettingsError: The wish cannot be carried out.
        """
        begin = time.monotonic()
        wish.check()
        version = self._checked_version(wish)
        told = progress or Silence()
        with self.held(wish.profile, wait):
            how, why, facts = self._brought_about(wish, Start(self._calls, wish, told, failure_log), told, reuse=reuse)
            return MinikubeCluster(
                profile=wish.profile,
                kubeconfig=self.kubeconfig(wish.profile),
                node_ip=facts.ip,
                kubernetes_version=facts.kubelet,
                runtime_version=facts.runtime,
                minikube_version=version,
                how=how,
                why=why,
                took=timedelta(seconds=time.monotonic() - begin),
            )

    def stop(self, profile: str) -> None:
        """Stop a profile of ours and keep it.

        Raises:
            EnvironmentStartError: It is not ours, or there is none, or it does not stop.
        """
        with self.held(profile):
            self._owned(profile, "stopped")
            told = Told(profile, Silence())
            ended = self._calls.run(profile, "stop", "--output=json", seconds=_END_SECONDS, told=told)
            if ended.status:
                self._calls.refuse(profile, "stop", ended, told)

    def delete(self, profile: str) -> bool:
        """Delete a profile of ours, and return whether there was one.

        Raises:
            EnvironmentStartError: It is not ours, or it does not go.
        """
        with self.held(profile):
            there, marker = self._calls.find(profile), self._ours.marker(profile)
            if there is None:
                self._ours.forget(profile)
                return False
            if marker is None or not marker.names(there):
                raise self._calls.not_ours(there, marker, "deleted")
            self._calls.remove(marker)
            return True

    def load_image(self, profile: str, archive: Path, tag: str) -> str:
        """Put an image into a profile of ours unless it is there, and return its id there, such as `sha256:...`.

        What counts is what the node lists afterwards, not what minikube says.

        Args:
            profile: The profile.
            archive: A tar file as `docker save` makes it.
            tag: A tag in it, such as `app:1`.

        Raises:
            EnvironmentStartError: The profile is not ours, the archive does not hold the image, or the node does not
                have it afterwards.
        """
        with self.held(profile), self._ours.loading(profile):
            self._owned(profile, "given an image")
            return load(self._calls, profile, archive, tag)

    # How

    def _brought_about(
        self,
        wish: MinikubeWish,
        start: Start,
        progress: Progress,
        *,
        reuse: bool,
    ) -> tuple[How, str, NodeFacts]:
        """Return what was done, why an earlier profile did not serve, and what the node says."""
        profile, marker = self._calls.find(wish.profile), self._ours.marker(wish.profile)
        if profile is None:
            self._ours.forget(wish.profile)
            return "started", "", start.run(new_owner(), is_restart=False)
        if marker is None or profile.config is None or not marker.names(profile):
            raise self._calls.not_ours(profile, marker, "used")
        why = self._objection(wish, marker, profile.config) if reuse else "a new one was asked for"
        status = None if why else self._calls.status(wish.profile)
        if status is not None and status.is_running:
            try:
                return "reused", "", self._calls.verified(wish, marker.owner)
            except SloproofError as error:
                why = f"{error.headline}; {error.details.get('seen', '')}".removesuffix("; ")
        if not why:
            return "restarted", "", start.run(marker.owner, is_restart=True)
        progress.note(wish.profile, f"minikube {wish.profile}: the profile that is there is made anew: {why}")
        self._calls.remove(marker)
        return "recreated", why, start.run(new_owner(), is_restart=False)

    def _objection(self, wish: MinikubeWish, marker: Marker, config: ProfileConfig) -> str:
        """Return why a profile of ours does not serve; empty where it does."""
        if marker.state != "ready":
            return f"a run was killed while it was {marker.state}"
        differences = list(wish.differences(config))
        wished, had = lasting(wish.start_arguments(marker.owner)), lasting(marker.arguments)
        if not differences and wished != had:
            differences.append(f"arguments: {' '.join(sorted(wished ^ had))} only now or only then")
        return "; ".join(differences)

    def _owned(self, name: str, what: str) -> ProfileConfig:
        profile, marker = self._calls.find(name), self._ours.marker(name)
        if profile is None:
            raise EnvironmentStartError(f"expected the Minikube profile {name}, but there is none")
        if marker is None or profile.config is None or not marker.names(profile):
            raise self._calls.not_ours(profile, marker, what)
        return profile.config

    def _checked_version(self, wish: MinikubeWish) -> str:
        version = self._calls.version()
        try:
            serves = accepts(wish.minikube, version)
        except ValueError:
            serves = False
        if not serves:
            raise ToolError(
                f"expected minikube {wish.minikube}, found {version}",
                command=self._calls.program.by_hand("version"),
                next="install one of those versions, or change platform/minikube.yaml after trying it",
            )
        return version
