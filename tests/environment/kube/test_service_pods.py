"""What a scenario does to the service's workload, and that all of it is put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import pytest

from sloproof.environment.kube.cluster import Cluster
from sloproof.environment.kube.environment import KubeEnvironment
from sloproof.environment.kube.objects import Pod, Workload
from sloproof.environment.kube.parts import Part, missing_of
from sloproof.environment.kube.service_pods import ServicePods
from sloproof.errors import ComponentExitedError, SettingsError
from tests.environment.kube.fake_api import PODS, Answer, FakeApi, json_of, list_of, pod
from tests.fakes import SETTINGS

DEPLOYMENT = "/apis/apps/v1/namespaces/ns/deployments/api"
OBSERVER = "/api/v1/namespaces/ns/services/sloproof-observer"
READY = "/health/readiness"
LABELS = {"app": "api"}
TEMPLATE = {"spec": {"containers": [{"name": "api", "image": "api:1"}]}}


def workload(*, replicas: int = 1, generation: int = 2, observed: int = 2, **status: int) -> dict[str, Any]:
    counts = {"replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas, **status}
    return {
        "metadata": {"name": "api", "generation": generation},
        "spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": TEMPLATE},
        "status": {"observedGeneration": observed, **counts},
    }


def own(name: str, *, ready: bool = True, **more: Any) -> dict[str, Any]:
    return pod(name, ready=ready, labels=LABELS, **more)


class Place:
    """The parts of a running environment that are asked for."""

    def __init__(self, cluster: Cluster, gate: str) -> None:
        self.cluster = cluster
        self.namespace = "ns"
        part = Part("service", "Deployment", "api", labels=LABELS, container="api", port=80, ready=READY)
        self.parts = {"service": part}
        self.addresses = {"gate": gate}
        self.instances = ("10.0.0.1:80",)
        self.did: list[str] = []
        self.error: ComponentExitedError | None = None

    def expect_restarts(self, component: str) -> None:
        self.did.append(f"expect {component}")

    def accept_restarts(self) -> None:
        self.did.append("accept")

    def check_alive(self) -> None:
        self.did.append("check")
        if self.error is not None:
            raise self.error


@pytest.fixture
def place(fake: FakeApi) -> Place:
    fake.says("GET", DEPLOYMENT, json_of(workload()))
    fake.says("GET", PODS, list_of(own("a")))
    fake.says("PATCH", DEPLOYMENT, json_of({}))
    fake.says("PATCH", OBSERVER, json_of({}))
    fake.says("GET", READY, json_of({}))
    return Place(Cluster(fake.api()), f"http://127.0.0.1:{fake.port}")


@pytest.fixture
def service(place: Place) -> ServicePods:
    return ServicePods(cast("KubeEnvironment", place), SETTINGS, lambda _: True)


def changes(fake: FakeApi) -> Sequence[Any]:
    return [one.json for one in fake.asked_for("PATCH", DEPLOYMENT)]


def test_restore_puts_template_and_replicas_back_as_they_were(
    fake: FakeApi, place: Place, service: ServicePods
) -> None:
    service.release(["sh", "-c", "exit 3"])
    service.restore()
    release, back = changes(fake)
    (made,) = release["spec"]["template"]["spec"]["containers"]
    assert made == {"name": "api", "command": ["sh", "-c", "exit 3"], "args": []}
    assert back == [
        {"op": "replace", "path": "/spec/template", "value": TEMPLATE},
        {"op": "replace", "path": "/spec/replicas", "value": 1},
    ]
    # Its end was wanted until then, and no further one is.
    assert (place.did[0], place.did[-1]) == ("expect service", "accept")
    assert fake.asked_for("PATCH", DEPLOYMENT)[1].headers["Content-Type"] == "application/json-patch+json"


def test_restore_of_nothing_does_nothing_and_a_second_one_neither(fake: FakeApi, service: ServicePods) -> None:
    service.restore()
    assert not changes(fake)
    service.scale(1)
    service.restore()
    service.restore()
    assert len(changes(fake)) == 2


def test_what_was_first_is_put_back_after_several_changes(fake: FakeApi, service: ServicePods) -> None:
    service.scale(1)
    fake.says("GET", DEPLOYMENT, json_of(workload(replicas=1) | {"spec": {"replicas": 9, "template": {}}}))
    service.release(["false"])
    fake.says("GET", DEPLOYMENT, json_of(workload()))
    service.restore()
    assert changes(fake)[-1][0]["value"] == TEMPLATE


def test_new_pods_of_a_rollout_are_as_the_old_ones_and_stay(fake: FakeApi, service: ServicePods) -> None:
    service.roll()
    service.restore()
    assert len(changes(fake)) == 1


def test_number_of_pods_is_put_back_after_a_rollout(fake: FakeApi, service: ServicePods) -> None:
    service.scale(2)
    rolled = {"spec": {"containers": []}, "metadata": {"annotations": {"rolled": "now"}}}
    deployment = workload(replicas=1)
    fake.says("GET", DEPLOYMENT, json_of(deployment | {"spec": deployment["spec"] | {"template": rolled}}))
    service.roll()
    service.restore()
    assert [one["value"] for one in changes(fake)[-1]] == [rolled, 1]


def test_pod_on_its_way_out_is_killed_where_nothing_is_sent_any_more(fake: FakeApi, service: ServicePods) -> None:
    going = own("b", deletionTimestamp="2026-03-01T12:00:00Z")
    service.scale(1)
    fake.says("GET", PODS, list_of(own("a"), going), list_of(own("a"), going), list_of(own("a")))
    fake.says("DELETE", f"{PODS}/b", json_of({}))
    service.restore(at_once=True)
    (killed,) = fake.asked_for("DELETE", f"{PODS}/b")
    assert killed.query["gracePeriodSeconds"] == "0"


def test_route_to_all_pods_leads_to_ready_ones_while_they_come_and_go(fake: FakeApi, service: ServicePods) -> None:
    service.roll()
    asked = [one for one in fake.asked if one.method == "PATCH"]
    led = [one.json["spec"]["publishNotReadyAddresses"] for one in asked if one.path == OBSERVER]
    assert led == [False, True]
    assert [one.path for one in asked] == [OBSERVER, DEPLOYMENT, OBSERVER]


def test_rollout_is_over_once_the_gate_leads_to_new_pods_and_to_no_old_one(fake: FakeApi, service: ServicePods) -> None:
    late, yes = Answer(status=503), json_of({})
    fake.says("GET", READY, late, yes, yes, late, yes)
    service.roll()
    # One refusal, two answers and a refusal, and then six in a row.
    assert len(fake.asked_for("GET", READY)) == 1 + 3 + 6


def test_report_is_what_the_environment_says_of_it(place: Place, service: ServicePods) -> None:
    assert service.end_report() is None
    place.error = ComponentExitedError("service", 3, ("no database",))
    assert service.end_report() is place.error
    assert place.did[-1] == "expect service"


def test_gate_leads_to_pods_whose_endpoint_is_ready(fake: FakeApi, service: ServicePods) -> None:
    def endpoint(name: str, *, ready: bool | None) -> Mapping[str, object]:
        return {"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {"name": name}}

    found = [endpoint("a", ready=True), endpoint("b", ready=False), endpoint("c", ready=None)]
    slices = {"metadata": {}, "items": [{"metadata": {}, "endpoints": found}, {"metadata": {}, "endpoints": None}]}
    fake.says("GET", "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices", json_of(slices))
    assert service.behind_gate() == {"a", "c"}


def test_only_pod_of_several_is_refused(fake: FakeApi, service: ServicePods) -> None:
    assert service.only.name == "a"
    fake.says("GET", PODS, list_of(own("a"), own("b")))
    with pytest.raises(SettingsError, match="but there are 2"):
        _ = service.only


def test_probe_that_is_missing_is_told(service: ServicePods) -> None:
    with pytest.raises(SettingsError, match="readiness probe"):
        _ = service.leaves_within
    with pytest.raises(SettingsError, match="liveness probe"):
        _ = service.restarts_within


@pytest.mark.parametrize(
    ("given", "pods", "missing"),
    [
        (workload(), [own("a")], ""),
        (workload(observed=1), [own("a")], "not seen yet"),
        (workload(availableReplicas=0), [own("a")], "0 available of 1"),
        (workload(replicas=2, updatedReplicas=1), [own("a"), own("b")], "1 new and 2 available of 2"),
        (workload(), [own("a"), own("b", deletionTimestamp="2026-03-01T12:00:00Z")], "b on the way out"),
        (workload(), [], "0 ready of 0"),  # killed, and the workload does not know it yet
        (workload(), [own("a", ready=False)], "0 ready of 1"),
        (workload(), [own("a"), own("b")], "2 ready of 2"),
    ],
)
def test_rollout_is_complete_when_exactly_the_wanted_pods_are_there(
    given: dict[str, Any], pods: list[dict[str, Any]], missing: str
) -> None:
    said = missing_of(msgspec.convert(given, Workload), [msgspec.convert(one, Pod) for one in pods])
    assert (said == "") if missing == "" else (missing in said)


def test_workload_on_each_node_is_complete_by_counts_of_its_own() -> None:
    status = {"observedGeneration": 2, "desiredNumberScheduled": 1, "numberAvailable": 1}
    given = {"metadata": {"name": "shipper", "generation": 2}, "status": status}
    pods = [msgspec.convert(own("a"), Pod)]
    assert missing_of(msgspec.convert(given, Workload), pods) == "0 new and 1 available of 1"
    given["status"] = status | {"updatedNumberScheduled": 1}
    assert missing_of(msgspec.convert(given, Workload), pods) == ""
    assert missing_of(None, pods) == "there is no such workload"
