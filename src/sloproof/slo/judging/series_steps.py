"""Reads series step by step from a Prometheus: two numbers a step each, raw samples only at resets."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sloproof.model import Series, Window
from sloproof.slo.judging.asking import Trail
from sloproof.slo.judging.rises import Counter, Key, key_of, target_of
from sloproof.slo.judging.steps import RECENT, Plan, Run
from sloproof.slo.lint.query_parts import promql_selectors
from sloproof.slo.rules.series import window_text

MARK = "sloproof_part"
_PLAIN_REGEX = re.compile(r"[\w.|()/:+*\[\] -]*")
_EVERY_REGEX_SIGN = r"\.+*?()|[]{}^$"


@dataclass(slots=True)
class Selected:
    """A selector's series over a plan's steps; steps are numbered from 1, and 0 stands for what was before.

    Attributes:
        counters: By their labels.
        samples: How many samples each target's fullest series has, by step.
    """

    counters: dict[Key, Counter] = field(default_factory=dict)
    samples: dict[Key, dict[int, float]] = field(default_factory=dict)

    def views(self) -> tuple[dict[int, float], dict[int, float]]:
        """Return how many samples the fullest series of all has, by step, and the fullest of each target together."""
        most: dict[int, float] = {}
        together: dict[int, float] = {}
        for counts in self.samples.values():
            for step, count in counts.items():
                most[step] = max(most.get(step, 0.0), count)
                together[step] = together.get(step, 0.0) + count
        return most, together

    def unreadable(self) -> frozenset[int]:
        """Return the steps at whose end a counter is no finite number: nobody knows what was counted in them."""
        return frozenset(
            step
            for counter in self.counters.values()
            for step, value in counter.last.items()
            if not math.isfinite(value)
        )


def read_counters(trail: Trail, selector: str, plan: Plan) -> Selected:
    """Return a counter's series, with all samples of the steps in which one began anew.

    Raises:
        UnavailableError: The server does not answer.
        QueryError: It refuses the question.
    """
    found = Selected()
    for first, run in numbered(plan):
        begin = first == 1 and run.step >= RECENT
        for step, part, one in marked(trail.at_steps(_counter_query(selector, run.step), run, begin=begin), run, first):
            _take(found, part, one, step)
    if plan.runs[0].step < RECENT:
        for one in trail.at(f"last_over_time({selector}[{window_text(RECENT)}])", plan.span.start):
            _take(found, "last", one, {one.samples[0].time: 0})
    _read_resets(trail, selector, plan, found)
    return found


def part_of(selector: str, wider: str, read: Selected) -> Selected | None:
    """Return what a selector selects from the series of a wider one that were read; None where it may select others.

    It is narrower for certain if it is of the same metric, with all conditions of the other and some more.
    """
    (own, other) = (promql_selectors(one)[0] for one in (selector, wider))
    if own.name != other.name or not own.name or not set(other.matchers) <= set(own.matchers):
        return None
    more = [one for one in own.matchers if one not in other.matchers]
    # Regular expressions are not the same language here and there; of plain ones they are.
    if any(one.operator in {"=~", "!~"} and not _PLAIN_REGEX.fullmatch(one.value) for one in more):
        return None
    kept = {key: counter for key, counter in read.counters.items() if all(one.matches(counter.labels) for one in more)}
    return Selected(kept, read.samples)


def read_samples(trail: Trail, selector: str, plan: Plan) -> Selected:
    """Return how many samples the series of a selector have, by target. Raises as `read_counters`."""
    found = Selected()
    for first, run in numbered(plan):
        query = f"max by (job, instance) (count_over_time({selector}[{window_text(run.step)}]))"
        for one in trail.at_steps(query, run):
            _take(found, "seen", one, _steps_of(one, run, first))
    return found


def read_scrapes(trail: Trail, jobs: Iterable[str], plan: Plan) -> dict[Key, dict[int, tuple[float, float]]]:
    """Return how many scrapes of each target went well, and how many there were, by step; empty where none is known."""
    names = set(jobs)
    if not names:
        return {}
    up = f"up{_of_jobs(names)}"
    found: dict[Key, dict[int, tuple[float, float]]] = {}
    for first, run in numbered(plan):
        text = window_text(run.step)
        query = " or ".join(
            f'label_replace(sum by (job, instance) ({function}({up}[{text}])), "{MARK}", "{part}", "", "")'
            for part, function in (("good", "sum_over_time"), ("all", "count_over_time"))
        )
        for step, part, one in marked(trail.at_steps(query, run), run, first):
            own = found.setdefault(target_of(one.labels), {})
            for sample in one.samples:
                good, asked = own.get(step[sample.time], (0.0, 0.0))
                own[step[sample.time]] = (sample.value, asked) if part == "good" else (good, sample.value)
    return found


def read_starts(trail: Trail, jobs: Iterable[str], plan: Plan) -> dict[Key, dict[int, float]]:
    """Return when the process began that each target is, in Unix seconds, by the step it is first seen in."""
    found: dict[Key, dict[int, float]] = {}
    for first, run in numbered(plan):
        text = window_text(run.step)
        selector = f"process_start_time_seconds{_of_jobs(jobs)}"
        ranged = f"min_over_time({selector}[{text}])"
        query = f"{ranged} unless count_over_time({selector}[{text}] offset {text})"
        for one in trail.at_steps(query, run):
            steps = _steps_of(one, run, first)
            own = found.setdefault(target_of(one.labels), {})
            own.update({steps[sample.time]: sample.value for sample in one.samples})
    return found


def _of_jobs(jobs: Iterable[str]) -> str:
    escaped = ("".join(f"\\{one}" if one in _EVERY_REGEX_SIGN else one for one in name) for name in sorted(set(jobs)))
    return f"{{job=~{json.dumps('|'.join(escaped), ensure_ascii=False)}}}"


def marked(series: Iterable[Series], run: Run, first: int) -> Iterator[tuple[dict[datetime, int], str, Series]]:
    """Yield series with the steps of their samples, their mark, and without it.

    Args:
        series: Of a run.
        run: Whose steps they are of.
        first: Number of its first step.
    """
    for one in series:
        labels = {name: value for name, value in one.labels.items() if name != MARK}
        yield _steps_of(one, run, first), one.labels.get(MARK, ""), Series(labels, one.samples)


def numbered(plan: Plan) -> Iterator[tuple[int, Run]]:
    """Yield the runs of a plan, each with the number of its first step, which count from 1."""
    first = 1
    for run in plan.runs:
        yield first, run
        first += run.count


def _steps_of(one: Series, run: Run, first: int) -> dict[datetime, int]:
    return {
        sample.time: first - 1 + round((sample.time - run.start) / run.step) for sample in one.samples
    }  # fmt: skip


def _counter_query(selector: str, step: timedelta) -> str:
    text = window_text(step)
    last, low = f"last_over_time({selector}[{text}])", f"min_over_time({selector}[{text}])"
    count = f"count_over_time({selector}[{text}])"
    parts = {
        "last": last,
        "low": f"{low} < {last}",
        "resets": f"resets({selector}[{text}]) > 0",
        # Only where it had none before: how many samples it has then tells whether its target was seen without it.
        "born": f"{count} unless count_over_time({selector}[{text}] offset {text})",
        "seen": f"max by (job, instance) ({count})",
    }
    return " or ".join(f'label_replace({query}, "{MARK}", "{part}", "", "")' for part, query in parts.items())


def _take(found: Selected, part: str, one: Series, steps: dict[datetime, int]) -> None:
    if part == "seen":
        counts = found.samples.setdefault(target_of(one.labels), {})
        counts.update({steps[sample.time]: sample.value for sample in one.samples})
        return
    key = key_of(one.labels)
    counter = found.counters.get(key)
    if counter is None:
        counter = found.counters[key] = Counter(one.labels)
    if part == "resets":
        counter.resets.update(steps[sample.time] for sample in one.samples)
        return
    into = {"last": counter.last, "low": counter.low, "born": counter.samples}[part]
    into.update({steps[sample.time]: sample.value for sample in one.samples})


def _read_resets(trail: Trail, selector: str, plan: Plan, found: Selected) -> None:
    """Ask for all samples of the steps that hold a reset; one question for steps that follow each other."""
    wanted = sorted({step for one in found.counters.values() for step in one.resets if step})
    windows = plan.windows()
    for group in neighbours(wanted):
        window = Window(windows[group[0] - 1].start, windows[group[-1] - 1].end)
        for one in trail.samples(selector, window):
            counter = found.counters.get(key_of(one.labels))
            if counter is None:
                continue
            for step in group:
                if step in counter.resets:
                    own = windows[step - 1]
                    counter.raw[step] = [sample.value for sample in one.samples if own.start < sample.time <= own.end]


def neighbours(steps: Sequence[int]) -> Iterator[list[int]]:
    """Yield steps in groups that follow each other."""
    group: list[int] = []
    for step in steps:
        if group and step != group[-1] + 1:
            yield group
            group = []
        group.append(step)
    if group:
        yield group
