"""One run at a time in a namespace: a Lease in it that its run renews, and that a dead run lets go of."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import msgspec
import psutil

from sloproof.environment.kube.api import KubeApi
from sloproof.environment.kube.objects import Meta
from sloproof.errors import EnvironmentStartError, QueryError, SloproofError

NAME = "sloproof"
_RENEW_SECONDS = 5.0
_FRESH = timedelta(seconds=20)
_CONFLICT = 409


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    holder_identity: str = ""
    renew_time: datetime | None = None


class _Lease(msgspec.Struct, frozen=True):
    metadata: Meta
    spec: _Spec = _Spec()


def identity() -> str:
    """Return who this process is: `host/pid/start`, with the start in seconds of the epoch."""
    me = psutil.Process()
    return f"{_host()}/{me.pid}/{me.create_time():.0f}"


def _host() -> str:
    """Return what no other set of process ids has: containers often share a name, and always a machine."""
    marks = [socket.gethostname()]
    with contextlib.suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").partition("-")[0])
        marks.append(f"{Path('/proc/self/ns/pid').stat().st_ino}")
    return "-".join(marks)


class NamespaceLease:
    """The right to use a namespace.

    Args:
        api: The cluster's API.
        namespace: Which.
        holder: Who wants it, as `identity` says.
        now: The time of day.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        *,
        holder: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._holder = holder or identity()
        self._now = now
        self._ended = Event()
        self._thread = Thread(target=self._renew, name=f"lease of {namespace}", daemon=True)

    def check(self) -> None:
        """Return if nobody else has it.

        Raises:
            EnvironmentStartError: Another run has it, and renewed it a moment ago.
        """
        self._look()

    def _look(self) -> _Lease | None:
        there = self._api.find(f"{self._path}/{NAME}", _Lease)
        if there is not None and self._is_held(there.spec):
            raise EnvironmentStartError(
                f"expected the namespace {self._namespace} to be free, but another run is using it",
                run=there.spec.holder_identity,
                renewed=f"{there.spec.renew_time:%H:%M:%S} UTC" if there.spec.renew_time else "never",
                hint="wait for it, or give this one another tool.sloproof.service.namespace",
            )
        return there

    def take(self) -> None:
        """Take the lease and keep it.

        Raises:
            EnvironmentStartError: Another run has it, and renewed it a moment ago.
        """
        for _ in range(2):
            there = self._look()
            if self._write(there.metadata.resource_version if there else ""):
                self._thread.start()
                return
        raise EnvironmentStartError(f"expected to get the namespace {self._namespace}, but another run was faster")

    def release(self) -> None:
        """Let it go; safe to call twice, and when it was never taken."""
        if self._thread.is_alive():
            self._ended.set()
            self._thread.join()
            with contextlib.suppress(SloproofError):
                there = self._api.find(f"{self._path}/{NAME}", _Lease)
                if there is not None and there.spec.holder_identity == self._holder:
                    # Only as it was seen: whoever took it over in the meantime keeps it.
                    only = {"uid": there.metadata.uid, "resourceVersion": there.metadata.resource_version}
                    self._api.request("DELETE", f"{self._path}/{NAME}", body={"preconditions": only})

    def _is_held(self, spec: _Spec) -> bool:
        if spec.holder_identity in ("", self._holder) or spec.renew_time is None:
            return False
        host, _, process = spec.holder_identity.partition("/")
        if host == _host() and not _lives(process):
            return False
        return self._now() - spec.renew_time < _FRESH

    def _write(self, version: str) -> bool:
        """Write the lease as ours, if nobody has changed it since that version, and return whether it worked."""
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, **({"resourceVersion": version} if version else {})},
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": int(_FRESH.total_seconds()),
                "renewTime": f"{self._now():%Y-%m-%dT%H:%M:%S.%fZ}",
            },
        }
        try:
            if version:
                self._api.request("PUT", f"{self._path}/{NAME}", body=lease)
            else:
                self._api.create(self._path, lease)
        except QueryError as error:
            if error.status == _CONFLICT:
                return False
            raise
        return True

    def _renew(self) -> None:
        while not self._ended.wait(_RENEW_SECONDS):
            with contextlib.suppress(SloproofError):  # the next turn tries again; the lease outlasts several
                there = self._api.find(f"{self._path}/{NAME}", _Lease)
                if there is not None and there.spec.holder_identity == self._holder:
                    self._write(there.metadata.resource_version)


def _lives(process: str) -> bool:
    pid, _, started = process.partition("/")
    with contextlib.suppress(psutil.Error, ValueError):
        found = psutil.Process(int(pid))
        return found.status() != psutil.STATUS_ZOMBIE and abs(found.create_time() - float(started)) <= 1
    return False
