"""Whatever ends a run, it ends soon, says why, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sloproof.environment.components import TOOLS
from tests.system.interrupted import COMPONENTS, ROOT, BrokenRun, interrupt

# `python bench/interrupt.py 50` does as many as are asked for.
INTERRUPTS = 5
END_SECONDS = 15.0
_LONGEST_RUN_SECONDS = 9.0

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tools(tool_path: Callable[[str], Path]) -> None:
    for name in TOOLS:
        tool_path(name)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[BrokenRun]:
    one = BrokenRun(tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize("name", [*COMPONENTS, "supervisor"])
def test_a_killed_component_ends_the_run_and_is_named(run: BrokenRun, name: str) -> None:
    run.start()
    run.await_load()

    run.component(name).kill()
    ended = run.end()

    assert ended.seconds < END_SECONDS, ended.output
    assert ended.status == 1, ended.output
    assert f"{name} " in ended.output
    assert "the run ends here" in ended.output
    assert "1 failed, 1 passed in" in ended.output
    assert ended.left == []
    report = json.loads((run.reports / "latest" / "report.json").read_bytes())
    assert report["verdict"] == "error"


def test_a_killed_load_fails_its_scenario_and_is_named(run: BrokenRun) -> None:
    run.start()
    run.await_load()

    run.component("load").kill()
    ended = run.end()

    assert ended.seconds < END_SECONDS, ended.output
    assert ended.status == 1, ended.output
    assert "the load's child program was expected to run, but it ended killed by signal 9" in ended.output
    assert ended.left == []


@pytest.mark.parametrize("number", range(INTERRUPTS))
def test_ctrl_c_at_any_moment_leaves_nothing(tmp_path: Path, number: int) -> None:
    """The moments are spread over the length of a run, and differ from one time to the next."""
    delay = (number + random.random()) * _LONGEST_RUN_SECONDS / INTERRUPTS

    ended = interrupt(tmp_path, delay)

    assert ended.left == [], f"interrupted after {delay:.3f} s\n{ended.output}"
    # Python and pytest may be hit in their own first and last steps; a session of ours must not end like an accident.
    session = ended.output.partition("test session starts")[2]
    assert f'File "{ROOT / "src"}' not in session, ended.output
    assert ended.seconds < END_SECONDS


def test_a_second_ctrl_c_leaves_nothing_either(tmp_path: Path) -> None:
    ended = interrupt(tmp_path, 5.0, again=0.05)

    assert ended.left == [], ended.output


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_is_an_orderly_end_with_a_report(run: BrokenRun, how: signal.Signals) -> None:
    run.start()
    run.await_load()

    os.kill(run.pytest.pid, how)
    ended = run.end()

    assert ended.seconds < END_SECONDS, ended.output
    assert ended.status == pytest.ExitCode.INTERRUPTED, ended.output
    assert how.name in ended.output
    assert "Traceback" not in ended.output
    assert ended.left == []
    report = json.loads((run.reports / "latest" / "report.json").read_bytes())
    assert report["verdict"] == "error"
    assert "interrupted" in report["problems"][0]


def test_everything_ends_when_pytest_is_killed(run: BrokenRun) -> None:
    """Its unfinished report folder stays, since there is nobody to remove it; `latest` does not lead to it."""
    run.start()
    run.await_load()

    run.pytest.kill()
    ended = run.end(grace=12)

    assert [one for one in ended.left if not one.startswith("half a report")] == []
    assert not (run.reports / "latest").exists()


def test_two_runs_at_once_are_both_green(tmp_path: Path) -> None:
    runs = [BrokenRun(tmp_path / name, load_seconds=2) for name in ("one", "two")]
    try:
        for one in runs:
            one.start()
        for one in runs:
            one.await_load()
        assert runs[0].ports.isdisjoint(runs[1].ports)
        for one in runs:
            ended = one.end(limit=60)
            assert ended.status == 0, ended.output
            assert ended.left == []
    finally:
        for one in runs:
            one.close()
