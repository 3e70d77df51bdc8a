"""Which pods a component has, and what they say of it."""

from __future__ import annotations

from typing import Any

import msgspec

from sloproof.environment.kube.objects import Pod
from sloproof.environment.kube.parts import Part
from tests.environment.kube.fake_api import container, ended, pod

LABELS = {"app": "loki"}
PART = Part(name="loki", kind="StatefulSet", workload="loki", labels=LABELS, container="loki")


def own(name: str = "loki-0", **more: Any) -> Pod:
    return msgspec.convert(pod(name, **{"labels": {**LABELS, "hash": "1"}, **more}), Pod)


def test_pods_are_those_that_carry_all_its_labels() -> None:
    part = Part(name="x", kind="Deployment", workload="x", labels={"app": "loki", "role": "read"})
    pods = [
        own("a", labels={"app": "loki", "role": "read", "more": "1"}),
        own("b"),
        own("c", labels={"app": "grafana"}),
    ]
    assert [one.name for one in part.pods(pods)] == ["a"]


def test_newest_pod_comes_last() -> None:
    pods = [
        own("c", creationTimestamp="2026-03-01T12:00:10Z"),
        own("a", creationTimestamp="2026-03-01T12:00:10Z"),
        own("b", creationTimestamp="2026-03-01T09:59:00Z"),
    ]
    assert [one.name for one in PART.pods(pods)] == ["b", "a", "c"]


def test_restarts_are_counted_over_all_its_pods_and_no_others() -> None:
    pods = [
        own("a", containerStatuses=[container("loki", restarts=2), container("sidecar", restarts=1)]),
        own("b", containerStatuses=[container("loki", restarts=4)]),
        own("c", labels={}, containerStatuses=[container("loki", restarts=8)]),
    ]
    assert PART.restarts(pods) == 7


def test_end_is_that_of_its_own_container() -> None:
    statuses = [
        container("sidecar", state=ended(1)),
        container("loki", state={"running": {}}, lastState=ended(137, "OOMKilled")),
    ]
    found = PART.end([own(containerStatuses=statuses)])
    assert found is not None
    assert (found.exit_code, found.reason) == (137, "OOMKilled")


def test_end_is_that_of_the_newest_pod_and_the_latest_one() -> None:
    pods = [
        own("a", creationTimestamp="2026-03-01T12:00:00Z", containerStatuses=[container("loki", state=ended(1))]),
        own(
            "b",
            creationTimestamp="2026-03-01T12:00:09Z",
            containerStatuses=[container("loki", state=ended(2), lastState=ended(3))],
        ),
    ]
    found = PART.end(pods)
    assert found is not None
    assert found.exit_code == 2
    assert PART.end([own()]) is None


def test_status_is_running_while_a_pod_is_ready() -> None:
    pods = [own("a"), own("b", ready=True, containerStatuses=[container("loki", restarts=1, lastState=ended(1))])]
    status = PART.status(pods, is_stopped=False)
    assert (status.name, status.state, status.pid, status.exit_status, status.restarts) == (
        "loki",
        "running",
        None,
        None,
        1,
    )


def test_status_is_exited_where_no_pod_is_ready_and_says_how_it_ended() -> None:
    pods = [own(containerStatuses=[container("loki", restarts=3, lastState=ended(2))])]
    status = PART.status(pods, is_stopped=False)
    assert (status.state, status.exit_status, status.restarts) == ("exited", 2, 3)
    status = PART.status([], is_stopped=False)
    assert (status.state, status.exit_status, status.restarts) == ("exited", None, 0)


def test_status_is_exited_where_the_only_ready_pod_is_on_its_way_out() -> None:
    assert PART.status([own(ready=True, deletionTimestamp="2026-03-01T12:00:00Z")], is_stopped=False).state == "exited"


def test_status_is_stopped_where_that_was_asked_whatever_is_left() -> None:
    status = PART.status([own(ready=True, containerStatuses=[container("loki", lastState=ended(2))])], is_stopped=True)
    assert (status.state, status.exit_status) == ("stopped", None)
