from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sloproof.errors import ComponentExitedError, ToolError, UnavailableError
from sloproof.model import Window
from sloproof.prove.alert_history import prove_alert_history
from sloproof.prove.history import TOLERANCE, HistoryResult, compared, prove_history, scenarios
from sloproof.prove.made_history import Service
from sloproof.prove.scratch_server import Points, Programs, scratch_prometheus

MINUTE = timedelta(minutes=1)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
ONE = [Points('up{job="x"}', (1_772_323_200_000,), [1.0])]


@pytest.fixture(scope="module")
def programs(tool_path: Callable[[str], Path]) -> Programs:
    return Programs(tool_path("prometheus"), tool_path("promtool"))


@pytest.fixture(scope="module")
def months(programs: Programs) -> tuple[HistoryResult, ...]:
    return prove_history(programs)


@pytest.mark.slow
def test_history_is_judged_as_it_was_made(months: tuple[HistoryResult, ...]) -> None:
    assert len(months) == len(scenarios())
    for one in months:
        assert one.passed, (one.scenario, one.expected, one.measured, one.judgement.verdict, one.judgement.reason)
    assert all(one.difference is not None and one.difference <= TOLERANCE for one in months if one.expected is not None)


@pytest.mark.slow
def test_a_judge_that_is_off_by_one_event_in_millions_does_not_pass(months: tuple[HistoryResult, ...]) -> None:
    found = months[0]
    scenario = scenarios()[0]
    assert scenario.spent is not None
    lie = type(scenario)(
        scenario.name, scenario.services, scenario.objective, scenario.verdicts, scenario.spent * (1 + 10 * TOLERANCE)
    )
    assert not compared(lie, found.judgement).passed


@pytest.mark.slow
def test_every_row_fires_over_thirty_days(programs: Programs) -> None:
    found = prove_alert_history(programs)
    assert found.firing == ("page-quick", "page-slow", "ticket-quick", "ticket-slow")
    assert found.judgement.consumed == found.spent
    assert found.passed
    assert found.written == 475_211


@pytest.mark.slow
@pytest.mark.parametrize("how", [RuntimeError, KeyboardInterrupt])
def test_the_server_ends_with_its_context(programs: Programs, how: type[BaseException]) -> None:
    known = []

    def use() -> None:
        with scratch_prometheus(programs, ONE) as client:
            known.append(client)
            assert client.is_ready()
            raise how

    with pytest.raises(how):
        use()
    with pytest.raises(UnavailableError):
        known[0].query("up", BEGIN)


@pytest.mark.slow
def test_a_server_that_ends_by_itself_is_told_with_its_last_lines(programs: Programs) -> None:
    with pytest.raises(ComponentExitedError) as raised, scratch_prometheus(programs, ONE, "groups: [{name: }]"):
        pass
    assert raised.value.last_lines


@pytest.mark.slow
def test_samples_that_promtool_refuses_are_an_error(programs: Programs) -> None:
    with pytest.raises(ToolError, match="refused"), scratch_prometheus(programs, [Points("{{", (1000,), [1.0])]):
        pass


def test_a_missing_program_is_an_error(tmp_path: Path) -> None:
    nowhere = Programs(tmp_path / "prometheus", tmp_path / "promtool")
    with pytest.raises(ToolError, match="promtool"), scratch_prometheus(nowhere, ONE):
        pass
    assert not os.listdir(tmp_path)  # noqa: PTH208 - whatever is there


def test_truth_counts_what_a_store_can_know() -> None:
    service = Service("x", Window(BEGIN, BEGIN + 10 * MINUTE), MINUTE, lambda _: (9, 1))
    assert service.truth(Window(BEGIN, BEGIN + 10 * MINUTE)) == (10, 100)
    assert service.truth(Window(BEGIN + 150 * timedelta(seconds=1), BEGIN + 5 * MINUTE)) == (3, 30)
    blind = Service(
        "x", Window(BEGIN, BEGIN + 10 * MINUTE), MINUTE, lambda _: (9, 1), unwatched=lambda at: at > BEGIN + 8 * MINUTE
    )
    assert blind.truth(Window(BEGIN, BEGIN + 10 * MINUTE)) == (8, 80)


def test_a_restart_is_stored_as_a_smaller_count() -> None:
    service = Service(
        "x", Window(BEGIN, BEGIN + 4 * MINUTE), MINUTE, lambda _: (5, 0), restarts=lambda at: at == BEGIN + 2 * MINUTE
    )
    stored = next(one for one in service.points() if one.series.startswith("requests_total"))
    assert list(stored.values) == [5, 10, 5, 10, 15]
