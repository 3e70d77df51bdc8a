"""Runs naive rules beside ours in the real engine, over the same series, and asks both."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import yaml

from sloproof.duration import format_duration
from sloproof.slo.model import AlertRow, Objective, Severity
from sloproof.slo.rules.files import rule_text
from sloproof.slo.rules.groups import rules_of
from sloproof.slo.rules.values import Timing
from tests.slo.objectives import PLACE

NAIVE = Path(__file__).parent / "lies" / "naive.yaml"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GOOD, BAD = 'http_requests_total{job="shop", code="200"}', 'http_requests_total{job="shop", code="500"}'
OURS, LIE = 'ALERTS{alertname="ErrorBudgetBurn", alertstate="firing"}', 'ALERTS{alertname="Naive", alertstate="firing"}'


def row(long: timedelta = HOUR, short: timedelta = 5 * MINUTE, factor: str = "14.4") -> AlertRow:
    return AlertRow("page", Severity.PAGE, long, short, Fraction(factor))


@dataclass(frozen=True, slots=True)
class Claim:
    """What is asked at an instant: whether the expression has any series."""

    at: timedelta
    expr: str
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Engine:
    """The real rule engine, on made-up series."""

    promtool: Path
    folder: Path

    def judge(
        self,
        pitfall: str,
        ours: Objective,
        series: Mapping[str, str],
        claims: Sequence[Claim],
        *,
        interval: timedelta = MINUTE,
    ) -> None:
        """Assert every claim over naive and own rules, evaluated and scraped once an interval."""
        naive = yaml.safe_load(NAIVE.read_text())[pitfall]
        parts = {"naive": naive["rules"], **({"naive-later": naive["later"]} if "later" in naive else {})}
        groups = [{"name": name, "rules": rules} for name, rules in parts.items()]
        (self.folder / "naive.yml").write_text(yaml.safe_dump({"groups": groups}))
        own = rules_of(ours, Timing(interval)).prometheus
        (self.folder / "ours.yml").write_text(rule_text(own, [PLACE], Path()))
        self._check("naive.yml", "ours.yml")
        test = {
            "rule_files": ["naive.yml", "ours.yml"],
            "evaluation_interval": format_duration(interval),
            "group_eval_order": [*parts, *(group.name for group in own)],
            "tests": [
                {
                    "interval": format_duration(interval),
                    "input_series": [{"series": name, "values": values} for name, values in series.items()],
                    "promql_expr_test": [
                        {
                            "expr": f"count({one.expr}) > bool 0",
                            "eval_time": format_duration(one.at),
                            "exp_samples": [{"labels": "{}", "value": 1}] if one.holds else [],
                        }
                        for one in claims
                    ],
                }
            ],
        }
        (self.folder / "test.yml").write_text(yaml.safe_dump(test))
        self._run("test", "rules", "test.yml")

    def _check(self, *files: str) -> None:
        self._run("check", "rules", "--lint=none", *files)

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            [self.promtool, *words], cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def engine(tool_path: Callable[[str], Path], tmp_path: Path) -> Engine:
    return Engine(tool_path("promtool"), tmp_path)


def near(expr: str, value: float, tolerance: float) -> str:
    """Return an expression that has a series where another is near a value."""
    return f"abs({expr} - {value}) < {tolerance}"
