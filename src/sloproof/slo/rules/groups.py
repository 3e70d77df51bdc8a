"""Rules from objectives: what Prometheus records and tells of each, and what Loki's ruler counts for it.

The recorded names and the labels that say whose a series is are those of Sloth, so that its dashboards work; beside its
ratios the counts are recorded that they come from. Windows, ratios and alerts of an objective are one group: they are
evaluated in order at one instant, so no alert sees the ratios of two different ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction

from sloproof.slo.calendar import nominal_length
from sloproof.slo.label_names import label_name
from sloproof.slo.model import AlertRow, Objective, Severity, Source
from sloproof.slo.rules.alert_text import burn_texts, missing_texts, surplus_texts
from sloproof.slo.rules.counting import Counting, at_steps, counting_of, lookback
from sloproof.slo.rules.expressions import TickCounts, WindowCounts, number
from sloproof.slo.rules.series import Names, window_text
from sloproof.slo.rules.values import Alerting, Group, Labels, ObjectiveRules, Recording, Timing

BURN_ALERT = "ErrorBudgetBurn"
MISSING_ALERT = "SloDataMissing"
SURPLUS_ALERT = "SloCountsContradict"
_ON = "on (sloth_id, sloth_service, sloth_slo)"
_DAY = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)
# Enough to tell a part of a window to a thousandth or two, few enough for days to cost no more than hours.
_MOST_STEPS = 720


def rules_of(objective: Objective, timing: Timing, counts: WindowCounts | TickCounts | None = None) -> ObjectiveRules:
    """Return the rule groups of an objective; none for one that the load driver's ledger answers for.

    Args:
        objective: Of any source.
        timing: What the rules are made for.
        counts: How its events are counted, where that is known already.

    Raises:
        SettingsError: One of its queries cannot be used; see `expressions.counts_of`.
    """
    if objective.source is Source.LEDGER:
        return ObjectiveRules(objective)
    names = Names.of(objective)
    counting = counting_of(objective, timing, names, counts)
    windows: tuple[Recording | Alerting, ...] = (
        *counting.recordings,
        *_coverages(objective, counting, names, timing),
        *_burn_alerts(objective, names),
        *_data_alerts(objective, counting, names),
    )
    groups = (
        Group(f"slo-{objective.id}", timing.interval, windows),
        Group(
            f"slo-period-{objective.id}", _period_interval(counting, timing), tuple(_period(objective, counting, names))
        ),
    )
    loki = (Group(f"slo-{objective.id}", timing.interval, counting.logs),) if counting.logs else ()
    return ObjectiveRules(objective, groups, loki)


def missing_hold(objective: Objective, base: timedelta) -> timedelta:
    """Return how long the base window has to be absent: it is gone one base window after the last sample."""
    after = objective.missing_after or timedelta(0)
    return max(after - base, timedelta(0))


def _period_interval(counting: Counting, timing: Timing) -> timedelta:
    """Return how often the period is summed up: it only changes with each base window."""
    return max(timing.interval, min(counting.step, lookback()) // 2)


def _coverages(objective: Objective, counting: Counting, names: Names, timing: Timing) -> Iterator[Recording]:
    """Yield which part of each long window there is data for.

    It is looked at in steps: samples of the window would be as many after an outage as without, were rules evaluated
    more often from then on.
    """
    for window in sorted({row.long for row in objective.rows}):
        text = window_text(window)
        step = max(timing.interval, window // _MOST_STEPS // _MILLISECOND * _MILLISECOND)
        seen = at_steps(counting.present, step, timing.interval)
        yield Recording(
            f"slo:window_coverage:ratio{text}",
            f"clamp_max(count_over_time({seen}[{text}:{window_text(step)}]) / {max(1, window // step)}, 1)",
            names.labels(text),
        )


def _burn_alerts(objective: Objective, names: Names) -> Iterator[Alerting]:
    # On a new stack the period is hardly begun: what is not there counts as good here too.
    period = window_text(nominal_length(objective.period))
    spent = f"slo:period_burn_rate:ratio{names.ids} * {_ON} slo:window_coverage:ratio{period}{names.ids}"
    remaining = f"(1 - {spent})"
    for row in objective.rows:
        long, short = window_text(row.long), window_text(row.short)
        threshold = number(row.factor * objective.budget)
        covered = f"{_ON} slo:window_coverage:ratio{long}{names.ids}"
        lines = [
            f"(slo:sli_error:ratio_rate{long}{names.ids} * {covered} > {threshold})",
            f"and {_ON} (slo:sli_error:ratio_rate{short}{names.ids} > {threshold})",
        ]
        if objective.min_events:
            lines.append(f"and {_ON} (slo:sli_valid:increase{long}{names.ids} >= {objective.min_events})")
        own = (("long", long), ("short", short), ("row", row.name))
        yield Alerting(
            BURN_ALERT,
            "\n".join(lines),
            row.hold,
            (*_alert_labels(objective, names, row.severity, row), *own),
            burn_texts(objective, row, remaining),
        )


def _data_alerts(objective: Objective, counting: Counting, names: Names) -> Iterator[Alerting]:
    asked = {(row.severity, row.targets): row for row in objective.rows if row.missing}
    if objective.missing_after is not None:
        rows: Sequence[AlertRow | None] = tuple(asked.values()) or (None,)
        for row in rows:
            yield Alerting(
                MISSING_ALERT,
                f"absent({counting.missing})",
                missing_hold(objective, counting.missing_window),
                _alert_labels(objective, names, row.severity if row else Severity.TICKET, row),
                missing_texts(objective, objective.missing_after),
            )
    if counting.surplus:
        yield Alerting(
            SURPLUS_ALERT,
            counting.surplus,
            counting.step,
            _alert_labels(objective, names, Severity.TICKET, None),
            surplus_texts(objective),
        )


def _alert_labels(objective: Objective, names: Names, severity: Severity, row: AlertRow | None) -> Labels:
    """Return what an alert is routed by; labels of the document never stand in for ours."""
    own = {
        "severity": severity.value,
        "sloth_severity": severity.value,
        **dict(names.identity),
        **({"targets": ",".join(row.targets)} if row and row.targets else {}),
        **({"resolved": "false"} if row and not row.resolved else {}),
    }
    reserved = {*own, "long", "short", "row", "alertname"}
    for name, text in objective.labels:
        label = label_name(name)
        own[f"label_{label}" if label in reserved else label] = text
    return tuple(own.items())


def _period(objective: Objective, counting: Counting, names: Names) -> Iterator[Recording]:
    """Yield what is recorded of the whole period, weighed by events, and the constants that dashboards join with."""
    period, budget, ids = nominal_length(objective.period), number(objective.budget), names.ids
    text, plain, of_period = window_text(period), names.labels(), names.labels(window_text(period))
    base = window_text(counting.base)
    # A row may look as far back as the period is long: then its window is recorded already.
    if not any(period in (row.long, row.short) for row in objective.rows):
        bad, valid = counting.over_period(period)
        yield Recording(f"slo:sli_valid:increase{text}", valid, of_period)
        yield Recording(f"slo:sli_bad:increase{text}", bad, of_period)
        yield Recording(
            f"slo:sli_error:ratio_rate{text}",
            f"slo:sli_bad:increase{text}{ids} / (slo:sli_valid:increase{text}{ids} > 0)",
            of_period,
        )
    if not any(period == row.long for row in objective.rows):
        yield Recording(f"slo:window_coverage:ratio{text}", counting.coverage_of(period), of_period)
    yield Recording("slo:objective:ratio", f"vector({number(objective.target)})", plain)
    yield Recording("slo:error_budget:ratio", f"vector({budget})", plain)
    yield Recording("slo:time_period:days", f"vector({number(Fraction(_ms(period), _ms(_DAY)))})", plain)
    yield Recording("slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate{base}{ids} / {budget}", plain)
    yield Recording("slo:period_burn_rate:ratio", f"slo:sli_error:ratio_rate{text}{ids} / {budget}", plain)
    yield Recording("slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{ids}", plain)
    info = (
        ("sloth_mode", "sloproof"),
        ("sloth_objective", number(objective.target * 100)),
        ("sloth_spec", "openslo/v1"),
        ("sloth_version", "sloproof"),
    )
    yield Recording("sloth_slo_info", "vector(1)", (*plain, *info))


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
