"""What a run adds to the values of the community's charts: intervals, rules, routes, dashboards, the node's log format.

Rules, routes and dashboards come from the very files that the local environment uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sloproof.environment import receiver
from sloproof.environment.components import ExtraRules
from sloproof.environment.monitoring_files import dashboard_texts, rule_texts
from sloproof.environment.templates import fill
from sloproof.errors import SettingsError
from sloproof.platform_files import platform_file

_DOCKER = "docker"
_RECEIVER = "receiver"
_RECEIVER_PORT = 8080
_USER = 65532
_RULES_MOUNT = "/etc/loki/rules"
# Without tenants, Loki looks for rules in the folder of the one that it calls fake.
_TENANT = "fake"
_DASHBOARDS_MOUNT = "/var/lib/grafana/dashboards/sloproof"
# Docker's lines made into lines as the other runtimes write them: the stage for those joins the parts of a line, the
# one for Docker's does not.
_FROM_DOCKER: tuple[dict[str, Any], ...] = (
    {"json": {"expressions": {"log": "log", "stream": "stream", "time": "time"}}},
    {
        "template": {
            "source": "line",
            "template": r'{{ .time }} {{ .stream }} {{ if hasSuffix "\n" .log }}F{{ else }}P{{ end }} '
            r'{{ trimSuffix "\n" .log }}',
        }
    },
    {"output": {"source": "line"}},
)
_STAGES: tuple[dict[str, Any], ...] = ({"cri": {}}, {"labeldrop": ["filename"]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the run brings.

    Attributes:
        platform_dir: The project's platform folder; None for the one that comes with sloproof.
        namespace: Where the release goes.
        runtime: The nodes' container runtime: `containerd`, `docker`, `cri-o`.
        scrape_interval: Between scrapes, as Prometheus writes it.
        evaluation_interval: Between evaluations of the rules.
        receiver_image: Any image with Python, for the receiver of alerts.
        rules: Rule files besides those of the platform.
        grafana_password: Of Grafana's administrator; empty for one that the chart makes up.
        images: Images by program, such as `prometheus`, in the place of the charts' own.
    """

    platform_dir: Path | None
    namespace: str
    runtime: str
    scrape_interval: str
    evaluation_interval: str
    receiver_image: str
    rules: ExtraRules = field(default_factory=ExtraRules)
    grafana_password: str = ""
    images: Mapping[str, str] = field(default_factory=dict)


def community_values(chart: str, delivery: Delivery) -> dict[str, Any]:
    """Return the values that go over the values files of a chart of the community; none for a chart not known.

    Raises:
        SettingsError: A file of the platform is not there, or cannot be read.
    """
    made = _MADE.get(chart)
    return made(delivery) if made else {}


def _prometheus(delivery: Delivery) -> dict[str, Any]:
    texts = {**rule_texts(delivery.platform_dir), **delivery.rules.prometheus}
    rules = {f"rules.{name}": _parsed(text, name) for name, text in texts.items()}
    values = {"RECEIVER_URL": f"http://{_RECEIVER}:{_RECEIVER_PORT}"}
    alertmanager = platform_file(delivery.platform_dir, "local/alertmanager.yml")
    own_image = _image("prometheus", delivery, with_registry=True)
    return {
        "server": {
            **own_image,
            "global": {
                "scrape_interval": delivery.scrape_interval,
                "scrape_timeout": delivery.scrape_interval,
                "evaluation_interval": delivery.evaluation_interval,
            },
        },
        # A file each, so that two may have groups of one name.
        "serverFiles": {**rules, "prometheus.yml": {"rule_files": [f"/etc/config/{name}" for name in sorted(rules)]}},
        "alertmanager": {
            "config": _parsed(fill(alertmanager, values), str(alertmanager)),
            **_image("alertmanager", delivery, with_registry=True),
        },
        # No chart of the community has it, and what it receives comes from here.
        "extraManifests": [_templated(json.dumps(each)) for each in _receiver(delivery.receiver_image)],
        # Where the chart's images are not to be had, neither is the one that watches for other rules.
        **({"configmapReload": {"prometheus": {"enabled": False}}} if own_image else {}),
    }


def _loki(delivery: Delivery) -> dict[str, Any]:
    ruler = {"evaluation_interval": delivery.evaluation_interval}
    made: dict[str, Any] = {"loki": {"rulerConfig": ruler, **_image("loki", delivery)}}
    if delivery.rules.loki:
        name = "loki-rules"
        made["extraObjects"] = [_config_map(name, delivery.rules.loki)]
        made["singleBinary"] = {
            "extraVolumes": [{"name": name, "configMap": {"name": name}}],
            "extraVolumeMounts": [{"name": name, "mountPath": f"{_RULES_MOUNT}/{_TENANT}"}],
        }
    return made


def _alloy(delivery: Delivery) -> dict[str, Any]:
    # For these namespaces it makes roles, and then none for the whole cluster.
    made: dict[str, Any] = {"rbac": {"namespaces": [delivery.namespace]}, **_image("alloy", delivery)}
    if delivery.runtime == _DOCKER:
        made["alloy"] = {"mounts": {"dockercontainers": True}}
    return made


def _promtail(delivery: Delivery) -> dict[str, Any]:
    made = _image("promtail", delivery)
    if delivery.runtime == _DOCKER:
        made["config"] = {"snippets": {"pipelineStages": [*_FROM_DOCKER, *_STAGES]}}
    return made


def _grafana(delivery: Delivery) -> dict[str, Any]:
    name = "grafana-dashboards"
    return {
        **_image("grafana", delivery),
        **({"adminPassword": delivery.grafana_password} if delivery.grafana_password else {}),
        "extraObjects": [_config_map(name, dashboard_texts(delivery.platform_dir))],
        "extraConfigmapMounts": [
            {"name": name, "configMap": name, "mountPath": _DASHBOARDS_MOUNT, "readOnly": True},
        ],
    }


def _image(program: str, delivery: Delivery, *, with_registry: bool = False) -> dict[str, Any]:
    """Return the values for a program's image; none for the chart's own.

    Args:
        program: Its name.
        delivery: Names the image.
        with_registry: The chart takes the registry as a part of the repository.
    """
    reference = delivery.images.get(program, "")
    if not reference:
        return {}
    name, _, tag = reference.rpartition(":")
    first, _, rest = name.partition("/")
    is_registry = bool(rest) and (first == "localhost" or "." in first or ":" in first)
    registry, repository = (first, rest) if is_registry else ("docker.io", name)
    image = {"repository": name} if with_registry else {"registry": registry, "repository": repository}
    return {"image": {**image, "tag": tag}}


def _receiver(image: str) -> tuple[dict[str, Any], ...]:
    """Return the receiver's workload, its Service and its program."""
    labels = {"app": _RECEIVER, "app.kubernetes.io/component": _RECEIVER}
    metadata = {"name": _RECEIVER, "labels": labels}
    container = {
        "name": _RECEIVER,
        "image": image,
        "command": ["python3", "-I", "/etc/receiver/receiver.py"],
        "args": [str(_RECEIVER_PORT), "/data/notifications.jsonl", "0.0.0.0"],  # noqa: S104 - a pod's own
        "ports": [{"containerPort": _RECEIVER_PORT}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": _RECEIVER_PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "5m", "memory": "24Mi"}, "limits": {"memory": "96Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "program", "mountPath": "/etc/receiver"}, {"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER},
        "containers": [container],
        "volumes": [{"name": "program", "configMap": {"name": _RECEIVER}}, {"name": "data", "emptyDir": {}}],
    }
    workload = {
        "replicas": 1,
        # Two of them side by side would each know a part.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    service = {"selector": labels, "ports": [{"port": _RECEIVER_PORT}]}
    program = {"receiver.py": Path(receiver.__file__).read_text(encoding="utf-8")}
    return (
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": workload},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": program},
    )


def _config_map(name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "{{ .Release.Namespace }}"},
        "data": {file: _templated(text) for file, text in texts.items()},
    }


def _templated(text: str) -> str:
    """Return a text that the charts' template engine makes into this one: they take extra objects for templates."""
    return text.replace("{{", "{{`{{`}}")


def _parsed(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError("a file of the platform is not YAML", seen=error, where=where) from error


_MADE: Mapping[str, Callable[[Delivery], dict[str, Any]]] = {
    "prometheus": _prometheus,
    "loki": _loki,
    "alloy": _alloy,
    "promtail": _promtail,
    "grafana": _grafana,
}
