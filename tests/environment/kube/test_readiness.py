"""Waiting for components: until all are ready, until one cannot be, and until each answers where it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from sloproof.environment.kube.cluster import Cluster
from sloproof.environment.kube.parts import Part
from sloproof.environment.kube.readiness import Readiness
from sloproof.errors import ComponentExitedError, DeadlineError, EnvironmentStartError
from tests.environment.kube.fake_api import PODS, Answer, FakeApi, container, json_of, list_of, pod, waiting, watch_of

LOKI = Part("loki", "StatefulSet", "loki", labels={"app": "loki"}, service="loki", port=3100, ready="/ready")
SERVICE = Part("service", "Deployment", "shop", labels={"app": "shop"}, service="shop", port=8000, ready="/ready")
PROMTAIL = Part("promtail", "DaemonSet", "promtail", labels={"app": "promtail"})
Make = Callable[..., Readiness]


def of(app: str, name: str = "", **more: Any) -> dict[str, Any]:
    made = pod(name or app, **more)
    made["metadata"]["labels"] = {"app": app}
    return made


@pytest.fixture
def noted() -> list[str]:
    return []


@pytest.fixture
def make(fake: FakeApi, noted: list[str]) -> Make:
    def readiness(*parts: Part, **more: Any) -> Readiness:
        cluster = Cluster(fake.api())
        given: dict[str, Any] = {
            "cluster": cluster,
            "namespace": "ns",
            "parts": {part.name: part for part in parts},
            "pods": lambda: cluster.pods("ns"),
            "check_alive": lambda: None,
            "note": noted.append,
            "ready_seconds": 5.0,
            "answer_seconds": 5.0,
        }
        return Readiness(**{**given, **more})

    return readiness


# Pods


def test_components_are_told_of_as_they_get_ready(fake: FakeApi, make: Make, noted: list[str]) -> None:
    first, second = of("loki"), of("promtail")
    fake.says("GET", PODS, list_of(first, of("promtail", ready=True)), list_of(of("loki", ready=True), second))
    fake.says("WATCH", PODS, watch_of())
    make(LOKI, PROMTAIL).await_ready(["loki", "promtail"])
    assert noted == ["promtail ready", "loki ready"]


def test_component_without_a_pod_is_not_ready(fake: FakeApi, make: Make) -> None:
    fake.says("GET", PODS, list_of(of("loki", ready=True)))
    fake.says("WATCH", PODS, watch_of())
    with pytest.raises(EnvironmentStartError, match=r"expected promtail to be ready within 0\.2 s"):
        make(LOKI, PROMTAIL, ready_seconds=0.2).await_ready(["loki", "promtail"])


def test_pod_that_cannot_get_ready_ends_the_wait_with_what_it_said(fake: FakeApi, make: Make) -> None:
    crashed = of("loki", containerStatuses=[container(restarts=1, state=waiting("CrashLoopBackOff", "back-off"))])
    fake.says("GET", PODS, list_of(crashed, of("promtail", ready=True)))
    fake.says("GET", f"{PODS}/loki/log", Answer(200, b"schema is not valid\n"))
    with pytest.raises(EnvironmentStartError, match=r"to get ready, but loki: CrashLoop") as caught:
        make(LOKI, PROMTAIL).await_ready(["loki", "promtail"])
    assert caught.value.details["last_lines"] == "schema is not valid"


def test_old_pod_that_cannot_get_ready_does_not_count_beside_a_new_one(fake: FakeApi, make: Make) -> None:
    old = of("loki", "loki-old", containerStatuses=[container(state=waiting("CrashLoopBackOff"))])
    new = of("loki", "loki-zz", ready=True)
    for each, revision in ((old, "a"), (new, "b")):
        each["metadata"]["labels"]["pod-template-hash"] = revision
    old["metadata"]["creationTimestamp"] = "2026-03-01T12:00:00Z"
    new["metadata"]["creationTimestamp"] = "2026-03-01T12:00:05Z"
    fake.says("GET", PODS, list_of(old, new), list_of(new))
    fake.says("WATCH", PODS, watch_of())
    make(LOKI).await_ready(["loki"])


def test_hopeless_pods_are_taken_away_and_those_that_are_to_begin_anew(fake: FakeApi, make: Make) -> None:
    bad = of("promtail", containerStatuses=[container(state=waiting("ErrImageNeverPull"))])
    stranger = of("shop", containerStatuses=[container(state=waiting("ErrImageNeverPull"))])
    other = Part("receiver", "Deployment", "receiver", labels={"app": "receiver"})
    fake.says("GET", PODS, list_of(bad, of("loki", ready=True), of("receiver", ready=True), stranger))
    for name in ("promtail", "loki"):
        fake.says("DELETE", f"{PODS}/{name}", json_of({}))
    make(LOKI, PROMTAIL, other).replace(["loki"])
    asked = {
        one.path.rpartition("/")[2]: one.query["gracePeriodSeconds"] for one in fake.asked if one.method == "DELETE"
    }
    assert asked == {"promtail": "0", "loki": "1"}


# Rollouts


def workload(*, new: int, total: int) -> Answer:
    meta = {"name": "shop", "generation": 2}
    status = {
        "observedGeneration": 2,
        "replicas": total,
        "updatedReplicas": new,
        "availableReplicas": total,
        "readyReplicas": total,
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}}
    return json_of({"kind": "Deployment", "metadata": meta, "spec": spec, "status": status})


def test_rollout_is_awaited_until_the_old_pods_are_gone(fake: FakeApi, make: Make, noted: list[str]) -> None:
    path = "/apis/apps/v1/namespaces/ns/deployments/shop"
    fake.says("GET", path, workload(new=1, total=2), workload(new=1, total=1))
    fake.says("GET", PODS, list_of(of("shop", ready=True)))
    make(SERVICE).await_rolled_out()
    assert noted == ["brought up to date"]


def test_rollout_that_does_not_end_is_told_with_what_is_missing(fake: FakeApi, make: Make) -> None:
    fake.says("GET", "/apis/apps/v1/namespaces/ns/deployments/shop", workload(new=0, total=1))
    fake.says("GET", PODS, list_of(of("shop", ready=True)))
    with pytest.raises(DeadlineError, match="brought up to date") as caught:
        make(SERVICE, ready_seconds=0.3).await_rolled_out()
    assert "service: 0 new and 1 available of 1" in str(caught.value)


# Answers


class _Late(ThreadingHTTPServer):
    """Says that it is not ready some times, and then that it is."""

    daemon_threads = True
    left = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Late

    def do_GET(self) -> None:
        self.server.left -= 1
        self.send_response(503 if self.server.left >= 0 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def late() -> Iterator[_Late]:
    server = _Late(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server: _Late) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_answers_are_awaited_at_each_address_and_at_the_gate(make: Make, late: _Late, noted: list[str]) -> None:
    late.left = 3
    at = url(late)
    make(SERVICE, LOKI, PROMTAIL).await_answers(
        {"service": at, "gate": at, "loki": at}, ["service", "loki", "promtail"]
    )
    assert sorted(noted) == ["gate", "loki", "service"]


def test_silence_at_an_address_is_told_with_what_was_asked(make: Make, late: _Late) -> None:
    late.left = 10**6
    with pytest.raises(EnvironmentStartError, match="expected loki to answer, but loki does not") as caught:
        make(LOKI, answer_seconds=0.2).await_answers({"loki": url(late)}, ["loki"])
    assert caught.value.details["asked"] == f"{url(late)}/ready"
    assert caught.value.details["last_answer"] == "503"


def test_component_that_ends_meanwhile_ends_the_wait_for_answers(make: Make, late: _Late) -> None:
    late.left = 10**6

    def dead() -> None:
        raise ComponentExitedError("loki", 1, ())

    with pytest.raises(ComponentExitedError, match="loki"):
        make(LOKI, check_alive=dead).await_answers({"loki": url(late)}, ["loki"])
