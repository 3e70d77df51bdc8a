"""Thirty days until now, with a fault in the last hours: written, served and judged while every alert row fires.

Long windows take days to fill. Here they are full when the server starts, so that rows of days are seen to fire in the
real rule engine within a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from sloproof.clients.prometheus import PrometheusClient
from sloproof.model import Alert
from sloproof.polling import wait_until
from sloproof.prove.scratch_server import Points, Programs, scratch_prometheus, series_text
from sloproof.slo.judging.asking import Asker
from sloproof.slo.judging.judge import Sources, judge
from sloproof.slo.model import Budgeting, Metric, Objective, Place, Ratio, Rolling, Source
from sloproof.slo.rows import default_rows
from sloproof.slo.rules.files import rule_text
from sloproof.slo.rules.groups import BURN_ALERT, rules_of
from sloproof.slo.rules.series import Names
from sloproof.slo.rules.values import Timing
from sloproof.slo.verdicts import Judgement

_PLACE = Place(Path("history"), 1)
_DAYS = 30
_SCRAPE_MS = 60_000
_SAMPLES = _DAYS * 1440
_INSTANCES = 5
# A fifth of the requests fail in the last two hours: enough for every row of the default catalogue.
_FAULT_SAMPLES = 120
_GOOD, _BAD, _OK = 80, 20, 100
_EVALUATION = timedelta(milliseconds=100)
_LOOK = timedelta(milliseconds=10)
_FIRING = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class AlertHistory:
    """A month that was served while its alerts fired.

    Attributes:
        seconds: From nothing to the judgement, with the server's start and every row firing.
        written: Samples.
        firing: The rows that fire.
        expected: The rows that have to.
        spent: Part of the budget, by exact arithmetic.
        judgement: What the judge said.
    """

    seconds: float
    written: int
    firing: tuple[str, ...]
    expected: tuple[str, ...]
    spent: Fraction
    judgement: Judgement

    @property
    def passed(self) -> bool:
        """Return whether every row fires and the budget is exactly what was spent."""
        return self.firing == self.expected and self.judgement.consumed == self.spent


def prove_alert_history(programs: Programs) -> AlertHistory:
    """Return how 30 days of 11 series were written, served and judged, and which rows fired.

    Raises:
        ToolError: A program is missing, or refuses what it is given.
        ComponentExitedError: The server ended by itself.
        DeadlineError: It was not ready in time, or not every row fired.
    """
    begin = time.monotonic()
    end = int(time.time()) * 1000
    objective = _objective()
    expected = tuple(sorted(row.name for row in objective.rows))
    timing = Timing(timedelta(milliseconds=_SCRAPE_MS))
    # Made for the scrape interval, and evaluated more often, lest the first evaluation is waited for.
    alerts, *others = rules_of(objective, timing).prometheus
    groups = [replace(alerts, interval=_EVALUATION), *others]
    with scratch_prometheus(programs, _points(objective, end), rule_text(groups, [_PLACE], Path())) as client:
        found = judge(objective, Sources(prometheus=Asker(client)), datetime.fromtimestamp(end // 1000, UTC))
        firing = wait_until(
            lambda: _firing(client), lambda rows: rows == expected, what="every row of the history fires",
            timeout=_FIRING, interval=_LOOK,
        ).value  # fmt: skip
    bad = _INSTANCES * _BAD * _FAULT_SAMPLES
    # The first sample stands for what was before the period.
    valid = _INSTANCES * _OK * _SAMPLES
    spent = Fraction(bad, valid) / objective.budget
    return AlertHistory(time.monotonic() - begin, 11 * (_SAMPLES + 1), firing, expected, spent, found)


def _firing(client: PrometheusClient) -> tuple[str, ...]:
    return tuple(sorted(one.labels.get("row", "") for one in client.alerts() if _is_firing(one)))


def _is_firing(alert: Alert) -> bool:
    return alert.name == BURN_ALERT and alert.state == "firing"


def _objective() -> Objective:
    period, target = Rolling(timedelta(days=_DAYS)), Fraction("0.999")
    bad, total = (
        Metric(Source.PROMETHEUS, f"sum({selector})", _PLACE)
        for selector in ('requests_total{code="500"}', "requests_total")
    )
    rows = default_rows(period, 1 - target, timedelta(milliseconds=_SCRAPE_MS))
    return Objective(
        "history", "alerts", target, Ratio(total, bad=bad), period, Budgeting.OCCURRENCES, _PLACE, rows=rows
    )


def _points(objective: Objective, end: int) -> Iterator[Points]:
    """Yield ten counters, and the recorded count by which the rules know that their windows are covered."""
    times = range(end - _SAMPLES * _SCRAPE_MS, end + 1, _SCRAPE_MS)
    before = _SAMPLES - _FAULT_SAMPLES
    good = [_OK * one for one in range(before + 1)]
    good += [good[-1] + _GOOD * one for one in range(1, _FAULT_SAMPLES + 1)]
    bad = [0] * (before + 1) + [_BAD * one for one in range(1, _FAULT_SAMPLES + 1)]
    for number in range(_INSTANCES):
        for code, values in (("200", good), ("500", bad)):
            labels = {"pod": str(number), "code": code}
            yield Points(series_text("requests_total", labels), times, values)
    recorded = {**dict(Names.of(objective).identity), "sloth_window": "5m"}
    name = series_text("slo:sli_valid:increase5m", recorded)
    yield Points(name, times, [_INSTANCES * _OK * 5] * (_SAMPLES + 1))
