"""Finds the series selectors in a PromQL expression, and says which of them select nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sloproof.checks.wording import listing, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sloproof.model import Labels

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      | (?P<range>\[[^\]]*\])
      | (?P<number>0[xX][0-9a-fA-F]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+|(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*)?)
      | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
      | (?P<operator>=~|!~|!=|==|>=|<=|[-+*/%^<>=@(){},])
      | (?P<space>\s+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
# Words that are followed by a list of labels, not by an expression.
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan", "start", "end", "anchored", "smoothed",
                    *_GROUPING})  # fmt: skip
_ABSENCE = frozenset({"absent", "absent_over_time"})


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label: `=`, `!=`, `=~` or `!~`."""

    label: str
    operator: str
    value: str

    def accepts(self, value: str) -> bool:
        """Return whether a label's value meets it; a regular expression must fit the whole value."""
        if self.operator in ("=", "!="):
            return (value == self.value) == (self.operator == "=")
        try:
            return (re.fullmatch(self.value, value) is not None) == (self.operator == "=~")
        except re.error:
            return True  # RE2 syntax that Python lacks: it cannot be said to reject the value


@dataclass(frozen=True, slots=True)
class Selector:
    """A series selector: metric name (empty where none is given) and conditions.

    `is_absence` tells that it stands in `absent(...)`, where selecting nothing is what it is for.
    """

    metric: str
    matchers: tuple[Matcher, ...] = ()
    is_absence: bool = False

    def __str__(self) -> str:
        """Return it as PromQL writes it."""
        inner = ",".join(f"{one.label}{one.operator}{json.dumps(one.value)}" for one in self.matchers)
        return f"{self.metric}{{{inner}}}" if inner or not self.metric else self.metric

    def selects(self, labels: Labels) -> bool:
        """Return whether a label set, `__name__` included, meets it."""
        if self.metric and labels.get("__name__") != self.metric:
            return False
        return all(one.accepts(labels.get(one.label, "")) for one in self.matchers)


def selectors(expression: str) -> tuple[Selector, ...]:
    """Return the series selectors of a PromQL expression, in order, each once."""
    return tuple(dict.fromkeys(_scan(_tokens(expression))))


def metric_names(expression: str) -> tuple[str, ...]:
    """Return the metric names of a PromQL expression, in order, each once."""
    return tuple(dict.fromkeys(one.metric for one in selectors(expression) if one.metric))


def unknown_reason(
    selector: Selector,
    metrics: Collection[str],
    series: Sequence[Labels] | None = None,
    *,
    values_must_exist: bool = False,
) -> str:
    """Return why a selector selects nothing that exists; empty where it selects something.

    From coarse to fine: the metric is unknown; it has no such label; no series has such a value.

    Args:
        selector: What to look for.
        metrics: Names of all metrics that exist.
        series: Label sets that exist, `__name__` included; None to look at names alone.
        values_must_exist: Whether a label that exists must also have a value that is accepted, as an error series
            need not before the first error.
    """
    if selector.is_absence:
        return ""
    if selector.metric and selector.metric not in metrics:
        return f"metric {selector.metric} does not exist; {nearest(selector.metric, metrics)}"
    named = [labels for labels in series or () if not selector.metric or labels.get("__name__") == selector.metric]
    reason = _unknown_label(selector, named, values_must_exist=values_must_exist) if named else ""
    if not reason and named and values_must_exist and not any(selector.selects(labels) for labels in named):
        return f"no series meets all of {selector}"
    return reason


def _unknown_label(selector: Selector, named: Sequence[Labels], *, values_must_exist: bool) -> str:
    """Return which label, or value of it, none of the metric's series has."""
    for matcher in selector.matchers:
        if matcher.accepts(""):
            continue
        present = {labels[matcher.label] for labels in named if matcher.label in labels}
        if not present:
            labels_known = {label for labels in named for label in labels if label != "__name__"}
            return f"{selector.metric} has no label {matcher.label}; it has {listing(sorted(labels_known), 12)}"
        if values_must_exist and not any(matcher.accepts(value) for value in present):
            condition = f"{matcher.label}{matcher.operator}{matcher.value!r}"
            return f"no {selector.metric} has {condition}; values: {listing(sorted(present))}"
    return ""


_Tokens = list[tuple[str, str]]


def _tokens(expression: str) -> _Tokens:
    return [
        (found.lastgroup or "", found.group())
        for found in _TOKEN.finditer(expression)
        if found.lastgroup not in ("space", "comment")
    ]


def _scan(tokens: _Tokens) -> Iterator[Selector]:
    position = 0
    absence: list[bool] = []  # for each open parenthesis, whether it is within absent(...)
    while position < len(tokens):
        kind, text = tokens[position]
        following = tokens[position + 1][1] if position + 1 < len(tokens) else ""
        position += 1
        if kind == "name" and text.lower() in _GROUPING and following == "(":
            position = _skip_past(tokens, position, ")")
        elif kind == "name" and following == "(":
            absence.append(text.lower() in _ABSENCE or (bool(absence) and absence[-1]))
            position += 1
        elif text == "(":
            absence.append(bool(absence) and absence[-1])
        elif text == ")" and absence:
            absence.pop()
        elif text == "{" or (kind == "name" and not _is_word(text, following)):
            metric = "" if text == "{" else text
            matchers: tuple[Matcher, ...] = ()
            if text == "{" or following == "{":
                start = position if text == "{" else position + 1
                end = _skip_past(tokens, start, "}")
                metric, matchers = _matchers(metric, tokens[start : end - 1])
                position = end
            yield Selector(metric, matchers, bool(absence) and absence[-1])


def _is_word(text: str, following: str) -> bool:
    """Return whether a name is a keyword here; one followed by a brace is a metric, whatever its name."""
    return following != "{" and (text.lower() in _WORDS or _is_aggregation(text, following))


def _is_aggregation(text: str, following: str) -> bool:
    """Return whether a name is an operator with its grouping first: `sum by (x) (...)`."""
    return following.lower() in ("by", "without") and text.lower() not in _WORDS


def _skip_past(tokens: _Tokens, position: int, closing: str) -> int:
    while position < len(tokens) and tokens[position][1] != closing:
        position += 1
    return position + 1


def _matchers(metric: str, tokens: _Tokens) -> tuple[str, tuple[Matcher, ...]]:
    """Return metric name and conditions from between braces; the name may be quoted, or matched by `__name__`."""
    matchers = []
    position = 0
    while position < len(tokens):
        kind, text = tokens[position]
        operator = tokens[position + 1][1] if position + 1 < len(tokens) else ""
        if operator in ("=", "!=", "=~", "!~") and position + 2 < len(tokens):
            label = _unquoted(text) if kind == "string" else text
            value = _unquoted(tokens[position + 2][1])
            if label == "__name__" and operator == "=":
                metric = value
            else:
                matchers.append(Matcher(label, operator, value))
            position += 3
        else:
            if kind == "string":
                metric = _unquoted(text)
            position += 1
    return metric, tuple(matchers)


def _unquoted(text: str) -> str:
    if text[:1] == "`":
        return text[1:-1]
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text[1:-1], flags=re.DOTALL)
