"""What a query is made of: the selectors of PromQL and LogQL, their ranges, and what stands around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import promql_parser

from sloproof.duration import parse_duration
from sloproof.errors import SettingsError
from sloproof.nearest import Matcher, Operator, parse_selector
from sloproof.slo.documents.metrics import WINDOW

# Stands for the window while a query is parsed; nobody writes this range.
_STAND_IN = timedelta(seconds=7919)
_STAND_IN_TEXT = "7919s"
_NOW = timedelta(0)
_BELOW = ("lhs", "rhs", "expr", "vector_selector", "param")
# A selector of LogQL, with its texts in quotes; templates of line_format have two braces, and are in quotes themselves.
_STREAM = re.compile(r'\{(?:[^{}"`]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\}')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`')
_LOGQL_OFFSET = re.compile(r"\boffset\s+(-?)([0-9][0-9a-z]*)")
_LOGQL_RANGE = re.compile(r"\[\s*([0-9][0-9a-z]*)\s*(?::[0-9a-z]*)?\]")


@dataclass(frozen=True, slots=True)
class Selected:
    """A series selector where it stands in a query.

    Attributes:
        name: Of the metric; empty where it is selected by labels alone.
        window: The fixed range over it; None where there is none or it is the window.
        in_window: Whether `{{.window}}` is its range.
        around: Names of functions and aggregations around it, innermost first; `subquery` for a range over an
            expression.
        offset: By how much earlier events it selects, `offset` of it and of ranges around it added up.
        is_fixed: Whether it is asked for at an instant of its own (`@`), whenever the query is asked.
    """

    name: str
    matchers: tuple[Matcher, ...]
    window: timedelta | None = None
    in_window: bool = False
    around: tuple[str, ...] = ()
    offset: timedelta = _NOW
    is_fixed: bool = False

    @property
    def text(self) -> str:
        """Return it as PromQL."""
        inside = ", ".join(map(str, self.matchers))
        return f"{self.name}{{{inside}}}" if inside or not self.name else self.name

    def matcher(self, label: str) -> Matcher | None:
        """Return the first condition on a label."""
        return next((one for one in self.matchers if one.label == label), None)


def promql_selectors(query: str) -> tuple[Selected, ...]:
    """Return the selectors of a PromQL query, in order; `{{.window}}` may stand for a range.

    Raises:
        SettingsError: It is no PromQL.
    """
    try:
        parsed = promql_parser.parse(query.replace(WINDOW, _STAND_IN_TEXT))
    except ValueError as error:
        raise SettingsError(f"expected PromQL, got {query!r}: {error}", hint="mend the query") from None
    return tuple(_walk(parsed, (), None))


def promql_ranges(query: str) -> tuple[timedelta, ...]:
    """Return the fixed ranges of a PromQL query, those over subqueries too, each once."""
    found = (one.window for one in promql_selectors(query) if one.window is not None)
    return tuple(dict.fromkeys(found))


def logql_selectors(query: str) -> tuple[tuple[Matcher, ...], ...]:
    """Return the conditions of each stream selector of a LogQL query, in order."""
    bare = _QUOTED.sub(lambda found: found.group().replace("{", " ").replace("}", " "), query)
    return tuple(
        parse_selector(query[found.start() : found.end()])[1]
        for found in _STREAM.finditer(bare.replace(WINDOW, " " * len(WINDOW)))
    )


def logql_ranges(query: str) -> tuple[str, ...]:
    """Return the fixed ranges of a LogQL query, as they are written."""
    return tuple(_LOGQL_RANGE.findall(_QUOTED.sub('""', query)))


def logql_offsets(query: str) -> frozenset[timedelta]:
    """Return by how much earlier lines a LogQL query counts; of ranges without an offset nothing is said."""
    found = _LOGQL_OFFSET.findall(_QUOTED.sub('""', query))
    return frozenset(-parse_duration(text) if sign else parse_duration(text) for sign, text in found)


def _walk(node: Any, around: tuple[str, ...], window: timedelta | None) -> Iterator[Selected]:
    if isinstance(node, promql_parser.VectorSelector):
        yield _selected(node, around, window)
        return
    if isinstance(node, promql_parser.MatrixSelector):
        yield _selected(node.vector_selector, around, node.range)
        return
    if isinstance(node, promql_parser.SubqueryExpr):
        for one in _walk(node.expr, ("subquery", *around), window or node.range):
            is_fixed = one.is_fixed or node.at is not None
            yield replace(one, offset=one.offset + (node.offset or _NOW), is_fixed=is_fixed)
        return
    if isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from _walk(argument, (node.func.name, *around), window)
        return
    inner = (str(node.op), *around) if isinstance(node, promql_parser.AggregateExpr) else around
    for name in _BELOW:
        below = getattr(node, name, None)
        if isinstance(below, promql_parser.Expr):
            yield from _walk(below, inner, window)


def _selected(node: promql_parser.VectorSelector, around: tuple[str, ...], window: timedelta | None) -> Selected:
    operators = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}
    matchers = [
        Matcher(one.name, cast("Operator", operators[str(one.op)]), one.value) for one in node.matchers.matchers
    ]
    named = next((one.value for one in matchers if one.label == "__name__" and one.operator == "="), "")
    return Selected(
        node.name or named,
        tuple(one for one in matchers if one.label != "__name__" or one.operator != "="),
        None if window == _STAND_IN else window,
        window == _STAND_IN,
        around,
        node.offset or _NOW,
        node.at is not None,
    )
