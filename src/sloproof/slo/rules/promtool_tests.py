"""Tier 1 of the proof: promtool tests in which every row fires and is silent when it should, and clears in time.

Each row has a rule file and a test file of its own. The rules in it are those of the row alone, made by the same
function and for the same document, but evaluated ten times a short window instead of every 30 s: a window of days then
has hundreds of samples instead of thousands, and all that is claimed is claimed in evaluations. What the interval
changes in the rules is the group's `interval` and the number of samples that a fully covered window has, nothing else.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

from sloproof.duration import format_duration
from sloproof.errors import ToolError
from sloproof.slo.model import AlertRow, Objective, Source
from sloproof.slo.rules.feed import STAND_IN_BAD, Feed, feed_of
from sloproof.slo.rules.files import HEADER, rule_text, scalar
from sloproof.slo.rules.groups import BURN_ALERT, MISSING_ALERT, rules_of
from sloproof.slo.rules.row_story import RowStory, Stage, story_of
from sloproof.slo.rules.template_text import fill
from sloproof.slo.rules.values import Alerting, Group, Recording, Timing

RULES_SUFFIX, TEST_SUFFIX = ".rules.yml", ".test.yml"


# When an alert is looked at, the rule that it comes from, and its annotations filled in.
TextCheck = tuple[timedelta, Alerting, Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked at one instant of a test, and the series that have to be the answer.

    Attributes:
        at: Since the test's begin.
        claim: What it shows, as a comment.
        samples: Each with the value 1.
    """

    at: timedelta
    claim: str
    expr: str
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleTestResult:
    """What promtool says of one row.

    Attributes:
        objective: Id of its objective.
        output: What promtool printed: for a row that does not hold, what was expected and what was got, and when.
        stands_in: Whether counters stood in for queries that are more than a sum over one selector.
    """

    file: Path
    objective: str
    row: str
    holds: bool
    output: str
    seconds: float
    stands_in: bool


def rule_test_texts(objectives: Iterable[Objective], timing: Timing, root: Path) -> dict[Path, str]:
    """Return the files of the rule tests by their path: a pair of rules and test for each row of each objective.

    Args:
        objectives: Those of the ledger have no rules, so no tests.
        timing: What the rules are made for.
        root: What documents are named from.
    """
    made: dict[Path, str] = {}
    for objective in objectives:
        if objective.source is not Source.LEDGER:
            for row in objective.rows:
                made.update(_row_files(objective, row, timing, root))
    return made


def _row_files(objective: Objective, row: AlertRow, timing: Timing, root: Path) -> dict[Path, str]:
    story = story_of(objective, row)
    feed = feed_of(replace(objective, rows=(row,)), Timing(story.interval, timing.log_delay))
    (windows, *_) = rules_of(feed.objective, feed.timing).prometheus
    group = Group(windows.name, windows.interval, tuple(one for one in windows.rules if not _is_fed(one, feed)))
    folder, stem = Path(objective.id), row.name
    rules = folder / f"{stem}{RULES_SUFFIX}"
    places = [objective.place, *([row.place] if row.place else [])]
    return {
        rules: rule_text([group], places, root),
        folder / f"{stem}{TEST_SUFFIX}": _test_text(rules.name, group, story, feed),
    }


def _is_fed(rule: Recording | Alerting, feed: Feed) -> bool:
    """Return whether a rule records what the test puts in itself."""
    return isinstance(rule, Recording) and any(series.startswith(f"{rule.record}{{") for series in feed.series)


def _test_text(rules: str, group: Group, story: RowStory, feed: Feed) -> str:
    interval = format_duration(story.interval)
    lines = [HEADER, f"rule_files: [{scalar(rules)}]", f"evaluation_interval: {interval}", "tests:"]
    lines += _test(
        f"{story.objective.id} {story.row.name}", interval, feed.values(story.stages),
        _life(story, group), _text_checks(story, group, feed),
    )  # fmt: skip
    idle = [Stage(8 * story.base_steps, Fraction(0)), Stage(4 * story.long_steps, Fraction(0), "idle")]
    lines += _test(
        f"{story.objective.id} {story.row.name}: idle", interval, feed.values(idle), _idleness(story, idle), ()
    )
    if story.objective.missing_after is not None:
        gone = [Stage(8 * story.base_steps, Fraction(0)), Stage(story.missing_steps + 8, Fraction(0), "gone")]
        lines += _test(f"{story.objective.id}: data missing", interval, feed.values(gone), _absence(story, group), ())
    return "\n".join(lines) + "\n"


def _life(story: RowStory, group: Group) -> list[Question]:
    """Return what is asked of the row's alert in the test in which it burns."""
    whose = f'alertname="{BURN_ALERT}", sloth_id="{story.objective.id}", row="{story.row.name}"'
    mine, firing = f"ALERTS{{{whose}}}", f'ALERTS{{{whose}, alertstate="firing"}}'
    alert = _alert(group, BURN_ALERT)

    def ever(selector: str, at: timedelta) -> str:
        return f"count_over_time({selector}[{format_duration(at + story.interval)}])"

    fires = _series("ALERTS", (*alert.labels, ("alertname", BURN_ALERT), ("alertstate", "firing")))
    return [
        Question(story.calm_end, "silent while healthy for the whole long window", ever(mine, story.calm_end)),
        Question(
            story.near_end, "silent at 0.95 of its threshold for the whole long window", ever(mine, story.near_end)
        ),
        Question(story.fault_start, "silent while that flows out of its windows", ever(mine, story.fault_start)),
        Question(story.earliest, "not before the budget that it tells of is spent", ever(firing, story.earliest)),
        Question(story.latest, f"fires within its bound: {story.bound_text}", firing, (fires,)),
        Question(story.fault_end, "fires as long as the fault lasts", firing, (fires,)),
        Question(story.cleared, f"clears within its bound: {story.reset_text}", mine),
    ]


def _text_checks(
    story: RowStory, group: Group, feed: Feed
) -> Sequence[tuple[timedelta, Alerting, Sequence[tuple[str, str]]]]:
    alert = _alert(group, BURN_ALERT)
    value = story.ratio_at(story.latest, counted=feed.counts_increases)
    return [(story.latest, alert, [(name, fill(text, value)) for name, text in alert.annotations])]


def _idleness(story: RowStory, stages: Sequence[Stage]) -> list[Question]:
    end = sum(stage.steps for stage in stages) * story.interval
    everything = f'ALERTS{{sloth_id="{story.objective.id}"}}'
    return [Question(end, "silent while idle", f"count_over_time({everything}[{format_duration(end)}])")]


def _absence(story: RowStory, group: Group) -> list[Question]:
    gone = 8 * story.base_steps * story.interval
    missing = _alert(group, MISSING_ALERT)
    firing = f'ALERTS{{alertname="{MISSING_ALERT}", alertstate="firing", sloth_id="{story.objective.id}"}}'
    told = tuple(
        _series("ALERTS", (*rule.labels, ("alertname", MISSING_ALERT), ("alertstate", "firing")))
        for rule in group.rules
        if isinstance(rule, Alerting) and rule.alert == MISSING_ALERT
    )
    early, late = gone + missing.hold, gone + story.missing_steps * story.interval
    return [
        Question(
            early,
            "silent before data is missing for long enough",
            f"count_over_time({firing}[{format_duration(early)}])",
        ),
        Question(late, "told within its bound once data is missing", firing, told),
    ]


def _alert(group: Group, name: str) -> Alerting:
    return next(rule for rule in group.rules if isinstance(rule, Alerting) and rule.alert == name)


def _series(metric: str, labels: Iterable[tuple[str, str]]) -> str:
    pairs = ", ".join(f'{name}="{_escaped(text)}"' for name, text in labels)
    return f"{metric}{{{pairs}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _test(
    name: str,
    interval: str,
    inputs: Iterable[tuple[str, str]],
    questions: Iterable[Question],
    texts: Sequence[TextCheck],
) -> list[str]:
    lines = [f"- name: {scalar(name)}", f"  interval: {interval}", "  input_series:"]
    for series, values in inputs:
        lines += [f"  - series: {scalar(series)}", f"    values: {scalar(values)}"]
    lines.append("  promql_expr_test:")
    for one in questions:
        lines += [f"  # {one.claim}", f"  - expr: {scalar(one.expr)}", f"    eval_time: {format_duration(one.at)}"]
        lines.append("    exp_samples:" if one.samples else "    exp_samples: []")
        for sample in one.samples:
            lines += [f"    - labels: {scalar(sample)}", "      value: 1"]
    if texts:
        lines.append("  alert_rule_test:")
    for at, alert, filled in texts:
        lines += [f"  - eval_time: {format_duration(at)}", f"    alertname: {scalar(alert.alert)}", "    exp_alerts:"]
        lines.append("    - exp_labels:")
        lines += [f"        {scalar(key)}: {scalar(text)}" for key, text in alert.labels]
        lines.append("      exp_annotations:")
        lines += [f"        {scalar(key)}: {scalar(text)}" for key, text in filled]
    return lines


def run_rule_tests(promtool: Path, files: Sequence[Path], *, seconds: float = 300.0) -> tuple[RuleTestResult, ...]:
    """Run test files with promtool, as many at once as there are cores, and return a result each, in their order.

    Args:
        promtool: The program.
        files: Test files, each beside its rules.
        seconds: Limit for each of them.

    Raises:
        ToolError: promtool cannot be started.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return tuple(pool.map(lambda file: _run(promtool, file, seconds), files))


def _run(promtool: Path, file: Path, seconds: float) -> RuleTestResult:
    start = time.monotonic()
    try:
        done = subprocess.run(
            [promtool, "test", "rules", file], capture_output=True, text=True, timeout=seconds, check=False
        )
        holds, output = done.returncode == 0 and "SUCCESS" in done.stdout, (done.stdout + done.stderr).strip()
    except subprocess.TimeoutExpired:
        holds, output = False, f"promtool did not end within {seconds:g} s"
    except OSError as error:
        raise ToolError(f"expected to run promtool, but it does not start: {error}", where=promtool) from error
    stands_in = STAND_IN_BAD in file.read_text(encoding="utf-8")
    row = file.name.removesuffix(TEST_SUFFIX)
    return RuleTestResult(file, file.parent.name, row, holds, output, time.monotonic() - start, stands_in)
