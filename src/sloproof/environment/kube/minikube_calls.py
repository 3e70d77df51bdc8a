"""What is asked of minikube and told to it about one profile, with each answer held against what then is there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

from sloproof.environment.kube.minikube_events import Told
from sloproof.environment.kube.minikube_exit_codes import meaning
from sloproof.environment.kube.minikube_node import NodeFacts
from sloproof.environment.kube.minikube_ownership import Marker, Ownership
from sloproof.environment.kube.minikube_profiles import (
    Profile,
    Profiles,
    ProfileStatus,
    read_images,
    read_profiles,
    read_status,
)
from sloproof.environment.kube.minikube_program import Ended, MinikubeProgram
from sloproof.environment.kube.minikube_wish import MinikubeWish
from sloproof.environment.obtaining import Silence
from sloproof.errors import EnvironmentStartError, SloproofError, ToolError

_ASK_SECONDS = 60.0
_END_SECONDS = 240.0
_LOGS_SECONDS = 120.0
_NO_PROFILE = 85
_DELETE_TRIES = 2


class MinikubeCalls:
    """The calls, for one folder of state; whoever changes a profile holds it.

    Args:
        program: Minikube.
        ours: What is ours.
        look: Asks a cluster's own API server about its node.
    """

    def __init__(self, program: MinikubeProgram, ours: Ownership, look: Callable[[Path, str], NodeFacts]) -> None:
        self.program = program
        self.ours = ours
        self._look = look

    def version(self) -> str:
        """Return the program's version, such as `v1.36.0`.

        Raises:
            ToolError: There is no such program, or it tells none.
        """
        ended = self._ask("version", "--output=json")
        try:
            return str(msgspec.json.decode(ended.output)["minikubeVersion"])
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise ToolError(
                "expected minikube to tell its version, but it did not",
                command=self.program.by_hand("version", "--output=json"),
                said=ended.output[-300:] + ended.errors[-300:],
            ) from error

    def profiles(self) -> Profiles:
        """Return all profiles, of anybody, whole or not.

        Raises:
            UnavailableError: Minikube cannot list them.
        """
        # Not --light: that one leaves out the ones that are not whole.
        return read_profiles(self._ask("profile", "list", "--output=json").output)

    def find(self, name: str) -> Profile | None:
        """Return a profile, whole or not, once traces of a start of ours that did not get far are swept away.

        Minikube makes a profile's folder first, then its configuration, then its container. So a folder without a
        configuration is all there can be of such a start, and a container is another home's: that one stays.
        """
        profile, marker = self.profiles().find(name), self.ours.marker(name)
        if profile is None or profile.config is not None or marker is None or marker.state == "ready":
            return profile
        folder = self.program.profile_folder(name)
        if not folder.is_dir() or _is_json(folder / "config.json"):
            return profile
        shutil.rmtree(folder, ignore_errors=True)
        return self.profiles().find(name)

    def status(self, profile: str) -> ProfileStatus | None:
        """Return a profile's state; None where there is no such profile."""
        ended = self._ask("status", f"--profile={profile}", "--output=json", profile=profile)
        return None if ended.status == _NO_PROFILE else read_status(ended.output)

    def images(self, profile: str) -> Mapping[str, str]:
        """Return the images on a profile's node: full tag to id.

        Raises:
            UnavailableError: Minikube cannot list them.
        """
        ended = self._ask("image", "ls", f"--profile={profile}", "--format=json", profile=profile)
        return read_images(ended.output)

    def logs(self, profile: str, path: Path) -> Path:
        """Write what a profile's parts have logged into a file, and return it; what keeps it from that goes in too."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            ended = self.run(profile, "logs", f"--file={path.resolve()}", seconds=_LOGS_SECONDS)
            trouble = f"minikube logs ended with status {ended.status}\n{ended.errors}" if ended.status else ""
        except SloproofError as error:
            trouble = str(error)
        if trouble or not path.exists():
            with path.open("a", encoding="utf-8") as file:
                file.write(f"\n{trouble or 'minikube logs wrote nothing'}\n")
        return path

    def verified(self, wish: MinikubeWish, owner: str) -> NodeFacts:
        """Return what the node says, once all of minikube's answers and the node's own are as wished.

        Raises:
            EnvironmentStartError: One is not.
        """
        name = wish.profile
        profile, marker = self.profiles().find(name), self.ours.marker(name)
        if profile is None or profile.config is None or marker is None or not marker.names(profile):
            raise EnvironmentStartError(
                f"expected the Minikube profile {name} to carry our mark, but it does not",
                mark=owner,
                next=f"if it is not needed: {self.program.by_hand('delete', f'--profile={name}')}",
            )
        status = self.status(name)
        if status is not None and not status.is_reachable:
            self.run(name, "update-context", seconds=_ASK_SECONDS)
            status = self.status(name)
        differences = list(wish.differences(profile.config))
        if status is None or not (status.is_running and status.is_reachable):
            differences.append(f"running: {status.text() if status else 'minikube knows of no such profile'}")
        if not differences:
            facts = self._look(self.ours.kubeconfig(name), name)
            if facts.owner == owner:
                return facts
            differences.append(f"its node's mark: wished {owner}, is {facts.owner or 'none'}")
        raise EnvironmentStartError(
            f"expected the Minikube profile {name} as wished, but it is not, although minikube reports success",
            seen="\n".join(differences),
        )

    def remove(self, marker: Marker) -> None:
        """Delete a profile whose marker was just compared with it."""
        name = marker.profile
        self.ours.set_state(marker, "deleting")
        told = Told(name, Silence())
        for _ in range(_DELETE_TRIES):
            # A container that was on its way when its start was killed may come up behind the first one's back.
            ended = self.run(name, "delete", "--output=json", seconds=_END_SECONDS, told=told)
            if self.find(name) is None:
                self.ours.forget(name)
                self.ours.kubeconfig(name).unlink(missing_ok=True)
                return
        self.refuse(name, "delete", ended, told)

    def not_ours(self, profile: Profile, marker: Marker | None, what: str) -> EnvironmentStartError:
        """Return the error that a profile is left alone because it is not ours; `what` is what was to be done to it."""
        if profile.config is None:
            seen = "traces of a profile that minikube cannot read; they may belong to another MINIKUBE_HOME"
        elif marker is None:
            seen = "a profile that we have no record of having made"
        else:
            seen = "a profile that does not carry the mark of the one that we made: it was made anew by somebody else"
        return EnvironmentStartError(
            f"expected the Minikube profile {profile.name} to be our own, so it is not {what}: it is not ours",
            seen=seen,
            status=profile.status,
            next="name another profile; or, if nobody needs that one: "
            + self.program.by_hand("delete", f"--profile={profile.name}"),
        )

    def refuse(self, profile: str, what: str, ended: Ended, told: Told) -> NoReturn:
        """Raise that minikube did not do something to a profile, with what it said and what to type."""
        means = meaning(ended.status)
        ended_how = means.says if ended.status else "it says so without having done it"
        raise EnvironmentStartError(
            f"expected minikube to {what} the profile {profile}, but {ended_how}",
            status=ended.status,
            said=told.troubles() or ended.errors,
            next=f"by hand: {self.program.by_hand(what, f'--profile={profile}')}",
        )

    def run(self, profile: str, *arguments: str, seconds: float, told: Told | None = None) -> Ended:
        """Have minikube do something to a profile, for which its kubeconfig file of ours is used; return how it ended.

        Raises:
            ToolError: There is no such program.
            UnavailableError: It takes longer than that many seconds.
        """
        return self.program.run(
            *arguments,
            f"--profile={profile}",
            folder=self.ours.folder(profile),
            kubeconfig=self.ours.kubeconfig(profile),
            seconds=seconds,
            on_line=told.hear if told else (lambda _: None),
        )

    def _ask(self, *arguments: str, profile: str = "") -> Ended:
        """Return an answer; any number of runs may ask at once, so that it is kept nowhere."""
        with tempfile.TemporaryDirectory(prefix="sloproof-minikube-") as folder:
            kubeconfig = self.ours.kubeconfig(profile) if profile else Path(folder) / "kubeconfig"
            return self.program.run(*arguments, folder=Path(folder), kubeconfig=kubeconfig, seconds=_ASK_SECONDS)


def _is_json(file: Path) -> bool:
    try:
        msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError):
        return False
    return True
