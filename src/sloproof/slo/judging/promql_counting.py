"""Counts an objective's events in a Prometheus: exactly where its query is a sum of counters, else as PromQL says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

from sloproof.model import Labels
from sloproof.slo.documents.metrics import ANY_WINDOW
from sloproof.slo.judging.asking import Asker, Trail
from sloproof.slo.judging.budget import Counted
from sloproof.slo.judging.coverage import coverage
from sloproof.slo.judging.exact_terms import Terms, Vector, terms_of, total_of
from sloproof.slo.judging.rises import Counter, Key, Looks, Number, continuations, doubled, exact, rises
from sloproof.slo.judging.sample_counting import count_samples, plain_selector
from sloproof.slo.judging.series_steps import (
    Selected,
    numbered,
    part_of,
    read_counters,
    read_samples,
    read_scrapes,
    read_starts,
)
from sloproof.slo.judging.steps import RECENT, Plan
from sloproof.slo.lint.query_parts import promql_selectors
from sloproof.slo.model import Metric, Objective, Ratio
from sloproof.slo.rules.expressions import bad_and_valid
from sloproof.slo.verdicts import Count

_ZERO = Fraction(0)
# Extrapolation makes counts of the same events differ a little.
_SLACK = Fraction(105, 100)
# A narrower range may hold a single scrape, and then no rate: a share of this one's is taken.
_WIDE = RECENT


def count_in_prometheus(objective: Objective, plan: Plan, asker: Asker) -> Counted:
    """Return an objective's events at each step.

    Raises:
        UnavailableError: The server does not answer.
        QueryError: It refuses a question.
        SettingsError: A query cannot be used.
    """
    trail = Trail(asker)
    indicator = objective.indicator
    if isinstance(indicator, Ratio):
        part = indicator.good or indicator.bad
        total_terms, part_terms = _terms(indicator.total), _terms(part) if part else None
        if total_terms and part_terms:
            return _Exact(plan, trail).ratio(indicator, total_terms, part_terms)
    elif (selector := plain_selector(indicator)) is not None:
        found = count_samples(indicator, selector, plan, trail)
        return _whole(plan, trail, found.bad, found.valid, found.selected)
    return _as_said(objective, plan, trail)


@dataclass(slots=True)
class _Exact:
    """Counts from counters themselves."""

    plan: Plan
    trail: Trail

    def ratio(self, indicator: Ratio, total: Terms, part: Terms) -> Counted:
        """Return good or bad events beside all of them."""
        selectors = tuple(dict.fromkeys((*total.selectors, *part.selectors)))
        read: dict[str, Selected] = {}
        for one in selectors:
            wider = next(filter(None, (part_of(one, other, read[other]) for other in read)), None)
            read[one] = wider or read_counters(self.trail, one, self.plan)
        seen = _merged([read[one] for one in total.selectors])
        scrapes = _scrapes(self.trail, [*read.values()], self.plan)
        looks = self._looks([*read.values()], scrapes)
        vectors = {one: _vector(read[one], looks) for one in selectors}
        twice = next(filter(None, (_doubled(read[one], vectors[one]) for one in selectors)), None)
        valid = total_of(total.value(vectors.__getitem__))
        other = part.value(vectors.__getitem__)
        counts = total_of(other)
        name = "good" if indicator.good else "bad"
        if indicator.good:
            bad = {step: valid.get(step, 0) - counts.get(step, 0) for step in valid.keys() | counts.keys()}
        else:
            bad = counts
        everything = _merged([*read.values()])
        unreadable = everything.unreadable()
        remarks = ["" if other or not valid else f"no series of {name} events is there"]
        remarks.append("a counter that is no number counts as missing data" if unreadable else "")
        contradiction = _twice(twice) or _contradiction(indicator, valid, counts, Fraction(1), self.plan)
        found = _whole(self.plan, self.trail, bad, valid, seen, scrapes=scrapes, unknown=unreadable)
        return replace(found, contradiction=contradiction, remark="; ".join(filter(None, remarks)))

    def _looks(self, read: Sequence[Selected], scrapes: Mapping[Key, Mapping[int, tuple[float, float]]]) -> Looks:
        """Return when targets were seen: scraped well, or by any of their series where scrapes are not told."""
        seen = _merged(read).samples
        for target, counts in scrapes.items():
            own = seen.setdefault(target, {})
            for step, (good, _) in counts.items():
                own[step] = max(own.get(step, 0.0), good)
        looks = Looks(seen)
        new = [
            counter
            for one in read
            for counter in one.counters.values()
            if min(counter.last, default=0) and not looks.knew(counter, min(counter.last))
        ]
        jobs = {counter.labels["job"] for counter in new if counter.labels.get("job")}
        if not jobs:
            return looks
        return Looks(seen, read_starts(self.trail, jobs, self.plan), self.plan.span.start.timestamp())


def _as_said(objective: Objective, plan: Plan, trail: Trail) -> Counted:
    """Return what the expressions say that rules are made of, step by step."""
    bad: dict[int, Number] = {}
    valid: dict[int, Number] = {}
    good: dict[int, Number] = {}
    for first, run in numbered(plan):
        window = max(run.step, _WIDE)
        share = Fraction(run.step / window)
        made = bad_and_valid(objective, window)
        asked = [(made.bad, bad), (made.valid, valid)]
        if isinstance(objective.indicator, Ratio) and objective.indicator.good:
            # What is bad is never below 0 there, so a surplus of good events only shows in themselves.
            own = Ratio(total=objective.indicator.good, bad=objective.indicator.good)
            asked.append((bad_and_valid(replace(objective, indicator=own), window).valid, good))
        for text, into in asked:
            for one in trail.at_steps(text, run):
                for sample in one.samples:
                    if math.isfinite(sample.value):
                        step = first - 1 + round((sample.time - run.start) / run.step)
                        into[step] = into.get(step, 0) + share * exact(sample.value)
    metrics = _metrics(objective)
    selector = promql_selectors(ANY_WINDOW.sub("5m", metrics[0].query))[0].text
    # Samples are events there: where the expression gives none, or what is no number, nobody knows how it was.
    steps = range(1, sum(run.count for run in plan.runs) + 1)
    unknown = () if isinstance(objective.indicator, Ratio) else [one for one in steps if not valid.get(one)]
    found = _whole(plan, trail, bad, valid, read_samples(trail, selector, plan), unknown=frozenset(unknown))
    contradiction = ""
    if isinstance(objective.indicator, Ratio):
        counts = good if objective.indicator.good else bad
        contradiction = _contradiction(objective.indicator, valid, counts, _SLACK, plan)
        if objective.indicator.bad:
            found = replace(found, steps=tuple(replace(one, bad=min(one.bad, one.valid)) for one in found.steps))
    return replace(found, exact=False, contradiction=contradiction)


def _whole(
    plan: Plan,
    trail: Trail,
    bad: Mapping[int, Number],
    valid: Mapping[int, Number],
    seen: Selected,
    *,
    scrapes: Mapping[Key, Mapping[int, tuple[float, float]]] | None = None,
    unknown: frozenset[int] = frozenset(),
) -> Counted:
    """Return counts with what they cover: nothing of the steps that are called unknown."""
    windows = plan.windows()
    if scrapes is None:
        scrapes = _scrapes(trail, [seen], plan)
    covered = coverage(windows, seen.views(), _together(scrapes))
    steps = tuple(
        Count(
            window,
            Fraction(bad.get(number, 0)),
            Fraction(valid.get(number, 0)),
            timedelta(0) if number in unknown else covered[number - 1],
        )
        for number, window in enumerate(windows, 1)
    )
    return Counted(
        steps,
        queries=tuple(trail.queries.values()),
        warnings=tuple(trail.warnings),
        silent=_silent(scrapes, plan),
    )


def _terms(metric: Metric) -> Terms | None:
    return terms_of(metric.query) if metric.counter else None


def _metrics(objective: Objective) -> list[Metric]:
    indicator = objective.indicator
    if isinstance(indicator, Ratio):
        return [indicator.total, *(one for one in (indicator.good, indicator.bad) if one)]
    return [getattr(indicator, "raw", None) or getattr(indicator, "metric")]  # noqa: B009 - one of the two


def _merged(read: Sequence[Selected]) -> Selected:
    found = Selected()
    for one in read:
        found.counters.update(one.counters)
        for target, counts in one.samples.items():
            own = found.samples.setdefault(target, {})
            for step, count in counts.items():
                own[step] = max(own.get(step, 0.0), count)
    return found


def _scrapes(trail: Trail, read: Sequence[Selected], plan: Plan) -> dict[Key, dict[int, tuple[float, float]]]:
    """Return how the targets were scraped that series come from; empty where the server does not know."""
    targets = {target for one in read for target in one.samples}
    jobs = {value for target in targets for name, value in target if name == "job"}
    return read_scrapes(trail, jobs, plan)


def _vector(read: Selected, looks: Looks) -> Vector:
    counters: list[Counter] = list(read.counters.values())
    known = continuations(counters)
    return {key: rises(counter, looks, known.get(place)) for place, (key, counter) in enumerate(read.counters.items())}


def _doubled(read: Selected, vector: Vector) -> tuple[Labels, Labels] | None:
    return doubled((counter.labels, sum(vector[key].values())) for key, counter in read.counters.items())


def _together(scrapes: Mapping[Key, Mapping[int, tuple[float, float]]]) -> dict[int, tuple[float, float]]:
    found: dict[int, tuple[float, float]] = {}
    for counts in scrapes.values():
        for step, (good, asked) in counts.items():
            known = found.get(step, (0.0, 0.0))
            found[step] = (known[0] + good, known[1] + asked)
    return found


def _silent(scrapes: Mapping[Key, Mapping[int, tuple[float, float]]], plan: Plan) -> tuple[str, ...]:
    """Return the targets that were asked in the last minutes and never answered."""
    windows = plan.windows()
    recent = [number for number, one in enumerate(windows, 1) if one.end > plan.span.end - max(RECENT, _last(plan))]
    found = []
    for target, counts in scrapes.items():
        good = sum(counts.get(step, (0.0, 0.0))[0] for step in recent)
        if not good and any(counts.get(step, (0.0, 0.0))[1] for step in recent):
            found.append(", ".join(f'{name}="{value}"' for name, value in target))
    return tuple(sorted(found))


def _last(plan: Plan) -> timedelta:
    return plan.runs[-1].step


def _twice(found: tuple[Labels, Labels] | None) -> str:
    if found is None:
        return ""
    one, other = (" ".join(f"{name}={value}" for name, value in sorted(labels.items())) for labels in found)
    return f"the same events are counted twice, by {one} and by {other}"


def _contradiction(
    indicator: Ratio, valid: Mapping[int, Number], counts: Mapping[int, Number], slack: Fraction, plan: Plan
) -> str:
    """Return in words how more events are good, or bad, than there are at all; empty where they are not."""
    windows = plan.windows()
    inside = [number for number, one in enumerate(windows, 1) if one.start >= plan.period.start]
    all_of, part = (sum((of.get(one, 0) for one in inside), _ZERO) for of in (valid, counts))
    name, metric = ("good", indicator.good) if indicator.good else ("bad", indicator.bad)
    if metric is None or (part <= slack * all_of + (slack != 1) and all_of >= 0 and part >= 0):
        return ""
    return (
        f"{float(part):g} events are {name} by {metric.query!r}, but only {float(all_of):g} are there at all by "
        f"{indicator.total.query!r}"
    )
