"""Facts that the checks' tests are built from: a fixed clock, requests, lines, series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sloproof.checks.evidence import Basis, Bounds
from sloproof.finding import Finding, Query, Verdict
from sloproof.log_lines import RequestLine
from sloproof.model import Labels, Sample, Series, Window, ns_from_instant

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BASIS = Basis(at=T0, queries=(Query("prometheus", "up"),))


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def seconds(amount: float) -> timedelta:
    return timedelta(seconds=amount)


def window(start: float, end: float) -> Window:
    return Window(after(start), after(end))


def exactly(amount: float) -> Bounds:
    return Bounds(amount, amount)


@dataclass(frozen=True, slots=True)
class Request:
    start_ns: int
    duration_ns: int
    method: str
    endpoint: str
    status: int
    failure: str
    request_id: str


def request(
    number: int,
    *,
    at: float | None = None,
    took: float = 0.03,
    status: int = 200,
    failure: str = "",
    endpoint: str = "/api/users",
    method: str = "GET",
    request_id: str | None = None,
) -> Request:
    start = ns_from_instant(after(number * 0.01 if at is None else at))
    name = f"run-{number}" if request_id is None else request_id
    return Request(start, round(took * 1e9), method, endpoint, status, failure, name)


def line_of(
    sent: Request, *, lag: float = 0.002, status: int | None = None, took: float | None = None, level: str = "INFO"
) -> RequestLine:
    duration = sent.duration_ns / 1e9 - 0.001 if took is None else took
    return RequestLine(
        sent.start_ns + sent.duration_ns + round(lag * 1e9),
        sent.method,
        sent.endpoint,
        sent.status if status is None else status,
        duration,
        sent.request_id,
        level,
        f"{sent.method} {sent.endpoint}",
    )


def series(values: dict[float, float], **labels: str) -> Series:
    return Series(labels, tuple(Sample(after(at), value) for at, value in sorted(values.items())))


def named(name: str, values: dict[float, float], **labels: str) -> Series:
    return series(values, __name__=name, **labels)


def label_set(name: str, **labels: str) -> Labels:
    return {"__name__": name, **labels}


def passes(finding: Finding) -> bool:
    return finding.verdict is Verdict.PASS


def fails(finding: Finding) -> bool:
    return finding.verdict is Verdict.FAIL


def unclear(finding: Finding) -> bool:
    """Return whether a finding could not be judged, and says what to do about it."""
    return finding.verdict is Verdict.INCONCLUSIVE and bool(finding.hint)
