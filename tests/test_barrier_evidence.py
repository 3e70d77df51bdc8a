from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import msgspec
import pytest

from sloproof import barrier as subject
from sloproof.barrier import LOGS, METRICS, RULES, Barrier, Sentinel, is_sentinel, sentinel_id
from sloproof.errors import ComponentExitedError, DeadlineError, UnavailableError
from sloproof.model import LogEntry, RuleGroup, Series, ns_from_instant
from sloproof.polling import wait_until
from tests.fakes import INSTANCE, SETTINGS, T0, Clock, FakeLoki, FakePrometheus, FakeService, after, seconds, target, up

UP = 'up{job="api"}'
OTHER = "127.0.0.1:9000"
LINE_NS = ns_from_instant(after(0.001)) + 7


class World:
    """A service, its Prometheus and its Loki, in a time that only looking at Prometheus moves."""

    def __init__(self, *scrapes: Series, grace: float = 0.03) -> None:
        self.clock = Clock()
        self.prometheus = FakePrometheus({UP: scrapes})
        self.prometheus.clock = self.clock
        self.loki = FakeLoki([LogEntry(LINE_NS, "the sentinel's line")])
        self.service = FakeService()
        self.down: dict[str, str] = {}
        self.sentinels = 0
        self.death: Exception | None = None
        self.settings = SETTINGS
        self.grace = seconds(grace)

    def send(self) -> Sentinel:
        self.sentinels += 1
        if self.service.silence is not None:
            raise self.service.silence
        return Sentinel(sentinel_id("run", self.sentinels), self.clock.now(), self.clock.now())

    def check_alive(self) -> None:
        if self.death is not None:
            raise self.death

    def barrier(self) -> Barrier:
        return Barrier(
            settings=self.settings,
            prometheus=self.prometheus,
            loki=self.loki,
            service=self.service,
            send_sentinel=self.send,
            check_alive=self.check_alive,
            down=lambda: self.down,
            grace=self.grace,
            now=self.clock.now,
        )


class Patience:
    """A stopwatch that only waiting moves: how busy the machine is does not count."""

    def __init__(self) -> None:
        self.passed = 0.0

    def read(self) -> float:
        return self.passed

    def wait(self, seconds: float) -> None:
        self.passed += seconds


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience()
    monkeypatch.setattr(subject, "wait_until", partial(wait_until, clock=patience.read, sleep=patience.wait))
    monkeypatch.setattr(subject, "_SECOND_LOOK", seconds(0.03))
    monkeypatch.setattr(subject, "_REST", seconds(0.03))
    monkeypatch.setattr(subject, "_POLL", seconds(0.002))
    monkeypatch.setattr(subject, "_LONGEST_SLEEP", seconds(0.002))


def group(*evaluated: float | None, interval: float = 0.05) -> tuple[RuleGroup, ...]:
    return tuple(
        RuleGroup(f"g{number}", "f.yml", seconds(interval), None if at is None else after(at), seconds(0.001), ())
        for number, at in enumerate(evaluated)
    )


@pytest.mark.parametrize(
    ("last", "interval", "due"),
    [(-0.01, 0.2, 0.192), (0.0, 0.2, 0.202), (-100.0, 15.0, 5.002), (-0.2, 0.2, 0.202), (0.001, 0.2, 0.203)],
)
def test_a_scrape_is_looked_for_when_it_is_due(
    monkeypatch: pytest.MonkeyPatch, last: float, interval: float, due: float
) -> None:
    """Looking costs the server and the harness; until a target's rhythm lets it be scraped there is nothing to see."""
    world = World(up({due - 0.002: 1}))
    world.clock.tick = seconds(0.001)
    scraped = target(interval=interval)
    world.prometheus.scraped = (replace(scraped, last_scrape=after(last), last_scrape_duration=seconds(0.002)),)
    monkeypatch.setattr(subject, "_LONGEST_SLEEP", seconds(0.5))
    monkeypatch.setattr(
        subject, "wait_until",
        partial(wait_until, clock=world.clock.passed, sleep=world.clock.sleep),
    )  # fmt: skip

    anchor = world.barrier().anchor()

    assert anchor.at == after(due - 0.002)
    assert anchor.waited <= seconds(due + 0.02)
    assert world.prometheus.asked.count(UP) <= 5 + due / 0.5


def test_an_evaluation_is_looked_for_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(up({0.05: 1}), grace=1.0)
    world.clock.tick = seconds(0.001)
    world.prometheus.groups = lambda: group(0.01 if world.clock.time < after(5.012) else 5.01, interval=5.0)
    monkeypatch.setattr(subject, "_LONGEST_SLEEP", seconds(0.5))
    monkeypatch.setattr(subject, "wait_until", partial(wait_until, clock=world.clock.passed, sleep=world.clock.sleep))

    anchor = world.barrier().anchor(rules=True)

    assert anchor.at == after(5.01)
    assert world.prometheus.asked.count("rules") <= 15


def test_anchor_is_the_first_good_scrape_after_the_load() -> None:
    anchor = World(up({-0.05: 1, 0.05: 1, 0.06: 1})).barrier().anchor()
    assert (anchor.covers, anchor.at, anchor.dead) == (T0, after(0.05), {})


@pytest.mark.parametrize("old", [-0.05, 0.0, 0.002, 0.003])
def test_anchor_does_not_accept_evidence_older_than_the_load(old: float) -> None:
    """Prometheus may move a scrape's timestamp by 2 ms, so one that close may have begun before."""
    anchor = World(up({old: 1})).barrier().anchor()
    assert list(anchor.dead) == [METRICS]
    assert anchor.at == anchor.covers


def test_anchor_does_not_accept_a_failed_scrape() -> None:
    assert World(up({0.02: 0, 0.04: 0, 0.07: 1})).barrier().anchor().at == after(0.07)
    dead = World(up({0.02: 0, 0.04: 0})).barrier().anchor().dead
    assert "up=0" in dead[METRICS]


def test_anchor_waits_for_a_target_that_has_no_sample_yet() -> None:
    world = World(up({0.02: 1, 0.04: 1}), up({0.08: 1}, OTHER))
    world.prometheus.scraped = (target(), target(OTHER))
    assert world.barrier().anchor().at == after(0.08)

    world = World(up({0.02: 1, 0.04: 1}))
    world.prometheus.scraped = (target(), target(OTHER, error="connection refused"))
    dead = world.barrier().anchor().dead
    assert "each of 2 targets" in dead[METRICS]
    assert "connection refused" in dead[METRICS]


def test_anchor_does_not_wait_for_the_targets_of_other_jobs() -> None:
    world = World(up({0.02: 1}))
    world.prometheus.scraped = (target(), target("127.0.0.1:9090", "prometheus", interval=60))
    anchor = world.barrier().anchor()
    assert anchor.at == after(0.02)
    assert anchor.bounds[METRICS].startswith("1 x scrape interval 40ms + scrape timeout 10ms + grace 30ms = 80ms")


def test_anchor_is_at_the_newest_of_the_evidence() -> None:
    """Of each target its first: a look that sees several scrapes at once gives the same instant."""
    for tick in (0.01, 0.1):
        world = World(up({0.05: 1, 0.09: 1}), up({0.07: 1}, OTHER))
        world.clock.tick = seconds(tick)
        world.prometheus.scraped = (target(), target(OTHER))
        assert world.barrier().anchor().at == after(0.07)


def test_anchor_waits_for_every_rule_group_to_evaluate_on_the_new_samples() -> None:
    world = World(up({0.05: 1}))
    looks = iter([group(0.04, 0.06), group(0.09, 0.06), group(0.09, 0.05), group(0.09, None), group(0.09, 0.12)])
    world.prometheus.groups = lambda: next(looks)
    anchor = world.barrier().anchor(rules=True)
    # The first look is for the intervals; at the second both groups are past the scrape.
    assert anchor.at == after(0.09)
    assert anchor.bounds[RULES] == "2 x evaluation interval 50ms + grace 30ms = 130ms"


@pytest.mark.parametrize("stuck", [0.04, 0.05, None])
def test_rules_without_an_evaluation_after_the_scrape_are_dead(stuck: float | None) -> None:
    world = World(up({0.05: 1}))
    world.prometheus.groups = lambda: group(0.09, stuck)
    anchor = world.barrier().anchor(rules=True)
    assert list(anchor.dead) == [RULES]
    assert anchor.at == after(0.05)


def test_no_rule_group_is_nothing_to_wait_for() -> None:
    anchor = World(up({0.05: 1})).barrier().anchor(rules=True)
    assert (anchor.at, anchor.dead) == (after(0.05), {})


def test_rules_are_waited_for_although_the_service_gives_no_metrics() -> None:
    """They are what pages when it does not."""
    world = World()
    world.down = {"service": "stopped"}
    looks = iter([group(-0.01), group(-0.01), group(0.09)])
    world.prometheus.groups = lambda: next(looks)
    anchor = world.barrier().anchor(rules=True)
    assert (anchor.at, set(anchor.dead)) == (after(0.09), {METRICS, LOGS})


def test_rules_of_a_silent_prometheus_are_dead() -> None:
    world = World()
    world.prometheus.silence = UnavailableError("refused", kind="refused")
    assert set(world.barrier().anchor(rules=True).dead) == {METRICS, RULES}


def test_dead_pipeline_is_noted_and_not_waited_for_again() -> None:
    world = World(up({0.05: 1}), grace=0.2)
    world.settings = msgspec.structs.replace(SETTINGS, logs=msgspec.structs.replace(SETTINGS.logs, ship_seconds=0.2))
    world.loki.is_mute = True
    barrier = world.barrier()
    assert list(barrier.anchor().dead) == [LOGS]
    first = len(world.loki.asked)
    again = barrier.anchor()
    assert LOGS in again.dead
    assert 1 <= len(world.loki.asked) - first <= first / 2


def test_dead_pipeline_that_has_come_back_is_alive() -> None:
    world = World(up({0.05: 1}), up({0.5: 1}))
    world.loki.is_mute = True
    barrier = world.barrier()
    assert barrier.anchor().log_at_ns is None
    world.loki.is_mute = False
    anchor = barrier.anchor()
    assert LOGS not in anchor.dead
    assert anchor.log_at_ns == LINE_NS


def test_frozen_component_is_found_by_its_silence_once() -> None:
    world = World(up({0.05: 1}))
    world.loki.is_mute, world.down = True, {"loki": "paused"}
    barrier = world.barrier()
    reason = barrier.anchor().dead[LOGS]
    looks = len(world.loki.asked)
    assert "did not come" in reason
    assert looks > 1
    assert barrier.anchor().dead[LOGS] == reason
    assert len(world.loki.asked) == looks


def test_frozen_service_is_sent_one_sentinel_and_no_more() -> None:
    """Each would cost the whole time of a request that nobody answers."""
    world = World()
    world.down = {"service": "paused"}
    world.service.silence = UnavailableError("no answer", kind="timeout")
    barrier = world.barrier()
    first, second = barrier.anchor(), barrier.anchor()
    assert world.sentinels == 1
    assert set(first.dead) == set(second.dead) == {METRICS, LOGS}


@pytest.mark.parametrize(
    ("name", "dead"),
    [("service", {METRICS, LOGS}), ("loki", {LOGS}), ("promtail", {LOGS}), ("prometheus", {METRICS, RULES})],
)
def test_stopped_component_is_dead_at_once(name: str, dead: set[str]) -> None:
    world = World(up({0.05: 1}))
    world.prometheus.groups = lambda: group(0.09)
    world.down = {name: "stopped"}
    anchor = world.barrier().anchor(rules=True)
    assert set(anchor.dead) >= dead
    assert anchor.dead[min(dead)] == f"{name} was stopped"
    if LOGS in dead:
        assert (world.loki.asked, anchor.log_at_ns, anchor.log_lag) == ([], None, None)
    if METRICS in dead:
        assert not {"targets", UP} & set(world.prometheus.asked)


@pytest.mark.parametrize(("name", "pipeline"), [("prometheus", METRICS), ("loki", LOGS)])
def test_frozen_server_is_waited_for_only_a_moment(name: str, pipeline: str) -> None:
    """What is known to stand still needs no allowance for a busy machine, not even within one request."""
    world = World(up({0.05: 1}), grace=60)
    world.settings = msgspec.structs.replace(SETTINGS, logs=msgspec.structs.replace(SETTINGS.logs, ship_seconds=60))
    world.down = {name: "paused"}
    world.loki.is_mute = name == "loki"
    if name == "prometheus":
        world.prometheus.silence = UnavailableError("no answer", kind="timeout")
    anchor = world.barrier().anchor()
    assert pipeline in anchor.dead
    assert "no answer" in anchor.dead[pipeline] or name == "loki"
    asked = world.prometheus.patience if name == "prometheus" else world.loki.patience
    assert asked == [seconds(0.03)]
    assert anchor.waited < seconds(5)


def test_forgotten_death_is_waited_for_in_full() -> None:
    world = World(up({0.05: 1}))
    world.loki.is_mute, world.down = True, {"loki": "paused"}
    barrier = world.barrier()
    barrier.anchor()
    looks = len(world.loki.asked)
    barrier.forget()
    barrier.anchor()
    assert len(world.loki.asked) > looks + 1


def test_component_that_exits_ends_the_wait() -> None:
    world = World()
    world.death = ComponentExitedError("loki", 2, ("panic",))
    with pytest.raises(ComponentExitedError, match="loki"):
        world.barrier().anchor()


def test_unanswered_sentinel_leaves_logs_dead_and_metrics_judged() -> None:
    world = World(up({0.05: 1}))
    world.service.silence = UnavailableError("the connection was refused", kind="refused")
    anchor = world.barrier().anchor()
    assert "the connection was refused" in anchor.dead[LOGS]
    assert (anchor.at, anchor.log_at_ns, world.loki.asked) == (after(0.05), None, [])


def test_sentinel_line_gives_its_own_time_to_the_nanosecond() -> None:
    world = World(up({0.05: 1}))
    anchor = world.barrier().anchor()
    assert anchor.log_at_ns == LINE_NS
    assert world.loki.asked == ['{app="api"} |= "run-sentinel-1"']


@pytest.mark.parametrize("value", [3.0, -1.0])
def test_gauge_that_never_rests_does_not_hang(value: float) -> None:
    world = World(up({0.05: 1}))
    world.service.gauge = lambda: value
    anchor = world.barrier().anchor()
    assert (anchor.at, anchor.dead) == (after(0.05), {})
    assert not anchor.is_settled


def test_gauge_is_waited_for_before_the_sentinel_and_after_it() -> None:
    world = World(up({0.05: 1}))
    seen: list[tuple[int, float]] = []
    values = iter([2.0, 1.0, 0.0, 1.0, 0.0])

    def gauge() -> float:
        value = next(values)
        seen.append((world.sentinels, value))
        return value

    world.service.gauge = gauge
    world.barrier().anchor()
    assert seen == [(0, 2.0), (0, 1.0), (0, 0.0), (1, 1.0), (1, 0.0)]


def test_gauge_is_not_waited_for_under_load() -> None:
    world = World(up({0.05: 1}))

    def gauge() -> float:
        raise AssertionError

    world.service.gauge = gauge
    assert world.barrier().anchor(at_rest=False).dead == {}


def test_without_a_gauge_one_more_scrape_stands_in_for_rest() -> None:
    world = World(up({0.04: 1, 0.1: 1, 0.15: 1}))
    world.settings = msgspec.structs.replace(
        SETTINGS, metrics=msgspec.structs.replace(SETTINGS.metrics, in_flight=None)
    )
    anchor = world.barrier().anchor()
    assert anchor.at == after(0.1)
    assert anchor.bounds[METRICS].startswith("2 x scrape interval 40ms")


def test_no_target_of_the_job_is_dead_metrics() -> None:
    world = World(up({0.05: 1}))
    world.prometheus.scraped = (target(job="prometheus"),)
    dead = world.barrier().anchor().dead
    assert list(dead) == [METRICS]
    assert "it has no such target" in dead[METRICS]


def test_prometheus_that_does_not_answer_is_dead_metrics() -> None:
    world = World(up({0.05: 1}))
    world.prometheus.silence = UnavailableError("refused", kind="refused")
    assert set(world.barrier().anchor().dead) == {METRICS}


def test_all_targets_are_those_of_the_observers_too() -> None:
    world = World()
    world.prometheus.scraped = (target(), target("127.0.0.1:9090", "prometheus"))
    world.prometheus.stored["up"] = (up({0.02: 1}),)
    world.clock.time = after(0.05)
    with pytest.raises(DeadlineError, match="each of 2 targets"):
        world.barrier().await_all_targets(T0)
    world.prometheus.stored["up"] += (up({0.03: 1}, "127.0.0.1:9090"),)
    assert world.barrier().await_all_targets(T0) == after(0.03)


def test_waited_is_the_time_since_the_anchor_was_asked_for() -> None:
    world = World(up({0.05: 1}))
    begin: datetime = world.clock.now()
    anchor = world.barrier().anchor()
    assert anchor.waited == world.clock.now() - begin > timedelta(0)


def test_sentinel_is_told_from_other_requests() -> None:
    assert is_sentinel(sentinel_id("20260301-run", 4))
    assert not is_sentinel("20260301-run-single-4")
    assert INSTANCE not in sentinel_id("run", 1)
