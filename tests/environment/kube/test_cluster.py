"""Whose namespaces are touched, what is waited for and until when, and how pods are told of."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from sloproof.environment.kube import cluster as cluster_module
from sloproof.environment.kube.cluster import MADE_BY, Cluster, event_text, hopeless, pod_text
from sloproof.environment.kube.objects import Event, Pod
from sloproof.errors import DeadlineError, EnvironmentStartError, QueryError
from tests.environment.kube.fake_api import (
    PODS,
    Answer,
    Asked,
    FakeApi,
    bookmark,
    container,
    ended,
    expired,
    json_of,
    line,
    list_of,
    pod,
    refusal,
    waiting,
    watch_of,
)

NAMESPACES = "/api/v1/namespaces"
NS = f"{NAMESPACES}/ns"
OURS = {**MADE_BY, "sloproof/run": "before"}
GONE = refusal(404, 'namespaces "ns" not found', "NotFound")
TERMINATING: dict[str, Any] = {"deletionTimestamp": "2026-03-01T12:00:00Z"}
SHORT = timedelta(seconds=0.2)


def namespace(labels: dict[str, str] | None = None, *, uid: str = "u1", **meta: Any) -> Answer:
    return json_of({"kind": "Namespace", "metadata": {"name": "ns", "uid": uid, "labels": labels or {}, **meta}})


def read(document: dict[str, Any]) -> Pod:
    return msgspec.convert(document, Pod)


@pytest.fixture
def cluster(fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(cluster_module, "_LEAST_TURN", 0.01)
    return Cluster(fake.api())


# Namespaces


def test_namespace_that_is_free_is_made_with_our_marks(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("POST", NAMESPACES, json_of({}, 201))
    cluster.claim_namespace("ns", "r1")
    (asked,) = fake.asked_for("POST", NAMESPACES)
    assert asked.json["metadata"] == {"name": "ns", "labels": {**MADE_BY, "sloproof/run": "r1"}}


def test_namespace_of_ours_is_taken_over(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", NS, namespace(OURS))
    fake.says("PATCH", NS, json_of({}))
    cluster.claim_namespace("ns", "r2")
    assert [one.json for one in fake.asked_for("PATCH", NS)] == [
        {"metadata": {"labels": {**MADE_BY, "sloproof/run": "r2"}}}
    ]
    assert not fake.asked_for("POST", NAMESPACES)


@pytest.mark.parametrize("labels", [{}, {"team": "shop"}, {"app.kubernetes.io/managed-by": "Helm"}])
def test_namespace_of_somebody_else_is_left_alone(fake: FakeApi, cluster: Cluster, labels: dict[str, str]) -> None:
    fake.says("GET", NS, namespace(labels))
    with pytest.raises(EnvironmentStartError, match="somebody else's") as caught:
        cluster.claim_namespace("ns", "r1")
    assert caught.value.details["labels"] == (", ".join(f"{key}={text}" for key, text in labels.items()) or "none")
    with pytest.raises(EnvironmentStartError, match="sloproof's own"):
        cluster.delete_namespace("ns")
    assert {one.method for one in fake.asked} == {"GET"}


@pytest.mark.parametrize("labels", [{}, OURS])
def test_namespace_on_its_way_out_is_awaited_then_made(fake: FakeApi, cluster: Cluster, labels: dict[str, str]) -> None:
    going = namespace(labels, **TERMINATING)
    fake.says("GET", NS, going, going, going, GONE)
    fake.says("POST", NAMESPACES, json_of({}, 201))
    cluster.claim_namespace("ns", "r1")
    assert [one.method for one in fake.asked] == ["GET"] * 4 + ["POST"]


def test_namespace_that_another_makes_meanwhile_is_judged_anew(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", NS, GONE, namespace({"team": "shop"}))
    fake.says("POST", NAMESPACES, refusal(409, "already exists", "AlreadyExists"))
    with pytest.raises(EnvironmentStartError, match="somebody else's"):
        cluster.claim_namespace("ns", "r1")


def test_namespace_that_may_not_be_made_says_so(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("POST", NAMESPACES, refusal(403, "namespaces is forbidden"))
    with pytest.raises(QueryError, match="forbidden"):
        cluster.claim_namespace("ns", "r1")


def test_namespace_is_deleted_by_its_identity_and_awaited(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", NS, namespace(OURS), namespace(OURS, **TERMINATING), GONE)
    fake.says("DELETE", NS, json_of({}))
    cluster.delete_namespace("ns")
    assert [one.json for one in fake.asked_for("DELETE", NS)] == [{"preconditions": {"uid": "u1"}}]
    assert len(fake.asked_for("GET", NS)) == 3


def test_namespace_that_is_not_there_needs_no_deletion(fake: FakeApi, cluster: Cluster) -> None:
    cluster.delete_namespace("ns")
    assert [one.method for one in fake.asked] == ["GET"]


@pytest.mark.parametrize("answer", [GONE, refusal(409, "being removed"), refusal(409, "precondition failed")])
def test_namespace_that_goes_while_it_is_deleted_is_gone(fake: FakeApi, cluster: Cluster, answer: Answer) -> None:
    fake.says("GET", NS, namespace(OURS), GONE)
    fake.says("DELETE", NS, answer)
    cluster.delete_namespace("ns")


def test_namespace_of_the_same_name_made_meanwhile_is_neither_deleted_nor_awaited(
    fake: FakeApi, cluster: Cluster
) -> None:
    fake.says("GET", NS, namespace(OURS), namespace(OURS, uid="u2"))
    fake.says("DELETE", NS, refusal(409, "the UID in the precondition (u1) does not match"))
    cluster.delete_namespace("ns", timedelta(seconds=20))
    assert len(fake.asked_for("DELETE", NS)) == 1


def test_namespace_is_awaited_through_a_silence_of_the_api(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", NS, namespace(OURS), refusal(503, "starting"), GONE)
    fake.says("DELETE", NS, json_of({}))
    cluster.delete_namespace("ns")


def test_namespace_that_does_not_go_says_since_when(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", NS, namespace(OURS, **TERMINATING))
    fake.says("DELETE", NS, json_of({}))
    with pytest.raises(DeadlineError, match=r"to be gone within 0\.2 s") as caught:
        cluster.delete_namespace("ns", SHORT)
    assert caught.value.details["deleted_at"].startswith("2026-03-01")
    assert "-n ns --context named" in caught.value.details["hint"]


# Waiting for pods


def ready(pods: Sequence[Pod]) -> bool:
    return bool(pods) and all(one.is_ready for one in pods)


def wait(cluster: Cluster, timeout: timedelta = timedelta(seconds=10), selector: str = "") -> tuple[Pod, ...]:
    return cluster.await_pods("ns", selector, ready, what="pods to be ready", timeout=timeout)


def test_pods_that_are_ready_are_not_waited_for(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", PODS, list_of(pod("b", ready=True), pod("a", ready=True)))
    assert [one.name for one in wait(cluster, selector="app=x")] == ["a", "b"]
    assert [one.query for one in fake.asked] == [{"labelSelector": "app=x"}]


def test_pods_are_looked_at_again_when_one_changes(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", PODS, list_of(pod(), version=4), list_of(pod(ready=True), version=6))
    fake.says("WATCH", PODS, watch_of(bookmark(5), line("MODIFIED", pod(version=6)), fake.hang))
    begin = time.monotonic()
    wait(cluster, selector="app=x")
    assert time.monotonic() - begin < 2
    assert [(one.query["resourceVersion"], one.query["labelSelector"]) for one in fake.asked_for("WATCH", PODS)] == [
        ("4", "app=x")
    ]


@pytest.mark.parametrize(
    "end",
    [
        watch_of(), watch_of(bookmark(5)), watch_of(expired()), refusal(410, "too old"), refusal(500, "etcd"),
        watch_of(cut=True), watch_of(b'{"type": "MOD', cut=True), refusal(429, "too many requests"),
    ],
    ids=["polite end", "bookmark", "expired", "gone", "error", "cut", "cut in mid-line", "too many"],
)  # fmt: skip
def test_pods_are_listed_again_however_a_watch_ends(fake: FakeApi, cluster: Cluster, end: Answer) -> None:
    fake.says("GET", PODS, list_of(pod()), list_of(pod()), list_of(pod(ready=True)))
    fake.says("WATCH", PODS, end)
    assert [one.is_ready for one in wait(cluster)] == [True]
    assert len(fake.asked_for("WATCH", PODS)) == 2


def test_pods_are_waited_for_through_a_silence_of_the_api(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", PODS, refusal(503, "starting"), Answer(200, b'{"items"', cut=True), list_of(pod(ready=True)))
    wait(cluster)


def test_wait_asks_for_no_longer_than_it_may_take(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", PODS, list_of(pod()), list_of(pod(ready=True)))
    fake.says("WATCH", PODS, watch_of())
    wait(cluster, timedelta(seconds=3.5))
    assert [one.query["timeoutSeconds"] for one in fake.asked_for("WATCH", PODS)] == ["4"]


def test_wait_ends_at_its_deadline_with_states_and_events(fake: FakeApi, cluster: Cluster) -> None:
    event = {
        "metadata": {"name": "e"}, "type": "Warning", "reason": "Unhealthy", "message": "probe\nfailed", "eventTime": None,
        "involvedObject": {"kind": "Pod", "name": "web"}, "lastTimestamp": "2026-03-01T12:00:00Z",
    }  # fmt: skip
    fake.says("GET", PODS, list_of(pod()))
    fake.says("WATCH", PODS, lambda asked: watch_of(lambda: time.sleep(int(asked.query["timeoutSeconds"]) / 4)))
    fake.says("GET", f"{NS}/events", json_of({"items": [event]}))
    begin = time.monotonic()
    with pytest.raises(DeadlineError, match=r"expected pods to be ready within 0\.2 s, but it did not come") as caught:
        wait(cluster, SHORT)
    assert 0.2 <= time.monotonic() - begin < 2.5
    assert caught.value.details == {
        "pods": "web: Running", "events": "12:00:00 Warning Unhealthy Pod/web: probe failed", "context": "named",
    }  # fmt: skip


@pytest.mark.parametrize("lists", [[], [list_of(pod())]], ids=["from the begin", "later"])
def test_wait_ends_at_its_deadline_although_the_api_is_silent(
    fake: FakeApi, cluster: Cluster, lists: list[Answer]
) -> None:
    silent = refusal(503, "starting")
    fake.says("GET", PODS, *lists, silent)
    fake.says("WATCH", PODS, silent)
    fake.says("GET", f"{NS}/events", silent)
    with pytest.raises(DeadlineError) as caught:
        wait(cluster, SHORT)
    assert caught.value.details["last_error"] == "expected the Kubernetes API to answer, got status 503"
    assert caught.value.details["pods"] == ("web: Running" if lists else "none")
    assert "events" not in caught.value.details


def test_wait_ends_at_once_where_the_question_is_refused(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", PODS, refusal(403, "pods is forbidden"))
    with pytest.raises(QueryError, match="forbidden"):
        wait(cluster)


def test_wait_ends_as_soon_as_it_is_checked_to_be_no_use(fake: FakeApi, cluster: Cluster) -> None:
    def check(pods: Sequence[Pod]) -> None:
        if (bad := hopeless(pods)) is not None:
            raise EnvironmentStartError(pod_text(bad))

    bad = pod(containerStatuses=[container(state=waiting("ErrImageNeverPull", "not present"))])
    fake.says("GET", PODS, list_of(pod()), list_of(bad))
    fake.says("WATCH", PODS, watch_of())
    with pytest.raises(EnvironmentStartError, match="ErrImageNeverPull"):
        cluster.await_pods("ns", "", ready, what="pods", timeout=timedelta(seconds=10), check=check)


# What pods say


INIT_DONE = [container("prepare", state=ended(0, "Completed"))]


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (pod(ready=True), "web: ready"),
        (pod(ready=True, containerStatuses=[container(restarts=1)]), "web: ready, restarted once"),
        (pod(ready=True, containerStatuses=[container(restarts=2), container("b", restarts=1)]), "web: ready, restarted 3 times"),
        (pod(ready=True, **TERMINATING), "web: terminating"),
        (pod(phase="Pending", containerStatuses=[container(state=waiting("ContainerCreating"))]), "web: Pending"),
        (pod(phase=""), "web: unknown"),
        (pod(containerStatuses=[container(state=waiting("ErrImagePull", "not\nfound"))]), "web: ErrImagePull: not found"),
        (pod(containerStatuses=[container(state=waiting("ImagePullBackOff"))]), "web: ImagePullBackOff: main:1"),
        (
            pod(containerStatuses=[container(restarts=3, state=waiting("CrashLoopBackOff", "back-off"), lastState=ended(137, "OOMKilled"))]),
            "web: CrashLoopBackOff: back-off (last ended: OOMKilled, exit code 137), restarted 3 times",
        ),
        (pod(containerStatuses=[container(state=ended(2))]), "web: Error, exit code 2"),
        (pod(containerStatuses=[container(state=ended(2, ""))]), "web: ended, exit code 2"),
        (pod(containerStatuses=[container(state=ended(0, "Completed"))]), "web: Completed, exit code 0"),
        (pod(initContainerStatuses=[container("prepare", state=ended(1))]), "web: Error, exit code 1"),
        (
            pod(initContainerStatuses=INIT_DONE, containerStatuses=[container(state=waiting("CrashLoopBackOff", "b"))]),
            "web: CrashLoopBackOff: b",
        ),
        (pod(initContainerStatuses=INIT_DONE, containerStatuses=[container(state={"running": {}})]), "web: Running"),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]),
            "web: Unschedulable: 0/1 nodes",
        ),
        (pod(phase="Failed", reason="Evicted", message="low on memory"), "web: Evicted: low on memory"),
    ],
    ids=str,
)  # fmt: skip
def test_pod_is_told_in_one_line(thing: dict[str, Any], text: str) -> None:
    assert pod_text(read(thing)) == text


@pytest.mark.parametrize(
    "reason",
    ["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName",
     "CreateContainerConfigError", "CreateContainerError", "RunContainerError"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["initContainerStatuses", "containerStatuses"])
def test_pod_that_will_not_get_ready_is_found(reason: str, where: str) -> None:
    status: dict[str, Any] = {where: [container("a"), container("b", state=waiting(reason))]}
    bad = read(pod("bad", **status))
    assert hopeless([read(pod("good")), bad]) is bad


def test_pod_that_fits_on_no_node_is_found() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    bad = read(pod("bad", conditions=[condition]))
    assert hopeless([read(pod("good")), bad]) is bad


@pytest.mark.parametrize(
    "thing",
    [
        pod(containerStatuses=[container(state=waiting("ContainerCreating"))]),
        pod(containerStatuses=[container(state=waiting("PodInitializing"))]),
        pod(containerStatuses=[container(restarts=2, state={"running": {}}, lastState=ended(1))]),
        pod(conditions=[{"type": "PodScheduled", "status": "True"}]),
        pod(containerStatuses=[container(state=waiting("CrashLoopBackOff"))], **TERMINATING),
    ],
    ids=["creating", "initializing", "runs again", "scheduled", "on its way out"],
)  # fmt: skip
def test_pod_that_may_get_ready_or_need_not_is_no_reason_to_give_up(thing: dict[str, Any]) -> None:
    assert hopeless([read(thing)]) is None


def test_event_without_a_time_is_told_nevertheless() -> None:
    event = msgspec.convert({"metadata": {"name": "e"}, "reason": "Pulled", "type": "Normal"}, Event)
    assert event_text(event) == "--:--:-- Normal Pulled /:"


# The cluster


def nodes(*runtimes: str) -> Answer:
    return json_of(
        {
            "items": [
                {"metadata": {"name": f"n{n}"}, "status": {"nodeInfo": {"containerRuntimeVersion": one}}}
                for n, one in enumerate(runtimes)
            ]
        }
    )


@pytest.mark.parametrize(
    ("runtimes", "name"),
    [
        (["containerd://1.7.2", "containerd://2.0.0"], "containerd"),
        (["docker://27.1.0"], "docker"),
        (["cri-o://1.33"], "cri-o"),
    ],
)
def test_runtime_is_that_of_all_nodes(fake: FakeApi, cluster: Cluster, runtimes: list[str], name: str) -> None:
    fake.says("GET", "/api/v1/nodes", nodes(*runtimes))
    assert cluster.runtime() == name


@pytest.mark.parametrize(
    ("runtimes", "found"), [(["docker://27", "containerd://2"], "containerd, docker"), ([], "no nodes")]
)
def test_runtime_is_refused_where_nodes_do_not_agree(
    fake: FakeApi, cluster: Cluster, runtimes: list[str], found: str
) -> None:
    fake.says("GET", "/api/v1/nodes", nodes(*runtimes))
    with pytest.raises(EnvironmentStartError, match=f"found {found}"):
        cluster.runtime()


def test_log_is_broken_at_line_ends_only(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", f"{PODS}/web/log", Answer(200, "a\x0cb\nü\u2028ü\n".encode() + b"\xff\n"))
    assert cluster.pod_log("ns", "web", "main", lines=5, previous=True) == ("a\x0cb", "ü\u2028ü", "\ufffd")
    assert fake.asked[0].query == {"tailLines": "5", "previous": "true", "container": "main"}


def test_log_of_what_has_not_begun_is_empty(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("GET", f"{PODS}/web/log", refusal(400, "container is waiting to start"))
    assert cluster.pod_log("ns", "web") == ()


def test_endpoints_are_those_of_all_slices(fake: FakeApi, cluster: Cluster) -> None:
    slices = [
        {"metadata": {"name": "a"}, "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": False, "serving": None}, "targetRef": {"name": "web-1"}}]},
        {"metadata": {"name": "b"}, "endpoints": None},
        {"metadata": {"name": "c"}, "endpoints": [{"addresses": ["10.0.0.2"], "conditions": {}}]},
    ]  # fmt: skip
    fake.says(
        "GET", "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices", json_of({"metadata": {}, "items": slices})
    )
    first, second = cluster.endpoints("ns", "web")
    assert (first.addresses, first.conditions.ready, first.target_ref and first.target_ref.name) == (
        ["10.0.0.1"],
        False,
        "web-1",
    )
    assert (second.conditions.ready, second.target_ref) == (None, None)
    assert fake.asked[0].query == {"labelSelector": "kubernetes.io/service-name=web"}


def test_events_come_oldest_first_by_when_they_last_came(fake: FakeApi, cluster: Cluster) -> None:
    def event(reason: str, **more: Any) -> dict[str, Any]:
        return {"metadata": {"name": reason}, "reason": reason, "lastTimestamp": None, "eventTime": None, **more}

    fake.says("GET", f"{NS}/events", json_of({"items": [
        event("again", eventTime="2026-03-01T12:00:00.000000Z", series={"count": 3, "lastObservedTime": "2026-03-01T12:00:09.000000Z"}),
        event("once", eventTime="2026-03-01T12:00:05.000000Z"),
        event("counted", lastTimestamp="2026-03-01T12:00:07Z", count=4),
        event("timeless"),
    ]}))  # fmt: skip
    assert [one.reason for one in cluster.events("ns")] == ["timeless", "once", "counted", "again"]


@pytest.mark.parametrize(
    ("kind", "plural"), [("Deployment", "deployments"), ("StatefulSet", "statefulsets"), ("DaemonSet", "daemonsets")]
)
def test_workload_is_found_by_its_kind(fake: FakeApi, cluster: Cluster, kind: str, plural: str) -> None:
    path = f"/apis/apps/v1/namespaces/ns/{plural}/web"
    fake.says("GET", path, json_of({"metadata": {"name": "web", "generation": 2}, "spec": {"replicas": 3}}))
    fake.says("PATCH", path, json_of({}))
    found = cluster.workload("ns", kind, "web")
    assert found is not None
    assert (found.spec.replicas, found.metadata.generation) == (3, 2)
    cluster.patch_workload("ns", kind, "web", {"spec": {"replicas": 0}})
    assert fake.asked[-1].json == {"spec": {"replicas": 0}}
    assert cluster.workload("ns", kind, "other") is None


def test_pod_is_deleted_with_the_grace_that_is_asked(fake: FakeApi, cluster: Cluster) -> None:
    fake.says("DELETE", f"{PODS}/web", json_of({}))
    assert cluster.delete_pod("ns", "web", grace=0)
    assert cluster.delete_pod("ns", "web")
    assert not cluster.delete_pod("ns", "other")
    assert [one.query for one in fake.asked_for("DELETE", f"{PODS}/web")] == [{"gracePeriodSeconds": "0"}, {}]


def test_service_is_applied_and_read(fake: FakeApi, cluster: Cluster) -> None:
    path = f"{NS}/services/web"

    def applied(asked: Asked) -> Answer:
        fake.says(
            "GET", path, json_of({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80, "nodePort": 30080}]}})
        )
        return json_of({})

    assert cluster.service("ns", "web") is None
    fake.says("PATCH", path, applied)
    assert cluster.apply_service("ns", {"kind": "Service"}, "web").spec.ports[0].node_port == 30080
