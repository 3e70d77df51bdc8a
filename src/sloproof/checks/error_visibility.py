"""Every error a client got is visible in the request counter, in the error counter and in the logs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sloproof.checks.evidence import NEVER_ARRIVED, NOTHING, Basis, Bounds, RequestKey, RequestRecord, total
from sloproof.checks.wording import count_of, table
from sloproof.log_lines import Line, Unparsable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sloproof.finding import Finding

CHECK = "error_visibility"

_CLAIM = "every error shows in the request counter, in the error counter and as an error line with its request id"
_SERVER_ERROR = 500
_ERROR_LEVELS = ("ERROR", "CRITICAL", "FATAL")
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class ErrorEvidence:
    """Errors as clients got them, and the three places they must show in.

    Attributes:
        requests: The ledger's entries, good ones included.
        counted: By how much the request counter rose; None where it has no series.
        errors_counted: By how much the error counter rose, per endpoint, over its types; None where it has no series.
        lines: Every line of the service's log; None where the logs could not be asked.
        unhandled: Ids of the requests that are known to have ended in an unhandled exception.
    """

    requests: Sequence[RequestRecord]
    counted: Mapping[RequestKey, Bounds] | None
    errors_counted: Mapping[str, Bounds] | None
    lines: Sequence[Line] | None
    unhandled: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Levels that the line of a server's and of a client's error may have, and what marks a traceback."""

    server: frozenset[str]
    client: frozenset[str] | None
    traceback: str


def judge(
    evidence: ErrorEvidence,
    basis: Basis,
    *,
    client_statuses: Collection[int] = (),
    logged_client_levels: Collection[str] | None = None,
    error_levels: Collection[str] = _ERROR_LEVELS,
    traceback_marker: str = _TRACEBACK,
) -> Finding:
    """Return whether no error is hidden from any of the three places, and none is made up.

    Args:
        evidence: Errors and the three places.
        basis: What it rests on.
        client_statuses: Statuses below 500 that the service counts as errors too.
        logged_client_levels: Levels one of which the line of such a client's error has; None where it need have none.
        error_levels: Levels that count as an error in the logs, without regard to case.
        traceback_marker: Text that the line of an unhandled exception holds.
    """
    errors = [one for one in evidence.requests if _is_error(one.status, client_statuses)]
    unhandled = set(evidence.unhandled)
    expected = f"{count_of(len(errors), 'error')} ({len(unhandled)} unhandled) in each of the three places"
    if not errors:
        return basis.inconclusive(
            CHECK, _CLAIM, expected="errors to look for", hint="make some requests fail first",
            measured=f"{count_of(len(evidence.requests), 'request')}, none of them an error",
        )  # fmt: skip
    absent = [
        name
        for name, place in (("request counter", evidence.counted), ("error counter", evidence.errors_counted),
                            ("logs", evidence.lines))
        if place is None
    ]  # fmt: skip
    if absent:
        return basis.inconclusive(
            CHECK, _CLAIM, expected=expected, measured=f"no answer from: {', '.join(absent)}",
            hint="a counter without series: is its name in tool.sloproof.metrics the one on the wire?",
        )  # fmt: skip
    rows = _count_rows(evidence, errors, client_statuses)
    levels = frozenset(level.upper() for level in error_levels)
    client = None if logged_client_levels is None else levels | {one.upper() for one in logged_client_levels}
    hidden = _hidden(evidence.lines or (), errors, unhandled, _Wanted(levels, client, traceback_marker))
    measured = f"{count_of(len(rows), 'count')} wrong, {count_of(len(hidden), 'error')} not found in the logs"
    return basis.judged(
        CHECK,
        _CLAIM,
        holds=not rows and not hidden,
        expected=expected,
        measured=measured,
        hint=_hint(rows, hidden),
        evidence=(
            ("wrong counts", table(("where", "endpoint", "clients got", "unknown", "counted"), rows)),
            ("not in the logs", table(("request id", "method", "endpoint", "status", "missing"), hidden)),
            ("events", f"{count_of(len(errors), 'error')} in {count_of(len(evidence.requests), 'request')}"),
        ),
    )


def _is_error(status: int, client_statuses: Collection[int]) -> bool:
    return status >= _SERVER_ERROR or status in client_statuses


def _count_rows(
    evidence: ErrorEvidence, errors: Sequence[RequestRecord], client_statuses: Collection[int]
) -> list[tuple[str, ...]]:
    """Return the endpoints at which a counter does not hold the errors that clients got."""
    got = Counter(one.endpoint for one in errors)
    unknown = Counter(one.endpoint for one in evidence.requests if not one.status and one.failure not in NEVER_ARRIVED)
    by_endpoint: dict[str, list[Bounds]] = {}
    for key, bounds in (evidence.counted or {}).items():
        if _is_error(key.status, client_statuses):
            by_endpoint.setdefault(key.endpoint, []).append(bounds)
    counters: tuple[tuple[str, Mapping[str, Bounds]], ...] = (
        ("request counter", {endpoint: total(found) for endpoint, found in by_endpoint.items()}),
        ("error counter", evidence.errors_counted or {}),
    )
    rows: list[tuple[str, ...]] = []
    for where, counted in counters:
        for endpoint in sorted(got.keys() | counted.keys()):
            allowed = Bounds(got[endpoint], got[endpoint] + unknown[endpoint])
            found = counted.get(endpoint, NOTHING)
            if not found.meets(allowed):
                rows.append((where, endpoint, str(got[endpoint]), str(unknown[endpoint]), str(found)))
    return rows


def _hidden(
    lines: Sequence[Line],
    errors: Sequence[RequestRecord],
    unhandled: Collection[str],
    wanted: _Wanted,
) -> list[tuple[str, ...]]:
    """Return the errors whose request id stands on no line of a fitting level, or on none with a traceback."""
    by_level: dict[str, set[str]] = {}
    traced: set[str] = set()
    for line in lines:
        if isinstance(line, Unparsable) or not line.request_id:
            continue
        level = line.level.upper()
        by_level.setdefault(level, set()).add(line.request_id)
        if level in wanted.server and wanted.traceback in line.line:
            traced.add(line.request_id)
    in_error = set().union(*(by_level.get(level, ()) for level in wanted.server))
    in_client = set().union(*(by_level.get(level, ()) for level in wanted.client or ()))
    rows: list[tuple[str, ...]] = []
    for one in errors:
        missing = ""
        if one.status >= _SERVER_ERROR and one.request_id not in in_error:
            missing = f"a line of level {' or '.join(sorted(wanted.server))}"
        elif one.status < _SERVER_ERROR and wanted.client is not None and one.request_id not in in_client:
            missing = f"a line of level {' or '.join(sorted(wanted.client))}"
        elif one.request_id in unhandled and one.request_id not in traced:
            missing = "a traceback on its error line"
        if missing:
            rows.append((one.request_id, one.method, one.endpoint, str(one.status), missing))
    return rows


def _hint(rows: Sequence[tuple[str, ...]], hidden: Sequence[tuple[str, ...]]) -> str:
    wrong = {row[0] for row in rows}
    if wrong == {"error counter"}:
        return "only the error counter is wrong: it is counted in named handlers, and something passes them by"
    if wrong == {"request counter"}:
        return "the request counter is wrong: requests that raise may leave before they are counted"
    if hidden and not wrong:
        return "counted but not logged: the record lacks the request id, or formatting it failed"
    return "errors pass by all accounting: count at the outermost layer, not in handlers"
