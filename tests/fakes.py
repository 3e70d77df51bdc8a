"""Servers that stand in for real ones: the clients' own classes, with answers from memory instead of over HTTP."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sloproof.clients.alertmanager import AlertmanagerClient
from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient, QueryAnswer
from sloproof.clients.receiver import ReceiverClient
from sloproof.clients.service import ProbeKind, ProbeSample, Response, ServiceClient
from sloproof.environment.base import ComponentStatus
from sloproof.errors import UnavailableError
from sloproof.load.ledger import Entry
from sloproof.model import Labels, LogEntry, Notification, RuleGroup, Sample, Series, Stream, Target, Window
from sloproof.servers import Clients
from sloproof.settings import (
    ErrorCounterSettings,
    LatencySettings,
    LogSettings,
    MetricSettings,
    RequestCounterSettings,
    ServiceSettings,
    Settings,
)

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
INSTANCE = "127.0.0.1:8000"
OWN = {"job": "api", "instance": INSTANCE, "app": "api"}

SETTINGS = Settings(
    service=ServiceSettings(name="api", command=["api"], faults="/faults"),
    metrics=MetricSettings(
        requests=RequestCounterSettings(name="requests_total", status="status"),
        latency=LatencySettings(name="latency_seconds"),
        errors=ErrorCounterSettings(name="errors_total"),
        in_flight="in_flight",
    ),
    logs=LogSettings(
        pattern=r"\[(?P<level>[A-Z]+)\] (?P<message>.*) - request_id=(?P<request_id>\S+)",
        request=r"(?P<method>[A-Z]+) (?P<endpoint>\S+) (?P<status>\d{3}) (?P<duration_seconds>\d+\.\d+)s",
        ship_seconds=0.03,
    ),
)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def seconds(amount: float) -> timedelta:
    return timedelta(seconds=amount)


def series(values: Mapping[float, float], **labels: str) -> Series:
    return Series(labels, tuple(Sample(after(at), value) for at, value in sorted(values.items())))


def up(values: Mapping[float, float], instance: str = INSTANCE) -> Series:
    return series(values, __name__="up", job="api", app="api", instance=instance)


def target(instance: str = INSTANCE, job: str = "api", interval: float = 0.04, error: str | None = None) -> Target:
    return Target(
        labels={"job": job, "instance": instance},
        scrape_pool=job,
        scrape_url=f"http://{instance}/metrics",
        health="up",
        last_scrape=T0,
        last_scrape_duration=seconds(0.001),
        last_error=error,
        scrape_interval=seconds(interval),
        scrape_timeout=seconds(0.01),
    )


def entry(
    at: float,
    *,
    request_id: str = "r-1",
    endpoint: str = "/",
    method: str = "GET",
    status: int = 200,
    failure: str = "",
    took: float = 0.01,
) -> Entry:
    start = round((T0.timestamp() + at) * 1e9)
    return Entry(start, start, round(took * 1e9), method, endpoint, endpoint, status, failure, request_id, 2)


class Clock:
    """A clock that only looking moves, and sleeping."""

    def __init__(self, tick: float = 0.01) -> None:
        self.time = T0
        self.tick = seconds(tick)

    def now(self) -> datetime:
        return self.time

    def look(self) -> None:
        self.time += self.tick

    def passed(self) -> float:
        return (self.time - T0).total_seconds()

    def sleep(self, given: float) -> None:
        self.time += seconds(given)


class FakePrometheus(PrometheusClient):
    """Answers from `stored`, by selector, and tells nothing of the future. Set `clock` and each look takes a tick."""

    def __init__(self, stored: Mapping[str, Sequence[Series]] | None = None) -> None:
        self.stored: dict[str, tuple[Series, ...]] = {key: tuple(found) for key, found in (stored or {}).items()}
        self.config = "scrape_configs: []"
        self.warnings: tuple[str, ...] = ()
        self.scraped: tuple[Target, ...] = (target(),)
        self.groups: Callable[[], tuple[RuleGroup, ...]] = tuple
        self.names: tuple[str, ...] = ()
        self.asked: list[str] = []
        self.patience: list[timedelta] = []
        self.clock: Clock | None = None
        self.silence: UnavailableError | None = None

    def _look(self, text: str) -> None:
        self.asked.append(text)
        if self.clock is not None:
            self.clock.look()
        if self.silence is not None:
            raise self.silence

    def within(self, timeout: timedelta) -> PrometheusClient:
        self.patience.append(timeout)
        return self

    def query(self, expression: str, at: datetime | None) -> QueryAnswer:
        self._look(expression)
        kept = []
        # A selector without a metric is answered with what is stored for "{}".
        for one in self.stored.get("{}" if expression.startswith("{") else expression, ()):
            seen = [sample for sample in one.samples if at is None or sample.time <= at]
            if seen:
                kept.append(Series(one.labels, (seen[-1],)))
        return QueryAnswer(tuple(kept), self.warnings)

    def samples(self, selector: str, window: Window) -> QueryAnswer:
        self._look(selector)
        kept = (
            Series(one.labels, tuple(sample for sample in one.samples if sample.time in window))
            for one in self.stored.get(selector, ())
        )
        return QueryAnswer(tuple(one for one in kept if one.samples), self.warnings)

    def query_range(self, expression: str, window: Window, step: timedelta) -> QueryAnswer:
        return self.samples(expression, window)

    def query_url(self, expression: str, at: datetime) -> str:
        return f"http://prometheus/{expression}"

    def series(self, matchers: Sequence[str], window: Window) -> tuple[Labels, ...]:
        return tuple({"__name__": name, "job": "api"} for name in self.names)

    def label_values(self, label: str, window: Window | None, matchers: Sequence[str] = ()) -> tuple[str, ...]:
        return self.names if label == "__name__" else ("/",)

    def targets(self) -> tuple[Target, ...]:
        self._look("targets")
        return self.scraped

    def config_yaml(self) -> str:
        return self.config

    def rule_groups(self) -> tuple[RuleGroup, ...]:
        self._look("rules")
        return self.groups()


class FakeLoki(LokiClient):
    """Answers with `lines` in the window asked for, whatever the expression; with none while `is_mute`."""

    def __init__(self, lines: Sequence[LogEntry] = ()) -> None:
        self.lines = list(lines)
        self.is_mute = False
        self.asked: list[str] = []
        self.patience: list[timedelta] = []

    def within(self, timeout: timedelta) -> LokiClient:
        self.patience.append(timeout)
        return self

    def query_range(self, expression: str, window: Window, *, limit: int | None = None) -> tuple[Stream, ...]:
        self.asked.append(expression)
        found = tuple(line for line in self.lines if line.time in window)
        return () if self.is_mute or not found else (Stream({"app": "api"}, found),)

    def query(self, expression: str, at: datetime) -> tuple[Series, ...]:
        self.asked.append(expression)
        return (Series({}, (Sample(at, 1.0),)),)

    def query_url(self, expression: str, at: datetime) -> str:
        return f"http://loki/{expression}"


class FakeService(ServiceClient):
    """Answers 200 to everything, or raises `silence`."""

    def __init__(self) -> None:
        self.silence: UnavailableError | None = None
        self.gauge: Callable[[], float] = lambda: 0.0
        self.sent: list[tuple[str, str, dict[str, str]]] = []
        self.set: dict[str, Any] = {}
        self.cleared = 0

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        timeout: timedelta | None = None,
    ) -> Response:
        self.sent.append((method, path, dict(headers or {})))
        if self.silence is not None:
            raise self.silence
        return Response(200, {}, b"ok", T0, seconds(0.002), "")

    def probe(self, kind: ProbeKind) -> ProbeSample:
        return ProbeSample(T0, 200, "", seconds(0.001))

    def gauge_value(self, name: str) -> float:
        return self.gauge()

    @property
    def has_fault_switch(self) -> bool:
        return True

    def faults(self) -> dict[str, Any]:
        return dict(self.set)

    def set_faults(self, faults: Mapping[str, object]) -> None:
        self.set = dict(faults)

    def clear_faults(self) -> None:
        self.set = {}
        self.cleared += 1


class FakeAlertmanager(AlertmanagerClient):
    def __init__(self, config: str) -> None:
        self.config = config

    def config_yaml(self) -> str:
        return self.config


class FakeReceiver(ReceiverClient):
    def __init__(self, *got: Notification) -> None:
        self.got = got

    def notifications(self) -> tuple[Notification, ...]:
        return self.got


def clients(
    prometheus: FakePrometheus | None = None,
    loki: FakeLoki | None = None,
    service: FakeService | None = None,
    alertmanager: FakeAlertmanager | None = None,
    receiver: FakeReceiver | None = None,
) -> Clients:
    return Clients(
        service=service or FakeService(),
        prometheus=prometheus or FakePrometheus(),
        loki=loki or FakeLoki(),
        alertmanager=alertmanager,
        receiver=receiver,
    )


class FakeEnvironment:
    """Programs that run, stop and freeze in memory; `did` says what was asked of them."""

    name = "fake"
    run_id = "run"
    capabilities = frozenset({"faults", "processes", "stopping"})
    instances: tuple[str, ...] = (INSTANCE,)
    addresses: Mapping[str, str] = {
        "service": f"http://{INSTANCE}", "prometheus": "http://127.0.0.1:1", "loki": "http://127.0.0.1:2",
    }  # fmt: skip
    timings: Mapping[str, timedelta] = {"service": timedelta(seconds=1)}

    def __init__(self) -> None:
        self.did: list[str] = []
        self.states: dict[str, Literal["running", "stopped", "exited"]] = {
            "service": "running", "prometheus": "running", "loki": "running", "promtail": "running",
        }  # fmt: skip
        self.death: Exception | None = None

    def start(self) -> None:
        self.did.append("start")
        if self.death is not None:
            raise self.death

    def stop(self) -> None:
        self.did.append("stop")

    def detach(self) -> None:
        self.did.append("detach")

    def check_alive(self) -> None:
        if self.death is not None:
            raise self.death

    def status(self) -> Sequence[ComponentStatus]:
        return [
            ComponentStatus(name, state, 1, 3 if state == "exited" else None, 0) for name, state in self.states.items()
        ]

    def last_lines(self, component: str, count: int = 20) -> tuple[str, ...]:
        return (f"{component} said this",)

    def stop_component(self, component: str, how: signal.Signals = signal.SIGTERM) -> None:
        self.did.append(f"stop {component}")
        self.states[component] = "stopped"

    def start_component(self, component: str) -> None:
        self.did.append(f"start {component}")
        self.states[component] = "running"

    def pause_component(self, component: str) -> None:
        self.did.append(f"pause {component}")

    def resume_component(self, component: str) -> None:
        self.did.append(f"resume {component}")

    def load_command(self, process: int) -> tuple[str, ...] | None:
        return None

    def keep_evidence(self, folder: Path) -> None:
        self.did.append(f"keep {folder.name}")

    def file(self, name: str) -> Path | None:
        return None
