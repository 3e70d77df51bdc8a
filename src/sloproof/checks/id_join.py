"""A request id joins the client's record and one log line, and both tell the same story."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sloproof.checks.wording import count_of, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.checks.evidence import Basis, RequestRecord
    from sloproof.finding import Finding
    from sloproof.log_lines import RequestLine

CHECK = "id_join"

_CLAIM = "a request id is unique and leads to the one log line that tells the same of the request"


@dataclass(frozen=True, slots=True)
class JoinEvidence:
    """Requests to join, and the lines to find them in.

    Attributes:
        sampled: Answered requests of the ledger, all of them or a sample.
        lines: The request lines of the whole stretch.
    """

    sampled: Sequence[RequestRecord]
    lines: Sequence[RequestLine]


def judge(
    evidence: JoinEvidence, basis: Basis, *, duration_tolerance: timedelta = timedelta(milliseconds=250)
) -> Finding:
    """Return whether every sampled id joins to exactly one line with the same facts.

    Args:
        evidence: Requests and lines.
        basis: What it rests on.
        duration_tolerance: By how much the service may say it took longer than the client waited: both clocks are
            monotonic, but the service's timer ends after the last byte, and on a busy machine its thread may have to
            wait for that.
    """
    answered = [one for one in evidence.sampled if one.status]
    expected = f"{count_of(len(answered), 'id')}, each once in the logs with method, endpoint, status and duration"
    if not answered:
        return basis.inconclusive(
            CHECK, _CLAIM, expected=expected, measured="no answered request to join", hint="drive load first"
        )
    uses = Counter(one.request_id for one in answered)
    by_id: dict[str, list[RequestLine]] = {}
    for line in evidence.lines:
        if line.request_id in uses:
            by_id.setdefault(line.request_id, []).append(line)
    rows = []
    timed = 0
    for one in answered:
        found = by_id.get(one.request_id, [])
        if not one.request_id:
            problems = ["the request has no id"]
        elif uses[one.request_id] > 1:
            problems = [f"{uses[one.request_id]} requests share the id"]
        elif len(found) != 1:
            problems = [f"{count_of(len(found), 'line')} with the id"]
        else:
            timed += found[0].duration_seconds is not None
            problems = _differences(one, found[0], duration_tolerance)
        if problems:
            rows.append((one.request_id, f"{one.method} {one.endpoint} {one.status}", "; ".join(problems)))
    events = f"{count_of(len(answered), 'request')}, {count_of(len(evidence.lines), 'line')}, {timed} timed by both"
    return basis.judged(
        CHECK,
        _CLAIM,
        holds=not rows,
        expected=expected,
        measured=f"{len(rows)} of {count_of(len(answered), 'id')} do not join"
        + ("" if timed or rows else "; the lines say no duration"),
        hint=_hint(rows),
        evidence=(
            ("not joined", table(("request id", "client", "problem"), rows)),
            ("events", events),
        ),
    )


def _differences(one: RequestRecord, line: RequestLine, tolerance: timedelta) -> list[str]:
    problems = [
        f"the line says {name} {logged}, the client {sent}"
        for name, sent, logged in (("method", one.method, line.method), ("endpoint", one.endpoint, line.endpoint),
                                   ("status", one.status, line.status))
        if sent != logged
    ]  # fmt: skip
    if line.duration_seconds is not None:
        client = one.duration_ns / 1e9
        # Written so that a duration that is no number is a difference too.
        if not 0 <= line.duration_seconds <= client + tolerance.total_seconds():
            problems.append(f"the line says it took {line.duration_seconds:g} s, the client waited {client:.6f} s")
    return problems


def _hint(rows: Sequence[tuple[str, ...]]) -> str:
    text = " ".join(row[2] for row in rows)
    if "share the id" in text:
        return "ids that repeat join nothing: are they short random numbers?"
    if "took" in text:
        return "the service times something else than the request, or in another unit"
    if " 0 lines" in f" {text}":
        return "see the check on log delivery; or the service replaces the id it is given"
    if "lines with the id" in text:
        return "an id on several lines: see the check on log delivery for doubled lines; or an id is kept too long"
    return "the id is attached to another request's line: is it kept per thread and not per request?"
