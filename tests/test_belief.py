"""What a load that cannot be believed does to verdicts: neither true nor false, where they rest on its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sloproof.errors import ExpectationError
from sloproof.finding import Finding, Verdict
from sloproof.load.doubt import Doubt, DoubtKind
from tests.fakes import T0, after, seconds
from tests.harnessed import World, load_result

LATE = Doubt(DoubtKind.TIME, "the load source stood still for 0.60 s")
STEP = Doubt(DoubtKind.CLOCK, "the wall clock was stepped by +3.000 s during the load")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.harness.belief.since(T0)
    yield world
    world.harness._own._writer.close()


def judged(world: World, verdict: Verdict, *doubts: Doubt, check: str = "load") -> Finding:
    world.harness._end(replace(load_result("l", world.folder), doubts=doubts))
    seen: list[Finding] = []
    world.harness._on_finding = seen.append
    try:
        world.harness.judge(Finding(check, verdict, "c", "e", "m"))
    except ExpectationError:
        assert seen[0].verdict is not Verdict.PASS
    return seen[0]


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
@pytest.mark.parametrize("check", ["load", "quantile_bracket", "slo_ledger"])
def test_rates_and_latencies_of_a_starved_source_are_inconclusive(world: World, verdict: Verdict, check: str) -> None:
    found = judged(world, verdict, LATE, check=check)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert ("not to be believed", LATE.text) in found.evidence


@pytest.mark.parametrize(("verdict", "wanted"), [(Verdict.PASS, Verdict.PASS), (Verdict.FAIL, Verdict.INCONCLUSIVE)])
def test_what_the_service_counted_under_a_starved_source_is_met_but_not_missed(
    world: World, verdict: Verdict, wanted: Verdict
) -> None:
    """A good ratio is one of the requests that were sent; a bad one may be the machine's, which starved both."""
    assert judged(world, verdict, LATE, check="slo").verdict is wanted


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_counts_of_a_starved_source_stand(world: World, verdict: Verdict) -> None:
    assert judged(world, verdict, LATE, check="three_way_count").verdict is verdict


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_nothing_stands_when_the_clock_was_stepped(world: World, verdict: Verdict) -> None:
    assert judged(world, verdict, STEP, check="three_way_count").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("check", "verdict", "wanted"),
    [
        ("load", Verdict.PASS, Verdict.INCONCLUSIVE),
        ("load", Verdict.FAIL, Verdict.INCONCLUSIVE),
        ("slo", Verdict.PASS, Verdict.INCONCLUSIVE),
        ("slo", Verdict.FAIL, Verdict.FAIL),
        ("slo_ledger", Verdict.PASS, Verdict.INCONCLUSIVE),
        ("three_way_count", Verdict.PASS, Verdict.PASS),
    ],
)
def test_shortfall_hides_what_would_have_been_worse(
    world: World, check: str, verdict: Verdict, wanted: Verdict
) -> None:
    """A service that hangs leaves no connection free: its outage is a fail all the same."""
    short = Doubt(DoubtKind.SHORTFALL, "30 of 200 arrivals could not be sent: every connection was busy")
    assert judged(world, verdict, short, check=check).verdict is wanted


@pytest.mark.parametrize("verdict", [Verdict.BLOCKED, Verdict.ERROR, Verdict.INCONCLUSIVE])
def test_what_was_no_answer_stays_what_it_was(world: World, verdict: Verdict) -> None:
    assert judged(world, verdict, LATE).verdict is verdict


def test_doubts_end_with_their_scenario_and_come_back_with_its_observation(world: World) -> None:
    world.harness._end(replace(load_result("l", world.folder), doubts=(LATE,)))
    world.harness.belief.since(after(1) + seconds(1))
    world.harness.judge(Finding("load", Verdict.PASS, "c", "e", "m"))
    world.harness.belief.since(T0)
    with pytest.raises(ExpectationError, match="stood still"):
        world.harness.judge(Finding("load", Verdict.PASS, "c", "e", "m"))
