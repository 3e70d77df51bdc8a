"""Sentences about alerts and rules. Bounds are computed from the running configuration and printed as their sum."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pytest_bdd import given, parsers, then

from sloproof.checks import alert_lifecycle
from sloproof.claims import alerts, rules
from sloproof.duration import format_duration
from sloproof.errors import DeadlineError, FeatureError
from sloproof.model import Window
from sloproof.polling import wait_until
from sloproof.shareable import shareable
from sloproof.steps.types import TYPES
from sloproof.trial import Trial

_POLL = timedelta(milliseconds=50)


@given(parsers.parse('alert "{name:text}" has been quiet for "{length:duration}"', TYPES))
def has_been_quiet(trial: Trial, name: str, length: timedelta) -> None:
    """Wait until the rule has been evaluated for so long without the alert being active.

    What an earlier scenario left behind may first clear, within the bound that it has for that.
    """
    prometheus = trial.harness.clients.prometheus
    with contextlib.suppress(DeadlineError):  # then it is judged as it is
        wait_until(
            lambda: prometheus.query(f'ALERTS{{alertname="{name}"}}', None).series,
            lambda active: not active,
            what=f"alert {name} is quiet",
            timeout=alerts.bounds_of(trial.harness, name).cleared.latest,
            interval=_POLL,
            check_alive=trial.harness.environment.check_alive,
        )
    start = datetime.now(UTC)
    trial.watch("liveness", length)
    # Every rule group was evaluated by then, the slow ones too.
    end = trial.harness.anchor(rules=True).at
    trial.harness.judge(alerts.none_active(trial.harness, Window(start, end), name))
    trial.quiet = Window(start, end)


@then(parsers.parse('alert "{name:text}" fires within its bound', TYPES))
def fires(trial: Trial, name: str) -> None:
    """Judge the first firing sample against window + scrape + evaluations + `for`, from the fault's begin."""
    since = _since(trial)
    bound = alerts.bounds_of(trial.harness, name, broke_in=trial.change_took).firing
    _await(
        trial,
        f"alert {name} fires in time",
        bound,
        since,
        lambda: alerts.firing_since(trial.harness, name, since, datetime.now(UTC)),
    )
    trial.fault_began, trial.fault_took = since, trial.change_took


@then(parsers.parse('a page for alert "{name:text}" is delivered within its bound', TYPES))
def delivered(trial: Trial, name: str) -> None:
    """Judge the notification's arrival at its receiver against the firing bound + group wait."""
    since = trial.fault_began or _since(trial)
    took = trial.fault_took if trial.fault_began else trial.change_took
    bound = alerts.bounds_of(trial.harness, name, broke_in=took).delivered
    _await(
        trial,
        f"a page for alert {name} is delivered in time",
        bound,
        since,
        lambda: alerts.delivered_since(trial.harness, name, "firing", since),
    )


@then(parsers.parse('alert "{name:text}" clears within its bound', TYPES))
def clears(trial: Trial, name: str) -> None:
    """Judge the alert's whole life at once: quiet, fired, delivered, cleared and resolved, each within its bound."""
    ended, began = _since(trial), trial.fault_began
    if began is None:
        raise FeatureError(
            "expected an earlier step to have seen the alert fire, but none has",
            hint=f'add: Then alert "{name}" fires within its bound',
        )
    bound = alerts.bounds_of(trial.harness, name, mended_in=trial.change_took).resolved
    _await(
        trial,
        f"the all-clear of alert {name} is delivered in time",
        bound,
        ended,
        lambda: alerts.delivered_since(trial.harness, name, "resolved", ended),
    )
    until = trial.harness.anchor(rules=True).at
    quiet = trial.quiet or Window(trial.started_at, began)
    trial.harness.judge(
        *alerts.lifecycle(
            trial.harness,
            name,
            quiet,
            Window(began, ended),
            until,
            broke_in=trial.fault_took,
            mended_in=trial.change_took,
        )
    )


@then("no alert was pending or firing since then")
def none_active(trial: Trial) -> None:
    """Judge every evaluation since the scenario's first request, after one that saw all of it.

    Alerts on error budgets have a sentence of their own: they remember what was spent long before.
    """
    seen = trial.observation
    until = trial.harness.anchor(rules=True).at
    trial.harness.judge(alerts.none_active(trial.harness, Window(seen.before.at, until)))


@then("every rule group has evaluated since then, without error")
def rules_healthy(trial: Trial) -> None:
    """Judge that each group was evaluated after the scrape that saw the last request, and that no rule failed."""
    seen = trial.observation
    trial.harness.anchor(rules=True)
    evaluated, healthy, _ = rules.health(trial.harness, seen.at)
    trial.harness.judge(evaluated, healthy)


@then("every rule names series that exist")
@shareable
def rules_name_series(trial: Trial) -> None:
    """Judge that each selector in each rule selects a metric, with labels, that Prometheus has."""
    anchor = trial.harness.anchor(rules=True)
    *_, named = rules.health(trial.harness, anchor.covers)
    trial.harness.judge(named)


def _since(trial: Trial) -> datetime:
    if trial.changed_at is None:
        raise FeatureError("expected an earlier step to have broken or mended something, but none has")
    return trial.changed_at


def _await(
    trial: Trial, claim: str, bound: alert_lifecycle.Bound, since: datetime, observe: Callable[[], datetime | None]
) -> None:
    """Wait for an instant, and judge how long after `since` it came."""
    left = max(bound.latest - (datetime.now(UTC) - since), timedelta(0))
    try:
        moment = wait_until(
            observe,
            lambda found: found is not None,
            what=claim,
            timeout=left,
            interval=_POLL,
            check_alive=trial.harness.environment.check_alive,
        ).value
        measured = f"after {(moment - since).total_seconds():.3f} s" if moment else ""
        history = ""
    except DeadlineError as error:
        moment, measured, history = None, f"not within {format_duration(bound.latest)}", str(error)
    trial.expect(
        claim,
        check=alert_lifecycle.CHECK,
        expected=f"within {format_duration(bound.latest)} of {since.isoformat(timespec='milliseconds')}: {bound.text}",
        measured=measured,
        holds=moment is not None and moment - since <= bound.latest,
        evidence=(("waiting", history),) if history else (),
    )
