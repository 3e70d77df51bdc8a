"""Counts an objective's events in Loki: its lines, in steps that do not overlap, so that no line is counted twice."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from sloproof.clients.loki import LokiClient
from sloproof.errors import UnavailableError
from sloproof.finding import Query
from sloproof.model import Series, Window
from sloproof.slo.judging.budget import Counted
from sloproof.slo.judging.rises import Number, exact
from sloproof.slo.judging.series_steps import numbered
from sloproof.slo.judging.steps import Plan, Run
from sloproof.slo.lint.query_parts import logql_selectors
from sloproof.slo.model import Metric, Objective, Ratio
from sloproof.slo.rules.expressions import TickCounts, counts_of
from sloproof.slo.rules.series import window_text
from sloproof.slo.verdicts import Count

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Loki refuses more points a series, as Prometheus does.
_MOST_POINTS = 10_000


@dataclass(slots=True)
class LokiAsker:
    """One Loki, asked on behalf of many objectives; counts as `asking.Asker` does."""

    client: LokiClient
    sent: int = 0
    seconds: float = 0.0

    def at_steps(self, expression: str, run: Run, shift: timedelta) -> list[Series]:
        """Return what a metric query is at the end of each step, that much later."""
        found: list[Series] = []
        first = run.start + run.step + shift
        for low in range(0, run.count, _MOST_POINTS):
            last = min(low + _MOST_POINTS, run.count) - 1
            begin = time.monotonic()
            window = Window(first + low * run.step, first + last * run.step)
            found += self.client.query_steps(expression, window, run.step)
            self.seconds += time.monotonic() - begin
            self.sent += 1
        return found


def count_in_loki(objective: Objective, plan: Plan, asker: LokiAsker) -> Counted:
    """Return an objective's events at each step. A step is covered if its streams have any line in it.

    Raises:
        UnavailableError: The server does not answer, or in part.
        QueryError: It refuses a question.
        SettingsError: A query cannot be used.
    """
    bad: dict[int, Number] = {}
    valid: dict[int, Number] = {}
    lines: dict[int, Number] = {}
    queries: dict[str, Query] = {}
    streams = _streams(objective)
    for first, run in numbered(plan):
        # Loki answers at multiples of the step only; an offset moves the step to where it is wanted.
        shift = (_EPOCH - (run.start + run.step)) % run.step
        counts = counts_of(objective, run.step, shift)
        assert isinstance(counts, TickCounts)
        later = f" offset {window_text(shift)}" if shift else ""
        alive = f"sum(count_over_time({streams}[{window_text(run.step)}]{later}))"
        for text, into in ((counts.bad, bad), (counts.valid, valid), (alive, lines)):
            queries[text] = Query("loki", text, asker.client.query_url(text, run.window.end + shift))
            for one in asker.at_steps(text, run, shift):
                for sample in one.samples:
                    if not math.isfinite(sample.value):
                        continue
                    step = (sample.time - shift - run.start) / run.step
                    if abs(step - round(step)) * run.step > timedelta(milliseconds=1):
                        raise UnavailableError(
                            "Loki answers for other instants than it was asked for",
                            kind="protocol", query=text, seen=sample.time.isoformat(),
                        )  # fmt: skip
                    if 1 <= round(step) <= run.count:
                        number = first - 1 + round(step)
                        into[number] = into.get(number, 0) + exact(sample.value)
    steps = tuple(
        Count(
            window,
            Fraction(bad.get(number, 0)),
            Fraction(valid.get(number, 0)),
            window.duration if lines.get(number) else timedelta(0),
        )
        for number, window in enumerate(plan.windows(), 1)
    )
    inside = [one for one in steps if one.window.start >= plan.period.start]
    bad_sum, valid_sum = sum(one.bad for one in inside), sum(one.valid for one in inside)
    contradiction = ""
    if isinstance(objective.indicator, Ratio) and not 0 <= bad_sum <= valid_sum:
        part = objective.indicator.good or objective.indicator.bad
        assert part is not None
        contradiction = (
            f"of {float(valid_sum):g} events by {objective.indicator.total.query!r}, {float(bad_sum):g} are bad by "
            f"{part.query!r}"
        )
    return Counted(
        steps,
        exact=isinstance(objective.indicator, Ratio),
        queries=tuple(queries.values()),
        contradiction=contradiction,
    )


def _streams(objective: Objective) -> str:
    """Return the selector of an objective's streams, without the filters that lines are told apart by."""
    metric: Metric = (
        objective.indicator.total
        if isinstance(objective.indicator, Ratio)
        else getattr(objective.indicator, "raw", None) or getattr(objective.indicator, "metric")  # noqa: B009
    )
    (matchers, *_) = logql_selectors(metric.query)
    return "{" + ", ".join(map(str, matchers)) + "}"
