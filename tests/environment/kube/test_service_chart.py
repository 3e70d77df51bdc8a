from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.environment.kube.rendered import (
    CHARTS,
    ROOT,
    Document,
    RefusedError,
    kinds,
    lint,
    named,
    open_maps,
    pod_templates,
    render,
)

IMAGE = {"image": {"reference": "users-api:src-1"}}
Renderer = Callable[..., list[Document]]

# Each renders with the real helm.
pytestmark = pytest.mark.slow


@pytest.fixture
def helm(tool_path: Callable[[str], Path]) -> Path:
    return tool_path("helm")


@pytest.fixture
def rendered(helm: Path, tmp_path: Path) -> Renderer:
    """Return a function that renders the chart with values on top of an image."""

    def make(values: dict[str, Any] | None = None) -> list[Document]:
        return render(helm, "service", {**IMAGE, **(values or {})}, tmp_path)

    return make


def pod(objects: list[Document]) -> Document:
    (template,) = pod_templates(objects)
    return template


def container(objects: list[Document]) -> Document:
    (one,) = pod(objects)["spec"]["containers"]
    assert isinstance(one, dict)
    return one


def test_chart_passes_a_strict_lint(helm: Path, tmp_path: Path) -> None:
    assert "0 chart(s) failed" in lint(helm, "service", IMAGE, tmp_path)


def test_chart_makes_a_workload_and_what_belongs_to_it(rendered: Renderer) -> None:
    assert kinds(rendered()) == {"Deployment": 1, "Service": 1, "ServiceAccount": 1, "PodDisruptionBudget": 1}


def test_chart_makes_what_is_switched_on(rendered: Renderer) -> None:
    objects = rendered(
        {
            "faults": {"enabled": True, "token": "t"},
            "autoscaling": {"enabled": True},
            "ingress": {"enabled": True, "host": "users.example"},
        }
    )

    assert kinds(objects) - kinds(rendered()) == {"Secret": 1, "HorizontalPodAutoscaler": 1, "Ingress": 1}
    # Both would set the number of pods, in turns.
    assert "replicas" not in named(objects, "Deployment", "users-api")["spec"]


@pytest.mark.parametrize(
    "values",
    [{"imagee": 1}, {"image": {"reference": "a:b", "tag": "c"}}, {"probes": {"readiness": {"paht": "/"}}}, {"service": {"annotations": {}}}, {"env": {"A": 1}}, {"writable": [{"name": "a", "path": "/a", "sizeLimit": "1Mi", "size": 1}]}],
)  # fmt: skip
def test_chart_refuses_values_it_does_not_know(rendered: Renderer, values: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="values don't meet the specifications of the schema"):
        rendered(values)


def test_schema_is_open_nowhere() -> None:
    schema = json.loads((CHARTS / "service" / "values.schema.json").read_text())

    jsonschema.Draft7Validator.check_schema(schema)
    assert list(open_maps(schema)) == []
    assert list(open_maps({"type": "object", "properties": {"a": {"type": "object"}}})) == ["$", "$.properties.a"]


def test_chart_refuses_to_guess_the_image(helm: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"image\.reference: say which image"):
        render(helm, "service", {}, tmp_path)


def test_scraping_is_told_on_the_pods_alone(rendered: Renderer) -> None:
    objects = rendered()

    told = {f"{one['kind']}": one["metadata"].get("annotations") or {} for one in objects}
    assert not [kind for kind, notes in told.items() if any(key.startswith("prometheus.io/") for key in notes)]
    assert pod(objects)["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8000",
        "prometheus.io/path": "/metrics",
    }


def test_scraped_port_is_one_that_the_container_declares(rendered: Renderer) -> None:
    """Prometheus keeps the one target whose port the annotation names; without such a port there is none."""
    for values in ({}, {"port": 9000}, {"metrics": {"port": 9100}}):
        objects = rendered(values)
        wanted = pod(objects)["metadata"]["annotations"]["prometheus.io/port"]
        assert [str(one["containerPort"]) for one in container(objects)["ports"]].count(wanted) == 1


def test_labels_keep_the_contract(rendered: Renderer) -> None:
    objects = rendered({"name": "shop"})

    assert pod(objects)["metadata"]["labels"]["app"] == "shop"
    assert pod(objects)["metadata"]["labels"]["app.kubernetes.io/name"] == "shop"
    assert container(objects)["name"] == "shop"
    assert {one["metadata"]["name"] for one in objects} == {"shop"}
    chosen = named(objects, "Deployment", "shop")["spec"]["selector"]["matchLabels"]
    assert named(objects, "Service", "shop")["spec"]["selector"] == chosen
    assert chosen.items() <= pod(objects)["metadata"]["labels"].items()


def test_pod_may_do_nothing_it_need_not(rendered: Renderer) -> None:
    objects = rendered()

    inside, outside = container(objects)["securityContext"], pod(objects)["spec"]
    assert inside["readOnlyRootFilesystem"] is True
    assert inside["allowPrivilegeEscalation"] is False
    assert inside["capabilities"] == {"drop": ["ALL"]}
    assert outside["securityContext"]["runAsNonRoot"] is True
    assert outside["securityContext"]["runAsUser"] > 0
    assert outside["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert outside["automountServiceAccountToken"] is False
    assert named(objects, "ServiceAccount", "users-api")["automountServiceAccountToken"] is False
    # Else a Service called `service` gives the pod variables that the service refuses.
    assert outside["enableServiceLinks"] is False


def test_every_folder_that_is_written_to_is_mounted(rendered: Renderer) -> None:
    objects = rendered()

    mounts = {one["name"]: one["mountPath"] for one in container(objects)["volumeMounts"]}
    volumes = {one["name"]: one["emptyDir"] for one in pod(objects)["spec"]["volumes"]}
    assert mounts.keys() == volumes.keys()
    told = {one["name"]: one.get("value") for one in container(objects)["env"]}
    assert told["SERVICE_STATE_DIR"] == mounts["state"]


@pytest.mark.parametrize(("pause", "drain"), [(3, 10), (0, 30)])
def test_pod_has_time_to_pause_and_to_drain(rendered: Renderer, pause: int, drain: int) -> None:
    objects = rendered({"stop": {"pauseSeconds": pause, "drainSeconds": drain}})

    assert pod(objects)["spec"]["terminationGracePeriodSeconds"] > pause + drain
    slept = container(objects).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert slept == pause


def test_container_that_hangs_is_given_time_to_pause_but_not_to_drain(rendered: Renderer) -> None:
    objects = rendered()

    grace = container(objects)["livenessProbe"]["terminationGracePeriodSeconds"]
    pause = container(objects)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause < grace < pod(objects)["spec"]["terminationGracePeriodSeconds"]
    assert "terminationGracePeriodSeconds" not in container(objects)["readinessProbe"]


def test_update_takes_no_pod_away_before_another_is_ready(rendered: Renderer) -> None:
    strategy = named(rendered(), "Deployment", "users-api")["spec"]["strategy"]

    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_one_pod_does_not_keep_its_node_from_being_drained(rendered: Renderer) -> None:
    assert named(rendered(), "PodDisruptionBudget", "users-api")["spec"]["maxUnavailable"] == 1


def test_port_is_told_to_the_program_and_to_the_service(rendered: Renderer) -> None:
    objects = rendered({"port": 9001, "service": {"type": "NodePort", "nodePort": 30001}})

    assert {"name": "SERVICE_PORT", "value": "9001"} in container(objects)["env"]
    (port,) = named(objects, "Service", "users-api")["spec"]["ports"]
    assert (port["port"], port["nodePort"], port["targetPort"]) == (9001, 30001, "http")


def test_token_of_the_faults_comes_from_a_secret_alone(rendered: Renderer) -> None:
    made, given = (
        rendered({"faults": {"enabled": True, **more}})
        for more in ({"token": "open-sesame"}, {"existingSecret": "mine"})
    )

    for objects, name in ((made, "users-api-faults"), (given, "mine")):
        (told,) = [one for one in container(objects)["env"] if one["name"] == "SERVICE_FAULTS_TOKEN"]
        assert told["valueFrom"]["secretKeyRef"] == {"name": name, "key": "token"}
        assert "open-sesame" not in json.dumps(objects)
    assert kinds(given)["Secret"] == 0


def test_chart_serves_a_program_that_is_not_ours(rendered: Renderer) -> None:
    objects = rendered(
        {
            "name": "shop",
            "command": ["/shop", "serve"],
            "port": 80,
            "portVariable": "",
            "env": None,
            "writable": [],
            "metrics": {"enabled": False},
        }
    )

    assert container(objects)["command"] == ["/shop", "serve"]
    assert not container(objects).get("volumeMounts")
    assert not pod(objects)["metadata"]["annotations"]


def test_service_may_take_as_long_to_stop_as_the_settings_say() -> None:
    """The chart's default fits this service's own."""
    values = yaml.safe_load((CHARTS / "service" / "values.yaml").read_text())
    project = (ROOT / "service" / "settings.py").read_text()

    assert "grace_seconds: int = _setting(8," in project
    assert values["stop"]["drainSeconds"] > 8
