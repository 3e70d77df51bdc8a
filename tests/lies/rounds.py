"""One round: a real environment with at most one lie in it, a short load, and every claim judged on it."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median

import msgspec

from sloproof.checks import exposition, observers_alive
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
# Constant latency, low in a bucket; the twice of it is in the next one. No failures but those asked for, and
# an end without a drain that nobody watches.
_STEADY = {
    "SERVICE_USERS_LATENCY_SIGMA": "0",
    "SERVICE_USERS_LATENCY_MEDIAN_SECONDS": "0.055",
    "SERVICE_USERS_ERROR_RATIO": "0",
    "SERVICE_DRAIN_SECONDS": "0",
}
_IDLE_SECONDS = 0.02
_DECLARED = (
    Declared("app_request_count_total", "counter", ("endpoint", "method", "http_status")),
    Declared("app_request_latency_seconds", "histogram", ("endpoint", "method"), (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0)),
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


def copy_of_platform(place: Place, name: str) -> Path:
    """Return a copy of the platform's files to plant lies in, new each time: a second try must not find the first's."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name[:100]}-", dir=place.folder))
    return Path(shutil.copytree(ROOT / "platform", folder / "platform"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What an environment is to be.

    Attributes:
        lies: What its service lies about.
        platform: Its platform's files; None for the project's own.
        env: Settings of the service beyond the usual.
        is_about_scrapes: Whether scrapes are meant to fail in it.
        stopped: A component that is stopped before the round; none if empty.
    """

    lies: Sequence[str] = ()
    platform: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    is_about_scrapes: bool = False
    stopped: str = ""


@contextmanager
def round_of(place: Place, plan: Plan) -> Iterator[tuple[Harness, Observation, list[Finding]]]:
    """Hold a whole round in an environment of its own.

    Where the machine was so busy that an index which does nothing took long, or that Prometheus missed scrapes by
    itself, it was no witness to anything: the round is held again, with less load and scrapes that may take longer.
    """
    paces = (("", 320), ("500ms", 200), ("1s", 200))
    for interval, rate in paces:
        with environment(place, plan, interval) as harness:
            seen, findings = whole_round(harness, rate, plan.stopped)
            is_last = interval == paces[-1][0]
            if is_last or not _is_starved(seen, () if plan.is_about_scrapes else findings):
                yield harness, seen, findings
                return


def _is_starved(seen: Observation, findings: Sequence[Finding]) -> bool:
    index = median(requests.durations_of(seen, "/"))
    return index > _IDLE_SECONDS or any(
        one.check == observers_alive.CHECK and "scrape" in one.claim and one.verdict is not Verdict.PASS
        for one in findings
    )


@contextmanager
def environment(place: Place, plan: Plan, interval: str = "") -> Iterator[Harness]:
    """Bring up an environment, scraped at the project's interval or at another one."""
    settings = load_settings(ROOT)
    lies, scrape = plan.lies, settings.scrape
    command = list(settings.service.command)
    if lies:
        command = ["{python}", "-m", "tests.lies.lying_service", *(word for lie in lies for word in ("--lie", lie))]
    settings = msgspec.structs.replace(
        settings,
        platform_dir=str(plan.platform or ROOT / "platform"),
        scrape=msgspec.structs.replace(scrape, interval=interval) if interval else scrape,
        service=msgspec.structs.replace(
            settings.service, command=command, env={**settings.service.env, **_STEADY, **plan.env}
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


def traffic(harness: Harness, rate: float) -> Profile:
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
        rate=rate,
        requests=300,
        seed=51,
    )


def drive(harness: Harness, rate: float) -> tuple[Observation, list[Finding]]:
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
    return harness.run(traffic(harness, rate), "everything"), probes


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
        # An evaluation right after the first anchor may not have seen its scrape yet; one an interval later has.
        alerts.none_active(harness, Window(seen.before.at + interval, until)),
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


def whole_round(harness: Harness, rate: float, stopped: str = "") -> tuple[Observation, list[Finding]]:
    """Return what was observed of a short load, and the findings on every claim."""
    first = exposed(harness)
    if stopped:
        harness.stop_component(stopped)
    seen, probes = drive(harness, rate)
    return seen, [first, *probes, *judge(harness, seen, is_blind=bool(stopped))]


def not_green(findings: list[Finding]) -> dict[str, list[Finding]]:
    """Return the findings that are no pass, by check."""
    bad: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.verdict is not Verdict.PASS:
            bad.setdefault(finding.check, []).append(finding)
    return bad
