"""What the recorded coverage of a window says when evaluations are not as frequent as they were."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from sloproof.slo.rules.groups import rules_of
from sloproof.slo.rules.series import Names
from sloproof.slo.rules.values import Timing
from tests.slo.objectives import objective

pytestmark = pytest.mark.slow
HOUR = timedelta(hours=1)
NAIVE = "clamp_max(count_over_time({present}[1h]) / 60, 1)"


@pytest.fixture
def is_covered(tool_path: Callable[[str], Path], tmp_path: Path) -> Callable[[str, str, float], bool]:
    """Whether the expression is so much after an hour, of a recorded count with a sample each half minute."""

    def ask(expr: str, values: str, part: float) -> bool:
        series = f"slo:sli_valid:increase5m{Names.of(objective()).ids}"
        test = {
            "interval": "30s",
            "input_series": [{"series": series, "values": values}],
            "promql_expr_test": [
                {"expr": f"vector(1) and on () (abs(({expr}) - {part}) < 0.02)", "eval_time": "1h",
                 "exp_samples": [{"labels": "{}", "value": 1}]},
            ],
        }  # fmt: skip
        (tmp_path / "test.yml").write_text(yaml.safe_dump({"evaluation_interval": "30s", "tests": [test]}))
        words = [str(tool_path("promtool")), "test", "rules", str(tmp_path / "test.yml")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert "FAILED" in done.stdout + done.stderr or not done.returncode, done.stderr
        return not done.returncode

    return ask


def covered_hour(interval: timedelta) -> str:
    rules = rules_of(objective(), Timing(interval)).prometheus[0].rules
    return next(one.expr for one in rules if getattr(one, "record", "") == "slo:window_coverage:ratio1h")


def test_twice_as_many_evaluations_do_not_make_up_for_half_an_hour(
    is_covered: Callable[[str, str, float], bool],
) -> None:
    minute = timedelta(minutes=1)
    # Nothing for half an hour, then twice as often as the rules were made for.
    down = "_x60 100x59"
    present = f"slo:sli_valid:increase5m{Names.of(objective()).ids}"
    assert is_covered(NAIVE.format(present=present), down, 1)
    assert is_covered(covered_hour(minute), down, 0.5)


@pytest.mark.parametrize(("values", "part"), [("100x120", 1), ("_x30 100x89", 0.75), ("100x59 _x61", 0.5)])
def test_coverage_is_the_part_with_data(
    is_covered: Callable[[str, str, float], bool], values: str, part: float
) -> None:
    assert is_covered(covered_hour(timedelta(seconds=30)), values, part)


def test_half_as_many_evaluations_still_cover(is_covered: Callable[[str, str, float], bool]) -> None:
    # Rules that were made anew for an interval of half the length: the samples before are no gap.
    assert is_covered(covered_hour(timedelta(seconds=15)), "100x120", 1)
