"""What the driver sent, what the counter rose by and what the logs hold are the same number, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sloproof.checks.evidence import NOTHING, Basis, Bounds, RequestKey, total
from sloproof.checks.wording import count_of, number, signed, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sloproof.finding import Finding

CHECK = "three_way_count"

_CLAIM = "every request is counted once and logged once, under its endpoint, method and status"


@dataclass(frozen=True, slots=True)
class CountEvidence:
    """Three records of the same requests.

    Attributes:
        sent: The ledger: requests that were answered, per endpoint, method and status.
        unknown: The ledger: requests whose outcome the driver cannot know (timed out, reset), per endpoint and method.
            Each may have been counted and logged once, under any status, or not at all.
        counted: By how much the request counter rose; None where it has no series at all.
        logged: How many request lines there are; None where the logs could not be asked.
        never_arrived: Requests that certainly never reached the service (refused, unsent); for the record only.
    """

    sent: Mapping[RequestKey, int] | Mapping[tuple[str, str, int], int]
    unknown: Mapping[tuple[str, str], int]
    counted: Mapping[RequestKey, Bounds] | None
    logged: Mapping[RequestKey, int] | None
    never_arrived: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    key: RequestKey
    sent: int
    unknown: int
    counted: Bounds
    logged: int
    reasons: tuple[str, ...]

    def cells(self) -> tuple[str, ...]:
        sent = f"{self.sent}" + (f" (+{self.unknown} unknown)" if self.unknown else "")
        return (
            self.key.method, self.key.endpoint, str(self.key.status), sent, str(self.counted), str(self.logged),
            _difference(self.counted, self.sent), signed(self.logged - self.sent), ", ".join(self.reasons),
        )  # fmt: skip


_HEADER = ("method", "endpoint", "status", "ledger", "counter", "logs", "counter-ledger", "logs-ledger", "wrong")


def judge(evidence: CountEvidence, basis: Basis) -> Finding:
    """Return whether ledger, counter and logs agree to the last request.

    Unknown outcomes widen what a row may hold, and all rows of an endpoint and method together may not hold more of
    them than there were. Counter and logs saw the same requests, so they must agree with each other exactly.
    """
    sent, unknown = sum(evidence.sent.values()), sum(evidence.unknown.values())
    expected = f"{count_of(sent, 'request')} by each of ledger, counter and logs"
    if unknown:
        expected += f", and up to {unknown} more whose outcome the driver cannot know"
    missing = _missing(evidence, sent + unknown)
    if missing:
        measured, hint = missing
        return basis.inconclusive(CHECK, _CLAIM, expected=expected, measured=measured, hint=hint)
    counted, logged = evidence.counted or {}, evidence.logged or {}
    rows = _rows(evidence, counted, logged)
    wrong = [row for row in rows if row.reasons]
    counted_sum, logged_sum = total(counted.values()), sum(logged.values())
    measured = f"ledger {sent}" + (f" (+{unknown} unknown)" if unknown else "")
    measured += f", counter {counted_sum}, logs {logged_sum}"
    if wrong:
        measured += f"; {len(wrong)} of {count_of(len(rows), 'row')} disagree"
    sums = f"counter - ledger {_difference(counted_sum, sent)}, logs - ledger {signed(logged_sum - sent)}"
    return basis.judged(
        CHECK,
        _CLAIM,
        holds=not wrong,
        expected=expected,
        measured=measured,
        hint=_hint(wrong, sent, counted_sum, logged_sum),
        evidence=(
            ("rows that disagree", table(_HEADER, (row.cells() for row in wrong))),
            ("sums", sums),
            ("events", f"{sent} certain, {unknown} unknown, {evidence.never_arrived} that never arrived"),
        ),
    )


def _missing(evidence: CountEvidence, events: int) -> tuple[str, str] | None:
    """Return what evidence is missing and what to do about it; None where all is there."""
    if not events:
        return "no request was sent", "drive load before counting; with nothing sent, 0 = 0 proves nothing"
    if not evidence.counted:
        hint = "is the name in tool.sloproof.metrics.requests the one on the wire (ending in _total)? is it scraped?"
        return "the request counter has no series", hint
    if evidence.logged is None:
        return "the logs could not be asked", "see whether Loki answers and the shipper runs"
    return None


def _rows(
    evidence: CountEvidence, counted: Mapping[RequestKey, Bounds], logged: Mapping[RequestKey, int]
) -> list[_Row]:
    """Return every row of the three records, judged."""
    sent = {RequestKey(*key): count for key, count in evidence.sent.items()}
    groups: dict[tuple[str, str], list[RequestKey]] = {}
    for key in sorted({*sent, *counted, *logged}):
        groups.setdefault((key.endpoint, key.method), []).append(key)
    rows: list[_Row] = []
    for group, keys in groups.items():
        rows += _judge_group(keys, sent, evidence.unknown.get(group, 0), counted, logged)
    return rows


def _judge_group(
    keys: Sequence[RequestKey],
    sent: Mapping[RequestKey, int],
    unknown: int,
    counted: Mapping[RequestKey, Bounds],
    logged: Mapping[RequestKey, int],
) -> Iterator[_Row]:
    """Judge the rows of one endpoint and method: they share its unknown outcomes."""
    counter_surplus = sum(max(0, counted.get(key, NOTHING).low - sent.get(key, 0)) for key in keys)
    log_surplus = sum(max(0, logged.get(key, 0) - sent.get(key, 0)) for key in keys)
    for key in keys:
        certain, count, lines = sent.get(key, 0), counted.get(key, NOTHING), logged.get(key, 0)
        reasons = [
            reason
            for reason, is_so in (
                ("counter misses some", count.high < certain),
                ("counter has too many", count.low > certain and counter_surplus > unknown),
                ("logs miss some", lines < certain),
                ("logs have too many", lines > certain and log_surplus > unknown),
            )
            if is_so
        ]
        if not reasons and not count.holds(lines):
            reasons = ["counter and logs differ"]
        yield _Row(key, certain, unknown, count, lines, tuple(reasons))


def _difference(counted: Bounds, sent: int) -> str:
    low, high = counted.low - sent, counted.high - sent
    return signed(low) if low == high else f"{number(low)}..{signed(high)}"


def _hint(wrong: list[_Row], sent: int, counted: Bounds, logged: int) -> str:
    """Return the likeliest explanation of a disagreement, by where it shows."""
    if sent and counted.low >= 2 * sent and logged <= sent:
        return "the counter holds every request at least twice: is a target scraped by two jobs?"
    if counted.holds(sent) and logged == sent and wrong:
        return "the sums agree and the rows do not: requests are counted under a wrong endpoint, method or status"
    if not logged and sent:
        return "there is no line at all: is the log selector right, and does the service write its request lines?"
    if counted.high < sent and logged >= sent:
        return "only the counter is short: look for a worker whose counts are not collected, or a lost restart"
    if counted.holds(sent) and logged < sent:
        return "only the logs are short: look at the shipper's drops and at Loki's rejected lines"
    return "the rows above say which record is alone: two that agree are likely right"
