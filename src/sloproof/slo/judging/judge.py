"""Judges an objective at an instant: what was counted, and what can be said from it.

Asking and judging are apart: `judge_counts` is arithmetic on what was counted, `judge` asks for it first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from sloproof.duration import format_duration
from sloproof.errors import LedgerError, QueryError, SettingsError, UnavailableError
from sloproof.finding import Verdict
from sloproof.model import Window
from sloproof.slo.judging.agreement import disagreement
from sloproof.slo.judging.asking import Asker
from sloproof.slo.judging.budget import COVERED, Counted, as_events, burn_rate, consumed, moments, sli, within
from sloproof.slo.judging.confidence import events_needed, wilson
from sloproof.slo.judging.ledger_counting import Requests, count_in_ledger
from sloproof.slo.judging.loki_counting import LokiAsker, count_in_loki
from sloproof.slo.judging.promql_counting import count_in_prometheus
from sloproof.slo.judging.steps import FINEST, MOMENTS, RECENT, Plan, plan_of
from sloproof.slo.model import Budgeting, Calendar, NoData, Objective, Source
from sloproof.slo.verdicts import Count, Interval, Judgement

_ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class Sources:
    """Who can be asked; None for whom there is nobody."""

    prometheus: Asker | None = None
    loki: LokiAsker | None = None
    ledger: Requests | None = None


def judge(objective: Objective, sources: Sources, at: datetime, finest: timedelta = FINEST) -> Judgement:
    """Return the judgement of an objective at an instant.

    What cannot be asked is a verdict, too: `blocked` where a server does not answer or none was given, `error` where it
    refuses the question.

    Args:
        objective: Of any source.
        sources: Who can be asked.
        at: Aware. What is asked for it later gives the same, as long as the samples are kept.
        finest: Shortest moments of a short period; they have to hold a few scrapes.
    """
    try:
        plan = plan_of(objective, at, finest)
    except SettingsError as error:
        return _unjudged(objective, at, Verdict.ERROR, str(error))
    counter = counter_of(objective, sources)
    if counter is None:
        source = objective.source.value
        return _unjudged(objective, at, Verdict.BLOCKED, f"it is judged from {source}, and none was given", plan)
    try:
        counted = _held_against(objective, counter(plan), plan, sources)
    except UnavailableError as error:
        return _unjudged(objective, at, Verdict.BLOCKED, f"{objective.source} cannot be asked: {error.headline}", plan)
    except (QueryError, SettingsError, LedgerError) as error:
        why = "; ".join([error.headline, *(text for name, text in error.details.items() if name != "url")])
        return _unjudged(objective, at, Verdict.ERROR, why, plan)
    return judge_counts(objective, counted, plan)


def judge_counts(objective: Objective, counted: Counted, plan: Plan) -> Judgement:
    """Return the judgement of an objective from what was counted.

    Args:
        objective: Whose events these are.
        counted: All steps of the plan, in any order.
        plan: For the instant to judge at.
    """
    seen = tuple(sorted(counted.steps, key=lambda one: one.window.start))
    steps = as_events(objective, seen)
    count = within(steps, plan.period)
    ratio, spent = sli(count), consumed(objective, count, plan.whole)
    interval = wilson(count.valid - count.bad, count.valid) if 0 <= count.bad <= count.valid and count.valid else None
    enough = events_needed(objective.target)
    facts = _Facts(objective, counted, seen, count, ratio, spent, interval, enough, plan)
    verdict, reason = facts.verdict()
    return Judgement(
        objective=objective,
        at=plan.span.end if objective.budgeting is Budgeting.OCCURRENCES else plan.period.end,
        verdict=verdict,
        reason=reason,
        count=count,
        sli=ratio,
        consumed=spent,
        interval=interval,
        enough=enough,
        burn_rates=tuple(burn_rate(objective, row, steps) for row in objective.rows),
        moments=moments(objective, steps, plan, MOMENTS),
        queries=counted.queries,
        exact=counted.exact,
    )


def silence(seen: tuple[Count, ...]) -> timedelta:
    """Return how long before the end of all steps the last data is, at least."""
    length = _ZERO
    for one in reversed(seen):
        if one.covered:
            break
        length += one.window.duration
    return length


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that a verdict rests on."""

    objective: Objective
    counted: Counted
    seen: tuple[Count, ...]
    count: Count
    sli: Fraction | None
    consumed: Fraction | None
    interval: Interval | None
    enough: int
    plan: Plan

    def verdict(self) -> tuple[Verdict, str]:
        """Return the verdict and why it is this one."""
        if self.counted.contradiction:
            return Verdict.ERROR, self.counted.contradiction
        if self.counted.warnings:
            return Verdict.INCONCLUSIVE, f"the answer is only a part: {'; '.join(self.counted.warnings)}"
        if not any(one.covered or one.valid for one in self.seen):
            return Verdict.INCONCLUSIVE, "there is no data at all"
        if self.sli is None:
            return Verdict.INCONCLUSIVE, f"no event in {_length(self.plan)}"
        if self.interval is None:
            bad, valid = number(self.count.bad), number(self.count.valid)
            return Verdict.ERROR, f"{bad} of {valid} events are bad, which cannot be: a ratio is from 0 to 1"
        verdict, reason = self._missed() if self.sli < self.objective.target else self._met()
        return verdict, "; ".join(filter(None, [reason, self._applied(), self.counted.remark, self._exactness()]))

    def _missed(self) -> tuple[Verdict, str]:
        target, sli, interval = self.objective.target, self.sli, self.interval
        assert sli is not None
        assert interval is not None
        text = f"{percent(sli)} good of {number(self.count.valid)} is below {percent(target)}"
        is_sliced = self.objective.budgeting is not Budgeting.OCCURRENCES
        if isinstance(self.objective.period, Calendar) and is_sliced:
            # Its budget is that of all slices of the period: those to come may yet make up for it.
            spent = self.consumed or Fraction(0)
            if spent > 1:
                return Verdict.FAIL, f"{percent(spent)} of the whole period's budget is spent"
            return Verdict.INCONCLUSIVE, f"{text} so far, with {percent(spent)} of the whole period's budget spent"
        if self.count.valid >= self.enough or interval.high < target:
            return Verdict.FAIL, text
        return Verdict.INCONCLUSIVE, f"{text}, but chance alone may do that with so few: {self.enough} are needed"

    def _met(self) -> tuple[Verdict, str]:
        doubts = list(self._doubts())
        if doubts:
            return Verdict.INCONCLUSIVE, "; ".join(doubts)
        assert self.sli is not None
        spent = f", {percent(self.consumed)} of the budget spent" if self.consumed is not None else ""
        return Verdict.PASS, f"{percent(self.sli)} good of {number(self.count.valid)}{spent}"

    def _doubts(self) -> list[str]:
        """Return why a ratio that meets its target proves nothing yet."""
        doubts = []
        real = within(self.seen, self.plan.period)
        events = real.valid if self.objective.budgeting is Budgeting.OCCURRENCES else self.count.valid
        if events < self.enough:
            doubts.append(f"{number(events)} events are too few to prove {percent(self.objective.target)}: ")
            doubts[-1] += f"{self.enough} are needed"
        if self.count.coverage < COVERED:
            doubts.append(f"only {percent(self.count.coverage)} of {_length(self.plan)} is covered by data")
        longest = max(self.objective.missing_after or RECENT, RECENT)
        silent = silence(self.seen)
        if silent >= longest and self.objective.no_data is NoData.UNKNOWN:
            doubts.append(f"there is no data of the last {format_duration(silent)}")
        if self.counted.silent:
            doubts.append(f"a target does not answer: {'; '.join(self.counted.silent)}")
        return doubts

    def _applied(self) -> str:
        """Return in words how much missing data was taken for good or bad."""
        policy = self.objective.no_data
        if policy is NoData.UNKNOWN:
            return ""
        real = within(self.seen, self.plan.period)
        if self.objective.budgeting is not Budgeting.OCCURRENCES:
            filled = sum(
                1 for one in self.seen if one.window.start >= self.plan.period.start and not one.valid
            )  # fmt: skip
            return f"{filled} slices without an event count as {policy}" if filled else ""
        missing = real.window.duration - real.covered
        return f"{format_duration(missing)} without data count as {policy}" if missing > _ZERO else ""

    def _exactness(self) -> str:
        return "" if self.counted.exact else "counts are as the expression says, not differences of samples"


def percent(ratio: Fraction) -> str:
    """Return a ratio for people, in digits enough to tell it from its neighbours; only ever for text."""
    return f"{float(ratio * 100):.6g} %"


def number(count: Fraction) -> str:
    """Return a count for people."""
    return f"{count.numerator:,}" if count.denominator == 1 else f"{float(count):,.1f}"


def _length(plan: Plan) -> str:
    return f"the last {format_duration(plan.period.duration)}"


def _held_against(objective: Objective, counted: Counted, plan: Plan, sources: Sources) -> Counted:
    """Return what was counted, with how the ledger contradicts it where it can be asked."""
    if objective.truth is None or sources.ledger is None or objective.source is Source.LEDGER:
        return counted
    truth = count_in_ledger(objective, plan, sources.ledger)
    found = disagreement(counted.steps, truth.steps, teller=objective.source.value)
    return replace(counted, contradiction=counted.contradiction or found, queries=(*counted.queries, *truth.queries))


def counter_of(objective: Objective, sources: Sources) -> Callable[[Plan], Counted] | None:
    """Return what counts an objective's events at the steps of a plan; None where nobody was given who knows."""
    prometheus, loki, ledger = sources.prometheus, sources.loki, sources.ledger
    match objective.source:
        case Source.PROMETHEUS if prometheus is not None:
            return lambda plan: count_in_prometheus(objective, plan, prometheus)
        case Source.LOKI if loki is not None:
            return lambda plan: count_in_loki(objective, plan, loki)
        case Source.LEDGER if ledger is not None:
            return lambda plan: count_in_ledger(objective, plan, ledger)
    return None


def _unjudged(objective: Objective, at: datetime, verdict: Verdict, reason: str, plan: Plan | None = None) -> Judgement:
    count = Count(plan.period if plan else Window(at, at), Fraction(0), Fraction(0), _ZERO)
    return Judgement(objective, at, verdict, reason, count, None, None, None, events_needed(objective.target))
