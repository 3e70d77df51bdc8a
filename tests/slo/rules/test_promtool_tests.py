from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from sloproof.duration import parse_duration
from sloproof.errors import ToolError
from sloproof.slo.model import AlertRow, Objective, Rolling, Severity, Source
from sloproof.slo.rows import default_rows, detection_time
from sloproof.slo.rules.files import rule_text, write
from sloproof.slo.rules.groups import rules_of
from sloproof.slo.rules.promtool_tests import TEST_SUFFIX, RuleTestResult, rule_test_texts, run_rule_tests
from sloproof.slo.rules.row_story import story_of
from sloproof.slo.rules.values import Timing
from tests.slo.objectives import SCRAPE, objective, ratio, raw, sliced, threshold

HOUR = timedelta(hours=1)
COVERAGE = re.compile(
    r" *expr: 'clamp_max\(count_over_time\((?:last_over_time\()?(?P<series>slo:sli_valid:\w+\{[^}]*\})(?:\[\w+\]\))?"
    r"\[(?P<window>\w+):(?P<step>\w+)\]\) / (?P<steps>\d+), 1\)'"
)
LOG = ratio(
    'sum(count_over_time({a="b"}[{{.window}}]))', bad='sum(count_over_time({a="b"} |= "x" [{{.window}}]))',
    source=Source.LOKI,
)  # fmt: skip


def prove(one: Objective, tmp_path: Path, promtool: Path, **lie: str) -> dict[str, RuleTestResult]:
    """Run the rule tests of an objective, with texts of its rules replaced where a lie is told."""
    made = rule_test_texts([one], Timing(), Path())
    for path, text in made.items():
        if lie and path.name.endswith(".rules.yml"):
            assert lie["old"] in text
            made[path] = text.replace(lie["old"], lie["new"])
    write(made, tmp_path, owned=())
    files = sorted(tmp_path / path for path in made if path.name.endswith(TEST_SUFFIX))
    return {result.row: result for result in run_rule_tests(promtool, files)}


def test_rule_tests_are_a_pair_of_files_for_each_row() -> None:
    made = rule_test_texts([objective()], Timing(), Path())
    rows = ("page-quick", "page-slow", "ticket-quick", "ticket-slow")
    assert {path.as_posix() for path in made} == {
        f"shop-availability/{row}.{kind}.yml" for row in rows for kind in ("rules", "test")
    }
    assert all(yaml.safe_load(text) for text in made.values())


def test_rule_tests_of_the_ledger_are_none() -> None:
    assert not rule_test_texts([objective(indicator=ratio("r", bad="r", source=Source.LEDGER))], Timing(), Path())


def _coverage(line: str, long: timedelta) -> tuple[str, str]:
    """Return what a coverage is of, and the window: its steps depend on the interval, and must fill the window."""
    found = COVERAGE.fullmatch(line)
    assert found, line
    step = parse_duration(found["step"])
    assert int(found["steps"]) * step <= long < (int(found["steps"]) + 1) * step
    return found["series"], found["window"]


def test_rules_under_test_are_the_shipped_ones_but_for_the_interval() -> None:
    one = objective()
    for row in one.rows:
        made = rule_test_texts([one], Timing(), Path())[Path(one.id) / f"{row.name}.rules.yml"]
        alone = replace(one, rows=(row,))
        interval = story_of(one, row).interval
        shipped, tested = (rules_of(alone, Timing(each)).prometheus[0] for each in (SCRAPE, interval))
        assert made.split("groups:")[1] == rule_text([tested], [one.place], Path()).split("groups:")[1]
        texts = [rule_text([group], [one.place], Path()) for group in (shipped, tested)]
        different = [pair for pair in zip(*(text.splitlines() for text in texts), strict=True) if pair[0] != pair[1]]
        assert all("interval:" in old or _coverage(old, row.long) == _coverage(new, row.long) for old, new in different)
        assert len(different) <= 2
        whole = {rule.expr for group in rules_of(one, Timing()).prometheus for rule in group.rules}
        (alert,) = (rule for rule in shipped.rules if "window_coverage" in rule.expr and ">" in rule.expr)
        assert alert.expr in whole


def test_story_takes_its_instants_from_the_formulas() -> None:
    one = objective()
    for row in one.rows:
        story = story_of(one, row)
        detection = detection_time(row, one.budget, story.error)
        assert detection is not None
        assert timedelta(0) <= detection - (story.earliest - story.fault_start) <= 3 * story.interval
        assert 2 * story.interval <= story.latest - story.fault_start - detection <= 4 * story.interval
        assert story.earliest < story.latest < story.fault_end < story.cleared
        assert detection / story.interval >= 15, "so coarse that no bound says anything"


@pytest.mark.slow
@pytest.mark.parametrize(
    "one",
    [
        objective(),
        objective(period=Rolling(timedelta(hours=1)), target=Fraction("0.95")),
        objective(period=Rolling(timedelta(days=90)), target=Fraction("0.9999"), min_events=500),
        objective(indicator=ratio("requests_total", good='responses_total{code=~"[23].."}')),
        objective(indicator=ratio('l_count{job="x"}', good='l_bucket{job="x", le="1"}')),
        objective(indicator=ratio('sum(l_bucket{le="+Inf"})', good='sum by (le) (l_bucket{le="0.5"})')),
        objective(indicator=ratio("sum(a_total) + sum(b_total)", bad="sum(a_total)")),
        objective(indicator=ratio("sum(rate(a[{{.window}}]))", bad='sum(rate(a{code!~"2..", x=""}[{{.window}}]))')),
        objective(indicator=LOG),
        objective(indicator=threshold("x", "<", "1")),
        objective(indicator=raw("x")),
        objective(indicator=raw("avg_over_time(x[{{.window}}])", failure=False)),
        objective(title='a {{ b }} "c"', labels=(("team", 'it\'s "a"'),), missing_after=None),
    ],
    ids=["counters", "1h", "90d", "good", "bucket", "one-metric", "sums", "rates", "logs", "threshold", "raw", "raw-window", "text"],
)  # fmt: skip
def test_every_row_fires_is_silent_and_clears(one: Objective, tmp_path: Path, tool_path: Callable[[str], Path]) -> None:
    results = prove(one, tmp_path, tool_path("promtool"))
    assert set(results) == {row.name for row in one.rows}
    assert not [result.output for result in results.values() if not result.holds]


@pytest.mark.slow
@pytest.mark.parametrize("slice_target", [Fraction("0.95"), None], ids=["Timeslices", "RatioTimeslices"])
def test_rows_over_slices_fire_are_silent_and_clear(
    slice_target: Fraction | None, tmp_path: Path, tool_path: Callable[[str], Path]
) -> None:
    rows = default_rows(Rolling(timedelta(days=30)), Fraction(1, 100), SCRAPE)
    one = sliced(slice_target=slice_target, rows=rows[:2], slice_length=timedelta(minutes=3))
    results = prove(one, tmp_path, tool_path("promtool"))
    assert not [result.output for result in results.values() if not result.holds]


@pytest.mark.slow
def test_a_row_with_a_hold_is_bound_by_it(tmp_path: Path, tool_path: Callable[[str], Path]) -> None:
    row = AlertRow("held", Severity.PAGE, 2 * HOUR, HOUR / 6, Fraction(10), timedelta(minutes=7), targets=("pager",))
    results = prove(objective(rows=(row,)), tmp_path, tool_path("promtool"))
    assert results["held"].holds, results["held"].output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("and on (sloth_id, sloth_service, sloth_slo) (slo:sli_error", "and (slo:sli_error", 'expr: "ALERTS{'),
        ("> 0.0144)", "> 0.0129)", "count_over_time(ALERTS"),
        ("> 0.0144)", "> 0.018)", 'expr: "ALERTS{'),
        ("> 0.0144)", "> 1)", 'expr: "ALERTS{'),
        ("severity: page", "severity: ticket", "severity"),
        ("of the budget was spent", "of it was spent", "description"),
        ("ratio_rate5m{", "ratio_rate1h{", 'expr: "ALERTS{'),
        ("absent(", "absent_over_time(", "parse error"),
    ],
    ids=["and", "low", "late", "never", "label", "text", "no-reset", "syntax"],
)  # fmt: skip
def test_a_rule_that_lies_is_told(
    old: str, new: str, seen: str, tmp_path: Path, tool_path: Callable[[str], Path]
) -> None:
    (quick, *_) = objective().rows
    one = objective(rows=(quick,))
    (result,) = prove(one, tmp_path, tool_path("promtool"), old=old, new=new).values()
    assert not result.holds
    assert seen in result.output


def test_run_says_when_promtool_cannot_be_run(tmp_path: Path) -> None:
    made = tmp_path / "a" / f"b{TEST_SUFFIX}"
    made.parent.mkdir()
    made.write_text("tests: []\n")
    with pytest.raises(ToolError, match="does not start"):
        run_rule_tests(tmp_path / "promtool", [made])
