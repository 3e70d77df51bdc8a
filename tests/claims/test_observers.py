from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sloproof.claims import observers
from sloproof.finding import Verdict
from sloproof.model import RuleGroup, Sample, Series
from sloproof.observation import Observation
from tests.claims.observed import TIMES, observation
from tests.fakes import Clock, FakePrometheus, after, clients, seconds, series, target
from tests.harnessed import World

GROUP = RuleGroup("g", "f", seconds(0.2), None, seconds(0), ())
LOSSES = [(job, name, matchers) for job, name, matchers in (*observers._LOSSES, *observers._RULE_LOSSES)]
WITNESSES = [(job, witness, "") for job, _, _, witness in observers._LATE_LOSSES]


class Observed:
    def __init__(self, folder: Path) -> None:
        self.seen: Observation = observation(folder)
        self.prometheus = FakePrometheus()
        self.prometheus.groups = lambda: (GROUP,)
        self.prometheus.scraped = (target(interval=0.25),)
        for job, name, matchers in (*LOSSES, *WITNESSES):
            self.hold(job, name, matchers, 0, 0)
        self.prometheus.stored["up"] = tuple(
            series(dict.fromkeys(TIMES, 1.0), __name__="up", job=job, instance=job)
            for job in ("prometheus", "promtail", "loki")
        )
        self.world = World(folder / "harness", known=clients(self.prometheus))

    def hold(self, job: str, name: str, matchers: str, first: float, last: float) -> None:
        values = {at: last if at > 1 else first for at in TIMES}
        self.prometheus.stored[f'{name}{{job="{job}"{matchers}}}'] = (
            series(values, __name__=name, job=job, instance=job),
        )

    def verdicts(self) -> list[Verdict]:
        return [one.verdict for one in observers.nothing_lost(self.world.harness, self.seen)]


@pytest.fixture
def observed(tmp_path: Path) -> Iterator[Observed]:
    made = Observed(tmp_path)
    yield made
    made.world.harness.close()


def test_nothing_lost_waits_for_a_scrape_of_the_observers_after_the_evidence(observed: Observed) -> None:
    assert observed.verdicts() == [Verdict.PASS, Verdict.PASS]
    assert observed.world.barrier.awaited == [observed.seen.after.at]


@pytest.mark.parametrize("which", LOSSES, ids=lambda one: one[1])
def test_any_counter_of_losses_that_rose_is_a_fail(observed: Observed, which: tuple[str, str, str]) -> None:
    observed.hold(*which, 4, 5)
    assert observed.verdicts()[0] is Verdict.FAIL


def test_loss_that_is_told_in_the_awaited_scrape_only_is_seen(observed: Observed) -> None:
    """An observer that is scraped seldom tells of the load's last second after the evidence of the load itself."""
    at = observed.seen.after.at
    late = next(one for one in TIMES if after(one) > at) if after(TIMES[-1]) > at else TIMES[-1] + 0.25
    for job, name, matchers in (*LOSSES, *WITNESSES):
        values = {one: 0.0 for one in TIMES if after(one) <= at} | {late: float(name == LOSSES[0][1])}
        observed.prometheus.stored[f'{name}{{job="{job}"{matchers}}}'] = (
            series(values, __name__=name, job=job, instance=job),
        )
    assert observed.verdicts()[0] is Verdict.PASS
    observed.world.barrier.observers_lag = after(late) - at
    assert observed.verdicts()[0] is Verdict.FAIL


@pytest.mark.parametrize("which", LOSSES, ids=lambda one: one[1])
def test_counter_of_losses_that_is_not_there_leaves_it_open(observed: Observed, which: tuple[str, str, str]) -> None:
    job, name, matchers = which
    del observed.prometheus.stored[f'{name}{{job="{job}"{matchers}}}']
    assert observed.verdicts()[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("late", observers._LATE_LOSSES, ids=lambda one: one[1])
def test_counter_born_at_its_first_loss_needs_a_witness(observed: Observed, late: tuple[str, str, str, str]) -> None:
    job, name, matchers, witness = late
    del observed.prometheus.stored[f'{witness}{{job="{job}"}}']
    assert observed.verdicts()[0] is Verdict.INCONCLUSIVE
    values = {at: 1.0 for at in TIMES if at > 1}
    observed.prometheus.stored[f'{name}{{job="{job}"{matchers}}}'] = (series(values, job=job, instance=job),)
    assert observed.verdicts()[0] is Verdict.FAIL


def test_counters_of_rules_are_not_asked_for_where_there_are_none(observed: Observed) -> None:
    for job, name, matchers in observers._RULE_LOSSES:
        del observed.prometheus.stored[f'{name}{{job="{job}"{matchers}}}']
    observed.prometheus.groups = tuple
    assert observed.verdicts()[0] is Verdict.PASS


def test_missed_scrape_is_seen(observed: Observed) -> None:
    holed = {at: 1.0 for at in TIMES if at not in {1.0, 1.25}}
    observed.prometheus.stored["up"] += (series(holed, __name__="up", job="api", instance="a"),)
    assert observed.verdicts()[1] is Verdict.FAIL


def test_target_that_is_scraped_seldom_is_not_missed_between(observed: Observed) -> None:
    rare = {at: 1.0 for at in TIMES if at == int(at)}
    observed.prometheus.stored["up"] += (series(rare, __name__="up", job="loki", instance="b"),)
    assert observed.verdicts()[1] is Verdict.FAIL
    observed.prometheus.scraped += (target("b", "loki", interval=1),)
    assert observed.verdicts()[1] is Verdict.PASS


class Slow(Clock):
    def look(self) -> None:
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("ahead", "is_slow", "bound", "verdict"),
    [
        (0.0, False, 5.0, Verdict.PASS),
        (10.0, False, 5.0, Verdict.FAIL),
        (-10.0, False, 5.0, Verdict.FAIL),
        (0.0, True, 0.01, Verdict.INCONCLUSIVE),
    ],
)
def test_clocks_agree_only_as_far_as_the_answer_was_quick(
    observed: Observed,
    *,
    ahead: float,
    is_slow: bool,
    bound: float,
    verdict: Verdict,
) -> None:
    """A slow answer leaves open when within it the clock was read."""
    moment = datetime.now(UTC)
    observed.prometheus.clock = Slow() if is_slow else None
    observed.prometheus.stored["time()"] = (Series({}, (Sample(moment, moment.timestamp() + ahead),)),)
    assert observers.clocks_agree(observed.world.harness, seconds(bound)).verdict is verdict
