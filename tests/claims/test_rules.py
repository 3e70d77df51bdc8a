from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from sloproof.claims import rules
from sloproof.finding import Verdict
from sloproof.model import Rule, RuleGroup
from tests.claims.observed import TIMES
from tests.fakes import FakePrometheus, after, clients, seconds, series
from tests.harnessed import World

MISSED = "prometheus_rule_group_iterations_missed_total"


def group(at: float | None, health: Literal["ok", "err"] = "ok", query: str = "sum(requests_total)") -> RuleGroup:
    last = None if at is None else after(at)
    return RuleGroup("g", "f", seconds(0.25), last, seconds(0.01), (
        Rule("r", "recording", query, health, None if health == "ok" else "boom", last, {}),
    ))  # fmt: skip


class Ruled:
    def __init__(self, folder: Path) -> None:
        self.prometheus = FakePrometheus()
        self.prometheus.names = ("requests_total", "go_threads")
        self.prometheus.groups = lambda: (group(3),)
        self.miss(0)
        self.prometheus.stored['up{job="prometheus"}'] = (
            series(dict.fromkeys(TIMES, 1.0), __name__="up", job="prometheus", instance="p"),
        )
        self.world = World(folder, known=clients(self.prometheus))

    def miss(self, last: float) -> None:
        values = {at: last if at > 2 else 0.0 for at in TIMES}
        self.prometheus.stored[MISSED] = (
            series(values, __name__=MISSED, job="prometheus", instance="p", rule_group="/rules/users.yml;g"),
        )

    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(one.verdict for one in rules.health(self.world.harness, after(1)))


@pytest.fixture
def ruled(tmp_path: Path) -> Iterator[Ruled]:
    made = Ruled(tmp_path)
    yield made
    made.world.harness.close()


def test_rules_that_were_evaluated_are_healthy_and_name_what_exists_pass(ruled: Ruled) -> None:
    assert ruled.verdicts() == (Verdict.PASS,) * 3


@pytest.mark.parametrize("at", [0.5, 1.0, None])
def test_group_that_was_not_evaluated_since_is_a_fail(ruled: Ruled, at: float | None) -> None:
    ruled.prometheus.groups = lambda: (group(3), replace(group(at), name="other"))
    assert ruled.verdicts()[0] is Verdict.FAIL


def test_missed_evaluation_is_read_from_the_groups_own_counter(ruled: Ruled) -> None:
    ruled.miss(1)
    assert ruled.verdicts()[0] is Verdict.FAIL


def test_missed_evaluations_that_nobody_counted_leave_it_open(ruled: Ruled) -> None:
    del ruled.prometheus.stored[MISSED]
    assert ruled.verdicts()[0] is Verdict.INCONCLUSIVE


def test_rule_with_an_error_is_a_fail(ruled: Ruled) -> None:
    ruled.prometheus.groups = lambda: (group(3, "err"),)
    assert ruled.verdicts()[1] is Verdict.FAIL


def test_rule_on_a_series_that_does_not_exist_is_a_fail(ruled: Ruled) -> None:
    ruled.prometheus.groups = lambda: (group(3, query="sum(request_total)"),)
    assert ruled.verdicts()[2] is Verdict.FAIL


def test_no_rule_at_all_is_no_pass(ruled: Ruled) -> None:
    ruled.prometheus.groups = tuple
    assert ruled.verdicts() == (Verdict.INCONCLUSIVE,) * 3
