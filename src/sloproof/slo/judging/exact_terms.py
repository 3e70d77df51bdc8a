"""Queries that can be counted exactly: selectors, summed, added and subtracted; the rest is left to PromQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser

from sloproof.errors import SettingsError
from sloproof.slo.judging.rises import Key, Number

Steps = Mapping[int, Number]
Vector = dict[Key, dict[int, Number]]
"""Series by their labels, each with its counts by step."""

# Prometheus 3 stores the bound 1 as 1.0, as did only some before it.
_WHOLE_BOUND = re.compile(r'(?<!\w)le="(\d+)(?:\.0+)?"')
_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}")


@dataclass(frozen=True, slots=True)
class Terms:
    """An expression that counts exactly.

    Attributes:
        selectors: What it selects, each once, in order.
    """

    selectors: tuple[str, ...]
    _root: Any

    def value(self, counts: Callable[[str], Vector]) -> Vector:
        """Return what it counts.

        Args:
            counts: From a selector to the counts of its series.
        """
        return _value(self._root, counts)


def terms_of(query: str) -> Terms | None:
    """Return a query as terms; None where it has a range, a function or anything else that is not a plain sum.

    Raises:
        SettingsError: It is no PromQL.
    """
    if _WINDOW.search(query):
        return None
    try:
        root = promql_parser.parse(query)
    except ValueError as error:
        raise SettingsError(f"expected PromQL, got {query!r}: {error}", hint="mend the query") from None
    selectors: dict[str, None] = {}
    return Terms(tuple(selectors), root) if _collect(root, selectors) and selectors else None


def total_of(vector: Vector) -> dict[int, Number]:
    """Return the sum of all series, by step."""
    found: dict[int, Number] = {}
    for counts in vector.values():
        for step, count in counts.items():
            found[step] = found.get(step, 0) + count
    return found


def _collect(node: Any, selectors: dict[str, None]) -> bool:
    """Add a node's selectors; return whether it is one of those that are counted exactly."""
    if isinstance(node, promql_parser.VectorSelector):
        selectors[_text(node)] = None
        return node.offset is None and node.at is None
    if isinstance(node, promql_parser.ParenExpr):
        return _collect(node.expr, selectors)
    if isinstance(node, promql_parser.AggregateExpr):
        return str(node.op) == "sum" and _collect(node.expr, selectors)
    if isinstance(node, promql_parser.BinaryExpr):
        plain = str(node.op) in {"+", "-", "or"} and (node.modifier is None or node.modifier.matching is None)
        if str(node.op) == "or" and plain and _is_zero(node.rhs):
            return _collect(node.lhs, selectors)
        return plain and _collect(node.lhs, selectors) and _collect(node.rhs, selectors)
    return False


def _value(node: Any, counts: Callable[[str], Vector]) -> Vector:
    if isinstance(node, promql_parser.VectorSelector):
        return counts(_text(node))
    if isinstance(node, promql_parser.ParenExpr):
        return _value(node.expr, counts)
    if isinstance(node, promql_parser.AggregateExpr):
        return _summed(_value(node.expr, counts), node.modifier)
    left = _value(node.lhs, counts)
    if _is_zero(node.rhs):
        return left or {(): {}}
    right = _value(node.rhs, counts)
    if str(node.op) == "or":
        return {**right, **left}
    sign = 1 if str(node.op) == "+" else -1
    # As in PromQL: what has no partner has no sum.
    return {
        key: {step: left[key].get(step, 0) + sign * right[key].get(step, 0) for step in left[key] | right[key]}
        for key in left
        if key in right
    }


def _summed(vector: Vector, modifier: Any) -> Vector:
    groups: dict[Key, Vector] = {}
    for key, counts in vector.items():
        groups.setdefault(_group(key, modifier), {})[key] = counts
    return {group: total_of(members) for group, members in groups.items()}


def _group(key: Key, modifier: Any) -> Key:
    if modifier is None:
        return ()
    names = set(modifier.labels)
    is_by = modifier.type == promql_parser.AggModifierType.By
    return tuple(pair for pair in key if (pair[0] in names) is is_by)


def _is_zero(node: Any) -> bool:
    return isinstance(node, promql_parser.Call) and node.func.name == "vector" and str(node.args[0]).strip() == "0"


def _text(node: Any) -> str:
    text = re.sub(r"\s*\n\s*", " ", node.prettify()).strip()
    return _WHOLE_BOUND.sub(r'le=~"\1(\\\\.0)?"', text)
