"""A stretch that misses its objective, or that too little is known of, never passes."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sloproof.finding import Verdict
from sloproof.model import Window
from sloproof.prove.gate import finding_of
from sloproof.slo.verdicts import Count, Judgement
from tests.fakes import after, seconds
from tests.slo.objectives import objective


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_judges_verdict_is_the_findings(verdict: Verdict) -> None:
    count = Count(Window(after(0), after(10)), Fraction(1), Fraction(1000), seconds(10))
    found = Judgement(objective(), after(10), verdict, "because", count, Fraction(999, 1000), None, None, 4000)

    finding = finding_of(found)

    assert finding.verdict is verdict
    assert finding.measured == "99.9 % of 1,000 events; because"
    assert finding.expected == "at least 99.9 % good, shown by 4000 events or more"


def test_no_event_is_said() -> None:
    count = Count(Window(after(0), after(10)), Fraction(0), Fraction(0), seconds(10))
    found = Judgement(objective(), after(10), Verdict.INCONCLUSIVE, "nothing", count, None, None, None, 4000)

    assert finding_of(found).measured.startswith("no event")
