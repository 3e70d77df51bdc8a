"""What a run adds to the community's charts: the files of the local environment, whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloproof.environment.components import ExtraRules
from sloproof.environment.kube.community_values import Delivery, community_values
from sloproof.errors import SettingsError

PLATFORM = Path(__file__).parents[3] / "platform"


def values(
    chart: str, runtime: str = "containerd", images: dict[str, str] | None = None, **rules: dict[str, str]
) -> dict[str, Any]:
    delivery = Delivery(
        platform_dir=PLATFORM,
        namespace="shop",
        runtime=runtime,
        scrape_interval="200ms",
        evaluation_interval="300ms",
        receiver_image="local/python:3.11",
        rules=ExtraRules(**rules),
        images=images or {},
    )
    return community_values(chart, delivery)


def test_prometheus_gets_every_rule_file_and_the_alertmanagers_configuration() -> None:
    made = values("prometheus", prometheus={"users-slo.yml": "groups: [{name: slo, rules: []}]"})
    files = made["serverFiles"]
    assert files["rules.users-slo.yml"] == {"groups": [{"name": "slo", "rules": []}]}
    own = {f"rules.{path.stem}.yml" for path in (PLATFORM / "rules").glob("*.yml")}
    assert own
    assert set(files) == own | {"rules.users-slo.yml", "prometheus.yml"}
    # A rule file that Prometheus is not told of would be there and never evaluated.
    assert set(files["prometheus.yml"]["rule_files"]) == {f"/etc/config/{name}" for name in files} - {
        "/etc/config/prometheus.yml"
    }
    assert made["server"]["global"]["evaluation_interval"] == "300ms"
    kinds = [json.loads(text)["kind"] for text in made["extraManifests"]]
    assert kinds == ["Deployment", "Service", "ConfigMap"]
    receiver = made["alertmanager"]["config"]["receivers"][0]
    assert receiver["webhook_configs"][0]["url"] == "http://receiver:8080/webhook"


def test_images_stand_in_the_place_of_the_charts_own() -> None:
    images = {"prometheus": "reg.example:5000/prom:1", "loki": "local/loki:2", "promtail": "reg.example/promtail:3"}
    prometheus = values("prometheus", images=images)
    assert prometheus["server"]["image"] == {"repository": "reg.example:5000/prom", "tag": "1"}
    assert prometheus["configmapReload"]["prometheus"]["enabled"] is False
    assert values("loki", images=images)["loki"]["image"] == {
        "registry": "docker.io",
        "repository": "local/loki",
        "tag": "2",
    }
    assert values("promtail", images=images)["image"]["registry"] == "reg.example"
    assert "configmapReload" not in values("prometheus")


def test_loki_gets_rules_where_its_ruler_looks_for_them() -> None:
    made = values("loki", loki={"logs.yml": "groups: []  # {{ $value }}"})
    (config_map,) = made["extraObjects"]
    # The chart runs extra objects through its template engine.
    assert config_map["data"] == {"logs.yml": "groups: []  # {{`{{`}} $value }}"}
    (volume,), (mount,) = made["singleBinary"]["extraVolumes"], made["singleBinary"]["extraVolumeMounts"]
    assert volume["configMap"]["name"] == config_map["metadata"]["name"]
    assert mount == {"name": volume["name"], "mountPath": "/etc/loki/rules/fake"}
    assert "singleBinary" not in values("loki")


def test_folder_of_lokis_rules_is_there_without_any() -> None:
    written = yaml.safe_load((PLATFORM / "helm/loki-values.yaml").read_text())
    folder = written["loki"]["rulerConfig"]["storage"]["local"]["directory"]
    (mount,) = written["singleBinary"]["extraVolumeMounts"]
    (volume,) = written["singleBinary"]["extraVolumes"]
    assert mount == {"name": volume["name"], "mountPath": folder}


def test_shippers_read_the_lines_of_the_nodes_runtime() -> None:
    assert values("promtail") == {}
    stages = values("promtail", "docker")["config"]["snippets"]["pipelineStages"]
    assert [next(iter(stage)) for stage in stages] == ["json", "template", "output", "cri", "labeldrop"]
    assert values("alloy") == {"rbac": {"namespaces": ["shop"]}}
    assert values("alloy", "docker")["alloy"]["mounts"] == {"dockercontainers": True}


def test_grafana_gets_the_dashboards() -> None:
    made = values("grafana")
    (config_map,) = made["extraObjects"]
    assert set(config_map["data"]) == {path.name for path in (PLATFORM / "dashboards").glob("*.json")}
    assert made["extraConfigmapMounts"][0]["configMap"] == config_map["metadata"]["name"]


def test_a_chart_that_is_not_known_gets_nothing() -> None:
    assert values("monitoring") == {}


def test_rules_that_are_not_yaml_are_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="not YAML") as caught:
        values("prometheus", prometheus={"broken.yml": "a: ["})
    assert caught.value.details["where"] == "broken.yml"
