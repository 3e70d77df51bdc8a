"""Keeps the pods of a namespace known at all times, so that a question about them costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event, Lock, Thread

from sloproof.environment.kube.api import KubeApi, WatchEvent
from sloproof.environment.kube.objects import Bookmark, Pod, PodList
from sloproof.errors import SloproofError

_WATCH_SECONDS = 30
_PAUSE_SECONDS = 0.2


class PodWatch:
    """A thread that lists the pods and follows their changes; it lists again whenever it cannot be sure.

    Args:
        api: The cluster's API; not shared, so that a waiting watch holds up nobody.
        namespace: Whose pods.
    """

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._pods: dict[str, Pod] = {}
        self._lock = Lock()
        self._known = Event()
        self._ended = Event()
        self._error: SloproofError | None = None
        self._thread = Thread(target=self._follow, name=f"pods of {namespace}", daemon=True)

    def start(self) -> None:
        """Begin, and return once the pods are known.

        Raises:
            SloproofError: They cannot be listed.
        """
        self._list()
        self._thread.start()

    @property
    def pods(self) -> Mapping[str, Pod]:
        """Return the pods by name, as last seen."""
        with self._lock:
            return dict(self._pods)

    @property
    def error(self) -> SloproofError | None:
        """Return why nothing is known at present, if that is so."""
        return self._error

    def stop(self) -> None:
        """End the thread; a watch that waits is left to end by itself."""
        self._ended.set()

    def _list(self) -> str:
        found = self._api.get(self._path, PodList)
        with self._lock:
            self._pods = {pod.name: pod for pod in found.items}
        self._error = None
        return found.metadata.resource_version

    def _follow(self) -> None:
        version = ""
        while not self._ended.is_set():
            try:
                version = version or self._list()
            except SloproofError as error:
                self._error = error
                self._ended.wait(_PAUSE_SECONDS)
                continue
            try:
                for event in self._api.watch(self._path, version=version, seconds=_WATCH_SECONDS):
                    if self._ended.is_set():
                        return
                    version = self._note(event) or version
            except SloproofError:
                # A watch that breaks off hides nothing: what it missed is in the next list, or that one fails, too.
                version = ""
                self._ended.wait(_PAUSE_SECONDS)

    def _note(self, event: WatchEvent) -> str:
        """Take in a change and return the version that it made."""
        if event.type == "BOOKMARK":
            return self._api.decode(event.object, Bookmark, self._path).metadata.resource_version
        pod = self._api.decode(event.object, Pod, self._path)
        with self._lock:
            if event.type == "DELETED":
                self._pods.pop(pod.name, None)
            else:
                self._pods[pod.name] = pod
        return pod.metadata.resource_version
