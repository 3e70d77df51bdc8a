"""Whether the two queries of a ratio count the same events: the same filters, but for what makes an event good."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sloproof.nearest import Matcher
from sloproof.slo.lint.query_parts import logql_selectors, promql_selectors
from sloproof.slo.model import Metric, Ratio, Source

# Labels that tell how an event ended: only the query of good or bad events filters by these.
_OUTCOME = re.compile(
    r"(^|_)(le|code|status|outcome|result|success|error|errors|reason|type|state|class|within|slower)($|_)"
)


def is_outcome(label: str) -> bool:
    """Return whether a label tells how an event ended, by its name."""
    return _OUTCOME.search(label) is not None or label.endswith(("status", "code"))


def difference(ratio: Ratio) -> str:
    """Return in words how the events of the two queries differ besides their outcome; empty where they do not.

    Each selector of good or bad events is compared with the one of all events that is most like it.
    """
    part = ratio.good or ratio.bad
    if part is None:
        return ""
    total = _selectors(ratio.total)
    for one in _selectors(part):
        differences = [_differences(one, other) for other in total]
        closest = min(differences, key=len, default=[])
        if closest:
            return "; ".join(closest)
    return ""


def _selectors(metric: Metric) -> Sequence[tuple[Matcher, ...]]:
    if metric.source is Source.LOKI:
        return logql_selectors(metric.query)
    return [one.matchers for one in promql_selectors(metric.query)]


def _differences(part: tuple[Matcher, ...], total: tuple[Matcher, ...]) -> list[str]:
    only_part = [one for one in part if one not in total and not is_outcome(one.label)]
    # A filter of all events that the others lack is a difference whatever it filters by.
    only_total = [one for one in total if one not in part and not _is_narrowed(one, part)]
    return [f"only good or bad events have {one}" for one in only_part] + [
        f"only all events have {one}" for one in only_total
    ]


def _is_narrowed(one: Matcher, part: tuple[Matcher, ...]) -> bool:
    """Return whether the other query has a narrower condition on an outcome: `code=~"2.."` within `code!=""`."""
    return is_outcome(one.label) and any(other.label == one.label for other in part)
