"""A latency quantile of the histogram lies between the same bucket edges as the client's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sloproof.checks.wording import count_of, share_text, table
from sloproof.finding import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sloproof.checks.evidence import Basis, Bounds

CHECK = "quantile_bracket"


@dataclass(frozen=True, slots=True)
class QuantileEvidence:
    """The same requests, as the service's histogram has them and as the client timed them.

    Attributes:
        buckets: By how much each cumulative bucket rose, by upper edge in seconds; `inf` is the whole.
        durations: The client's time of each answered request, from send to last byte, in seconds.
        unknown: Requests that the histogram may hold besides: the client never saw how they ended.
    """

    buckets: Mapping[float, Bounds]
    durations: Sequence[float]
    unknown: int = 0


def judge(
    evidence: QuantileEvidence,
    basis: Basis,
    *,
    quantile: float,
    tolerance_seconds: float,
    ahead_tolerance_seconds: float = 0.005,
    min_tail: int = 10,
    max_overflow_ratio: float = 0.01,
) -> Finding:
    """Return whether histogram and client put a quantile between the same edges.

    The client's time holds the network and the queue as well, so the bucket below is allowed when the client's value is
    within the tolerance of the edge between the two. The bucket above is allowed within a smaller one: a request cannot
    take longer than its client waits, but for what the service does after the last byte. A histogram is never
    interpolated: between its edges it does not know.

    Args:
        evidence: Histogram and client's times.
        basis: What it rests on.
        quantile: Strictly between 0 and 1.
        tolerance_seconds: By how much the client may wait longer than the service says.
        ahead_tolerance_seconds: By how much the service may say it took longer than the client waited; at most
            `tolerance_seconds`.
        min_tail: How many events must lie beyond the quantile for it to mean anything.
        max_overflow_ratio: Share of events above the top finite edge from which the histogram is blind.
    """
    name = f"p{quantile * 100:g}"
    claim = f"the service's {name} latency is what its clients see"
    if not 0 < quantile < 1:
        return basis.finding(
            CHECK, Verdict.ERROR, claim, expected="a quantile strictly between 0 and 1", measured=f"{quantile!r}",
            hint="write 0.99 for p99",
        )  # fmt: skip
    needed = math.ceil(min_tail / min(quantile, 1 - quantile) - 1e-9)
    expected = f"the client's {name} between the same bucket edges, give or take {tolerance_seconds:g} s at an edge"
    events = len(evidence.durations)
    seen = ("events", f"{count_of(events, 'request')} timed by the client, {evidence.unknown} of unknown outcome")
    if not evidence.buckets or not events:
        return basis.inconclusive(
            CHECK, claim, expected=expected, evidence=(seen,),
            measured="the histogram has no series" if events else "no request was answered",
            hint="is tool.sloproof.metrics.latency the histogram's base name, without _bucket?" if events
            else "drive load before asking for quantiles",
        )  # fmt: skip
    rows = ("buckets", _rows(evidence))
    broken = _broken(evidence, max_overflow_ratio)
    if broken:
        measured, hint = broken
        return basis.judged(
            CHECK, claim, holds=False, expected=expected, measured=measured, hint=hint, evidence=(rows, seen)
        )
    if events < needed:
        return basis.inconclusive(
            CHECK, claim, expected=f"at least {needed} events for {name}", measured=count_of(events, "event"),
            hint=f"send at least {needed} requests: fewer leave less than {min_tail} beyond the quantile",
            evidence=(rows, seen),
        )  # fmt: skip
    client = sorted(evidence.durations)[_rank(quantile, events) - 1]
    edges = sorted(evidence.buckets)
    first, last = _bucket_range(evidence, edges, quantile)
    ahead = min(ahead_tolerance_seconds, tolerance_seconds)
    holds = any(_allows(edges, bucket, client, tolerance_seconds, ahead) for bucket in range(first, last + 1))
    return basis.judged(
        CHECK,
        claim,
        holds=holds,
        expected=expected,
        measured=f"histogram {_between(edges, first, last)}, client {client:.6g} s",
        hint=_hint(edges, first, client),
        evidence=(rows, seen),
    )


def _rank(quantile: float, events: float) -> int:
    """Return the position, from 1, of the event that is the quantile (nearest rank)."""
    return max(1, math.ceil(quantile * events - 1e-9))


def _broken(evidence: QuantileEvidence, max_overflow_ratio: float) -> tuple[str, str] | None:
    """Return what makes the histogram unfit to answer at all, and a hint."""
    edges = sorted(evidence.buckets)
    counts = [evidence.buckets[edge] for edge in edges]
    if not math.isinf(edges[-1]):
        return "the histogram has no +Inf bucket", "its count cannot be known: select all of its buckets"
    for (lower, below), (upper, count) in pairwise(zip(edges, counts, strict=True)):
        if below.low > count.high:
            return (
                f"bucket {lower:g} s rose by {below}, more than bucket {upper:g} s, which holds it ({count})",
                "buckets of several instances or workers were read at different scrapes, or one is not collected",
            )
    events = len(evidence.durations)
    whole = counts[-1]
    if whole.high < events or whole.low > events + evidence.unknown:
        return (
            f"the histogram timed {whole} requests, the client {events}",
            "it does not time the requests that were sent: failed ones left out, probes timed too, or a double scrape",
        )
    if len(counts) > 1 and whole.low > 0:
        beyond = (whole.low - counts[-2].high) / whole.low
        if beyond > max_overflow_ratio:
            blind = f"{share_text(beyond)} of requests are above the top edge {edges[-2]:g} s"
            return (
                f"{blind}, where the histogram says nothing; at most {share_text(max_overflow_ratio)} may be",
                "add buckets above the top edge",
            )
    return None


def _bucket_range(evidence: QuantileEvidence, edges: Sequence[float], quantile: float) -> tuple[int, int]:
    """Return the first and the last bucket that may hold the histogram's quantile; the same one for exact counts."""
    whole = evidence.buckets[edges[-1]]
    low_rank, high_rank = _rank(quantile, whole.low), _rank(quantile, whole.high)
    last = len(edges) - 1
    first = next((index for index, edge in enumerate(edges) if evidence.buckets[edge].high >= low_rank), last)
    return first, next((index for index, edge in enumerate(edges) if evidence.buckets[edge].low >= high_rank), last)


def _allows(edges: Sequence[float], bucket: int, client: float, tolerance: float, ahead: float) -> bool:
    """Return whether the client's value agrees with a bucket: inside it, or in a neighbour and near the shared edge."""
    lower = edges[bucket - 1] if bucket else 0.0
    upper = edges[bucket]
    if lower < client <= upper:
        return True
    if client > upper:
        is_neighbour = bucket + 1 < len(edges) and client <= edges[bucket + 1]
        return is_neighbour and client - upper <= tolerance
    # Of client times at 0 or below there are none, so a value below the lowest bucket cannot be.
    is_neighbour = bucket > 0 and client > (edges[bucket - 2] if bucket > 1 else 0.0)
    return is_neighbour and lower - client <= ahead


def _between(edges: Sequence[float], first: int, last: int) -> str:
    lower = edges[first - 1] if first else 0.0
    upper = edges[last]
    return f"above {lower:g} s" if math.isinf(upper) else f"between {lower:g} s and {upper:g} s"


def _hint(edges: Sequence[float], bucket: int, client: float) -> str:
    if client > edges[bucket]:
        return (
            "the client waits longer than the service says: requests queue before the timer starts, "
            "or the timer stops before the work does"
        )
    return "the service says it took longer than the client waited: its clock, its unit, or other requests are timed"


def _rows(evidence: QuantileEvidence) -> str:
    durations = sorted(evidence.durations)
    rows = []
    for edge in sorted(evidence.buckets):
        within = sum(1 for one in durations if one <= edge)
        rows.append((f"{edge:g}", str(evidence.buckets[edge]), str(within)))
    return table(("up to seconds", "histogram", "client"), rows, limit=40)
