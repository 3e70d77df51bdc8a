"""The values of our own small monitoring chart: the local environment's configuration files, filled in for pods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sloproof.environment import receiver
from sloproof.environment.components import ExtraRules
from sloproof.environment.monitoring_files import config_texts, dashboard_texts, rule_texts
from sloproof.errors import SettingsError
from sloproof.settings import Settings

CHART = "charts/monitoring"
# Ports of the chart's containers and Services.
PORTS: Mapping[str, int] = {"prometheus": 9090, "alertmanager": 9093, "loki": 3100, "promtail": 9080, "receiver": 8080}
IMAGES = frozenset(PORTS)
OPTIONAL_IMAGES = frozenset({"grafana"})
RUNTIMES = ("containerd", "cri-o", "docker")
# Where the chart puts files, and what it lets the programs write to.
_FILES = "/etc/sloproof"
_DATA = "/data"
# Pods that do not serve are scraped on, for their counters matter; those that have ended have none any more, and those
# that have not begun have none yet.
_SERVICE_DISCOVERY = """\
kubernetes_sd_configs:
  - role: pod
    namespaces:
      names: [{namespace}]
relabel_configs:
  - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape]
    action: keep
    regex: 'true'
  # One target a pod: the container whose port the annotation names, not each port of each container.
  - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port]
    action: keepequal
    target_label: __meta_kubernetes_pod_container_port_number
  - source_labels: [__meta_kubernetes_pod_phase]
    action: drop
    regex: Pending|Succeeded|Failed
  - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path]
    regex: (.+)
    target_label: __metrics_path__
  # The label contract: app and job are the service's name, the rest says where it runs.
  - source_labels:
      - __meta_kubernetes_pod_label_app
      - __meta_kubernetes_pod_label_app_kubernetes_io_name
      - __meta_kubernetes_pod_name
    regex: ;*([^;]+)(;.*)?
    target_label: app
  - source_labels: [app]
    target_label: job
  - source_labels: [__meta_kubernetes_namespace]
    target_label: namespace
  - source_labels: [__meta_kubernetes_pod_name]
    target_label: pod
  - source_labels: [__meta_kubernetes_pod_container_name]
    target_label: container"""
_PROMTAIL_DISCOVERY = """\
kubernetes_sd_configs:
  - role: pod
    namespaces:
      names: [{namespace}]
    selectors:
      - role: pod
        label: app=promtail
relabel_configs:
  - source_labels: [__meta_kubernetes_pod_node_name]
    target_label: instance"""
# By the files themselves: asking the API which pods there are costs Promtail five seconds, and the lines of pods that
# live no longer. What ships and stores lines is left out, for it would feed on its own.
_LOG_DISCOVERY = """\
static_configs:
  - labels:
      __path__: /var/log/pods/{namespace}_*/*/*.log
      __path_exclude__: /var/log/pods/*/{{{own}}}/*.log"""
_LOG_WATCHING = """\
target_config:
  sync_period: 250ms"""
# Docker's lines are made into lines as the other runtimes write them, so that the parts of one line are joined.
_DOCKER_TO_CRI = """\
- json:
    expressions:
      log: log
      stream: stream
      time: time
- template:
    source: line
    template: '{{ .time }} {{ .stream }} {{ if hasSuffix "\\n" .log }}F{{ else }}P{{ end }} {{ trimSuffix "\\n" .log }}'
- output:
    source: line"""
# The file's place tells whose lines they are. Its name itself would make a stream of each restart.
_LABELS_OF_FILE = """\
- regex:
    source: filename
    expression: ^/var/log/pods/(?P<namespace>[^_]+)_(?P<pod>[^_]+)_[^/]+/(?P<container>[^/]+)/
- labels:
    namespace: namespace
    pod: pod
    container: container
    # A container bears its service's name.
    app: container
- labeldrop: [filename]"""


def monitoring_values(
    settings: Settings,
    *,
    namespace: str,
    platform_dir: Path | None,
    runtime: str,
    images: Mapping[str, str],
    extra: ExtraRules,
) -> dict[str, object]:
    """Return the values of the chart `charts/monitoring`.

    Args:
        settings: The project's settings.
        namespace: Whose pods are scraped and whose logs are shipped; the chart is installed there.
        platform_dir: The project's platform folder; None for the one that comes with sloproof.
        runtime: What writes the pods' logs on the nodes: `containerd`, `cri-o` or `docker`.
        images: Image of `prometheus`, `alertmanager`, `loki`, `promtail` and, for the receiver, of any Python
            (`receiver`); `grafana` too where the chart's `grafana.enabled` is set.
        extra: Rules besides the project's own.

    Raises:
        SettingsError: The runtime is not known, an image is missing, or a file is not there or asks for a name that
            there is no value for.
    """
    if runtime not in RUNTIMES:
        raise SettingsError(
            f"expected a container runtime whose log lines are known, got {runtime!r}", known=", ".join(RUNTIMES)
        )
    missing, unknown = sorted(IMAGES - images.keys()), sorted(images.keys() - IMAGES - OPTIONAL_IMAGES)
    if missing or unknown:
        raise SettingsError(
            "expected an image for each program of the monitoring chart",
            missing=", ".join(missing),
            unknown=", ".join(unknown),
        )
    return {
        "runtime": runtime,
        "images": dict(images),
        "config": config_texts(platform_dir, _names(settings, namespace, runtime)),
        "rules": {
            "prometheus": {**rule_texts(platform_dir), **extra.prometheus},
            "loki": dict(extra.loki),
        },
        "receiver": {"program": Path(receiver.__file__).read_text(encoding="utf-8")},
        "dashboards": dashboard_texts(platform_dir),
    }


def _names(settings: Settings, namespace: str, runtime: str) -> dict[str, str]:
    """Return what the names in the configuration files stand for in a pod."""
    service = settings.service
    return {
        "SCRAPE_INTERVAL": settings.scrape.interval,
        "EVALUATION_INTERVAL": settings.scrape.evaluation,
        "RULES_GLOB": f"{_FILES}/rules/*.yml",
        "SERVICE_NAME": service.name,
        "SERVICE_NAMESPACE": namespace,
        "SERVICE_METRICS_PATH": service.metrics,
        "SERVICE_ADDRESS": f"{service.name}.{namespace}:{settings.kube.port}",
        "SERVICE_PORT": str(settings.kube.port),
        "LISTEN_ADDRESS": "0.0.0.0",  # noqa: S104 - a pod's network is its own
        "LOKI_DIR": _DATA,
        "LOKI_RULES_DIR": f"{_FILES}/loki_rules",
        "PROMTAIL_DIR": _DATA,
        "RECEIVER_URL": f"http://receiver:{PORTS['receiver']}",
        "LOKI_URL": f"http://loki:{PORTS['loki']}",
        **{f"{name.upper()}_ADDRESS": f"{name}:{port}" for name, port in PORTS.items()},
        **{f"{name.upper()}_PORT": str(port) for name, port in PORTS.items()},
        "LOKI_GRPC_PORT": "9095",
        "PROMTAIL_GRPC_PORT": "9096",
        "SERVICE_DISCOVERY": _SERVICE_DISCOVERY.format(namespace=namespace),
        "PROMTAIL_DISCOVERY": _PROMTAIL_DISCOVERY.format(namespace=namespace),
        "LOG_DISCOVERY": _LOG_DISCOVERY.format(namespace=namespace, own=",".join(sorted(IMAGES | OPTIONAL_IMAGES))),
        "LOG_WATCHING": _LOG_WATCHING,
        "STAGES_BEFORE_CRI": _DOCKER_TO_CRI if runtime == "docker" else "",
        "STAGES_AFTER_CRI": _LABELS_OF_FILE,
    }
