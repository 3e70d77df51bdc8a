"""The programs of the local environment: how each is started, probed and ended, and its filled-in configuration."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sloproof.environment import receiver
from sloproof.environment.leftovers import MARK
from sloproof.environment.monitoring_files import config_texts, rule_texts
from sloproof.errors import SettingsError
from sloproof.settings import Settings

# What these keep goes with the run's folder, so at its end none of them is given the time to put it in order.
_AT_THE_END = {"stop_signal": int(signal.SIGKILL)}
# In the order in which they are started: the slowest first.
NAMES = ("loki", "service", "prometheus", "alertmanager", "promtail", "receiver")
TOOLS = ("prometheus", "alertmanager", "loki", "promtail")
# The Go programs start on heaps so small that they spend half their start collecting garbage; the limit keeps a long
# run's memory where it was. Whoever sets these variables is obeyed.
_GO_ENV = {"GOGC": "400", "GOMEMLIMIT": "512MiB"}
_LOOPBACK = "127.0.0.1"
_PORTS = (*NAMES, "loki_grpc", "promtail_grpc")


class ComponentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One program as the supervisor starts it; `ready` is the path that answers 200 once it is.

    `stop_signal` and `stop_seconds` are for the end of everything, when all are ended at once.
    """

    name: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    log: str
    ready: str
    stop_signal: int = int(signal.SIGTERM)
    stop_seconds: float = 0.3
    feeder: list[str] | None = None
    pod_log: str | None = None


@dataclass(frozen=True, slots=True)
class ExtraRules:
    """Rule files besides the platform's own: file name to text, for Prometheus and for Loki's ruler."""

    prometheus: Mapping[str, str] = field(default_factory=dict)
    loki: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """The places and names of one run, and the environment variables that its programs inherit."""

    run_dir: Path
    root: Path
    ports: Mapping[str, int]
    faults_token: str
    environ: Mapping[str, str]
    rules: ExtraRules = field(default_factory=ExtraRules)

    def address(self, name: str) -> str:
        """Return `host:port` of a component."""
        return f"{_LOOPBACK}:{self.ports[name]}"

    def url(self, name: str) -> str:
        """Return a component's base URL."""
        return f"http://{self.address(name)}"

    def log(self, name: str) -> Path:
        """Return where a component's own output goes."""
        return self.run_dir / "logs" / f"{name}.log"


def free_ports(names: Iterable[str] = _PORTS) -> dict[str, int]:
    """Return a free loopback port for each listener; they are free of each other, and were free a moment ago."""
    with ExitStack() as held:
        ports = {}
        for name in names:
            holder = held.enter_context(socket.socket())
            holder.bind((_LOOPBACK, 0))
            ports[name] = int(holder.getsockname()[1])
        return ports


def pod_log(settings: Settings, layout: Layout) -> Path:
    """Return the service's log file, at the place where a node would have it."""
    service = settings.service
    pod = f"{service.namespace}_{pod_name(settings)}_{'0' * 8}"
    return layout.run_dir / "pods" / pod / service.name / "0.log"


def pod_name(settings: Settings) -> str:
    """Return the pod name that the service's signals carry here."""
    return f"{settings.service.name}-0"


def specs(settings: Settings, layout: Layout, tools: Mapping[str, Path]) -> list[ComponentSpec]:
    """Write every configuration file and return the programs, in the order to start them."""
    config = _write_configuration(settings, layout)
    log_file = pod_log(settings, layout)
    log_file.parent.mkdir(parents=True, exist_ok=True)
    log_file.touch()
    made = {
        "service": _service(settings, layout, log_file),
        "prometheus": ComponentSpec(
            name="prometheus",
            argv=[
                str(tools["prometheus"]),
                f"--config.file={config / 'prometheus.yml'}",
                f"--storage.tsdb.path={layout.run_dir / 'prometheus'}",
                "--storage.tsdb.retention.time=1d",
                f"--web.listen-address={layout.address('prometheus')}",
                "--web.enable-lifecycle",
                "--web.enable-remote-write-receiver",
                # Targets are handed to the scraper on this interval; by default that costs the first five seconds.
                "--scrape.discovery-reload-interval=100ms",
                "--query.lookback-delta=5m",
                "--log.level=warn",
            ],
            ready="/-/ready",
            **_common(layout, "prometheus"),
        ),
        "alertmanager": ComponentSpec(
            name="alertmanager",
            argv=[
                str(tools["alertmanager"]),
                f"--config.file={config / 'alertmanager.yml'}",
                f"--storage.path={layout.run_dir / 'alertmanager'}",
                f"--web.listen-address={layout.address('alertmanager')}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            ready="/-/ready",
            **_common(layout, "alertmanager"),
        ),
        "loki": ComponentSpec(
            name="loki",
            argv=[str(tools["loki"]), f"-config.file={config / 'loki.yml'}"],
            ready="/ready",
            **_common(layout, "loki"),
        ),
        "promtail": ComponentSpec(
            name="promtail",
            argv=[str(tools["promtail"]), "-stdin", f"-config.file={config / 'promtail.yml'}"],
            feeder=[_program("tail"), "-n", "+1", "-F", str(log_file)],
            ready="/metrics",
            **_common(layout, "promtail"),
        ),
        "receiver": ComponentSpec(
            name="receiver",
            argv=[
                sys.executable,
                "-I",
                str(receiver.__file__),
                str(layout.ports["receiver"]),
                str(layout.run_dir / "notifications.jsonl"),
            ],
            ready="/ready",
            **_common(layout, "receiver"),
        ),
    }
    return [made[name] for name in NAMES]


def _service(settings: Settings, layout: Layout, log_file: Path) -> ComponentSpec:
    service = settings.service
    values = {
        "port": str(layout.ports["service"]),
        "run_dir": str(layout.run_dir),
        "python": sys.executable,
        "faults_token": layout.faults_token,
    }
    common = _common(layout, "service")
    common["env"] = {
        **common["env"],
        "PYTHONUNBUFFERED": "1",
        **{name: _placed(text, values, f"service.env.{name}") for name, text in service.env.items()},
    }
    return ComponentSpec(
        name="service",
        argv=[_placed(part, values, "service.command") for part in service.command],
        ready=service.readiness,
        pod_log=str(log_file),
        **{**common, "cwd": str(layout.root), "stop_seconds": service.stop_seconds},
    )


def _placed(text: str, values: Mapping[str, str], key: str) -> str:
    """Return a text of the settings with its `{placeholders}` filled in."""
    try:
        return text.format_map(values)
    except (KeyError, ValueError, IndexError) as error:
        raise SettingsError(
            f"tool.sloproof.{key} has a placeholder that is not known: {error}",
            seen=text,
            known=", ".join(f"{{{name}}}" for name in values),
            hint="write a literal brace twice",
        ) from error


def _common(layout: Layout, name: str) -> dict[str, Any]:
    folder = layout.run_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    layout.log(name).parent.mkdir(parents=True, exist_ok=True)
    # Coverage and the like must not follow into the programs under test; everything else of the user's may matter.
    env = {key: text for key, text in layout.environ.items() if not key.startswith(("COV_", "PYTEST_"))}
    end: dict[str, Any] = {}
    if name in TOOLS:
        env, end = {**_GO_ENV, **env}, _AT_THE_END
    return {"env": {**env, MARK: str(layout.run_dir)}, "cwd": str(folder), "log": str(layout.log(name)), **end}


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise SettingsError(f"expected the program {name} on PATH, found none", hint="it is in every coreutils")
    return found


def _target(address: str, labels: Mapping[str, str] | None = None) -> str:
    return _static_configs({"targets": [address], **({"labels": labels} if labels else {})})


def _static_configs(config: Mapping[str, object]) -> str:
    """Return lines of YAML that name what there is; JSON is YAML, and quotes what needs it."""
    return f"static_configs:\n  - {msgspec.json.encode(config).decode()}"


def _write_configuration(settings: Settings, layout: Layout) -> Path:
    """Fill in every configuration file and return the folder that holds them."""
    folder = layout.run_dir / "config"
    folder.mkdir(parents=True, exist_ok=True)
    service = settings.service
    labels = {
        "app": service.name,
        "namespace": service.namespace,
        "pod": pod_name(settings),
        "container": service.name,
    }
    values = {
        "SCRAPE_INTERVAL": settings.scrape.interval,
        "EVALUATION_INTERVAL": settings.scrape.evaluation,
        "RULES_GLOB": str(folder / "rules" / "*.yml"),
        "SERVICE_NAME": service.name,
        "SERVICE_NAMESPACE": service.namespace,
        "SERVICE_POD": pod_name(settings),
        "SERVICE_METRICS_PATH": service.metrics,
        "LOKI_DIR": str(layout.run_dir / "loki"),
        "LOKI_RULES_DIR": str(folder / "loki_rules"),
        "PROMTAIL_DIR": str(layout.run_dir / "promtail"),
        "RECEIVER_URL": layout.url("receiver"),
        "LOKI_URL": layout.url("loki"),
        **{f"{name.upper()}_ADDRESS": layout.address(name) for name in NAMES},
        **{f"{name.upper()}_PORT": str(port) for name, port in layout.ports.items()},
        "LISTEN_ADDRESS": _LOOPBACK,
        "SERVICE_DISCOVERY": _target(layout.address("service"), labels),
        "PROMTAIL_DISCOVERY": _target(layout.address("promtail")),
        # Standard input brings the one pod's lines; its labels are those of its log on a node.
        "LOG_DISCOVERY": _static_configs({"labels": labels}),
        "LOG_WATCHING": "",
        # The pod's log is written as containerd writes it.
        "STAGES_BEFORE_CRI": "",
        "STAGES_AFTER_CRI": "",
    }
    platform_dir = layout.root / settings.platform_dir if settings.platform_dir else None
    for name, text in config_texts(platform_dir, values).items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    # Without tenants, Loki looks for rules in the folder of the one that it calls fake.
    for place, texts in (
        (folder / "rules", {**rule_texts(platform_dir), **layout.rules.prometheus}),
        (folder / "loki_rules" / "fake", layout.rules.loki),
    ):
        place.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (place / name).write_text(text, encoding="utf-8")
    return folder
