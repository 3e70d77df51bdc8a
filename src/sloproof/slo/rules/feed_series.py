"""Made-up series that an indicator's own queries select, so that its rules can be tested as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import promql_parser

Labels = tuple[tuple[str, str], ...]
_OTHERS = ("200", "other", "")


@dataclass(frozen=True, slots=True)
class EventSeries:
    """Two counters that tell everything of the events.

    Attributes:
        first: Counts the bad events, or the good ones where `is_good`.
        second: Counts the other events, or all of them where `is_total`.
    """

    first: str
    second: str
    is_good: bool
    is_total: bool

    def steps(self, bad: int, valid: int) -> tuple[int, int]:
        """Return by how much each rises when so many of so many events are bad."""
        sort, rest = (valid - bad, bad) if self.is_good else (bad, valid - bad)
        return sort, valid if self.is_total else rest


@dataclass(frozen=True, slots=True)
class _Selector:
    metric: str
    matchers: tuple[promql_parser.Matcher, ...]

    def of(self, label: str) -> list[promql_parser.Matcher]:
        return [one for one in self.matchers if one.name == label]


def event_series(sort: str, total: str, *, is_good: bool) -> EventSeries | None:
    """Return counters for two sums of increases; None where they are more than one sum over one selector each.

    Args:
        sort: Expression of the good or bad events.
        total: Expression of all of them.
        is_good: Which of both `sort` is.
    """
    first, second = _single_selector(sort), _single_selector(total)
    if first is None or second is None:
        return None
    both = _labels([first, second], {}) if first.metric == second.metric else None
    if both is None:
        # No series is counted by both, so the total has one of its own, as a histogram's buckets do.
        one, other = _labels([first], {}), _labels([second], {})
        if one is None or other is None:
            return None
        return EventSeries(_text(first.metric, one), _text(second.metric, other), is_good, is_total=True)
    for name in dict.fromkeys(one.name for one in first.matchers):
        for value in _OTHERS:
            if all(_matches(one, value) for one in first.of(name)):
                continue
            other = _labels([second], {**dict(both), name: value})
            if other is not None:
                return EventSeries(_text(first.metric, both), _text(first.metric, other), is_good, is_total=False)
    return None


def _single_selector(text: str) -> _Selector | None:
    """Return the one selector of an expression that only sums; None where there is more to it."""
    found: list[promql_parser.VectorSelector] = []
    simple = True

    def look(node: promql_parser.Expr) -> bool:
        nonlocal simple
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
            simple = simple and node.offset is None and node.at is None
        elif isinstance(node, promql_parser.AggregateExpr):
            simple = simple and str(node.op) == str(_sum_operator())
        elif isinstance(node, promql_parser.Call):
            simple = simple and node.func.name in {"increase", "sum_over_time"}
        else:
            simple = simple and isinstance(node, promql_parser.ParenExpr | promql_parser.MatrixSelector)
        return True

    promql_parser.walk(promql_parser.parse(text), pre_visit=look)
    if not simple or len(found) != 1 or not found[0].name or "sum_over_time" in text:
        return None
    return _Selector(found[0].name, tuple(found[0].matchers.matchers))


def _sum_operator() -> promql_parser.TokenType:
    parsed = promql_parser.parse("sum(x)")
    assert isinstance(parsed, promql_parser.AggregateExpr)
    return parsed.op


def _labels(selectors: Sequence[_Selector], given: dict[str, str]) -> Labels | None:
    """Return labels that all selectors select, the given values kept; None where none are found."""
    made: dict[str, str] = {}
    matchers = [one for selector in selectors for one in selector.matchers]
    for name in dict.fromkeys([*(one.name for one in matchers), *given]):
        asked = [one for one in matchers if one.name == name]
        options = [given[name]] if name in given else [*(text for one in asked for text in _values(one)), *_OTHERS]
        value = next((text for text in options if all(_matches(one, text) for one in asked)), None)
        if value is None:
            return None
        if value:
            made[name] = value
    return tuple(sorted(made.items()))


def _values(matcher: promql_parser.Matcher) -> Iterator[str]:
    if matcher.op == promql_parser.MatchOp.Equal:
        yield matcher.value
    elif matcher.op == promql_parser.MatchOp.Re:
        try:
            yield _example(_parser.parse(matcher.value))
        except (re.error, ValueError):
            return


def _matches(matcher: promql_parser.Matcher, value: str) -> bool:
    if matcher.op in (promql_parser.MatchOp.Equal, promql_parser.MatchOp.NotEqual):
        return (matcher.value == value) is (matcher.op == promql_parser.MatchOp.Equal)
    try:
        found = re.fullmatch(matcher.value, value, re.DOTALL) is not None
    except re.error:
        return False
    return found is (matcher.op == promql_parser.MatchOp.Re)


def _example(pattern: Any) -> str:
    """Return a text that a parsed regular expression matches; whether it does is checked after."""
    parts = []
    for operator, argument in pattern:
        if operator is sre.LITERAL:
            parts.append(chr(argument))
        elif operator is sre.ANY:
            parts.append("0")
        elif operator is sre.IN:
            parts.append(_of_set(argument))
        elif operator is sre.BRANCH:
            parts.append(_example(argument[1][0]))
        elif operator is sre.SUBPATTERN:
            parts.append(_example(argument[-1]))
        elif operator in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            low, high, inner = argument
            parts.append(_example(inner) * max(low, min(1, high)))
        elif operator is not sre.AT:
            raise ValueError(operator)
    return "".join(parts)


def _of_set(items: Any) -> str:
    operator, argument = items[0]
    if operator is sre.LITERAL:
        return chr(argument)
    if operator is sre.RANGE:
        return chr(argument[0])
    if operator is sre.CATEGORY:
        return "0" if argument in (sre.CATEGORY_DIGIT, sre.CATEGORY_WORD) else " "
    raise ValueError(operator)


def _text(metric: str, labels: Labels) -> str:
    pairs = ", ".join(f'{name}="{value}"' for name, value in ((n, _escaped(v)) for n, v in labels))
    return f"{metric}{{{pairs}}}" if pairs else metric


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
