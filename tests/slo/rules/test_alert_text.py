from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from sloproof.slo.rules.alert_text import factor_text, percent, title_of
from sloproof.slo.rules.files import rule_text
from sloproof.slo.rules.groups import rules_of
from sloproof.slo.rules.template_text import fill, humanized_percentage
from sloproof.slo.rules.values import Alerting, Timing
from tests.slo.objectives import PLACE, objective
from tests.slo.pitfalls import BAD, GOOD, row


def test_percent_keeps_what_tells_objectives_apart() -> None:
    assert [percent(Fraction(one)) for one in ("0.999", "0.99995", "0.0144", "0.1")] == [
        "99.9 %", "99.995 %", "1.44 %", "10 %",
    ]  # fmt: skip
    assert factor_text(Fraction("14.4")) == "14.4"


def test_a_title_of_the_document_is_never_a_template() -> None:
    assert title_of(objective(title="{{ .X }}")) == '{{ "{{" }} .X }}'
    assert fill(title_of(objective(title="a {{b}}")), 0.5) == "a {{b}}"


@pytest.mark.parametrize(("ratio", "text"), [(0.167123, "16.71%"), (1.0, "100%"), (-75.92, "-7592%"), (1e-7, "1e-05%")])
def test_percentages_are_those_of_prometheus(ratio: float, text: str) -> None:
    assert humanized_percentage(ratio) == text


@pytest.mark.slow
def test_text_tells_what_was_spent_what_is_left_and_for_how_long(
    tmp_path: Path, tool_path: Callable[[str], Path]
) -> None:
    """After an hour all is bad for ten minutes: of 43.2 minutes' budget, 23 %; five of them are in the period's sum."""
    one = replace(objective(rows=(row(),)), title="Orders")
    groups = rules_of(one, Timing(timedelta(minutes=1))).prometheus
    (tmp_path / "rules.yml").write_text(rule_text(groups, [PLACE], Path()))
    alert = next(rule for group in groups for rule in group.rules if isinstance(rule, Alerting))
    told = {
        "title": "(page) Orders: the error budget burns over 14.4 times too fast",
        "summary": "16.71% of the events of the last 1h were bad, more than 1.44 %; so it was in the last 5m",
        "description": "Objective 99.9 % over 30d. In the last 1h 23.21% of the budget was spent; this alert fires "
        "from 2 %. Left of the budget: 88.43%. At this rate that lasts 3h 48m 33s.",
    }
    series = {GOOD: "0+100x60 6000x19", BAD: "0x60 100+100x19"}
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "group_eval_order": [group.name for group in groups],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {
                        "eval_time": "70m",
                        "alertname": alert.alert,
                        "exp_alerts": [{"exp_labels": dict(alert.labels), "exp_annotations": told}],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    command = [str(tool_path("promtool")), "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
