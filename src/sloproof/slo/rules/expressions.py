"""Indicators as expressions: how many bad events and how many valid ones a window holds.

A counter's increase is taken inside its aggregation, per series, so that resets and restarts are seen where they
happen. Both expressions have one series without labels. Where there are valid events there is a bad count too, if only
0: a service without a single error has a ratio.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache

import promql_parser

from sloproof.errors import SettingsError
from sloproof.slo.model import Metric, Objective, Ratio, RawRatio, Source, Threshold
from sloproof.slo.rules.series import window_text

MIN_SAMPLES = 4
_WINDOW = "{{.window}}"
# Prometheus 3 stores the bound 1 as 1.0, as did only some before it.
_WHOLE_BOUND = re.compile(r'(?<!\w)le="(\d+)(?:\.0+)?"')
# A window that nobody writes, as the parser writes it, where a template has to parse.
_STAND_IN = "11d10h20m54s321ms"
_ANY_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}")
# What follows the braces of a selector: the range goes before it.
_MODIFIERS = re.compile(r"(?:\s+@\s+\S+)?(?:\s+offset\s+-?\w+)?$")
_BREAK = re.compile(r"\s*\n\s*")
_NOT = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
# In LogQL the offset stands after the range.
_LOG_RANGE = re.compile(r"(\[\s*)\{\{\s*\.window\s*\}\}(\s*\])(\s+offset\b)?")


@dataclass(frozen=True, slots=True)
class Expressions:
    """How many events were bad, and how many counted at all: two expressions of one language."""

    bad: str
    valid: str


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """An indicator that can be asked for any window. `{{.window}}` stands where the window goes.

    Attributes:
        valid: All events.
        bad: The bad ones; empty where the good ones are given. Absent if there was never any.
        good: The good ones, or empty.
        samples: Whether an event is a sample, so that a window holds as many as fit in.
    """

    valid: str
    bad: str = ""
    good: str = ""
    samples: bool = False

    def valid_at(self, window: timedelta, interval: timedelta) -> str:
        """Return the count of all events of a window."""
        return self._at(self.valid, window, interval)

    def bad_at(self, window: timedelta, interval: timedelta, valid: str) -> str:
        """Return the count of a window's bad events: never absent where valid ones are there, never below 0.

        Args:
            window: How far back.
            interval: Of evaluation.
            valid: An expression of one series: the count of all events of the same window.
        """
        if self.good:
            return f"clamp_min({valid} - on () {self._at(self.good, window, interval)} or on () {valid}, 0)"
        return f"{self._at(self.bad, window, interval)} or on () 0 * {valid}"

    def surplus_at(self, window: timedelta, interval: timedelta, valid: str) -> str:
        """Return an expression that has a series while more events are good, or bad, than there are at all.

        Extrapolation makes counts of the same events differ a little, so 5 % and one event are let pass.
        """
        return f"{self._at(self.good or self.bad, window, interval)} > on () (1.05 * {valid} + 1)"

    def _at(self, template: str, window: timedelta, interval: timedelta) -> str:
        text = template.replace(_WINDOW, window_text(window))
        return f"{number(Fraction(window / interval))} * {text}" if self.samples else text


@dataclass(frozen=True, slots=True)
class TickCounts:
    """An indicator that is counted once an evaluation: what came to be since the last one.

    Attributes:
        bad: Expression of the bad events' count; of Loki's language for Loki.
        valid: Expression of the count of all.
    """

    bad: str
    valid: str


def counts_of(objective: Objective, interval: timedelta, log_delay: timedelta) -> WindowCounts | TickCounts:
    """Return how an objective's events are counted, time slices aside.

    Args:
        objective: Of Prometheus or Loki.
        interval: Of evaluation; an indicator that is counted once an evaluation is counted over it.
        log_delay: How long a line may take to arrive: that much later it is counted.

    Raises:
        SettingsError: A query cannot be used: it does not parse, selects nothing, or has ranges of its own.
    """
    if objective.source is Source.LOKI:
        return _log_counts(objective, interval, log_delay)
    match objective.indicator:
        case Ratio(total=total, good=good, bad=bad):
            return WindowCounts(
                _counter_sum(total), _counter_sum(bad) if bad else "", _counter_sum(good) if good else ""
            )
        case RawRatio(raw=raw, failure=failure):
            query, has_window = _sampled(raw)
            bad_text = f"sum({query} >= 0)" if failure else f"sum(1 - ({query} >= 0))"
            valid_text = f"count({query} >= 0)"
            return WindowCounts(valid_text, bad_text, samples=True) if has_window else TickCounts(bad_text, valid_text)
        case Threshold(metric=metric, op=op, value=value):
            query, _ = _sampled(metric)
            query = query.replace(_WINDOW, window_text(MIN_SAMPLES * interval))
            # Only what is no number is not above the lowest of all.
            valid_text = f"count({query} >= -Inf)"
            return TickCounts(f"count({query} {_NOT[op]} {number(value)}) or on () 0 * {valid_text}", valid_text)


def bad_and_valid(objective: Objective, window: timedelta, *, step: timedelta = timedelta(seconds=30)) -> Expressions:
    """Return the counts of a window as expressions that need no recorded series.

    Of time slices these are the counts of the events in them. They are of PromQL, or of LogQL for Loki.

    Args:
        objective: Of Prometheus or Loki.
        window: How far back.
        step: How often an indicator is looked at whose samples are events.

    Raises:
        SettingsError: As `counts_of`.
    """
    if objective.source is Source.LOKI:
        counts = _log_counts(objective, window, timedelta(0))
        return Expressions(counts.bad, counts.valid)
    found = counts_of(objective, step, timedelta(0))
    if isinstance(found, WindowCounts):
        valid = found.valid_at(window, step)
        return Expressions(found.bad_at(window, step, f"({valid})"), valid)
    span = f"[{window_text(window)}:{window_text(step)}]"
    return Expressions(f"sum_over_time(({found.bad}){span})", f"sum_over_time(({found.valid}){span})")


def number(value: Fraction) -> str:
    """Return a number as PromQL reads it: the nearest floating-point number, in the fewest digits that name it."""
    return str(value.numerator) if value.denominator == 1 else repr(float(value))


def _counter_sum(metric: Metric) -> str:
    """Return the sum of a query's increase as a template over the window; whole bucket bounds in either spelling."""
    return _WHOLE_BOUND.sub(r'le=~"\1(\\\\.0)?"', _increase_sum(metric))


def _increase_sum(metric: Metric) -> str:
    if _ANY_WINDOW.search(metric.query):
        return _windowed_sum(metric)
    over = "increase" if metric.counter else "sum_over_time"
    selectors: list[str] = []

    def replace(node: promql_parser.Expr) -> promql_parser.Expr | None:
        if isinstance(node, promql_parser.MatrixSelector | promql_parser.SubqueryExpr):
            raise SettingsError(
                "expected counters without a range, or {{.window}} for it, got a query with a range of its own",
                query=metric.query,
                where=metric.place,
                next="leave out the range and its function, or write [{{.window}}] where the range goes",
            )
        if not isinstance(node, promql_parser.VectorSelector):
            return None
        text = node.prettify()
        modifiers = _MODIFIERS.search(text)
        cut = modifiers.start() if modifiers else len(text)
        selectors.append(f"{over}({text[:cut]}[{_WINDOW}]{text[cut:]})")
        return _placeholder(len(selectors) - 1)

    parsed = _parse(metric, metric.query)
    made = promql_parser.transform(parsed, pre_visit=replace)
    if not selectors:
        raise SettingsError(
            "expected a query that selects a metric, got none", query=metric.query, where=metric.place,
            next="write a counter, such as sum(http_requests_total)",
        )  # fmt: skip
    text = re.sub(
        r"sloproof_selector_(\d+)", lambda found: selectors[int(found[1])], _BREAK.sub(" ", made.prettify()).strip()
    )
    return text if _is_plain_sum(parsed) else f"sum({text})"


@lru_cache(maxsize=64)
def _placeholder(number_of: int) -> promql_parser.Expr:
    return promql_parser.parse(f"sloproof_selector_{number_of}")


def _windowed_sum(metric: Metric) -> str:
    """Return a query that has its own ranges as a template; rates become increases, for events are counted."""
    text = _ANY_WINDOW.sub(_WINDOW, metric.query.strip())
    parsed = _parse(metric, text.replace(_WINDOW, _STAND_IN))
    changed: list[str] = []

    def replace(node: promql_parser.Expr) -> promql_parser.Expr | None:
        if isinstance(node, promql_parser.Call) and node.func.name == "rate" and _STAND_IN in node.prettify():
            changed.append(node.func.name)
            (ranged,) = node.args
            return promql_parser.parse(f"increase({ranged.prettify()})")
        return None

    made = promql_parser.transform(parsed, post_visit=replace)
    if changed:
        text = _BREAK.sub(" ", made.prettify()).strip().replace(_STAND_IN, _WINDOW)
    return text if _is_plain_sum(parsed) else f"sum({text})"


def _sampled(metric: Metric) -> tuple[str, bool]:
    """Return a query whose samples count, in parentheses, and whether it says itself where a window goes."""
    text = _ANY_WINDOW.sub(_WINDOW, metric.query.strip())
    has_window = _WINDOW in text
    _parse(metric, text.replace(_WINDOW, "5m"))
    return f"({text})", has_window


def _parse(metric: Metric, text: str) -> promql_parser.Expr:
    try:
        return promql_parser.parse(text)
    except ValueError as error:
        raise SettingsError(
            f"expected a PromQL expression, got one that does not parse: {error}", query=metric.query,
            where=metric.place, next="try it with promtool or in the expression browser",
        ) from error  # fmt: skip


def _is_plain_sum(parsed: promql_parser.Expr) -> bool:
    return (
        isinstance(parsed, promql_parser.AggregateExpr)
        and parsed.modifier is None
        and parsed.prettify().startswith("sum(")
    )


def _log_counts(objective: Objective, window: timedelta, delay: timedelta) -> TickCounts:
    match objective.indicator:
        case Ratio(total=total, good=good, bad=bad):
            valid = _log_count(total, window, delay)
            if bad:
                return TickCounts(_log_count(bad, window, delay), valid)
            if good:
                return TickCounts(f"({valid}) - ({_log_count(good, window, delay)})", valid)
        case RawRatio(raw=metric) | Threshold(metric=metric):
            return _log_samples(objective, _log_query(metric, window, delay))
    raise SettingsError(
        "expected good or bad events beside all of them, got neither", where=objective.place, next="add one"
    )


def _log_count(metric: Metric, window: timedelta, delay: timedelta) -> str:
    """Return the count of a query's lines: 0 where there are none, for Loki itself did answer."""
    return f"sum({_log_query(metric, window, delay)}) or vector(0)"


def _log_samples(objective: Objective, query: str) -> TickCounts:
    match objective.indicator:
        case RawRatio(failure=True):
            return TickCounts(f"sum({query})", f"count({query})")
        case RawRatio():
            return TickCounts(f"count({query}) - sum({query})", f"count({query})")
        case Threshold(op=op, value=value):
            return TickCounts(f"count(({query}) {_NOT[op]} {number(value)}) or vector(0)", f"count({query})")
    raise AssertionError(objective.indicator)


def _log_query(metric: Metric, window: timedelta, delay: timedelta) -> str:
    if not _ANY_WINDOW.search(metric.query):
        raise SettingsError(
            "expected a LogQL query with {{.window}} where the range goes, got none", query=metric.query,
            where=metric.place, next='write it as sum(count_over_time({app="x"}[{{.window}}]))',
        )  # fmt: skip
    later = f" offset {window_text(delay)}" if delay else ""

    def fill(found: re.Match[str]) -> str:
        own = found[3] or ""
        return f"{found[1]}{window_text(window)}{found[2]}{own or later}"

    return _ANY_WINDOW.sub(window_text(window), _LOG_RANGE.sub(fill, metric.query.strip()))
