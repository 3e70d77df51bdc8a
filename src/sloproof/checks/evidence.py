"""Values that the evidence of several checks is made of, and the basis every finding states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sloproof.checks.wording import duration_text, number, window_text
from sloproof.finding import Finding, Query, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from sloproof.model import Labels, Window


class RequestKey(NamedTuple):
    """What a request is counted under: the URL rule, the method and the HTTP status."""

    endpoint: str
    method: str
    status: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number known to lie in [low, high]; both ends are the same where it is known exactly."""

    low: float
    high: float

    @property
    def is_exact(self) -> bool:
        """Return whether both ends are the same."""
        return self.low == self.high

    def holds(self, value: float) -> bool:
        """Return whether a value lies within, ends included."""
        return self.low <= value <= self.high

    def meets(self, other: Bounds) -> bool:
        """Return whether some number lies within both."""
        return self.low <= other.high and other.low <= self.high

    def plus(self, other: Bounds) -> Bounds:
        """Return the bounds of the sum."""
        return Bounds(self.low + other.low, self.high + other.high)

    def __str__(self) -> str:
        """Return the number, or both ends as `3..5`."""
        return number(self.low) if self.is_exact else f"{number(self.low)}..{number(self.high)}"


NOTHING = Bounds(0, 0)


def total(bounds: Iterable[Bounds]) -> Bounds:
    """Return the bounds of the sum of many numbers; of none, exactly 0."""
    result = NOTHING
    for one in bounds:
        result = result.plus(one)
    return result


class RequestRecord(Protocol):
    """One request as the load driver recorded it: the ledger's entry, seen from a check.

    `status` is 0 where no answer came; `failure` is then one of `refused`, `timeout`, `reset`, `connect`, `protocol`,
    `unsent`, and empty otherwise. Times are Unix nanoseconds, `duration_ns` runs from send to last byte.
    """

    @property
    def start_ns(self) -> int: ...  # noqa: D102 - described above, as the rest

    @property
    def duration_ns(self) -> int: ...  # noqa: D102

    @property
    def method(self) -> str: ...  # noqa: D102

    @property
    def endpoint(self) -> str: ...  # noqa: D102

    @property
    def status(self) -> int: ...  # noqa: D102

    @property
    def failure(self) -> str: ...  # noqa: D102

    @property
    def request_id(self) -> str: ...  # noqa: D102


# Failures after which it is certain that the service never had the request.
NEVER_ARRIVED = frozenset({"refused", "connect", "unsent"})


class Delta(Protocol):
    """By how much one series of a counter rose: `sloproof.counters.CounterDelta`, seen from a check."""

    @property
    def labels(self) -> Labels: ...  # noqa: D102 - as in CounterDelta

    @property
    def low(self) -> float: ...  # noqa: D102

    @property
    def high(self) -> float: ...  # noqa: D102

    @property
    def resets(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Basis:
    """What a judgement rests on: the instant, the stretch of time, the questions.

    Attributes:
        at: The instant judged at; every query was asked at it.
        window: The stretch of time the evidence covers.
        sample_age: How old the youngest sample of the evidence was at `at`.
        max_sample_age: How old it may be; an older one proves nothing, neither way.
        queries: The questions, as they were asked.
    """

    at: datetime | None = None
    window: Window | None = None
    sample_age: timedelta | None = None
    max_sample_age: timedelta | None = None
    queries: tuple[Query, ...] = ()

    @property
    def staleness(self) -> str:
        """Return in words that the youngest sample is too old to prove anything; empty where it is not."""
        age, most = self.sample_age, self.max_sample_age
        if age is None or most is None or age <= most:
            return ""
        return f"the newest sample is {duration_text(age)} old, more than the {duration_text(most)} it may be"

    def finding(
        self,
        check: str,
        verdict: Verdict,
        claim: str,
        *,
        expected: str,
        measured: str,
        hint: str = "",
        evidence: Iterable[tuple[str, str]] = (),
    ) -> Finding:
        """Return a finding that states this basis.

        On stale samples a pass and a fail both become inconclusive, and what they would have been is kept as evidence.
        """
        rows = [(name, text) for name, text in evidence if text]
        if self.window is not None:
            rows.append(("window", window_text(self.window)))
        if self.staleness and verdict in (Verdict.PASS, Verdict.FAIL):
            rows.append(("on stale data", f"{verdict.value}: {measured}"))
            verdict, measured = Verdict.INCONCLUSIVE, self.staleness
            hint = "something stopped reading the service: look at the target's last scrape and its error"
        return Finding(
            check=check,
            verdict=verdict,
            claim=claim,
            expected=expected,
            measured=measured,
            at=self.at,
            sample_age=self.sample_age,
            queries=self.queries,
            hint=hint,
            evidence=tuple(rows),
        )

    def judged(
        self,
        check: str,
        claim: str,
        *,
        holds: bool,
        expected: str,
        measured: str,
        hint: str = "",
        evidence: Iterable[tuple[str, str]] = (),
    ) -> Finding:
        """Return a pass or a fail; the hint is only for the fail."""
        return self.finding(
            check,
            Verdict.PASS if holds else Verdict.FAIL,
            claim,
            expected=expected,
            measured=measured,
            hint="" if holds else hint,
            evidence=evidence,
        )

    def inconclusive(
        self,
        check: str,
        claim: str,
        *,
        expected: str,
        measured: str,
        hint: str,
        evidence: Iterable[tuple[str, str]] = (),
    ) -> Finding:
        """Return that the claim could not be judged, and what to do so that it can."""
        return self.finding(
            check, Verdict.INCONCLUSIVE, claim, expected=expected, measured=measured, hint=hint, evidence=evidence
        )


def selector_text(labels: Mapping[str, str]) -> str:
    """Return a label set as PromQL writes it: `up{instance="a",job="b"}`."""
    inner = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}"
