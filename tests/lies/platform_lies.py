"""What a platform can get wrong about an honest service: each lie edits a copy of the platform's files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Edit = Callable[[Path], None]


def _edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    # A lie that no longer fits the file would tell nothing, and its test would blame the check.
    assert after != before, f"expected something to change in {path.name}"
    path.write_text(after, encoding="utf-8")


def _stage(platform: Path, stage: str) -> None:
    _edit(platform / "local" / "promtail.yml", lambda text: text.replace("- cri: {}", f"- cri: {{}}\n      - {stage}"))


def _limit(platform: Path, line: str) -> None:
    key = line.partition(":")[0]
    _edit(
        platform / "local" / "loki.yml",
        lambda text: "\n".join(f"  {line}" if row.startswith(f"  {key}:") else row for row in text.splitlines()),
    )


def _rule(platform: Path, name: str, change: Callable[[dict[str, str]], None]) -> None:
    """Change the rule that records or alerts under a name that begins so."""

    def rewrite(text: str) -> str:
        document = yaml.safe_load(text)
        for group in document["groups"]:
            for rule in group["rules"]:
                if (rule.get("record") or rule["alert"]).startswith(name):
                    change(rule)
        return yaml.safe_dump(document)

    _edit(platform / "rules" / "users-api.yml", rewrite)


def service_is_scraped_by_two_jobs(platform: Path) -> None:
    """Annotations on both the service and the pod."""
    job = """
  - job_name: pods
    metrics_path: ${SERVICE_METRICS_PATH}
    static_configs:
      - targets: ['${SERVICE_ADDRESS}']
        labels:
          app: ${SERVICE_NAME}
"""
    _edit(platform / "local" / "prometheus.yml", lambda text: text + job)


def shipper_filters_lines(platform: Path) -> None:
    """A stage drops lines that someone took for noise."""
    _stage(platform, "drop: {expression: 'POST /api/echo'}")


def shipper_limits_lines(platform: Path) -> None:
    """A rate limit that drops what is above it."""
    # Of the API's lines only: the barrier looks for the index's, and must not be blinded.
    limit = "limit: {rate: 30, burst: 10, drop: true}"
    _stage(platform, f'match: {{selector: \'{{app="users-api"}} |= "/api/"\', stages: [{{{limit}}}]}}')


def store_refuses_long_lines(platform: Path) -> None:
    """A limit on the line's length, which only tracebacks reach."""
    _limit(platform, "max_line_size: 400B")


def rule_names_a_counter_without_total(platform: Path) -> None:
    """The name from the code instead of the one on the wire."""

    def change(rule: dict[str, str]) -> None:
        rule["expr"] = rule["expr"].replace("app_request_count_total", "app_request_count")

    _rule(platform, "endpoint:app_requests:", change)


def rule_joins_many_to_many(platform: Path) -> None:
    """A join that has never worked."""

    def change(rule: dict[str, str]) -> None:
        rule["expr"] = "app_request_count_total / on (endpoint) app_error_count_total"

    _rule(platform, "endpoint:app_requests:", change)


def alert_fires_at_every_error(platform: Path) -> None:
    """A threshold so low that healthy load trips it."""

    def change(rule: dict[str, str]) -> None:
        rule.update({"expr": rule["expr"].rpartition(">")[0] + "> 0.001", "for": "0s"})

    _rule(platform, "ErrorRatioHigh", change)


def alerts_that_never_arrive(platform: Path) -> None:
    """Beside an honest alert: one whose threshold cannot be reached, one routed to nobody, one without an all-clear."""

    def rules(text: str) -> str:
        groups = yaml.safe_load(text)
        alert = {
            "expr": 'sum(rate(app_request_count_total{job="users-api", http_status=~"5.."}[1s]))'
            ' / (sum(rate(app_request_count_total{job="users-api"}[1s])) > 0) > 0.1',
            "for": "500ms",
            "labels": {"severity": "page", "service": "users-api"},
            "annotations": {"summary": "More than 10 % of the requests fail"},
        }
        groups["groups"] = [
            {
                "name": "lies",
                "rules": [
                    {"alert": name, **alert, "expr": str(alert["expr"]).replace("> 0.1", f"> {threshold}")}
                    for name, threshold in (
                        ("Honest", "0.1"),
                        ("Unreachable", "2"),
                        ("ToNobody", "0.1"),
                        ("NoAllClear", "0.1"),
                    )
                ],
            }
        ]
        return yaml.safe_dump(groups)

    def routes(text: str) -> str:
        config = yaml.safe_load(text)
        config["route"]["routes"] = [
            {"receiver": "nobody", "matchers": ["alertname = ToNobody"]},
            {"receiver": "hasty", "matchers": ["alertname = NoAllClear"]},
        ]
        hook: dict[str, Any] = dict(config["receivers"][0]["webhook_configs"][0])
        config["receivers"] += [
            {"name": "nobody"},
            {"name": "hasty", "webhook_configs": [{**hook, "send_resolved": False}]},
        ]
        return yaml.safe_dump(config)

    _edit(platform / "rules" / "users-api.yml", rules)
    _edit(platform / "local" / "alertmanager.yml", routes)


def _panels(dashboard: bytes, title: str, change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(dashboard)
    for panel in document["panels"]:
        if panel.get("title") == title:
            for target in panel["targets"]:
                change(target)
    return json.dumps(document).encode()


def panel_asks_a_datasource_that_is_gone(dashboard: bytes) -> bytes:
    """The uid that another Grafana gave its datasource."""
    return _panels(dashboard, "Targets up", lambda target: target["datasource"].update(uid="PBFA97CFB590B2093"))


def panel_asks_a_counter_without_total(dashboard: bytes) -> bytes:
    """The name from the code instead of the one on the wire."""

    def change(target: dict[str, Any]) -> None:
        target["expr"] = target["expr"].replace("app_request_count_total", "app_request_count")

    return _panels(dashboard, "Requests per second", change)


def panel_asks_a_window_below_two_scrapes(dashboard: bytes) -> bytes:
    """A fixed window that was right for another scrape interval."""

    def change(target: dict[str, Any]) -> None:
        target["expr"] = target["expr"].replace("$__rate_interval", "200ms")

    return _panels(dashboard, "Errors by type", change)


def variable_is_stale(dashboard: bytes) -> bytes:
    """The dashboard was saved with an endpoint selected that has been renamed since."""
    document = json.loads(dashboard)
    for variable in document["templating"]["list"]:
        if variable["name"] == "endpoint":
            variable["current"] = {"selected": True, "text": "/api/people", "value": "/api/people"}
    return json.dumps(document).encode()
