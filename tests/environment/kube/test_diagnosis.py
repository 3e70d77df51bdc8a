"""What is kept of a namespace for whoever has to understand a failure."""

from __future__ import annotations

from pathlib import Path

from sloproof.environment.kube.cluster import Cluster
from sloproof.environment.kube.diagnosis import write_diagnosis
from tests.environment.kube.fake_api import (
    PODS,
    Answer,
    Asked,
    FakeApi,
    container,
    json_of,
    list_of,
    pod,
    refusal,
    waiting,
)


def test_states_events_and_logs_of_every_life_are_kept(fake: FakeApi, tmp_path: Path) -> None:
    statuses = [container("web", restarts=2, state=waiting("CrashLoopBackOff", "back-off")), container("mesh")]
    fake.says("GET", PODS, list_of(pod("a", containerStatuses=statuses, initContainerStatuses=[container("prepare")])))
    event = {"metadata": {"name": "e"}, "type": "Warning", "reason": "BackOff", "message": "restarting"}
    fake.says("GET", "/api/v1/namespaces/ns/events", json_of({"items": [event]}))

    def log(asked: Asked) -> Answer:
        if asked.query["container"] == "mesh":
            return refusal(500, "the node is away")
        return Answer(200, f"{asked.query['container']} previous={asked.query['previous']}\n".encode())

    fake.says("GET", f"{PODS}/a/log", log)
    folder = tmp_path / "evidence" / "kube"

    write_diagnosis(Cluster(fake.api()), "ns", folder)

    assert {one.name: one.read_text() for one in folder.iterdir()} == {
        "pods.txt": "a: CrashLoopBackOff: back-off, restarted 2 times\n",
        "events.txt": "--:--:-- Warning BackOff /: restarting\n",
        "a.prepare.log": "prepare previous=false\n",
        "a.web.log": "web previous=false\n",
        "a.web.previous.log": "web previous=true\n",
    }
