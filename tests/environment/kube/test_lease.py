"""One run at a time in a namespace, and what becomes of a dead one's right to it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest

from sloproof.environment.kube import lease as lease_module
from sloproof.environment.kube.lease import NAME, NamespaceLease, identity
from sloproof.errors import EnvironmentStartError, QueryError, UnavailableError
from tests.environment.kube.fake_api import Answer, Asked, FakeApi, json_of, refusal

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
LEASE = f"{LEASES}/{NAME}"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OTHER = "elsewhere/17/1700000000"
CHANGED = refusal(409, "the object has been modified", "Conflict")


class Leases:
    """The lease of a namespace as an API server keeps it: every change makes another version."""

    def __init__(self, fake: FakeApi) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 10
        # Called once, between the next look and the change that follows from it.
        self.meanwhile: Callable[[], object] | None = None
        for method, path in (("GET", LEASE), ("POST", LEASES), ("PUT", LEASE), ("DELETE", LEASE)):
            fake.says(method, path, self._answer)

    def put(self, holder: str, renewed: datetime | None = NOW) -> None:
        self.version += 1
        spec = {"holderIdentity": holder, **({"renewTime": f"{renewed:%Y-%m-%dT%H:%M:%S.%fZ}"} if renewed else {})}
        uid = self.lease["metadata"]["uid"] if self.lease else f"u{self.version}"
        self.lease = {"metadata": {"name": NAME, "uid": uid, "resourceVersion": str(self.version)}, "spec": spec}

    @property
    def holder(self) -> str | None:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else None

    def _answer(self, asked: Asked) -> Answer:
        if asked.method != "GET" and (meanwhile := self.meanwhile) is not None:
            self.meanwhile = None
            meanwhile()
        # The API makes a lease that is to be changed and is not there.
        if asked.method == "POST" or (asked.method == "PUT" and self.lease is None):
            return self._write(asked, is_as_seen=self.lease is None)
        if self.lease is None:
            return refusal(404, "not found", "NotFound")
        if asked.method == "GET":
            return json_of(self.lease)
        meta = self.lease["metadata"]
        if asked.method == "PUT":
            return self._write(asked, is_as_seen=asked.json["metadata"]["resourceVersion"] == meta["resourceVersion"])
        if asked.json["preconditions"] == {key: meta[key] for key in ("uid", "resourceVersion")}:
            self.lease = None
        return CHANGED if self.lease else json_of({})

    def _write(self, asked: Asked, *, is_as_seen: bool) -> Answer:
        if not is_as_seen:
            return CHANGED
        spec = asked.json["spec"]
        self.put(spec["holderIdentity"], datetime.fromisoformat(spec["renewTime"]))
        return json_of({})


@pytest.fixture
def leases(fake: FakeApi) -> Leases:
    return Leases(fake)


@pytest.fixture
def lease(fake: FakeApi) -> Iterator[NamespaceLease]:
    made = NamespaceLease(fake.api(), "ns", now=lambda: NOW)
    yield made
    made.release()


def process(pid: int, started: float) -> str:
    """Return the identity of another process beside this one."""
    return f"{identity().partition('/')[0]}/{pid}/{started:.0f}"


def test_identity_names_host_process_and_its_start() -> None:
    host, pid, started = identity().split("/")
    assert host.startswith(socket.gethostname())
    assert int(pid) == psutil.Process().pid
    assert abs(float(started) - psutil.Process().create_time()) <= 1


def test_lease_that_is_free_is_taken_and_given_back(leases: Leases, lease: NamespaceLease) -> None:
    lease.check()
    lease.take()
    assert leases.holder == identity()
    assert leases.lease is not None
    assert leases.lease["spec"]["renewTime"] == "2026-03-01T12:00:00.000000Z"
    lease.check()  # our own
    lease.release()
    assert leases.lease is None


def test_release_is_safe_twice_and_without_a_take(fake: FakeApi, leases: Leases, lease: NamespaceLease) -> None:
    lease.release()
    assert fake.asked == []
    lease.take()
    lease.release()
    leases.put(OTHER)
    lease.release()
    assert leases.holder == OTHER


@pytest.mark.parametrize("age", [0.0, 19.0, -3.0])
def test_lease_of_a_live_run_elsewhere_is_refused(
    fake: FakeApi, leases: Leases, lease: NamespaceLease, age: float
) -> None:
    leases.put(OTHER, NOW - timedelta(seconds=age))
    for refused in (lease.check, lease.take):
        with pytest.raises(EnvironmentStartError, match="another run is using it") as caught:
            refused()
        assert caught.value.details["run"] == OTHER
        assert caught.value.details["renewed"].endswith(" UTC")
    assert {one.method for one in fake.asked} == {"GET"}


@pytest.mark.parametrize("renewed", [NOW - timedelta(seconds=21), None])
def test_lease_that_nobody_renews_any_more_is_taken(
    leases: Leases, lease: NamespaceLease, renewed: datetime | None
) -> None:
    leases.put(OTHER, renewed)
    lease.take()
    assert leases.holder == identity()


def test_lease_of_a_live_process_of_this_host_is_refused(leases: Leases, lease: NamespaceLease) -> None:
    parent = psutil.Process().parent()
    assert parent is not None
    leases.put(process(parent.pid, parent.create_time()))
    with pytest.raises(EnvironmentStartError):
        lease.take()


def test_lease_of_a_dead_process_of_this_host_is_taken_at_once(leases: Leases, lease: NamespaceLease) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        leases.put(process(child.pid, psutil.Process(child.pid).create_time()))
        with pytest.raises(EnvironmentStartError):
            lease.check()
        child.kill()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.005)
        lease.check()  # nobody has collected it yet, and it runs no more
    lease.take()
    assert leases.holder == identity()


def test_lease_of_a_process_whose_number_another_has_now_is_taken(leases: Leases, lease: NamespaceLease) -> None:
    parent = psutil.Process().parent()
    assert parent is not None
    leases.put(process(parent.pid, parent.create_time() - 60))
    lease.take()
    assert leases.holder == identity()


@pytest.mark.parametrize("holder", ["1/1", "nonsense"])
def test_lease_of_a_host_of_the_same_name_is_not_judged_by_our_processes(
    leases: Leases, lease: NamespaceLease, holder: str
) -> None:
    # Containers of one image are often all called the same, and each counts its processes from 1.
    leases.put(f"{socket.gethostname()}-0badcafe-1/{holder}")
    with pytest.raises(EnvironmentStartError):
        lease.take()


@pytest.mark.parametrize("before", [None, timedelta(minutes=1)], ids=["free", "stale"])
def test_lease_that_another_takes_first_is_refused(
    leases: Leases, lease: NamespaceLease, before: timedelta | None
) -> None:
    if before:
        leases.put("dead/1/1", NOW - before)
    leases.meanwhile = lambda: leases.put(OTHER)
    with pytest.raises(EnvironmentStartError, match="another run is using it"):
        lease.take()
    assert leases.holder == OTHER


def test_lease_that_goes_while_it_is_taken_is_taken_anew(leases: Leases, lease: NamespaceLease) -> None:
    leases.put("dead/1/1", NOW - timedelta(minutes=1))
    leases.meanwhile = lambda: setattr(leases, "lease", None)
    lease.take()
    assert leases.holder == identity()


def test_lease_that_changes_at_every_try_is_given_up(fake: FakeApi, lease: NamespaceLease) -> None:
    fake.says("POST", LEASES, refusal(409, "already exists", "AlreadyExists"))
    with pytest.raises(EnvironmentStartError, match="another run was faster"):
        lease.take()


def test_lease_in_a_namespace_that_is_not_there_says_so(fake: FakeApi, lease: NamespaceLease) -> None:
    fake.says("POST", LEASES, refusal(404, 'namespaces "ns" not found', "NotFound"))
    with pytest.raises(QueryError, match="not found"):
        lease.take()


def test_lease_of_a_silent_api_is_not_taken(fake: FakeApi, lease: NamespaceLease) -> None:
    fake.says("GET", LEASE, refusal(503, "starting"))
    with pytest.raises(UnavailableError):
        lease.take()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_lease_is_renewed_through_silences(fake: FakeApi, leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "_RENEW_SECONDS", 0.01)
    seconds = iter(range(10_000))
    lease = NamespaceLease(fake.api(), "ns", now=lambda: NOW + timedelta(seconds=next(seconds)))
    lease.take()
    version = leases.version
    until(lambda: leases.version > version + 2)
    fake.says("GET", LEASE, refusal(503, "starting"), leases._answer)
    version = leases.version
    until(lambda: leases.version > version + 2)
    assert leases.holder == identity()
    lease.release()
    assert leases.lease is None


def test_lease_that_another_took_over_is_neither_renewed_nor_deleted(
    fake: FakeApi, leases: Leases, lease: NamespaceLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "_RENEW_SECONDS", 0.01)
    lease.take()
    leases.put(OTHER)
    looks = len(fake.asked_for("GET", LEASE))
    until(lambda: len(fake.asked_for("GET", LEASE)) > looks + 3)
    with pytest.raises(EnvironmentStartError):
        lease.check()
    lease.release()
    assert leases.holder == OTHER


def test_lease_that_another_takes_over_at_the_very_end_is_not_deleted(leases: Leases, lease: NamespaceLease) -> None:
    lease.take()
    leases.meanwhile = lambda: leases.put(OTHER)
    lease.release()
    assert leases.holder == OTHER
