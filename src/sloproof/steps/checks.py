"""Sentences that bring the evidence of the scenario before a check."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pytest_bdd import parsers, then

from sloproof.claims import observers, requests, service
from sloproof.finding import Verdict
from sloproof.shareable import shareable
from sloproof.steps.types import TYPES
from sloproof.trial import Trial


@then("requests sent, counted and logged agree")
@shareable
def counts_agree(trial: Trial) -> None:
    """Judge that ledger, request counter and log lines hold the same number, per endpoint, method and status."""
    trial.harness.judge(requests.counts_agree(trial.observation))


@then("requests sent, counted and logged agree by status")
def counts_agree_by_status(trial: Trial) -> None:
    """Judge the same per status only: for traffic of which nobody can say how the service should route it."""
    trial.harness.judge(requests.counts_agree(trial.observation, by_status_only=True))


@then(parsers.parse('every line arrives exactly once, in order, within "{bound:duration}"', TYPES))
@shareable
def lines_delivered(trial: Trial, bound: timedelta) -> None:
    """Judge that no request's line was lost, doubled, reordered, or stamped later than this after its request."""
    trial.harness.judge(*requests.lines_delivered(trial.observation, bound))


@then("each request id joins exactly one line with the same status and a duration that fits")
@shareable
def ids_join(trial: Trial) -> None:
    """Judge that each id is in one line only, with the request's method, endpoint and status, and no longer time."""
    trial.harness.judge(requests.ids_join(trial.observation))


@then("every error is visible in the request count, in the error count and in the log")
def errors_visible(trial: Trial) -> None:
    """Judge that each error is in all three places, and that none of the three made one up."""
    trial.harness.judge(requests.errors_visible(trial.observation))


@then(parsers.parse('quantile {quantile:g} of "{path:text}" lies in the bucket of the client\'s', TYPES))
def quantile_agrees(trial: Trial, quantile: float, path: str) -> None:
    """Judge that histogram and client put the quantile between the same bucket edges; nothing is interpolated."""
    endpoint = trial.harness.settings.endpoint_of(path)
    trial.harness.judge(requests.quantile_agrees(trial.observation, quantile, endpoint))


@then("nothing is in flight")
@shareable
def at_rest(trial: Trial) -> None:
    """Judge that the in-flight gauge is at 0 in a scrape that began after the last answer."""
    trial.harness.judge(service.at_rest(trial.observation, trial.harness.scrape_interval))


@then("each instance of the service is scraped exactly once")
@shareable
def scraped_once(trial: Trial) -> None:
    """Judge that each running instance has exactly one fresh `up` series, over all jobs."""
    harness = trial.harness
    trial.harness.judge(
        service.scraped_once(
            harness.clients.prometheus, harness.settings, harness.baseline(), harness.instances, harness.scrape_interval
        )
    )


@then("no metric of the service has a new label value")
def label_values_bounded(trial: Trial) -> None:
    """Judge that what was sent made no label value that was not there at the first anchor."""
    trial.harness.judge(service.label_values_bounded(trial.observation, {}))


@then(parsers.parse("no metric of the service has a new label value beyond", TYPES))
def label_values_bounded_but(trial: Trial, datatable: Sequence[Sequence[str]]) -> None:
    """Judge the same, with label values that may be new. Columns: label, value."""
    allowed: dict[str, set[str]] = {}
    for label, value in datatable[1:]:
        allowed.setdefault(label, set()).add(value)
    trial.harness.judge(service.label_values_bounded(trial.observation, allowed))


@then("no observer dropped, rejected or missed anything")
def observers_alive(trial: Trial) -> None:
    """Judge what Prometheus, Loki and the shipper say of themselves: no loss, no failed or missed scrape."""
    trial.harness.judge(*observers.nothing_lost(trial.harness, trial.observation))


@then(parsers.parse('the clocks of the observers agree within "{bound:duration}"', TYPES))
@shareable
def clocks_agree(trial: Trial, bound: timedelta) -> None:
    """Judge how far the clocks of Prometheus and Loki are from the driver's, give or take the round trip."""
    trial.harness.judge(observers.clocks_agree(trial.harness, bound))


@then(parsers.parse('the three-way count is blocked by the "{pipeline:text}" pipeline', TYPES))
def count_blocked(trial: Trial, pipeline: str) -> None:
    """Judge the judgement: with that pipeline dead the count is `blocked`, never a pass and never a fail."""
    seen = trial.observation
    found = requests.counts_agree(seen)
    trial.expect(
        f"a dead {pipeline} pipeline blocks the three-way count",
        check="pipeline_alive",
        expected=f"blocked, because {pipeline} are dead",
        measured=f"{found.verdict.value}; dead: {', '.join(seen.dead) or 'none'}",
        holds=found.verdict is Verdict.BLOCKED and pipeline in seen.dead,
        at=seen.at,
        evidence=tuple((f"why {name}", reason) for name, reason in seen.dead.items()),
    )
