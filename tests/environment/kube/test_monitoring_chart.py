from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sloproof.environment.components import ExtraRules
from sloproof.environment.kube.monitoring_values import IMAGES, PORTS, monitoring_values
from sloproof.settings import load_settings
from tests.environment.kube.rendered import (
    CHARTS,
    NAMESPACE,
    ROOT,
    Document,
    RefusedError,
    kinds,
    lint,
    named,
    open_maps,
    pod_templates,
    render,
    requested,
)

# Each renders with the real helm.
pytestmark = pytest.mark.slow


@pytest.fixture
def helm(tool_path: Callable[[str], Path]) -> Path:
    return tool_path("helm")


def values(runtime: str = "containerd", **more: Any) -> dict[str, Any]:
    """Return the values that a run on Kubernetes gives the chart, with some on top."""
    made = monitoring_values(
        load_settings(ROOT),
        namespace=NAMESPACE,
        platform_dir=ROOT / "platform",
        runtime=runtime,
        images={name: f"local/{name}:1" for name in (*IMAGES, "grafana")},
        extra=ExtraRules(
            prometheus={"slo.yml": (ROOT / "platform" / "rules" / "slo" / "users-api.yml").read_text()},
            loki={"slo.yml": (ROOT / "platform" / "rules" / "loki" / "users-api.yml").read_text()},
        ),
    )
    return {**made, **more}


@pytest.fixture
def rendered(helm: Path, tmp_path: Path) -> Callable[..., list[Document]]:
    def make(**more: Any) -> list[Document]:
        return render(helm, "monitoring", values(**more), tmp_path)

    return make


Renderer = Callable[..., list[Document]]
PLAIN = {
    "Deployment": 4,
    "DaemonSet": 1,
    "Service": 4,
    "ConfigMap": 7,
    "ServiceAccount": 1,
    "Role": 1,
    "RoleBinding": 1,
}


def test_chart_passes_a_strict_lint(helm: Path, tmp_path: Path) -> None:
    assert "0 chart(s) failed" in lint(helm, "monitoring", values(), tmp_path)


def test_chart_makes_one_workload_a_program(rendered: Renderer) -> None:
    objects = rendered()

    assert kinds(objects) == PLAIN
    workloads = {one["metadata"]["name"]: one["kind"] for one in objects if "template" in one.get("spec", {})}
    assert workloads == {name: "DaemonSet" if name == "promtail" else "Deployment" for name in PORTS}


def test_grafana_is_off_until_it_is_switched_on(rendered: Renderer) -> None:
    objects = rendered(grafana={"enabled": True})

    assert kinds(objects) - kinds(rendered()) == {"Deployment": 1, "Service": 1, "ConfigMap": 2}
    dashboards = named(objects, "ConfigMap", "grafana-dashboards")["data"]
    for name, text in dashboards.items():
        assert json.loads(text) == json.loads((ROOT / "platform" / "dashboards" / name).read_text())
    assert dashboards


def test_stack_is_small(rendered: Renderer) -> None:
    """It has to fit beside a control plane on two processors; with everything switched on, too."""
    for more in ({}, {"grafana": {"enabled": True}}):
        objects = rendered(**more)
        assert requested(objects, "memory") < 600
        assert requested(objects, "cpu") <= 400


def test_every_container_has_a_limit_of_memory_above_its_heaps(rendered: Renderer) -> None:
    for template in pod_templates(rendered(grafana={"enabled": True})):
        (container,) = template["spec"]["containers"]
        limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
        assert int(container["resources"]["requests"]["memory"].removesuffix("Mi")) < limit
        heap = [one["value"] for one in container["env"] if one["name"] == "GOMEMLIMIT"]
        assert [int(text.removesuffix("MiB")) < limit for text in heap] == [True] * (container["name"] != "receiver")


@pytest.mark.parametrize(
    "wrong",
    [{"persistence": {}}, {"images": {"tempo": "a"}}, {"loki": {"replicas": 2}}, {"runtime": "podman"}, {"rules": {"prometheus": {"slo.yaml": ""}}}, {"config": {"mimir": ""}}, {"prometheus": {"resources": {"limits": {"memory": "1Gi"}}}}],
)  # fmt: skip
def test_chart_refuses_values_it_does_not_know(helm: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="values don't meet the specifications of the schema"):
        render(helm, "monitoring", {**values(), **wrong}, tmp_path)


def test_schema_is_open_nowhere() -> None:
    schema = json.loads((CHARTS / "monitoring" / "values.schema.json").read_text())

    jsonschema.Draft7Validator.check_schema(schema)
    assert list(open_maps(schema)) == []


def test_chart_refuses_to_run_without_configuration(helm: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="values don't meet the specifications of the schema"):
        render(helm, "monitoring", {}, tmp_path)


def test_nothing_of_the_stack_is_scraped_as_the_service(rendered: Renderer) -> None:
    """Prometheus knows its neighbours by name; an annotation would make them targets of the service's job."""
    assert "prometheus.io/" not in json.dumps([one for one in rendered() if one["kind"] != "ConfigMap"])


def test_nobody_but_the_shipper_is_root(rendered: Renderer) -> None:
    for template in pod_templates(rendered(grafana={"enabled": True})):
        spec, (container,) = template["spec"], template["spec"]["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"]["drop"] == ["ALL"]
        if container["name"] == "promtail":
            assert spec["securityContext"]["runAsUser"] == 0
            assert security["capabilities"]["add"] == ["DAC_READ_SEARCH"]
        else:
            assert spec["securityContext"]["runAsNonRoot"] is True
            assert "add" not in security["capabilities"]
        # Only Prometheus asks the API for anything.
        assert spec.get("automountServiceAccountToken", True) is (container["name"] == "prometheus")


def test_role_reaches_as_far_as_the_namespace(rendered: Renderer) -> None:
    objects = rendered()

    assert named(objects, "Role", "prometheus")["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    ]
    (subject,) = named(objects, "RoleBinding", "prometheus")["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "prometheus", "namespace": NAMESPACE}


@pytest.mark.parametrize(("runtime", "places"), [("containerd", {"/var/log/pods"}), ("cri-o", {"/var/log/pods"}), ("docker", {"/var/log/pods", "/var/lib/docker/containers"})])  # fmt: skip
def test_shipper_sees_the_nodes_logs_and_cannot_write_to_them(
    rendered: Renderer, runtime: str, places: set[str]
) -> None:
    spec = named(rendered(runtime=runtime), "DaemonSet", "promtail")["spec"]["template"]["spec"]

    on_node = {one["name"]: one["hostPath"]["path"] for one in spec["volumes"] if "hostPath" in one}
    mounts = {one["name"]: one for one in spec["containers"][0]["volumeMounts"]}
    assert set(on_node.values()) == places
    assert all(mounts[name]["readOnly"] and mounts[name]["mountPath"] == path for name, path in on_node.items())


def test_changed_files_make_new_pods(rendered: Renderer) -> None:
    def sums(objects: list[Document]) -> dict[str, str]:
        return {
            template["spec"]["containers"][0]["name"]: template["metadata"]["annotations"]["checksum/files"]
            for template in pod_templates(objects)
        }

    before, rules = sums(rendered()), values()["rules"]
    after = sums(rendered(rules={**rules, "loki": {}}))

    assert {name for name in before if before[name] != after[name]} == {"loki"}


def test_ports_are_those_that_the_configuration_tells(rendered: Renderer) -> None:
    objects = rendered()

    for template in pod_templates(objects):
        (container,) = template["spec"]["containers"]
        assert [one["containerPort"] for one in container["ports"]] == [PORTS[container["name"]]]
        assert template["metadata"]["labels"]["app"] == container["name"]
    for name in PORTS.keys() - {"promtail"}:
        assert [one["port"] for one in named(objects, "Service", name)["spec"]["ports"]] == [PORTS[name]]


def files_of(objects: list[Document], name: str, folder: Path) -> Path:
    """Write the files of a ConfigMap, and return their folder."""
    place = folder / name
    place.mkdir()
    for file, text in named(objects, "ConfigMap", name)["data"].items():
        (place / file).write_text(text, encoding="utf-8")
    return place


def accepted(*command: object) -> str:
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["containerd", "docker"])
def test_configuration_is_accepted_by_the_programs(
    rendered: Renderer, tmp_path: Path, tool_path: Callable[[str], Path], runtime: str
) -> None:
    objects = render(tool_path("helm"), "monitoring", values(runtime), tmp_path)
    prometheus, loki, promtail, alertmanager, rules = (
        files_of(objects, name, tmp_path)
        for name in ("prometheus", "loki", "promtail", "alertmanager", "prometheus-rules")
    )

    promtool = tool_path("promtool")
    # Credentials are the pod's, and not there to be checked.
    assert "SUCCESS" in accepted(promtool, "check", "config", "--syntax-only", prometheus / "prometheus.yml")
    assert "SUCCESS" in accepted(promtool, "check", "rules", *sorted(rules.iterdir()))
    assert sorted(path.name for path in rules.iterdir()) == ["slo.yml", "users-api.yml"]
    accepted(tool_path("loki"), "-verify-config", f"-config.file={loki / 'loki.yml'}")
    accepted(tool_path("promtail"), "-check-syntax", f"-config.file={promtail / 'promtail.yml'}")
    accepted(tool_path("amtool"), "check-config", alertmanager / "alertmanager.yml")
