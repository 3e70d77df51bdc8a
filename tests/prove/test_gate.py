"""A stretch that misses its objective, or that too little is known of, never passes."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from sloproof.finding import Finding, Verdict
from sloproof.model import Window
from sloproof.prove.gate import drill, finding_of
from sloproof.slo.model import Objective, Rolling, Source
from sloproof.slo.verdicts import AlertEvent, Count, Judgement
from tests.fakes import after, seconds
from tests.harnessed import World
from tests.slo.objectives import objective, ratio


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_judges_verdict_is_the_findings(verdict: Verdict) -> None:
    count = Count(Window(after(0), after(10)), Fraction(1), Fraction(1000), seconds(10))
    found = Judgement(objective(), after(10), verdict, "because", count, Fraction(999, 1000), None, None, 4000)

    finding = finding_of(found)

    assert finding.verdict is verdict
    assert finding.measured == "99.9 % of 1,000 events; because"
    assert finding.expected == "at least 99.9 % good, shown by 4000 events or more"


@pytest.mark.parametrize(
    ("source", "check"),
    [(Source.PROMETHEUS, "slo"), (Source.LOKI, "slo"), (Source.LEDGER, "slo_ledger")],
)
def test_what_only_the_ledger_says_is_told_from_what_the_service_says(source: Source, check: str) -> None:
    count = Count(Window(after(0), after(10)), Fraction(0), Fraction(0), seconds(10))
    own = objective(indicator=ratio("total", bad="bad", source=source))
    assert finding_of(Judgement(own, after(10), Verdict.PASS, "", count, None, None, None, 1)).check == check


def test_no_event_is_said() -> None:
    count = Count(Window(after(0), after(10)), Fraction(0), Fraction(0), seconds(10))
    found = Judgement(objective(), after(10), Verdict.INCONCLUSIVE, "nothing", count, None, None, None, 4000)

    assert finding_of(found).measured.startswith("no event")


def found(verdict: Verdict) -> Finding:
    return Finding(check="c", verdict=verdict, claim="the page comes", expected="in 3 s", measured="after 9 s")


@pytest.mark.parametrize(
    ("verdicts", "verdict", "told"),
    [
        ((Verdict.PASS, Verdict.PASS), Verdict.PASS, "each alert came and went within its bounds"),
        ((Verdict.PASS, Verdict.FAIL), Verdict.FAIL, "the page comes: after 9 s"),
        ((), Verdict.INCONCLUSIVE, ""),
    ],
)
def test_a_drill_is_judged_by_its_alerts_not_by_the_budget_it_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdicts: tuple[Verdict, ...], verdict: Verdict, told: str
) -> None:
    world = World(tmp_path)
    asked: list[Objective] = []

    def judge(over: Objective, _sources: object, at: datetime, finest: timedelta) -> Judgement:
        asked.append(over)
        count = Count(Window(after(0), at), Fraction(0), Fraction(0), finest)
        return Judgement(over, at, Verdict.BLOCKED, "nobody answers", count, None, None, None, 4000)

    monkeypatch.setattr("sloproof.prove.gate.judge", judge)
    event = AlertEvent("page-quick", "page", pending=after(3))

    made = drill(
        world.harness, objective(), Window(after(0), after(10.0001234)), [event], [found(one) for one in verdicts]
    )

    assert (made.verdict, made.drill, made.alerts) == (verdict, True, (event,))
    assert told in made.reason
    assert "its budget could not be counted: nobody answers" in made.reason
    assert [one.period for one in asked] == [Rolling(seconds(10))]
    world.harness.close()
