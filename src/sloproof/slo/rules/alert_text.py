"""What an alert says to the person it wakes: which windows, how much of the budget went, how long the rest lasts.

The texts are Prometheus templates. What does not depend on the moment is worked out here and stands in them as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache

from sloproof.slo.calendar import nominal_length
from sloproof.slo.model import AlertRow, Objective, Period
from sloproof.slo.rows import budget_spent
from sloproof.slo.rules.expressions import number
from sloproof.slo.rules.series import window_text

Texts = tuple[tuple[str, str], ...]


def burn_texts(objective: Objective, row: AlertRow, remaining: str) -> Texts:
    """Return title, summary and description of a row's alert.

    The alert's value is the error ratio in the long window.

    Args:
        objective: Whose budget burns.
        row: What was exceeded.
        remaining: Expression of the part of the budget that is left.
    """
    name, long, short = title_of(objective), window_text(row.long), window_text(row.short)
    told = _figures(row, objective.target, objective.period)
    title = f"({row.severity.value}) {name}: the error budget burns over {told.factor} times too fast"
    summary = (
        f"{{{{ $value | humanizePercentage }}}} of the events of the last {long} were bad, more than {told.threshold}; "
        f"so it was in the last {short}"
    )
    description = (
        f"Objective {told.target} over {told.period}. In the last {long} "
        f"{{{{ printf `{told.spent} * %v` $value | query | first | value | humanizePercentage }}}} of the budget was "
        f"spent; this alert fires from {told.fires_from}. Left of the budget: "
        f"{{{{ with query `{remaining}` }}}}{{{{ . | first | value | humanizePercentage }}}}"
        "{{ else }}not known yet{{ end }}. At this rate that lasts "
        f"{{{{ with printf `clamp_min({remaining}, 0) * {told.lasts} / %v` $value | query }}}}"
        "{{ . | first | value | humanizeDuration }}{{ else }}for a time not known yet{{ end }}."
    )
    return _texts(title, summary, description)


@dataclass(frozen=True, slots=True)
class _Figures:
    """What a row's texts say in numbers.

    Attributes:
        spent: The part of the budget that the long window spends, by its error ratio.
        lasts: Seconds that the whole budget lasts, times the error ratio.
    """

    factor: str
    threshold: str
    target: str
    period: str
    fires_from: str
    spent: str
    lasts: str


@lru_cache(maxsize=1024)
def _figures(row: AlertRow, target: Fraction, of: Period) -> _Figures:
    """Return the numbers of a row; a thousand objectives share a handful of rows."""
    period, budget = nominal_length(of), 1 - target
    return _Figures(
        factor_text(row.factor),
        percent(row.factor * budget),
        percent(target),
        window_text(period),
        percent(budget_spent(row, of)),
        number(_ms(row.long) / _ms(period) / budget),
        number(_ms(period) / 1000 * budget),
    )


def missing_texts(objective: Objective, after: timedelta) -> Texts:
    """Return title, summary and description of the alert that there is no data."""
    length = window_text(after)
    return _texts(
        f"{title_of(objective)}: no data for {length}",
        f"Nothing is known of {objective.id}: its series are not there, or are no numbers",
        f"The indicator of {objective.id} has had no series for {length}, idle or not, or one of them is NaN. No other "
        "alert of this objective can fire while this lasts. See whether the targets are scraped, whether a metric was "
        "renamed, and whether the service exposes a NaN.",
    )


def surplus_texts(objective: Objective) -> Texts:
    """Return title, summary and description of the alert that more events are good or bad than there are."""
    return _texts(
        f"{title_of(objective)}: the counts contradict each other",
        f"More events of {objective.id} are of one sort than there are at all",
        f"One of the two queries of {objective.id} counts what the other does not: compare their label filters. While "
        "this lasts its ratio is wrong.",
    )


def title_of(objective: Objective) -> str:
    """Return what people call the objective, safe within a template."""
    return (objective.title or f"{objective.service} {objective.slo}").replace("{{", '{{ "{{" }}')


def percent(ratio: Fraction) -> str:
    """Return a ratio for people, to six significant digits: `99.95 %`."""
    return f"{float(ratio * 100):.6g} %"


def factor_text(factor: Fraction) -> str:
    """Return a burn rate for people: `14.4`."""
    return f"{float(factor):.4g}"


def _texts(title: str, summary: str, description: str) -> Texts:
    return (("title", title), ("summary", summary), ("description", description))


def _ms(duration: timedelta) -> Fraction:
    return Fraction(duration // timedelta(milliseconds=1))
