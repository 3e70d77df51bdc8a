"""Sentences about counters, gauges and series."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_bdd import parsers, then

from sloproof.counters import CounterDelta
from sloproof.errors import FeatureError
from sloproof.finding import Finding, Verdict
from sloproof.steps.types import TYPES
from sloproof.trial import Trial


@then(parsers.parse('counter "{name:text}" with {label:w} "{value:text}" rises by exactly {count:d}', TYPES))
def counter_rises(trial: Trial, name: str, label: str, value: str, count: int) -> None:
    """Judge the difference of stored samples between the anchors, summed over instances and other labels."""
    trial.harness.judge(_rise(trial, name, {label: value}, count))


@then("these counters rise by exactly")
def counters_rise(trial: Trial, datatable: Sequence[Sequence[str]]) -> None:
    """Judge several counters at one instant. Columns: counter, labels as in PromQL without braces, by."""
    head, *rows = datatable
    if list(head) != ["counter", "labels", "by"]:
        raise FeatureError(
            "expected a table with the columns counter, labels, by",
            seen=" | ".join(head),
            hint='a row: | app_error_count_total | error_type="client_error" | 20 |',
        )
    trial.harness.judge(*(_rise_of(trial, f"{name}{{{labels}}}", name, labels, int(by)) for name, labels, by in rows))


@then(parsers.parse('no child of counter "{name:text}" rises', TYPES))
def counter_stays(trial: Trial, name: str) -> None:
    """Judge that every child of the counter exists and has the value it had at the first anchor."""
    trial.harness.judge(_others(trial, name, {}))


@then(parsers.parse('no other child of counter "{name:text}" with {label:w} than "{value:text}" rises', TYPES))
def others_stay(trial: Trial, name: str, label: str, value: str) -> None:
    """Judge that every child whose label has another value has the value it had at the first anchor."""
    trial.harness.judge(_others(trial, name, {label: value}))


@then("no request is counted but the barrier's own")
def nothing_counted(trial: Trial) -> None:
    """Judge that the request counter rose only by what the barrier itself sent."""
    seen = trial.observation
    own = len(seen.entries) - len(seen.sent_entries)
    trial.harness.judge(
        _rise_of(trial, seen.settings.metrics.requests.name, seen.settings.metrics.requests.name, "", own)
    )


@then(parsers.parse('counter "{name:text}" exists at 0 or more for', TYPES))
def children_exist(trial: Trial, name: str, datatable: Sequence[Sequence[str]]) -> None:
    """Judge that each label set of the table has a series now, whether or not it ever counted anything.

    A series that is born with its first event hides that event from every rate; so each exists from the start.
    """
    head, *rows = datatable
    anchor = trial.harness.baseline()
    selectors = []
    for row in rows:
        matchers = ", ".join(f'{label}="{value}"' for label, value in zip(head, row, strict=True))
        selectors.append(f"{name}{{{matchers}}}")
    prometheus = trial.harness.clients.prometheus
    missing = [selector for selector in selectors if not prometheus.query(selector, anchor.at).series]
    trial.expect(
        f"every expected child of {name} exists from the start",
        check="exposition",
        expected=f"{len(selectors)} series",
        measured=f"{len(selectors) - len(missing)} series",
        holds=not missing,
        at=anchor.at,
        evidence=(("missing", "\n".join(missing)),) if missing else (),
    )


@then(parsers.parse('every one of those requests is counted above bucket "{edge:text}" of histogram "{name:text}"', TYPES))  # fmt: skip
def above_bucket(trial: Trial, edge: str, name: str) -> None:
    """Judge that the histogram's count rose by all requests, and this cumulative bucket by none of them."""
    seen = trial.observation
    names = seen.settings.metrics.latency
    label = names.endpoint if names else "endpoint"
    endpoint = seen.sent_entries[0].endpoint
    count = len(seen.sent_entries)
    trial.harness.judge(
        _rise(trial, f"{name}_count", {label: endpoint}, count),
        _rise(trial, f"{name}_bucket", {label: endpoint, "le": edge}, 0),
    )


def _rise(trial: Trial, name: str, labels: dict[str, str], count: int) -> Finding:
    matchers = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return _rise_of(trial, f"{name}{{{matchers}}}", name, matchers, count)


def _rise_of(trial: Trial, selector: str, name: str, matchers: str, count: int) -> Finding:
    """Return the finding on one counter's rise between the anchors."""
    seen = trial.observation
    scoped = f"{name}{{{', '.join(part for part in (seen.job_selector, matchers) if part)}}}"
    claim = f"counter {selector} rises by exactly {count}"
    if "metrics" in seen.dead:
        return Finding(
            "counter_rise",
            Verdict.BLOCKED,
            claim,
            str(count),
            "nothing: the metrics pipeline is dead",
            at=seen.at,
            hint=seen.dead["metrics"],
        )
    deltas = seen.increase(scoped)
    if not deltas:
        return Finding(
            "counter_rise",
            Verdict.INCONCLUSIVE,
            claim,
            str(count),
            "no such series",
            at=seen.at,
            queries=(seen.query_of(scoped),),
            hint=seen.prometheus.nearest(scoped, seen.window),
        )
    low, high = sum(delta.low for delta in deltas), sum(delta.high for delta in deltas)
    within = Verdict.PASS if low == high else Verdict.INCONCLUSIVE
    verdict = within if low <= count <= high else Verdict.FAIL
    measured = f"{low:g}" if low == high else f"between {low:g} and {high:g}"
    youngest = max((delta.last.time for delta in deltas if delta.last is not None), default=None)
    own = len(seen.entries) - len(seen.sent_entries)
    index = seen.settings.service.index
    return Finding(
        "counter_rise",
        verdict,
        claim,
        str(count),
        f"{measured}, over {len(deltas)} series",
        at=seen.at,
        sample_age=None if youngest is None else seen.at - youngest,
        queries=(seen.query_of(scoped),),
        hint=f"{own} of the requests to {index} in this stretch are the barrier's own"
        if verdict is Verdict.FAIL
        else "",
        evidence=(("per series", _table(deltas)),),
    )


def _others(trial: Trial, name: str, excluded: dict[str, str]) -> Finding:
    seen = trial.observation
    matchers = "".join(f', {label}!="{value}"' for label, value in excluded.items())
    selector = f"{name}{{{seen.job_selector}{matchers}}}"
    claim = f"no {'other ' if excluded else ''}child of {name} rises"
    deltas = seen.increase(selector)
    risen = [delta for delta in deltas if delta.high > 0]
    verdict = Verdict.INCONCLUSIVE if not deltas else Verdict.FAIL if risen else Verdict.PASS
    return Finding(
        "counter_rise",
        verdict,
        claim,
        f"{len(deltas)} children unchanged",
        f"{len(risen)} children risen",
        at=seen.at,
        queries=(seen.query_of(selector),),
        evidence=(("per series", _table(risen)),) if risen else (),
    )


def _table(deltas: Sequence[CounterDelta], most: int = 12) -> str:
    rows = []
    for delta in deltas[:most]:
        labels = ", ".join(f'{key}="{value}"' for key, value in sorted(delta.labels.items()) if key != "__name__")
        first = "born in between" if delta.baseline is None else f"{delta.baseline.value:g}"
        last = "gone" if delta.last is None else f"{delta.last.value:g}"
        resets = f", {delta.resets} resets" if delta.resets else ""
        rows.append(f"{first} -> {last}{resets}  {{{labels}}}")
    if len(deltas) > most:
        rows.append(f"and {len(deltas) - most} more")
    return "\n".join(rows)
