from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sloproof.barrier import Anchor
from sloproof.errors import UnavailableError
from sloproof.finding import Verdict
from sloproof.load.ledger import LedgerWriter
from sloproof.model import Series, Window
from sloproof.plugin.run_record import run_record
from sloproof.plugin.session import RunSession
from sloproof.report.record import RunRecord, ScenarioRecord
from sloproof.slo.verdicts import AlertEvent, Count, Judgement
from tests.fakes import SETTINGS, T0, FakeEnvironment, after, entry, seconds, series
from tests.harnessed import World, load_result
from tests.slo.objectives import objective

COUNTED = 'sum(requests_total{job="api"}) - sum(requests_total{job="api"} offset 1s)'
FAILED = 'sum(requests_total{job="api", status=~"5.."}) - sum(requests_total{job="api", status=~"5.."} offset 1s)'
BUCKETS = 'sum by (le) (latency_seconds_bucket{job="api"}) - sum by (le) (latency_seconds_bucket{job="api"} offset 1s)'


@pytest.fixture
def session(tmp_path: Path) -> RunSession:
    made = RunSession(
        settings=SETTINGS, root=tmp_path, run_id="run", folder=tmp_path / "report", make_environment=FakeEnvironment,
        keep=False,
    )  # fmt: skip
    made.started = after(0.3)
    return made


def scenario(verdict: str) -> ScenarioRecord:
    return ScenarioRecord(
        node_id="n", feature="F", feature_file="f.feature", line=1, name="s", tags=(), verdict=verdict, reason="",
        started="", duration_seconds=0.1, steps=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "problems", "verdict"),
    [
        ([], [], "inconclusive"), (["skipped"], [], "inconclusive"), (["pass"], [], "pass"),
        (["pass", "skipped"], [], "pass"), (["pass", "blocked"], [], "blocked"), (["pass"], ["it broke"], "error"),
        (["fail"], ["it broke"], "fail"), (["pass", "inconclusive"], [], "inconclusive"),
    ],
)  # fmt: skip
def test_verdict_on_the_run_is_the_worst_and_never_a_pass_on_nothing(
    session: RunSession, verdicts: Sequence[str], problems: Sequence[str], verdict: str
) -> None:
    record = run_record(session, [scenario(one) for one in verdicts], problems)
    assert (record.verdict, record.problems) == (verdict, tuple(problems))


def test_run_that_never_came_up_has_no_traffic_and_no_environment(session: RunSession) -> None:
    record = run_record(session, [], ["no tool"])
    assert (record.traffic, record.environment, record.loads) == ((), None, ())


def test_loads_and_lags_are_told_in_seconds(session: RunSession, tmp_path: Path) -> None:
    folder = tmp_path / "load"
    with LedgerWriter(folder / "load.jsonl", run_id="run") as writer:
        writer.write(entry(0.5, took=0.25))
    session.loads.append(("s", load_result("one", folder)))
    dead = Anchor(T0, T0, seconds(0), dead={"logs": "stopped"})
    session.anchors += [Anchor(T0, T0, seconds(0), log_lag=seconds(0.5)), dead]
    session.timings["barrier"] = timedelta(seconds=1.5)
    record = run_record(session, [], [])
    (load,) = record.loads
    assert (load.scenario, load.requests, load.failures, load.p99_seconds) == ("s", 4, {"timeout": 1}, 0.25)
    assert [one.lag_seconds for one in record.log_lags] == [0.5]
    assert record.timings == {"barrier": 1.5}


def traffic(session: RunSession, stored: dict[str, Series], silence: UnavailableError | None = None) -> RunRecord:
    world = World(session.evidence / "ledger")
    for one in (entry(0.5), entry(0.6, status=500), entry(1.5, failure="timeout", status=0)):
        world.harness._own._writer.write(one)
    world.harness._own._writer.flush()
    world.prometheus.stored = {key: (one,) for key, one in stored.items()}
    world.prometheus.silence = silence
    session.harness = world.harness
    try:
        return run_record(session, [], [])
    finally:
        world.harness.close()


def test_second_tells_what_was_sent_and_what_was_counted_in_it(session: RunSession) -> None:
    """The value at the end of a second tells of that second."""
    record = traffic(session, {
        COUNTED: series({0: 9, 1: 2, 2: -3}), FAILED: series({1: 1}), BUCKETS: series({1: 2, 2: math.nan}, le="+Inf"),
    })  # fmt: skip
    first, second = record.traffic
    assert (first.sent, first.failed, first.counted, first.counted_failed) == (2, 1, 2, 1)
    assert (first.p99_seconds, first.intended_p99_seconds) == (0.01, 0.01)
    assert (first.told_p50_above_seconds, first.told_p50_up_to_seconds) == (0.0, None)
    assert (second.sent, second.failed, second.counted, second.counted_failed) == (1, 1, 0, None)
    assert (second.told_p50_above_seconds, second.told_p99_above_seconds) == (None, None)


def test_prometheus_that_does_not_answer_leaves_its_columns_empty(session: RunSession) -> None:
    record = traffic(session, {}, UnavailableError("refused", kind="refused"))
    assert [(one.sent, one.counted) for one in record.traffic] == [(2, None), (1, None)]


class DeadEnvironment(FakeEnvironment):
    def status(self) -> Sequence[object]:  # type: ignore[override]
        raise UnavailableError("the supervisor is gone")


def test_environment_is_told_although_it_is_dead(session: RunSession) -> None:
    session.environment = FakeEnvironment()
    alive = run_record(session, [], []).environment
    assert alive is not None
    assert [one.name for one in alive.components] == ["service", "prometheus", "loki", "promtail"]
    assert (alive.components[0].ready_seconds, alive.components[1].ready_seconds) == (1.0, None)
    session.environment = DeadEnvironment()  # type: ignore[assignment]
    dead = run_record(session, [], []).environment
    assert dead is not None
    assert [one.name for one in dead.components] == ["service", "prometheus", "loki"]


def test_evidence_that_is_there_is_named(session: RunSession) -> None:
    (session.evidence / "ledger").mkdir(parents=True)
    (session.evidence / "logs").mkdir()
    assert run_record(session, [], []).evidence_files == ("evidence/ledger/", "evidence/logs/")


def judgement(verdict: Verdict, **changes: Any) -> Judgement:
    window = Window(T0, after(10))
    count = Count(window, Fraction(1), Fraction(1000), window.duration)
    return Judgement(
        objective(), after(10), verdict, "because", count, Fraction(999, 1000), Fraction(1), None, 3000, **changes
    )


@pytest.mark.parametrize(
    ("scenarios", "verdict"),
    [("pass", "fail"), ("skipped", "inconclusive"), ("inconclusive", "fail")],
    ids=["counts", "expected to fail", "worst"],
)
def test_what_scenarios_judge_of_slos_is_in_the_record_and_in_its_verdict(
    session: RunSession, scenarios: str, verdict: str
) -> None:
    world = World(session.evidence / "ledger")
    session.harness = world.harness
    session.current = "n"
    session._note_slo(judgement(Verdict.FAIL))
    alert = AlertEvent("page-quick", "page", pending=after(3), bound=after(5))
    session._note_slo(judgement(Verdict.PASS, drill=True, alerts=(alert,)))

    record = run_record(session, [scenario(scenarios)], [])
    world.harness.close()

    assert [(one.verdict, one.scenario, one.drill) for one in record.slos] == [
        ("fail", "n", False),
        ("pass", "n", True),
    ]
    assert [(one.row, one.pending, one.bound) for one in record.slos[1].alerts] == [
        ("page-quick", after(3).isoformat(), after(5).isoformat())
    ]
    assert record.verdict == verdict


def test_an_slo_that_a_scenario_judges_again_is_there_once(session: RunSession) -> None:
    session.current = "n"
    for verdict in (Verdict.INCONCLUSIVE, Verdict.PASS):
        session._note_slo(judgement(verdict))
    session.current = "m"
    session._note_slo(judgement(Verdict.FAIL))

    told = [(scenario, one.verdict) for scenario, one in session.judgements]
    assert told == [("n", Verdict.PASS), ("m", Verdict.FAIL)]
