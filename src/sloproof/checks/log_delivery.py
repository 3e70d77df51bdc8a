"""Each request's log line is delivered exactly once, in order and in time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sloproof.checks.evidence import NEVER_ARRIVED, Basis, RequestRecord
from sloproof.checks.wording import count_of, duration_text, instant_text, table
from sloproof.model import instant_from_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sloproof.finding import Finding
    from sloproof.log_lines import RequestLine

CHECK = "log_delivery"

_ONCE = "the line of every request is delivered exactly once"
_ORDER = "lines keep the order in which the requests were answered"
_IN_TIME = "the line of every request is stamped between its start and a bound after its end"
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DeliveryEvidence:
    """Requests, and the lines that tell of them.

    Attributes:
        sent: The ledger's entries.
        streams: Request lines by stream, each oldest first, as Loki stored them.
    """

    sent: Sequence[RequestRecord]
    streams: Sequence[Sequence[RequestLine]]


def judge(
    evidence: DeliveryEvidence,
    basis: Basis,
    *,
    max_lag: timedelta,
    order_tolerance: timedelta = timedelta(milliseconds=500),
    clock_tolerance: timedelta = timedelta(milliseconds=50),
) -> tuple[Finding, Finding, Finding]:
    """Return whether lines were lost or doubled, reordered, or late: three findings, in this order.

    Lines of requests that ran at the same time may come in any order. A line is out of order when, in its stream, it
    stands behind that of a request which was sent more than `order_tolerance` after this one was answered.

    Args:
        evidence: Requests and lines.
        basis: What it rests on.
        max_lag: How long after the request's end its line may be stamped.
        order_tolerance: How long after the answer a service may take to write its line.
        clock_tolerance: How far the clocks of driver and log may be apart.
    """
    if not evidence.sent:
        empty = [
            basis.inconclusive(
                CHECK, claim, expected="lines of requests that were sent", measured="no request was sent",
                hint="drive load before asking for its log lines",
            )
            for claim in (_ONCE, _ORDER, _IN_TIME)
        ]  # fmt: skip
        return empty[0], empty[1], empty[2]
    by_id = {entry.request_id: entry for entry in evidence.sent}
    matched = [[(line, by_id[line.request_id]) for line in stream if line.request_id in by_id]
               for stream in evidence.streams]  # fmt: skip
    return (
        _exactly_once(evidence, basis),
        _in_order(matched, basis, order_tolerance),
        _in_time(matched, basis, max_lag, clock_tolerance),
    )


def _exactly_once(evidence: DeliveryEvidence, basis: Basis) -> Finding:
    certain = Counter(entry.request_id for entry in evidence.sent if entry.status)
    unknown = Counter(
        entry.request_id for entry in evidence.sent if not entry.status and entry.failure not in NEVER_ARRIVED
    )
    lines = Counter(line.request_id for stream in evidence.streams for line in stream)
    known = {entry.request_id for entry in evidence.sent}
    lost = {one: count - lines[one] for one, count in certain.items() if lines[one] < count}
    extra = {
        one: count - certain[one] - unknown[one]
        for one, count in lines.items()
        if one in known and count > certain[one] + unknown[one]
    }
    nameless = lines.get("", 0)
    foreign = sum(count for one, count in lines.items() if one and one not in known)
    entries = {entry.request_id: entry for entry in evidence.sent}
    counts = (("lost", sum(lost.values())), ("too many", sum(extra.values())), ("without a request id", nameless),
              ("of requests nobody sent", foreign))  # fmt: skip
    delivered = sum(lines.values())
    expected = f"{count_of(sum(certain.values()), 'line')}, one for each answered request"
    if unknown:
        expected += f", and up to {sum(unknown.values())} for requests whose outcome is unknown"
    measured = f"{count_of(delivered, 'line')}: " + ", ".join(f"{count} {what}" for what, count in counts)
    return basis.judged(
        CHECK,
        _ONCE,
        holds=not any(count for _, count in counts),
        expected=expected,
        measured=measured,
        hint=_loss_hint(delivered, lost=bool(lost), extra=bool(extra), nameless=nameless),
        evidence=(
            ("lost", _requests(lost, entries)),
            ("too many", _requests(extra, entries)),
            ("events", f"{count_of(len(evidence.sent), 'request')}, {count_of(delivered, 'request line')}"),
        ),
    )


def _requests(amounts: Mapping[str, int], entries: Mapping[str, RequestRecord]) -> str:
    chosen = sorted(amounts, key=lambda one: entries[one].start_ns)
    return table(
        ("request id", "lines", "method", "endpoint", "outcome", "sent"),
        (
            (one, str(amounts[one]), entries[one].method, entries[one].endpoint,
             str(entries[one].status or entries[one].failure), instant_text(instant_from_ns(entries[one].start_ns)))
            for one in chosen
        ),
    )  # fmt: skip


def _loss_hint(delivered: int, *, lost: bool, extra: bool, nameless: int) -> str:
    if not delivered:
        return "no request line at all: is the log selector right, and do tool.sloproof.logs patterns fit the lines?"
    if nameless and lost:
        return "lines without an id stand where ids are missing: the service loses the id, not the line"
    if lost and extra:
        return "some lost and others doubled: two shippers, or one that lost its place in the file"
    if extra:
        return "a line that comes twice was shipped twice: two shippers on one file, or a retry after a timeout"
    if lost:
        return "look at the shipper's dropped entries and at Loki's discarded samples in the window"
    return "lines of requests nobody sent: something else talks to the service, or ids are not taken from the header"


def _in_order(
    matched: Iterable[Sequence[tuple[RequestLine, RequestRecord]]], basis: Basis, tolerance: timedelta
) -> Finding:
    tolerance_ns = tolerance // _MICROSECOND * 1000
    wrong: list[tuple[str, ...]] = []
    judged = 0
    for stream in matched:
        latest: RequestRecord | None = None
        for line, entry in stream:
            judged += 1
            end_ns = entry.start_ns + entry.duration_ns
            if latest is not None and end_ns + tolerance_ns < latest.start_ns:
                behind = duration_text(timedelta(microseconds=(latest.start_ns - end_ns) // 1000))
                wrong.append((line.request_id, instant_text(instant_from_ns(end_ns)), latest.request_id, behind))
            if latest is None or entry.start_ns > latest.start_ns:
                latest = entry
    expected = f"no line behind that of a request sent more than {duration_text(tolerance)} after its own was answered"
    if not judged:
        return basis.inconclusive(
            CHECK, _ORDER, expected=expected, measured="no line of a request that was sent",
            hint="with no line there is no order: see the finding on delivery",
        )  # fmt: skip
    return basis.judged(
        CHECK,
        _ORDER,
        holds=not wrong,
        expected=expected,
        measured=f"{len(wrong)} of {count_of(judged, 'line')} out of order",
        hint="the shipper re-sent old lines, or lines of one file arrive by two ways",
        evidence=(
            ("out of order", table(("request id", "answered", "stands behind", "which was sent later by"), wrong)),
        ),
    )


def _in_time(
    matched: Iterable[Sequence[tuple[RequestLine, RequestRecord]]],
    basis: Basis,
    max_lag: timedelta,
    clock_tolerance: timedelta,
) -> Finding:
    early_ns = clock_tolerance // _MICROSECOND * 1000
    late_ns = max_lag // _MICROSECOND * 1000
    lags: list[int] = []
    wrong: list[tuple[str, ...]] = []
    for stream in matched:
        for line, entry in stream:
            lag = line.time_ns - entry.start_ns - entry.duration_ns
            lags.append(lag)
            before_start = entry.start_ns - line.time_ns
            if before_start > early_ns:
                wrong.append((line.request_id, f"{before_start / 1e9:.3f} s before the request was sent"))
            elif lag > late_ns:
                wrong.append((line.request_id, f"{lag / 1e9:.3f} s after it was answered"))
    expected = (
        f"every line at most {duration_text(max_lag)} after its request's end, "
        f"none more than {duration_text(clock_tolerance)} before its start"
    )
    if not lags:
        return basis.inconclusive(
            CHECK, _IN_TIME, expected=expected, measured="no line of a request that was sent",
            hint="with no line there is no lag: see the finding on delivery",
        )  # fmt: skip
    lags.sort()
    p95 = lags[-(-len(lags) * 95 // 100) - 1]
    return basis.judged(
        CHECK,
        _IN_TIME,
        holds=not wrong,
        expected=expected,
        measured=f"{len(wrong)} of {count_of(len(lags), 'line')} outside; p95 {p95 / 1e9:.3f} s, "
        f"worst {lags[-1] / 1e9:.3f} s after the end",
        hint="late lines: the shipper was paused or is behind; early ones: clocks disagree, or an id was used before",
        evidence=(("outside", table(("request id", "line stamped"), wrong)),),
    )
