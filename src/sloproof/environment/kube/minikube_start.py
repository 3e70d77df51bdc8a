"""Starting a Minikube profile: tried again where that helps, and cleared away where it does not work out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sloproof.environment.kube.minikube_calls import MinikubeCalls
from sloproof.environment.kube.minikube_events import Told
from sloproof.environment.kube.minikube_exit_codes import Then, meaning
from sloproof.environment.kube.minikube_node import NodeFacts
from sloproof.environment.kube.minikube_ownership import new_owner
from sloproof.environment.kube.minikube_program import Ended
from sloproof.environment.kube.minikube_wish import MinikubeWish
from sloproof.environment.obtaining import Progress
from sloproof.errors import EnvironmentStartError, SettingsError, SloproofError, ToolError

_START_SECONDS = 900.0
# Layers whose trouble a new profile would meet again: arguments, resources, internet, driver and provider.
_OUTSIDE = frozenset({1, 2, 4, 5, 6})


@dataclass(frozen=True, slots=True)
class _Failure:
    error: SloproofError
    then: Then
    keeps: bool = False


class Start:
    """One start of a profile that is held.

    Args:
        calls: Minikube.
        wish: What is wanted.
        progress: Told how it goes.
        failure_log: Where the logs of a failed start go; None for nowhere.
    """

    def __init__(
        self, calls: MinikubeCalls, wish: MinikubeWish, progress: Progress, failure_log: Path | None = None
    ) -> None:
        self._calls = calls
        self._wish = wish
        self._name = wish.profile
        self._progress = progress
        self._failure_log = failure_log

    def run(self, owner: str, *, is_restart: bool) -> NodeFacts:
        """Return what the node of the started profile says; without success nothing of the profile is left.

        But one that was stopped stays where the trouble is not its own, as with a Docker that does not run.

        Args:
            owner: The mark that the profile is to carry.
            is_restart: It is there and stopped.

        Raises:
            EnvironmentStartError: It does not start.
            ToolError: There is no minikube.
        """
        left: set[Then] = {"again", "afresh"}
        while True:
            outcome = self._shown(owner, is_restart=is_restart)
            if isinstance(outcome, NodeFacts):
                return outcome
            self._keep_logs()
            if outcome.keeps:
                raise outcome.error
            if outcome.then not in left:
                self._clear_away()
                raise outcome.error
            left.remove(outcome.then)
            self._progress.note(self._name, f"minikube {self._name}: {outcome.error.headline}; trying {outcome.then}")
            if outcome.then == "afresh":
                if not self._clear_away():
                    raise outcome.error
                owner, is_restart = new_owner(), False

    def _shown(self, owner: str, *, is_restart: bool) -> NodeFacts | _Failure:
        title = f"minikube {self._name}"
        version = self._wish.kubernetes_version
        self._progress.start(self._name, f"{title}: {'starting again' if is_restart else f'starting {version}'}")
        ending = f"{title}: interrupted"
        try:
            outcome = self._attempt(owner, is_restart=is_restart)
            ending = f"{title}: did not start"
            if isinstance(outcome, NodeFacts):
                ending = f"{title}: Kubernetes {outcome.kubelet} on {outcome.runtime}"
        except BaseException:
            self._clear_away()
            raise
        finally:
            self._progress.finish(self._name, ending)
        return outcome

    def _attempt(self, owner: str, *, is_restart: bool) -> NodeFacts | _Failure:
        arguments = self._wish.start_arguments(owner)
        marker = self._calls.ours.begin(self._name, arguments, owner)
        told = Told(self._name, self._progress)
        try:
            ended = self._calls.run(self._name, "start", *arguments, "--output=json", seconds=_START_SECONDS, told=told)
            if ended.status:
                failure = self._failure(ended, told, is_restart=is_restart)
                if failure.keeps:
                    self._calls.ours.set_state(marker, "ready")
                return failure
            facts = self._calls.verified(self._wish, owner)
        except (SettingsError, ToolError):
            raise
        except SloproofError as error:
            return _Failure(error, "stop")
        self._calls.ours.set_state(marker, "ready")
        return facts

    def _failure(self, ended: Ended, told: Told, *, is_restart: bool) -> _Failure:
        means, fatal = meaning(ended.status), told.fatal
        is_outside = ended.status < 0 or ended.status // 10 in _OUTSIDE
        then = "afresh" if is_restart and means.then == "stop" and not is_outside else means.then
        return _Failure(
            EnvironmentStartError(
                f"expected the Minikube profile {self._name} to start, but minikube ended because {means.says}",
                exit_status=ended.status,
                reached=told.text() or "nothing",
                said=told.troubles() or ended.errors,
                advice=fatal.advice if fatal else "",
                see=fatal.url if fatal else "",
                log=self._failure_log or "",
                where=self._calls.ours.folder(self._name) / "start.err",
                next=means.next,
            ),
            then,
            keeps=is_restart and is_outside and then == "stop",
        )

    def _keep_logs(self) -> None:
        if self._failure_log is not None:
            self._calls.logs(self._name, self._failure_log)

    def _clear_away(self) -> bool:
        """Delete what was begun, if it is ours, and return whether nothing is left; else say what to type."""
        by_hand = self._calls.program.by_hand("delete", f"--profile={self._name}")
        try:
            profile, marker = self._calls.find(self._name), self._calls.ours.marker(self._name)
            if profile is None:
                self._calls.ours.forget(self._name)
            elif marker is not None and marker.names(profile):
                self._calls.remove(marker)
            else:
                self._progress.note(self._name, f"what is there is not ours; if nobody needs it: {by_hand}")
                return False
        except KeyboardInterrupt:
            self._progress.note(self._name, f"the profile {self._name} is half made; to delete it: {by_hand}")
            raise
        except SloproofError as error:
            self._progress.note(self._name, f"{error}\nthe profile {self._name} is half made; to delete it: {by_hand}")
            return False
        return True
