"""What there is instead of what a selector asked for: a hint for whoever mistyped it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sloproof.model import Labels

_NAME = re.compile(r"\s*([a-zA-Z_:][\w:]*)")
_TEXT = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`'
_MATCHER = re.compile(rf"\s*([a-zA-Z_]\w*|{_TEXT})\s*(?:(=~|!~|!=|=)\s*({_TEXT}))?\s*(,|$)")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_SHOWN = 3
_LONGEST = 60

Operator = Literal["=", "!=", "=~", "!~"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of a selector: `label="value"`."""

    label: str
    operator: Operator
    value: str

    def matches(self, labels: Labels) -> bool:
        """Return whether a series fulfils it; a label that a series has not is empty, as in Prometheus."""
        seen = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (seen == self.value) == (self.operator == "=")
        try:
            return (re.fullmatch(self.value, seen) is not None) == (self.operator == "=~")
        except re.error:
            return True  # a pattern of RE2 that is none here: nothing can be said against it

    def __str__(self) -> str:
        """Return it as PromQL writes it."""
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.operator}"{escaped}"'


def parse_selector(selector: str) -> tuple[str, tuple[Matcher, ...]]:
    """Return the metric name and the matchers of a selector such as `up{job="api", code!~"5.."}`.

    The name may stand before the braces, in them in quotes, or as `__name__="..."`; it is empty where there is none.
    What follows the braces is left out, and so is what cannot be understood: a hint needs no more.
    """
    head, _, inside = selector.partition("{")
    named = _NAME.match(head)
    name = named.group(1) if named else ""
    matchers: list[Matcher] = []
    body, position = _inside(inside), 0
    while position < len(body) and (found := _MATCHER.match(body, position)):
        label, operator, value, _ = found.groups()
        position = max(found.end(), position + 1)
        if operator is None:
            name = name or (_unquoted(label) if label[0] in "\"'`" else "")
        elif label == "__name__" and operator == "=":
            name = name or _unquoted(value)
        else:
            matchers.append(Matcher(_unquoted(label), cast("Operator", operator), _unquoted(value)))
    return name, tuple(matchers)


def metric_name(selector: str) -> str:
    """Return the metric that a selector names; empty where it names none."""
    return parse_selector(selector)[0]


def nearest_hint(selector: str, names: Collection[str], known: Sequence[Labels]) -> str:
    """Return why a selector matches nothing, from coarse to fine: the metric, its series, a label, a value.

    Args:
        selector: Such as `http_requests_total{code="200"}`.
        names: Names of all metrics that were ever there.
        known: Label sets of the metric that the selector names, at the time in question; empty where there are none.
    """
    name, matchers = parse_selector(selector)
    if not names:
        return "there is no metric at all: is anything scraped?"
    if not name:
        return "the selector names no metric, so that nothing near it can be named"
    if name not in names:
        close = _close(name, names, 0.5)
        return f"there has never been a metric {name}" + (f"; nearest: {', '.join(close)}" if close else "")
    if not known:
        return f"{name} was there, but has no sample at this time"
    for matcher in matchers:
        if not any(matcher.matches(labels) for labels in known):
            return _unfulfilled(name, matcher, known)
    return f"each condition holds for some series of {name}, but not all for one; nearest: {_best(matchers, known)}"


def _unfulfilled(name: str, matcher: Matcher, known: Sequence[Labels]) -> str:
    """Return what there is instead of what one matcher asks for."""
    labels = {label for series in known for label in series} - {"__name__"}
    if matcher.label not in labels:
        others = _close(matcher.label, labels, 0.4) or sorted(labels)
        return f"{name} has no label {matcher.label}; it has: {', '.join(others) or 'none'}"
    values = {series.get(matcher.label, "") for series in known}
    near = _close(matcher.value, values, 0.3) if matcher.operator == "=" else []
    near = near or sorted(values)[:_SHOWN]
    more = f" and {len(values) - len(near)} more" if len(values) > len(near) else ""
    return f"no series of {name} has {matcher}; there is: {', '.join(_shown(value) for value in near)}{more}"


def _best(matchers: Sequence[Matcher], known: Sequence[Labels]) -> str:
    """Return the series that fulfils most of the matchers, with what it has where it does not."""
    labels = max(known, key=lambda one: sum(matcher.matches(one) for matcher in matchers))
    unlike = [matcher.label for matcher in matchers if not matcher.matches(labels)]
    return "the one with " + ", ".join(f"{label}={_shown(labels.get(label, ''))}" for label in unlike)


def _close(wanted: str, there: Iterable[str], cutoff: float) -> list[str]:
    """Return what is spelt nearly so, nearest first; a name that only lacks its ending or beginning counts, too."""
    options = sorted(there)
    near = difflib.get_close_matches(wanted, options, n=_SHOWN, cutoff=cutoff)
    part = [one for one in options if wanted and (one.startswith(wanted) or one.endswith(wanted))]
    return list(dict.fromkeys([*part, *near]))[:_SHOWN]


def _shown(value: str) -> str:
    return f'"{value}"' if len(value) <= _LONGEST else f'"{value[:_LONGEST]}..."'


def _inside(text: str) -> str:
    """Return what stands before the closing brace, leaving braces in quotes alone."""
    found = re.match(rf"(?:{_TEXT}|[^}}\"'`])*", text)
    return found.group() if found else ""


def _unquoted(text: str) -> str:
    if text[:1] == "`":
        return text[1:-1]
    if text[:1] in {'"', "'"}:
        return _ESCAPE.sub(lambda found: _ESCAPED.get(found.group(1), found.group(1)), text[1:-1])
    return text
