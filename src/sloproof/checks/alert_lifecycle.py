"""An alert is quiet before a fault, fires in time, is delivered, and is resolved in time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from sloproof.checks.evidence import Basis, selector_text
from sloproof.checks.wording import count_of, duration_text, instant_text, listing, table
from sloproof.model import Labels, Notification, Series, Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sloproof.finding import Finding

CHECK = "alert_lifecycle"

_BAD_TEXTS = ("<no value>", "{{", "%!", "<error ")
# What the programs may add, on a busy machine, to what they are configured for.
SLACK = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Bound:
    """How long something may take from its cause, as the sum it was computed from.

    Attributes:
        latest: At most this long.
        text: The sum in words: `scrape 0.25 s + evaluation 0.25 s + for 2 s = 2.5 s`.
        earliest: At least this long.
    """

    latest: timedelta
    text: str = ""
    earliest: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class AlertEvidence:
    """An alert's history and what its receiver got.

    Attributes:
        name: The alert's name.
        alerts: `ALERTS` series as raw samples over the whole stretch; other alerts' are left aside.
        notifications: What the receiver got over the same stretch.
        quiet: The stretch of healthy load before the fault.
        fault: From the fault's begin to its end.
        until: How far the evidence reaches; every query was asked at this instant.
        evaluations: When the rule is known to have been evaluated, so that its silence means something.
        labels: Labels that the alert must carry.
        annotations: Annotations that it must carry, not empty.
        among: Labels that tell it from other alerts of the same name; those others are left aside.
    """

    name: str
    alerts: Sequence[Series]
    notifications: Sequence[Notification]
    quiet: Window
    fault: Window
    until: datetime
    evaluations: Sequence[datetime]
    labels: Labels = field(default_factory=dict)
    annotations: Sequence[str] = ()
    among: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _History:
    pending: tuple[datetime, ...]
    firing: tuple[datetime, ...]


def judge(
    evidence: AlertEvidence,
    basis: Basis,
    *,
    firing: Bound,
    delivered: Bound,
    cleared: Bound,
    resolved: Bound,
    max_gap: timedelta,
) -> tuple[Finding, Finding, Finding, Finding]:
    """Return whether the alert was quiet, fired, was delivered and was resolved: four findings, in this order.

    Args:
        evidence: History and notifications.
        basis: What it rests on.
        firing: From the fault's begin to the first firing sample.
        delivered: From the fault's begin to the receiver having the alert.
        cleared: From the fault's end to the first evaluation at which the alert fires no more.
        resolved: From the fault's end to the receiver having the all-clear.
        max_gap: How far apart two evaluations may be before silence between them proves nothing.
    """
    own = [series for series in evidence.alerts if _is_own(series.labels, evidence)]
    history = _History(_instants(own, "pending"), _instants(own, "firing"))
    return (
        _quiet(evidence, basis, history, max_gap),
        _fires(evidence, basis, history, own, firing),
        _delivered(evidence, basis, delivered),
        _resolved(evidence, basis, history, cleared=cleared, resolved=resolved, max_gap=max_gap),
    )


def _instants(found: Sequence[Series], state: str) -> tuple[datetime, ...]:
    return tuple(sorted({
        sample.time for series in found if series.labels.get("alertstate") == state for sample in series.samples
        if sample.value == 1
    }))  # fmt: skip


def _unwatched(evaluations: Sequence[datetime], window: Window, max_gap: timedelta) -> timedelta:
    """Return the longest stretch of a window without an evaluation, if it is above what is allowed; else 0."""
    moments = [window.start, *sorted(one for one in evaluations if one in window), window.end]
    longest = max(later - earlier for earlier, later in pairwise(moments))
    return longest if longest > max_gap else timedelta(0)


def _quiet(evidence: AlertEvidence, basis: Basis, history: _History, max_gap: timedelta) -> Finding:
    claim = f"{evidence.name} is quiet under healthy load"
    expected = f"neither pending nor firing for {duration_text(evidence.quiet.duration)} before the fault"
    noise = [(instant_text(one), state) for state, times in (("pending", history.pending), ("firing", history.firing))
             for one in times if one in evidence.quiet]  # fmt: skip
    noise += [(instant_text(one.received), f"delivered ({one.status})") for one in _notifications(evidence, "firing")
              if one.received in evidence.quiet]  # fmt: skip
    count = sum(1 for one in evidence.evaluations if one in evidence.quiet)
    blind = _unwatched(evidence.evaluations, evidence.quiet, max_gap)
    if not noise and (blind or not count):
        silence = duration_text(blind or evidence.quiet.duration)
        return basis.inconclusive(
            CHECK, claim, expected=expected, measured=f"no evaluation of the rule for {silence}",
            hint="an alert that nobody evaluates is quiet too: show that the rule group was evaluated",
        )  # fmt: skip
    return basis.judged(
        CHECK,
        claim,
        holds=not noise,
        expected=expected,
        measured=f"heard {count_of(len(noise), 'time')}" if noise else f"silent at {count_of(count, 'evaluation')}",
        hint="a threshold on a raw counter, or a window so short that one error is a crisis",
        evidence=(("heard", table(("at", "state"), sorted(noise))),),
    )


def _fires(evidence: AlertEvidence, basis: Basis, history: _History, own: Sequence[Series], bound: Bound) -> Finding:
    claim = f"{evidence.name} fires in time"
    begin = evidence.fault.start
    pending = next((one for one in history.pending if one >= begin), None)
    fired = next((one for one in history.firing if one >= begin), None)
    rows = [
        _instant_row("fault begins", begin, begin, None),
        _instant_row("pending", pending, begin, None),
        _instant_row("firing", fired, begin, bound),
    ]
    problem = _outside(fired, begin, bound, evidence.until, "firing")
    if problem is not None and not problem:
        first = [series.labels for series in own if any(sample.time == fired for sample in series.samples)]
        if not any(_carries(labels, evidence.labels) for labels in first):
            seen = listing(sorted({selector_text(_constant(labels)) for labels in first}))
            problem = f"it does not carry {selector_text(evidence.labels)}, but {seen}"
    return _timed(
        basis, claim, problem, rows, expected=_bound_text("firing", bound),
        measured=f"firing {_after(fired, begin)} the fault began",
        hint="too early: `for` is not kept; too late or never: its selector, threshold, window or `for`",
    )  # fmt: skip


def _delivered(evidence: AlertEvidence, basis: Basis, bound: Bound) -> Finding:
    claim = f"{evidence.name} reaches its receiver in time, with its words"
    begin = evidence.fault.start
    found = [one for one in _notifications(evidence, "firing") if one.received >= begin]
    first = found[0] if found else None
    got = first.received if first else None
    problem = _outside(got, begin, bound, evidence.until, "delivered")
    if problem is not None and not problem and first is not None:
        problem = _wrong_words(first, evidence)
    rows = [_instant_row("fault begins", begin, begin, None), _instant_row("delivered", got, begin, bound)]
    others = sorted({one.name for one in evidence.notifications if one.name != evidence.name})
    if others:
        rows.append(("also delivered", listing(others), "", ""))
    return _timed(
        basis, claim, problem, rows, expected=_bound_text("delivered", bound),
        measured=f"delivered {_after(got, begin)} the fault began",
        hint="look at the route: does its matcher catch the alert's labels, and how long is group_wait?",
    )  # fmt: skip


def _wrong_words(first: Notification, evidence: AlertEvidence) -> str:
    """Return what is wrong with an alert's labels and texts; empty if nothing is."""
    missing = {name: value for name, value in evidence.labels.items() if first.labels.get(name) != value}
    if missing:
        return f"it does not carry {selector_text(missing)}"
    silent = [name for name in evidence.annotations if not first.annotations.get(name, "").strip()]
    if silent:
        return f"its annotation {listing(silent)} is missing or empty"
    broken = [
        f"{name}: {text}"
        for name, text in (*first.labels.items(), *first.annotations.items())
        if any(bad in text for bad in _BAD_TEXTS)
    ]
    return f"a template was not filled in: {listing(broken)}" if broken else ""


def _resolved(
    evidence: AlertEvidence, basis: Basis, history: _History, *, cleared: Bound, resolved: Bound, max_gap: timedelta
) -> Finding:
    claim = f"{evidence.name} is resolved in time once the fault ends"
    begin, end = evidence.fault.start, evidence.fault.end
    expected = f"{_bound_text('cleared', cleared)}; {_bound_text('all-clear', resolved)}, after the fault's end"
    fired = next((one for one in history.firing if one >= begin), None)
    if fired is None:
        return basis.inconclusive(
            CHECK, claim, expected=expected, measured="it never fired, so there is nothing to resolve",
            hint="see the finding on firing",
        )  # fmt: skip
    last = history.firing[-1]
    quiet_since = next((one for one in sorted(evidence.evaluations) if one > last), None)
    received = next((one.received for one in _notifications(evidence, "resolved") if one.received >= fired), None)
    rows = [
        _instant_row("fault ends", end, end, None),
        _instant_row("last seen firing", last, end, None),
        _instant_row("cleared", quiet_since, end, cleared),
        _instant_row("all-clear received", received, end, resolved),
    ]
    blind = _unwatched(evidence.evaluations, Window(min(last, evidence.until), evidence.until), max_gap)
    problem: str | None = _outside(quiet_since, end, cleared, evidence.until, "cleared")
    if quiet_since is not None and blind:
        problem = None
    if problem is not None and not problem:
        problem = _outside(received, end, resolved, evidence.until, "all-clear")
    return _timed(
        basis, claim, problem, rows, expected=expected,
        measured=f"cleared {_after(quiet_since, end)}, all-clear {_after(received, end)} the fault ended",
        hint="a long window remembers the fault until it is over; send_resolved may be off; keep_firing_for adds",
    )  # fmt: skip


def _outside(seen: datetime | None, since: datetime, bound: Bound, until: datetime, what: str) -> str | None:
    """Return how an instant misses its bound; empty if it does not; None if the evidence ends too soon to say."""
    if seen is None:
        return None if until < since + bound.latest else f"never {what} within {duration_text(bound.latest)}"
    delay = seen - since
    if delay > bound.latest:
        return f"{what} {duration_text(delay - bound.latest)} too late"
    return f"{what} {duration_text(bound.earliest - delay)} too early" if delay < bound.earliest else ""


def _timed(
    basis: Basis,
    claim: str,
    problem: str | None,
    rows: Sequence[Sequence[str]],
    *,
    expected: str,
    measured: str,
    hint: str,
) -> Finding:
    """Return a finding on instants beside their bounds; inconclusive where the evidence ends too soon."""
    evidence = (("instants", table(("what", "at", "after", "bound"), rows)),)
    if problem is None:
        return basis.inconclusive(
            CHECK, claim, expected=expected, measured=f"{measured}; the evidence ends too soon, or has gaps",
            hint="judge once the bound is over, with every evaluation in evidence", evidence=evidence,
        )  # fmt: skip
    return basis.judged(
        CHECK, claim, holds=not problem, expected=expected, hint=hint, evidence=evidence,
        measured=f"{measured}; {problem}" if problem else measured,
    )  # fmt: skip


def _notifications(evidence: AlertEvidence, status: str) -> list[Notification]:
    own = [one for one in evidence.notifications if _is_own(one.labels, evidence) and one.status == status]
    return sorted(own, key=lambda one: one.received)


def _is_own(labels: Labels, evidence: AlertEvidence) -> bool:
    return labels.get("alertname") == evidence.name and _carries(labels, evidence.among)


def _constant(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in ("__name__", "alertstate")}


def _carries(labels: Labels, wanted: Labels) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


def _instant_row(what: str, seen: datetime | None, since: datetime, bound: Bound | None) -> tuple[str, ...]:
    at = "never" if seen is None else instant_text(seen)
    after = "" if seen is None else f"{(seen - since).total_seconds():+.3f} s"
    return (what, at, after, "" if bound is None else _bound_text("", bound))


def _bound_text(what: str, bound: Bound) -> str:
    low = f"{duration_text(bound.earliest)} to " if bound.earliest else "at most "
    total = f" ({bound.text})" if bound.text else ""
    return f"{what + ' ' if what else ''}{low}{duration_text(bound.latest)}{total}"


def _after(seen: datetime | None, since: datetime) -> str:
    return "not after" if seen is None else f"{duration_text(seen - since)} after"
