"""Hostile traffic makes no new label values: what a client sends never becomes a label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sloproof.checks.wording import count_of, listing, table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sloproof.checks.evidence import Basis
    from sloproof.finding import Finding
    from sloproof.model import Labels

CHECK = "bounded_cardinality"

_CLAIM = "hostile traffic makes no new label values"
_MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class CardinalityEvidence:
    """The service's series before and after hostile traffic.

    Attributes:
        before: Their label sets, `__name__` included.
        after: The same, asked for after the traffic and a scrape that began after it.
        sent: How many hostile requests were answered.
    """

    before: Sequence[Labels]
    after: Sequence[Labels]
    sent: int


def judge(
    evidence: CardinalityEvidence,
    basis: Basis,
    *,
    allowed: Mapping[str, Collection[str]] | None = None,
    max_new_series: int | None = None,
) -> Finding:
    """Return whether every label value after the traffic was there before, or is one of those allowed.

    Args:
        evidence: Series before and after.
        basis: What it rests on.
        allowed: Values a label may newly have, by label: those the service is built to have, such as its constant for
            unmatched paths and their status.
        max_new_series: How many series may be new, by new combinations of known values; None for any number, as it is
            bounded by the values.
    """
    expected = "no new label value"
    if allowed:
        expected += " but " + "; ".join(f"{label}: {listing(sorted(some))}" for label, some in sorted(allowed.items()))
    if not evidence.before or not evidence.after or not evidence.sent:
        empty = "no hostile request was answered" if evidence.before and evidence.after else "no series to compare"
        return basis.inconclusive(
            CHECK, _CLAIM, expected=expected, measured=empty,
            hint="compare the service's series at a scrape before the traffic with those at one after it",
        )  # fmt: skip
    offenders = _new_values(evidence, allowed or {})
    before = {_identity(labels) for labels in evidence.before}
    new_series = sum(1 for labels in evidence.after if _identity(labels) not in before)
    overgrown = max_new_series is not None and new_series > max_new_series
    if max_new_series is not None:
        expected += f", at most {max_new_series} new series"
    values = sum(len(some) for some in offenders.values())
    rows = [
        (metric, label, str(len(some)), listing(_shortened(sorted(some))))
        for (metric, label), some in sorted(offenders.items())
    ]
    return basis.judged(
        CHECK,
        _CLAIM,
        holds=not offenders and not overgrown,
        expected=expected,
        measured=f"{count_of(values, 'new label value')}, {count_of(new_series, 'new series', 'new series')}",
        hint="label by the URL rule with one constant for unmatched paths, and by known methods only",
        evidence=(
            ("new values", table(("metric", "label", "how many", "values"), rows)),
            ("series a metric", _growth(evidence)),
            ("events", f"{count_of(evidence.sent, 'hostile request')}"),
            ("series", f"{len(evidence.before)} before, {len(evidence.after)} after"),
        ),
    )


def _identity(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _values(found: Iterable[Labels]) -> dict[tuple[str, str], set[str]]:
    values: dict[tuple[str, str], set[str]] = {}
    for labels in found:
        metric = labels.get("__name__", "")
        values.setdefault(("", "__name__"), set()).add(metric)
        for label, value in labels.items():
            if label != "__name__":
                values.setdefault((metric, label), set()).add(value)
    return values


def _new_values(
    evidence: CardinalityEvidence, allowed: Mapping[str, Collection[str]]
) -> dict[tuple[str, str], set[str]]:
    """Return, by metric and label, the values that are new and not allowed."""
    before = _values(evidence.before)
    offenders = {}
    for (metric, label), values in _values(evidence.after).items():
        new = values - before.get((metric, label), set()) - set(allowed.get(label, ()))
        if new:
            offenders[metric, label] = new
    return offenders


def _growth(evidence: CardinalityEvidence) -> str:
    before = Counter(labels.get("__name__", "") for labels in evidence.before)
    after = Counter(labels.get("__name__", "") for labels in evidence.after)
    grown = sorted((name for name in after if after[name] > before[name]), key=lambda name: before[name] - after[name])
    return table(("metric", "before", "after"), ((name, str(before[name]), str(after[name])) for name in grown))


def _shortened(values: Iterable[str]) -> list[str]:
    return [repr(one if len(one) <= _MAX_SHOWN else f"{one[:_MAX_SHOWN]}...") for one in values]
