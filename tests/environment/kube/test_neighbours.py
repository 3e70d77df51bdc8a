"""Pods beside the stack: made to ask for nothing, measured by their node, and always taken away."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloproof.environment.kube.cluster import MADE_BY, Cluster
from sloproof.environment.kube.kubectl import Kubectl
from sloproof.environment.kube.neighbours import Neighbours
from sloproof.errors import QueryError
from tests.environment.kube.fake_api import PODS, FakeApi, container, ended, json_of, list_of, pod, refusal

STATS = "/api/v1/nodes/n1/proxy/stats/summary"


@pytest.fixture
def neighbours(fake: FakeApi) -> Neighbours:
    fake.says("POST", PODS, json_of({}, 201))
    fake.says("GET", PODS, list_of(pod("hog", ready=True)))
    fake.says("DELETE", f"{PODS}/hog", json_of({}))
    return Neighbours(Cluster(fake.api()), Kubectl(Path("kubectl"), None, "named", {}), "ns")


def test_pod_beside_asks_for_no_memory_and_is_ours(fake: FakeApi, neighbours: Neighbours) -> None:
    neighbours.start("hog", "api:1", ["sleep", "9"])
    (asked,) = fake.asked_for("POST", PODS)
    (made,) = asked.json["spec"]["containers"]
    assert (made["image"], made["command"], made["resources"]) == ("api:1", ["sleep", "9"], {})
    assert MADE_BY.items() <= asked.json["metadata"]["labels"].items()


def test_pod_within_a_limit_is_told_by_how_it_ended(fake: FakeApi, neighbours: Neighbours) -> None:
    over = pod("hog", containerStatuses=[container("hog", state=ended(137, "OOMKilled"))])
    fake.says("GET", PODS, list_of(pod("hog", containerStatuses=[container("hog")])), list_of(over))
    fake.says("WATCH", PODS, json_of({"type": "MODIFIED", "object": over}))
    told = neighbours.end_of("hog", "api:1", ["eat"], memory="32Mi")
    assert (told.exit_code, told.reason) == (137, "OOMKilled")
    (asked,) = fake.asked_for("POST", PODS)
    assert asked.json["spec"]["containers"][0]["resources"]["limits"] == {"memory": "32Mi"}


def test_what_was_begun_is_taken_away_even_if_it_was_refused(fake: FakeApi, neighbours: Neighbours) -> None:
    fake.says("POST", PODS, refusal(409, "there is one already", "AlreadyExists"))
    with pytest.raises(QueryError):
        neighbours.start("hog", "api:1", ["sleep"])
    neighbours.remove()
    neighbours.remove()
    (gone,) = fake.asked_for("DELETE", f"{PODS}/hog")
    assert gone.query == {"gracePeriodSeconds": "0"}


def test_memory_is_the_nodes_word_on_pods_of_the_namespace(fake: FakeApi, neighbours: Neighbours) -> None:
    def used(name: str, namespace: str, amount: int) -> object:
        return {"podRef": {"name": name, "namespace": namespace}, "memory": {"workingSetBytes": amount}}

    fake.says("GET", "/api/v1/nodes", json_of({"items": [{"metadata": {"name": "n1"}}]}))
    fake.says("GET", STATS, json_of({"pods": [used("hog", "ns", 7), used("hog", "other", 9)]}))
    fake.says("GET", PODS, list_of(pod("hog", qosClass="BestEffort")))
    pods, memory = neighbours.ranked()
    assert memory == {"hog": 7}
    assert [one.status.qos_class for one in pods] == ["BestEffort"]
