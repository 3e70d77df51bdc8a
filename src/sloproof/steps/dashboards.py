"""Sentences about dashboards."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pytest_bdd import given, parsers, then

from sloproof.checks.dashboard_panels import Independent
from sloproof.claims import dashboards
from sloproof.dashboards import Dashboard, TimeRange, read_dashboard
from sloproof.errors import FeatureError
from sloproof.observation import Observation
from sloproof.steps.types import TYPES
from sloproof.trial import Trial


@given(parsers.parse('load of {rate:g} requests a second on the usual mix has run for "{length:duration}" within this feature', TYPES))  # fmt: skip
def load_has_run(trial: Trial, feature_memory: dict[str, Any], rate: float, length: timedelta) -> None:
    """Drive the usual mix once for the whole feature; its scenarios judge that one observation at its instant."""
    if "observation" not in feature_memory:
        trial.run_usual(rate, length)
        feature_memory["observation"] = trial.observation
    known = feature_memory["observation"]
    assert isinstance(known, Observation)
    trial.recall(known)


@then(parsers.parse('every panel of dashboard "{name:text}" answers with fresh data', TYPES))
def panels_answer(trial: Trial, name: str) -> None:
    """Judge each panel's query, with its variables filled in, at the instant after the load."""
    dashboard = _read(trial, name)
    answers = dashboards.answer(trial.harness, dashboard, trial.observation)
    trial.harness.judge(*dashboards.panels_tell(trial.harness, dashboard, trial.observation, answers))


@then(parsers.parse('panel "{panel:text}" of dashboard "{name:text}" shows the ledger\'s {what:quantity} within {percent:g} %', TYPES))  # fmt: skip
def panel_agrees(trial: Trial, panel: str, name: str, what: str, percent: float) -> None:
    """Judge a panel's number, summed over its series, against the ledger's over the same stretch."""
    dashboard, seen = _read(trial, name), trial.observation
    span = rate_window(dashboards.time_range(trial.harness))
    rate = dashboards.ledger_rate(seen, span)
    value = rate if what == "rate" else dashboards.ledger_rate(seen, span, only_5xx=True) / rate if rate else 0.0
    truth = Independent(value, f"the ledger's last {span.total_seconds():g} s", relative_tolerance=percent / 100)
    answers = dashboards.answer(trial.harness, dashboard, seen, panel)
    summed = [dashboards.summed(one) for one in answers]
    trial.harness.judge(*dashboards.panels_tell(trial.harness, dashboard, seen, dashboards.with_truth(summed, truth)))


def rate_window(time_range: TimeRange) -> timedelta:
    """Return the window that Grafana gives a rate: a step and a scrape, four scrapes at least."""
    return max(time_range.step + time_range.scrape_interval, 4 * time_range.scrape_interval)


def _read(trial: Trial, name: str) -> Dashboard:
    settings = trial.harness.settings
    folder = Path(trial.harness.root) / (settings.platform_dir or "platform") / "dashboards"
    path = folder / name
    if not path.is_file():
        known = ", ".join(sorted(found.name for found in folder.glob("*.json"))) or "none"
        raise FeatureError(f"expected a dashboard {name!r}, found no such file", where=folder, known=known)
    return read_dashboard(path.read_bytes())
