"""One round: a real environment with at most one lie in it, a short load, and every claim judged on it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from sloproof.checks import exposition
from sloproof.checks.evidence import Basis
from sloproof.checks.exposition import Declared, ExpositionEvidence
from sloproof.claims import alerts, dashboards, observers, requests, rules, service
from sloproof.dashboards import read_dashboard
from sloproof.environment.local import LocalEnvironment
from sloproof.finding import Finding, Verdict
from sloproof.harness import Harness
from sloproof.load.profile import Profile
from sloproof.model import Window
from sloproof.observation import Observation
from sloproof.plugin.session import RunSession
from sloproof.settings import load_settings
from sloproof.trial import Trial

ROOT = Path(__file__).resolve().parents[2]
EXCEPTION = "/api/error?type=exception"
_JSON = {"Content-Type": "application/json"}
# Constant latency, in the middle of a bucket; the twice of it is in the next one. No failures but those asked for, and
# an end without a drain that nobody watches.
_STEADY = {
    "SERVICE_USERS_LATENCY_SIGMA": "0",
    "SERVICE_USERS_LATENCY_MEDIAN_SECONDS": "0.03",
    "SERVICE_USERS_ERROR_RATIO": "0",
    "SERVICE_DRAIN_SECONDS": "0",
}
_DECLARED = (
    Declared("app_request_count_total", "counter", ("endpoint", "method", "http_status")),
    Declared(
        "app_request_latency_seconds", "histogram", ("endpoint", "method"), (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0)
    ),
    Declared(
        "app_error_count_total",
        "counter",
        ("error_type", "endpoint"),
        children=(
            {"error_type": "client_error", "endpoint": "/api/error"},
            {"error_type": "database_error", "endpoint": "/api/users"},
            {"error_type": "unhandled_exception", "endpoint": "/api/error"},
        ),
    ),
    Declared("app_active_requests", "gauge"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where rounds are held: the programs, and a folder of the test's own."""

    tools: Mapping[str, Path]
    folder: Path


@contextmanager
def environment(
    place: Place, *, lies: Sequence[str] = (), platform: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Harness]:
    """Bring up an environment whose service tells lies, or whose platform is another than the project's."""
    settings = load_settings(ROOT)
    command = list(settings.service.command)
    if lies:
        command = ["{python}", "-m", "tests.lies.lying_service", *(word for lie in lies for word in ("--lie", lie))]
    settings = msgspec.structs.replace(
        settings,
        platform_dir=str(platform or ROOT / "platform"),
        service=msgspec.structs.replace(
            settings.service, command=command, env={**settings.service.env, **_STEADY, **(env or {})}
        ),
    )
    run_id = f"lie-{secrets.token_hex(3)}"
    run = RunSession(
        settings=settings,
        root=ROOT,
        run_id=run_id,
        folder=place.folder / run_id,
        make_environment=lambda: LocalEnvironment(
            settings, ROOT, place.tools, run_id=run_id, environ=dict(os.environ),
            faults_token=secrets.token_urlsafe(24),
        ),
        keep=False,
    )  # fmt: skip
    try:
        yield run.up()
    finally:
        run.close()


def traffic(harness: Harness) -> Profile:
    """Return a load in which everything happens: every endpoint, every kind of error, paths nobody serves.

    The seed is one by which server errors come late and never are so many at once that an alert is due.
    """
    return Profile(
        mix=(
            harness.request("/", weight=30),
            harness.request("/api/users", weight=30),
            harness.request("/api/echo", "POST", weight=20, body='{"hello": "world"}', headers=_JSON),
            harness.request("/api/error?type=client", weight=8),
            harness.request("/api/error", weight=1.5),
            harness.request(EXCEPTION, weight=1.5),
            harness.request("/nobody/7", weight=3),
            harness.request("/wp-login.php", weight=3),
        ),
        rate=320,
        requests=300,
        seed=51,
    )


def drive(harness: Harness) -> tuple[Observation, list[Finding]]:
    """Have a short outage with the probes watched, then load; return what was observed, and what the probes' tell."""
    trial = Trial(harness)
    with trial.watching("liveness", "readiness"):
        trial.watch_truth(timedelta(seconds=0.3), is_green=True, because="the database is up")
        trial.set_faults(dependency_down=True)
        trial.watch_truth(timedelta(seconds=0.4), is_green=False, because="the database is down")
        trial.clear_faults()
        trial.watch_truth(timedelta(seconds=0.3), is_green=True, because="the database is up again")
    probes = [
        *trial.probes_told("readiness", timedelta(milliseconds=100)),
        *trial.probes_told("liveness", timedelta(0), always_green=True),
    ]
    return harness.run(traffic(harness), "everything"), probes


def judge(harness: Harness, seen: Observation, *, is_blind: bool = False) -> list[Finding]:
    """Return the findings on every claim that one observation bears; on the observers only where all of them run."""
    interval = harness.scrape_interval
    until = harness.anchor(rules=True).at
    return [
        requests.counts_agree(seen),
        *requests.lines_delivered(seen, timedelta(seconds=5)),
        requests.ids_join(seen),
        requests.errors_visible(seen, unhandled_paths=(EXCEPTION,)),
        requests.quantile_agrees(seen, 0.5, "/api/users"),
        service.at_rest(seen, interval),
        service.scraped_once(harness.clients.prometheus, harness.settings, seen.after, harness.instances, interval),
        service.label_values_bounded(seen, {}),
        *service.counted_across_restart(seen, 0, timedelta(seconds=5)),
        *rules.health(harness, seen.at),
        alerts.none_active(harness, Window(seen.before.at, until)),
        *panels(harness, seen),
        *(() if is_blind else observers.nothing_lost(harness, seen)),
        observers.clocks_agree(harness, timedelta(seconds=1)),
    ]


def panels(
    harness: Harness, seen: Observation, change: Callable[[bytes], bytes] = lambda dashboard: dashboard
) -> list[Finding]:
    """Return the findings on the panels of the service's dashboard, changed."""
    text = (ROOT / "platform" / "dashboards" / "users-api.json").read_bytes()
    dashboard = read_dashboard(change(text))
    return list(dashboards.panels_tell(harness, dashboard, seen, dashboards.answer(harness, dashboard, seen)))


def exposed(harness: Harness) -> Finding:
    """Return the finding on what a service that has done nothing yet exposes."""
    answer = harness.clients.service.send("GET", harness.settings.service.metrics)
    evidence = ExpositionEvidence(
        text=answer.body.decode(), content_type=answer.headers.get("Content-Type", ""), declared=_DECLARED,
        is_fresh=True,
    )  # fmt: skip
    return exposition.judge(evidence, Basis(at=answer.started))


def whole_round(harness: Harness) -> tuple[Observation, list[Finding]]:
    """Return what was observed of a short load, and the findings on every claim."""
    first = exposed(harness)
    seen, probes = drive(harness)
    return seen, [first, *probes, *judge(harness, seen)]


def not_green(findings: list[Finding]) -> dict[str, list[Finding]]:
    """Return the findings that are no pass, by check."""
    bad: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.verdict is not Verdict.PASS:
            bad.setdefault(finding.check, []).append(finding)
    return bad
