"""Records of runs as they come: all green, and one where the monitoring lies in every way."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sloproof.report.record import (
    ComponentRecord,
    EndpointRecord,
    EnvironmentRecord,
    FindingRecord,
    LoadRecord,
    LogLagRecord,
    QuantileRecord,
    QueryRecord,
    RunRecord,
    ScenarioRecord,
    SecondRecord,
    StepRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BEGIN = datetime(2026, 3, 14, 4, 2, 11, 250_000, tzinfo=UTC)
HOSTILE = (
    '<script>alert("owned")</script><img src=x onerror=alert(1)> \x1b[31mred\x1b[0m \x00 \u202egnp.exe {{ 7*7 }} & "\''
)
COUNTS = "every request is counted once and logged once, under its endpoint, method and status"
COUNT_QUERY = 'app_request_count_total{job="users-api",instance="127.0.0.1:41233"}'

_FEATURES = (
    ("Three-way count", "three_way_count"), ("Log delivery", "log_delivery"), ("Probes", "probes"),
    ("Alerts", "alert_lifecycle"), ("Dashboards", "dashboard_panels"), ("The users endpoint", "users"),
    ("The echo endpoint", "echo"), ("The error endpoint", "errors"), ("In-flight gauge at rest", "gauge_at_rest"),
    ("Quantiles", "quantile_bracket"), ("Bounded cardinality", "bounded_cardinality"),
    ("Counters across a restart", "restart_continuity"), ("Observers alive", "observers_alive"),
    ("Request ids", "request_ids"),
)  # fmt: skip


def at(seconds: float) -> str:
    """Return an instant of the run, as the record holds it."""
    return (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finding(verdict: str = "pass", second: float = 1.0, **changes: object) -> FindingRecord:
    """Return a finding of the three-way count, changed as asked."""
    window = f"{at(second - 2.4)} to {at(second - 0.3)} (2.100 s)"
    told: dict[str, object] = {
        "check": "three_way_count",
        "verdict": verdict,
        "claim": COUNTS,
        "expected": "400 requests by each of ledger, counter and logs",
        "measured": "ledger 400, counter 400, logs 400",
        "at": at(second),
        "sample_age_seconds": 0.214,
        "queries": (
            QueryRecord(
                source="prometheus",
                text=COUNT_QUERY,
                url="http://127.0.0.1:39211/graph?g0.expr=app_request_count_total&g0.tab=1",
            ),
            QueryRecord(source="loki", text='{app="users-api"} | pattern `<_> <msg>` |= "request_id="', url=""),
        ),
        "evidence": (("events", "400 certain, 0 unknown, 0 that never arrived"), ("window", window)),
    }
    return FindingRecord(**{**told, **changes})  # type: ignore[arg-type]


def step(
    keyword: str,
    text: str,
    line: int,
    outcome: str = "passed",
    *findings: FindingRecord,
    error: str = "",
    took: float = 0.4,
) -> StepRecord:
    """Return a step."""
    spent = 0.0 if outcome == "not run" else took
    return StepRecord(
        keyword=keyword, text=text, line=line, outcome=outcome, duration_seconds=spent, findings=findings, error=error
    )


def scenario(
    file: str,
    name: str,
    line: int,
    second: float,
    steps: Sequence[StepRecord],
    verdict: str = "pass",
    **changes: object,
) -> ScenarioRecord:
    """Return a scenario."""
    told: dict[str, object] = {
        "node_id": f"features/{file}.feature::{name}",
        "feature": next((title for title, known in _FEATURES if known == file), file),
        "feature_file": f"features/{file}.feature",
        "line": line,
        "name": name,
        "tags": (),
        "verdict": verdict,
        "reason": "",
        "started": at(second),
        "duration_seconds": sum(each.duration_seconds for each in steps),
        "steps": tuple(steps),
    }
    return ScenarioRecord(**{**told, **changes})  # type: ignore[arg-type]


def traffic(seconds: int = 300, *, deaf_from: int | None = None) -> tuple[SecondRecord, ...]:
    """Return seconds of traffic; from `deaf_from` on Prometheus counts too little, and is silent for a while."""
    chance = random.Random(7)
    records = []
    for second in range(seconds):
        busy = second % 60 < 48
        sent = round(80 + 25 * math.sin(second / 17) + chance.gauss(0, 4)) if busy else 0
        failed = round(sent * (0.3 if 180 <= second < 200 else 0.02))
        p50 = 0.03 * chance.uniform(0.9, 1.15) if sent else None
        p99 = (1.4 if 120 <= second < 126 else 0.21) * chance.uniform(0.8, 1.3) if sent else None
        counted: float | None = float(sent)
        if deaf_from is not None and second >= deaf_from:
            counted = None if second < deaf_from + 12 else round(sent * 0.93)
        records.append(
            SecondRecord(
                at=at(second),
                sent=sent,
                failed=failed,
                p50_seconds=p50,
                p99_seconds=p99,
                counted=counted,
                counted_failed=None if counted is None else float(failed),
                intended_p50_seconds=p50,
                intended_p99_seconds=None if p99 is None else p99 * 1.4,
                told_p50_above_seconds=edges(p50)[0] if counted else None,
                told_p50_up_to_seconds=edges(p50)[1] if counted else None,
                told_p99_above_seconds=edges(p99)[0] if counted else None,
                told_p99_up_to_seconds=edges(p99)[1] if counted else None,
            )
        )
    return tuple(records)


def edges(value: float | None) -> tuple[float | None, float | None]:
    """Return the neighbouring bucket edges around a latency; None above the highest."""
    bounds = (0.0, 0.01, 0.05, 0.1, 0.5, 1.0)
    if value is None:
        return None, None
    return max(bound for bound in bounds if bound < value), min((b for b in bounds if value <= b), default=None)


def endpoint(
    path: str, told: float | None, *rows: tuple[float, float, float, float, float | None, float | None]
) -> EndpointRecord:
    """Return an endpoint: each row a quantile, from the intended start, from the send, the wait, and the two edges."""
    return EndpointRecord(endpoint=path, timed=4033, told=told, quantiles=tuple(
        QuantileRecord(quantile=quantile, intended_seconds=intended, sent_seconds=sent, waited_seconds=waited,
                       told_above_seconds=above, told_up_to_seconds=up_to)
        for quantile, intended, sent, waited, above, up_to in rows
    ))  # fmt: skip


AGREEING = endpoint("/api/users", 4033.0, (0.5, 0.031, 0.031, 0.0, 0.01, 0.05), (0.99, 0.3, 0.214, 0.01, 0.1, 0.5))
# One worker, 20 ms a request: what eight clients at once wait, and what the service tells of it.
QUEUED = endpoint("/api/echo", 4030.0, (0.5, 0.9, 0.174, 0.7, 0.01, 0.05), (0.99, 2.1, 0.71, 1.9, 0.01, 0.05))
BEYOND = endpoint("/api/slow", 4033.0, (0.5, 1.2, 1.2, 0.0, 1.0, None), (0.99, 1.9, 1.9, 0.0, 1.0, None))
UNTOLD = endpoint("/api/new", None, (0.5, 0.003, 0.003, 0.0, None, None), (0.99, 0.02, 0.02, 0.0, None, None))
LONGER = endpoint("/api/users", 4033.0, (0.5, 0.031, 0.031, 0.0, 0.1, 0.5), (0.99, 0.3, 0.214, 0.01, 0.5, 1.0))


def environment() -> EnvironmentRecord:
    """Return the local environment."""
    parts = [
        ("service", "", "project", 0.31, "http://127.0.0.1:41233"),
        ("prometheus", "3.15.0", "built from github.com/prometheus/prometheus", 0.42, "http://127.0.0.1:39211"),
        ("alertmanager", "0.31.1", "built from github.com/prometheus/alertmanager", 0.24, "http://127.0.0.1:38093"),
        ("loki", "3.7.8", "release archive", 0.36, "http://127.0.0.1:33100"),
        ("promtail", "3.6.4", "cache", 0.18, "http://127.0.0.1:39080"),
    ]
    return EnvironmentRecord(
        backend="local",
        capabilities=("processes",),
        components=tuple(
            ComponentRecord(name=name, version=version, origin=origin, ready_seconds=ready, address=where)
            for name, version, origin, ready, where in parts
        ),
        python="3.13.1",
        system="Linux 6.1.0 x86_64",
        sloproof="0.1.0",
    )


def green_run(scenarios: int = 70, seconds: int = 300) -> RunRecord:
    """Return a run in which every claim holds and one scenario is skipped."""
    skipped = scenario(
        "dashboard_panels",
        "Grafana answers the same through its own API",
        31,
        290,
        [step("Then", "every panel answers through Grafana", 32, "not run")],
        "skipped",
        reason="needs the capability grafana; the environment `local` has none",
        tags=("needs_grafana",),
    )
    return _run("pass", [*_passing(scenarios - 1), skipped], traffic(seconds))


def failing_run(scenarios: int = 70, seconds: int = 300) -> RunRecord:
    """Return a run with every verdict in it, and texts that would like to be more than text."""
    bad = [_lost(), _late(), _blind(), _blocked(), _broken(), _unset()]
    green = _passing(scenarios - len(bad))
    order = sorted([*green, *bad], key=lambda one: one.started)
    return _run(
        "fail",
        order,
        traffic(seconds, deaf_from=151),
        problems=("component promtail was expected to run, but it ended killed by signal 9\n  last_lines: " + HOSTILE,),
    )


def _run(
    verdict: str, scenarios: Iterable[ScenarioRecord], seconds: tuple[SecondRecord, ...], problems: tuple[str, ...] = ()
) -> RunRecord:
    return RunRecord(
        verdict=verdict,
        run_id="20260314-040211-9f3c",
        started=at(0),
        duration_seconds=float(len(seconds)) + 4.2,
        service="users-api",
        scenarios=tuple(scenarios),
        loads=_loads(),
        traffic=seconds,
        log_lags=tuple(
            LogLagRecord(at=at(second), lag_seconds=0.02 + 0.015 * (second % 5) + (1.9 if second == 160 else 0))
            for second in range(4, len(seconds), 6)
        ),
        environment=environment(),
        timings={
            "environment start": 0.86,
            "first verified metric and log line": 0.41,
            "load": 214.3,
            "barrier": 31.7,
            "judgement": 4.9,
            "environment stop": 0.62,
        },
        problems=problems,
        evidence_files=("junit.xml", "evidence/ledger/harness.jsonl", "evidence/ledger/load-0.jsonl", "../etc/passwd"),
    )


def _loads() -> tuple[LoadRecord, ...]:
    return tuple(
        LoadRecord(
            name=name,
            scenario=where,
            started=at(second),
            duration_seconds=took,
            requests=requests,
            failures=failures,
            asked_rate=rate,
            achieved_rate=achieved,
            unsent=unsent,
            p50_seconds=0.031,
            p95_seconds=0.118,
            p99_seconds=p99,
            endpoints={"usual mix": (AGREEING,), "saturation": (AGREEING, QUEUED, BEYOND, UNTOLD)}.get(name, ()),
        )
        for name, where, second, took, requests, failures, rate, achieved, unsent, p99 in (
            (
                "usual mix",
                "Every error under load is visible in all three places",
                4,
                48.0,
                4033,
                {"http_5xx": 81},
                84.0,
                84.02,
                0,
                0.214,
            ),
            (
                "usual mix",
                "A failing database pages someone, in time",
                60,
                48.0,
                3810,
                {"http_5xx": 75, "timeout": 6},
                80.0,
                79.38,
                0,
                1.42,
            ),
            ("burst", "Bursts of any size are counted exactly", 151, 2.1, 400, {}, None, 190.4, 0, 0.301),
            (
                "saturation",
                "Probes answer under saturation",
                240,
                30.0,
                12_840,
                {"http_5xx": 210, "refused": 12},
                500.0,
                428.0,
                2160,
                2.0,
            ),
        )
    )


def _passing(amount: int) -> list[ScenarioRecord]:
    claims = (
        "Every request under load is counted once and logged once",
        "A burst of 400 leaves nothing behind",
        "No error line without its request",
        "Two instances are two series, never one",
        "An idle minute changes no counter",
    )
    made = []
    for number in range(amount):
        title, file = _FEATURES[number % len(_FEATURES)]
        second = 2 + number * 4.1
        line = 5 + 7 * (number // len(_FEATURES))
        made.append(
            scenario(
                file,
                f"{claims[number // len(_FEATURES) % len(claims)]} ({title.lower()})",
                line,
                second,
                [
                    step("Given", "the database fails for 0 % of requests", line + 1, took=0.012),
                    step("When", 'load of 60 requests a second runs for "2 s" on the usual mix', line + 2, took=2.1),
                    step(
                        "Then",
                        "requests sent, counted and logged agree",
                        line + 3,
                        "passed",
                        finding(second=second + 3),
                        took=0.33,
                    ),
                ],
                tags=("slow",) if number % 9 == 0 else (),
            )
        )
    return made


_HEALTH = (
    ("service", "running"),
    ("prometheus", "running"),
    ("alertmanager", "running"),
    ("loki", "running"),
    ("promtail", "exited with status -9, restarted 1 times"),
)
_LOGS = (
    (
        "service",
        "\n".join(f"2026-03-14 04:04:4{n} [INFO] GET /api/users 200 0.031 - request_id=r-{n}" for n in range(6))
        + f"\n2026-03-14 04:04:46 [ERROR] {HOSTILE} - request_id=r-9",
    ),
    (
        "promtail",
        'level=warn msg="error sending batch, will retry" status=500\n\x1b[33mlevel=error\x1b[0m msg="final error"',
    ),
    ("loki", ""),
)


def _lost() -> ScenarioRecord:
    disagree = (
        "method  endpoint    status  ledger  counter  logs  counter-ledger  logs-ledger  wrong\n"
        "GET     /api/users  200     371     371      344   0               -27          logs\n"
        "GET     /api/users  500     9       9        9     0               0\n"
        "POST    /api/echo   200     20      20       20    0               0"
    )
    polls = "time          logs\n04:04:45.210  344\n04:04:46.212  373\n04:04:47.214  373"
    lie = finding(
        "fail",
        156.2,
        measured="ledger 400, counter 400, logs 373; 1 of 3 rows disagree",
        hint="27 lines are missing, none twice: the shipper dropped them, or the service did not write them; compare "
        "the service's own log file with Loki for one of the ids below",
        evidence=(
            ("rows that disagree", disagree),
            ("sums", "counter - ledger 0, logs - ledger -27"),
            ("ids without a line", "20260314-0007, 20260314-0011, 20260314-0012 and 24 more"),
            ("poll history", polls),
            ("window", f"{at(151)} to {at(155.9)} (4.900 s)"),
        ),
    )
    return scenario(
        "log_delivery", "A burst of 400 requests loses no log line", 23, 151,
        [
            step("Given", "the database fails for 2 % of requests", 24, took=0.02),
            step("When", "a burst of 400 requests is sent on the usual mix", 25, took=2.1),
            step("Then", "requests sent, counted and logged agree", 26, "failed", lie,
                 error="expected 400 requests by each of ledger, counter and logs", took=3.1),
            step("And", "no line arrived twice", 27, "not run"),
        ], "fail", components=_HEALTH, last_lines=_LOGS, tags=("logs",),
    )  # fmt: skip


def _late() -> ScenarioRecord:
    lie = finding(
        "fail",
        238.4,
        check="alert_lifecycle",
        claim='alert "ErrorRatioHigh" fires within its bound on a real fault',
        expected="firing within 3.250 s of the fault: scrape 0.250 s + evaluation 1.000 s + for 2.000 s",
        measured="still pending 9.112 s after the fault; the rule group was last evaluated 7.4 s ago",
        sample_age_seconds=7.4,
        queries=(
            QueryRecord(
                source="prometheus", text='ALERTS{alertname="ErrorRatioHigh"}', url="javascript:alert(document.cookie)"
            ),
        ),
        hint="the group takes longer than its interval: see prometheus_rule_group_last_duration_seconds",
        evidence=(
            ("poll history", "\n".join(f"04:06:{n:02d}  pending" for n in range(10))),
            ("labels " + HOSTILE, HOSTILE),
        ),
    )
    return scenario(
        "alert_lifecycle", "A failing database pages someone, in time, and the page clears", 4, 228,
        [
            step("Given", "load of 40 requests a second on the usual mix", 5, took=0.3),
            step("When", "the database fails for 80 % of requests", 7, took=0.02),
            step("Then", 'alert "ErrorRatioHigh" fires within its bound', 8, "failed", lie, took=9.1),
            step("And", 'a page for alert "ErrorRatioHigh" is delivered within its bound', 9, "not run"),
        ], "fail", components=_HEALTH[:4], last_lines=_LOGS[:1],
    )  # fmt: skip


def _blind() -> ScenarioRecord:
    unknown = finding(
        "inconclusive",
        164.9,
        check="quantile_bracket",
        claim="the p99 that Prometheus tells is within a bucket of the client's",
        expected="at least 200 requests in the window, each scraped after it ended",
        measured="the newest sample is 14.2 s old; 61 requests were counted since",
        sample_age_seconds=14.2,
        hint="something stopped reading the service: look at the target's last scrape and its error",
        queries=(
            QueryRecord(
                source="prometheus",
                text="histogram_quantile(0.99, sum by (le) "
                '(rate(app_request_latency_seconds_bucket{job="users-api"}[5s])))',
                url="",
            ),
        ),
    )
    return scenario(
        "quantile_bracket",
        "p99 is told within one bucket",
        12,
        158,
        [
            step("When", 'load of 60 requests a second runs for "2 s" on the usual mix', 13, took=2.0),
            step("Then", "p99 is within a bucket of the client's", 14, "failed", unknown, took=4.4),
        ],
        "inconclusive",
        components=_HEALTH,
        last_lines=_LOGS[:2],
    )


def _blocked() -> ScenarioRecord:
    dead = finding(
        "blocked",
        172.0,
        check="log_delivery",
        claim="log lines arrive within their bound",
        expected="a log pipeline that delivers its sentinels",
        measured="the pipeline is dead: no sentinel line came back within 5.000 s, asked 50 times",
        queries=(QueryRecord(source="loki", text='{app="users-api"} |= "sentinel-20260314-0041"'),),
        hint="promtail has exited; nothing that needs the logs can be judged until it runs",
        sample_age_seconds=None,
    )
    return scenario(
        "request_ids",
        "Every error line carries the id of its request",
        9,
        168,
        [
            step("When", '20 requests are sent to GET "/api/error"', 10, took=0.4),
            step("Then", "each of those requests has exactly one error line", 11, "failed", dead, took=5.0),
        ],
        "blocked",
        components=_HEALTH,
        last_lines=_LOGS[1:2],
    )


def _broken() -> ScenarioRecord:
    error = (
        "expected a scrape of component service, but the server did not answer\n  where:  http://127.0.0.1:41233/metrics\n"
        "  waited: 2.0 s, 8 tries\n  hint:   is it running?"
    )
    return scenario(
        "restart_continuity",
        "A restart loses no count",
        6,
        201,
        [
            step("When", 'component "service" is killed', 7, took=0.2),
            step("Then", "the counters go on where they were", 8, "failed", error=error, took=2.2),
        ],
        "error",
        components=_HEALTH,
        last_lines=_LOGS,
    )


def _unset() -> ScenarioRecord:
    return scenario(
        "probes",
        "Readiness is red while draining",
        40,
        250,
        [step("When", "the service is told to stop", 41, "not run")],
        "error",
        reason="setup: component service did not become ready within 5.0 s",
    )
