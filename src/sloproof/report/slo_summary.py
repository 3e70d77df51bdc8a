"""Which SLOs are in danger, since when and why: the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sloproof.report.record import BurnRecord, MomentRecord, SloRecord
from sloproof.report.slo_wording import against_bound, budget_text, length_text, times_text
from sloproof.report.wording import count_text, instant, rank

# `spent`: its verdict is fail. `burning`: not yet, but someone is told. `unknown`: it could not be judged.
Standing = Literal["spent", "burning", "unknown", "safe"]

_URGENCY = ("page", "ticket")
_WORDS: tuple[tuple[Standing, str], ...] = (
    ("spent", "failed"), ("burning", "burning too fast"), ("unknown", "not judged"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Danger:
    """Since when an SLO is in danger.

    Attributes:
        since: The first instant of it; None where it is not known.
        within: How much later it may have been, where the period is only known in slices.
        what: What began then, in a few words.
    """

    since: datetime | None
    within: timedelta | None
    what: str


@dataclass(frozen=True, slots=True)
class SloView:
    """One SLO as documents show it.

    Attributes:
        number: From 1, the worst first; documents refer to it.
        slo: Its record.
        standing: What to think of it.
        danger: Since when; None where it is safe.
        why: How the budget went or goes, in one sentence, beside the verdict's reason; empty where safe.
        late: Alerts that missed a bound, a sentence each.
    """

    number: int
    slo: SloRecord
    standing: Standing
    danger: Danger | None
    why: str
    late: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return what people call it."""
        name = self.slo.title or self.slo.id
        return f"{name} (drill)" if self.slo.drill else name

    @property
    def burning(self) -> tuple[BurnRecord, ...]:
        """Return the rows whose condition holds, the most urgent first."""
        return _burning(self.slo)


@dataclass(frozen=True, slots=True)
class SloSummary:
    """All SLOs of a run.

    Attributes:
        views: The worst first.
        counts: How many there are of each verdict, drills left out.
        drill_counts: The same of the drills.
        headline: What they come to.
    """

    views: tuple[SloView, ...]
    counts: tuple[tuple[str, int], ...]
    drill_counts: tuple[tuple[str, int], ...]
    headline: str

    @property
    def in_danger(self) -> tuple[SloView, ...]:
        """Return those that are not safe."""
        return tuple(view for view in self.views if view.standing != "safe")

    @property
    def safe(self) -> tuple[SloView, ...]:
        """Return those that are, drills left out."""
        return tuple(view for view in self.views if view.standing == "safe" and not view.slo.drill)

    @property
    def drills(self) -> tuple[SloView, ...]:
        """Return the drills whose alerts did as they should."""
        return tuple(view for view in self.views if view.standing == "safe" and view.slo.drill)


def summarise_slos(slos: Sequence[SloRecord]) -> SloSummary:
    """Return the SLOs, worst first, and what they come to."""
    views = tuple(_view(number, slo) for number, slo in enumerate(sorted(slos, key=_urgency), start=1))
    counts, drills = (_counts(slo for slo in slos if slo.drill is drill) for drill in (False, True))
    return SloSummary(views, counts, drills, _headline(views))


def _counts(slos: Iterable[SloRecord]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(slo.verdict for slo in slos).items(), key=lambda item: rank(item[0])))


def standing_of(slo: SloRecord) -> Standing:
    """Return what to think of an SLO: a verdict of pass is no comfort while its budget burns, save in a drill."""
    if slo.verdict == "fail":
        return "spent"
    if _burning(slo):
        return "burning"
    return "safe" if slo.verdict == "pass" else "unknown"


def _view(number: int, slo: SloRecord) -> SloView:
    standing = standing_of(slo)
    danger: Danger | None = None
    match standing:
        case "spent" | "unknown" if slo.drill:
            danger = _drill_since(slo)
        case "spent":
            danger = _spent_since(slo)
        case "burning":
            danger = _burning_since(slo)
        case "unknown":
            danger = _unknown_since(slo)
    return SloView(number, slo, standing, danger, _why(slo), tuple(_late(slo)))


def _urgency(slo: SloRecord) -> tuple[int, int, float, str]:
    """Order: fail, a page that burns, what cannot be judged, a ticket that burns, pass; then by the budget spent."""
    rows = _burning(slo)
    pages = any(row.severity == "page" for row in rows)
    standing = standing_of(slo)
    place = {"spent": 0, "burning": 1 if pages else 3, "unknown": 2, "safe": 5 if slo.drill else 4}[standing]
    return place, rank(slo.verdict), -(slo.consumed or 0.0), slo.id


def _burning(slo: SloRecord) -> tuple[BurnRecord, ...]:
    rows = [row for row in slo.burn_rates if row.is_burning and not slo.drill]
    return tuple(sorted(rows, key=lambda row: _URGENCY.index(row.severity) if row.severity in _URGENCY else 9))


def _spent_since(slo: SloRecord) -> Danger:
    """Return when the budget fell below nothing, for good."""
    first: int | None = None
    for place, moment in enumerate(slo.moments):
        if moment.budget_left is not None and moment.budget_left < 0:
            first = place if first is None else first
        elif moment.budget_left is not None:
            first = None
    return _at(slo, first, "budget overspent")


def _drill_since(slo: SloRecord) -> Danger:
    """Return when the first alert of a drill became pending."""
    pending = [instant(one.pending) for one in slo.alerts]
    begun = min((each for each in pending if each is not None), default=None)
    return Danger(begun, None, "no alert" if begun is None else "alert pending in a drill")


def _burning_since(slo: SloRecord) -> Danger:
    """Return when the alert that is still on became pending; else since when the budget has burned too fast."""
    rows = {row.row for row in _burning(slo)}
    pending = [instant(one.pending) for one in slo.alerts if one.row in rows and one.pending and not one.cleared]
    begun = min((each for each in pending if each is not None), default=None)
    if begun is not None:
        return Danger(begun, None, "alert pending")
    first: int | None = None
    for place, moment in enumerate(slo.moments):
        if moment.bad is None or moment.valid is None:
            continue
        if moment.bad > (1 - slo.target) * moment.valid:
            first = place if first is None else first
        elif moment.valid:
            first = None
    return _at(slo, first, "burning faster than allowed")


def _unknown_since(slo: SloRecord) -> Danger:
    """Return since when there is no data, where there is none at the end of the period."""
    first: int | None = None
    for place, moment in enumerate(slo.moments):
        if moment.valid is not None:
            first = None
        elif first is None:
            first = place
    found = _at(slo, first, "no data")
    return found if found.since is not None else Danger(None, None, "not judged")


def _at(slo: SloRecord, place: int | None, what: str) -> Danger:
    if place is None:
        return Danger(None, None, what)
    start = instant(slo.moments[place].start)
    following = slo.moments[place + 1].start if place + 1 < len(slo.moments) else slo.period_end
    end = instant(following)
    return Danger(start, end - start if start and end and end > start else None, what)


def _why(slo: SloRecord) -> str:
    """Return what goes on now: how fast the budget burns, and how long it lasts."""
    rows = _burning(slo)
    if rows:
        row = rows[0]
        text = (
            f"burns {times_text(row.long)} over {length_text(row.long_seconds)} and {times_text(row.short)} over "
            f"{length_text(row.short_seconds)}; {row.severity} above {times_text(row.factor)}"
        )
        left = _lasts(slo, row)
        return f"{text}; {left}" if left else text
    if slo.verdict == "fail" and slo.worst and not slo.drill:
        one = slo.worst[0]
        begun = instant(one.start)
        return (
            f"{budget_text(one.spent)} of the budget went in the {length_text(one.seconds)} from "
            f"{'an unknown instant' if begun is None else f'{begun:%d %b %H:%M:%S}'}; no alert condition holds now"
        )
    return ""


def _lasts(slo: SloRecord, row: BurnRecord) -> str:
    begin, end = instant(slo.period_begin), instant(slo.period_end)
    if slo.remaining is None or begin is None or end is None or not row.short or slo.remaining <= 0:
        return ""
    seconds = slo.remaining * (end - begin).total_seconds() / row.short
    return f"at this rate the budget is gone in {length_text(seconds)}"


def _late(slo: SloRecord) -> Iterator[str]:
    now = instant(slo.at)
    for alert in slo.alerts:
        for what, came, bound in (
            ("telling of it", alert.delivered, alert.bound),
            ("clearing", alert.cleared, alert.clear_bound),
        ):
            text, is_late = against_bound(instant(came), instant(bound), now)
            if is_late:
                yield f"Alert {alert.row}, {what}: {text}"


def _headline(views: Sequence[SloView]) -> str:
    if not views:
        return ""
    drills = [view for view in views if view.slo.drill]
    found = Counter(view.standing for view in views if not view.slo.drill)
    parts = [f"{found[standing]:,} {text}" for standing, text in _WORDS if found[standing]]
    total = count_text(len(views) - len(drills), "SLO")
    told = f"{total}: {', '.join(parts)}" if parts else f"{total}, within budget"
    held = sum(view.standing == "safe" for view in drills)
    drilled = f"{held:,} of {count_text(len(drills), 'alert drill')} passed" if drills else ""
    return "; ".join(filter(None, (told if len(drills) < len(views) else "", drilled)))


def moments_of(slo: SloRecord, most: int) -> tuple[tuple[datetime, MomentRecord], ...]:
    """Return an SLO's period in at most so many slices, neighbours put together, each with the instant of its end."""
    group = -(-len(slo.moments) // most) if slo.moments else 1
    found = []
    for first in range(0, len(slo.moments), group):
        part = slo.moments[first : first + group]
        later = slo.moments[first + group].start if first + group < len(slo.moments) else slo.period_end
        end = instant(later)
        if end is None or instant(part[0].start) is None:
            continue
        known = [(one.bad, one.valid) for one in part if one.bad is not None and one.valid is not None]
        lefts = [one.budget_left for one in part if one.budget_left is not None]
        found.append(
            (
                end,
                MomentRecord(
                    start=part[0].start,
                    bad=sum(bad for bad, _ in known) if known else None,
                    valid=sum(valid for _, valid in known) if known else None,
                    budget_left=lefts[-1] if lefts else None,
                ),
            )
        )
    return tuple(found)
