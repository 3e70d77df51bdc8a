"""Many workers on one environment: the verdicts of one at a time, lies are seen, and nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from sloproof.environment.components import TOOLS
from tests.system.interrupted import ROOT, BrokenRun

# Of claims that do not rest on the load's own clockwork: a busy machine changes none of them.
FEATURES = ("three_way_count", "users", "echo", "log_delivery")
SHARED = ("-n", "4", "--env-shared")
_COMMAND = '["{python}", "-m", "service"]'
_LYING = '["{python}", "-m", "tests.lies.lying_service", "--lie", "one_line_in_50_is_lost"]'
_ALONE = """Feature: Alone

  @serial
  Scenario: A load is counted
    When 5 requests are sent to GET "/"
    Then requests sent, counted and logged agree

  @serial
  Scenario: Long and alone
    When load of 50 requests a second to "/" runs for "30 s"
    Then requests sent, counted and logged agree

  @serial
  Scenario: What comes after
    When 5 requests are sent to GET "/"
    Then requests sent, counted and logged agree

  Scenario: Beside
    When 5 requests are sent to GET "/"
    Then requests sent, counted and logged agree
"""

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tools(tool_path: Callable[[str], Path]) -> None:
    for name in TOOLS:
        tool_path(name)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A temporary folder for the runs, with a name short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="sp-") as folder:
        yield Path(folder)


def project(folder: Path, command: str = _COMMAND) -> Path:
    """Return a project like this one whose service is started by another command."""
    folder.mkdir()
    settings = (ROOT / "pyproject.toml").read_text()
    assert _COMMAND in settings
    (folder / "pyproject.toml").write_text(settings.replace(_COMMAND, command))
    for name in ("features", "steps"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "conftest.py", folder)
    for name in ("platform", "service", "tests", "slo"):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    return folder


def verdicts(root: Path, temporary: Path, features: tuple[str, ...], *options: str) -> Mapping[str, str]:
    """Run features of a project; require that nothing is left behind, and return each scenario's verdict."""
    env = {name: text for name, text in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    reports = root / f"reports{len(options)}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *(f"features/{name}.feature" for name in features), "-q", "--tools-offline",
         "-p", "no:cacheprovider", "--report-dir", str(reports), *options],
        cwd=root, env={**env, "TMPDIR": str(temporary)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (reports / "latest").exists(), done.stdout + done.stderr
    assert list(temporary.glob("sloproof-*")) == []
    assert [one for one in psutil.process_iter() if _is_of(one, temporary)] == []
    report = json.loads((reports / "latest" / "report.json").read_bytes())
    return {one["node_id"]: one["verdict"] for one in report["scenarios"]}


def _is_of(process: psutil.Process, temporary: Path) -> bool:
    try:
        return process.environ().get("TMPDIR") == str(temporary)
    except psutil.Error:
        return False


def test_verdicts_beside_one_another_are_those_of_one_at_a_time(tmp_path: Path, temporary: Path) -> None:
    root = project(tmp_path / "honest")

    expected = verdicts(root, temporary, FEATURES)
    found = verdicts(root, temporary, FEATURES, *SHARED)

    assert found == expected
    assert set(expected.values()) == {"pass"}
    assert len(expected) > 30


def test_a_lie_is_seen_in_both_ways(tmp_path: Path, temporary: Path) -> None:
    """Of so many lines one is lost, however the scenarios' requests fall among one another."""
    root = project(tmp_path / "lying", _LYING)
    feature = ("three_way_count",)

    alone = verdicts(root, temporary, feature)
    shared = verdicts(root, temporary, feature, *SHARED)

    assert alone.keys() == shared.keys()
    certain = [name for name in alone if "usual_mix" in name or "[137-" in name]
    assert len(certain) == 2
    for name in certain:
        assert (alone[name], shared[name]) == ("fail", "fail"), name


@pytest.fixture
def run(tmp_path: Path) -> Iterator[BrokenRun]:
    """A run of two workers on one environment; its longer load comes second on one of them."""
    one = BrokenRun(tmp_path, options=("-n", "2", "--env-shared"))
    yield one
    one.close()


def await_long_load(run: BrokenRun) -> psutil.Process:
    """Wait until the longer load sends, and return the worker that drives it."""

    def sending() -> list[Path]:
        # A ledger that is longer than the short load's will ever be.
        return [path for path in run.reports.rglob("load-*") if path.stat().st_size > 5000]

    run.until(sending)
    run.note_ports()
    worker = sending()[0].parents[2].name
    for process in run.processes():
        if "sloproof.load.child" in process.cmdline() and process.environ().get("PYTEST_XDIST_WORKER") == worker:
            parent = process.parent()
            assert parent is not None
            return parent
    raise AssertionError(f"no load child of {worker}")


def test_ctrl_c_leaves_nothing(run: BrokenRun) -> None:
    run.start()
    await_long_load(run)

    os.killpg(run.pytest.pid, 2)
    ended = run.end(limit=40)

    assert ended.left == [], ended.output
    assert ended.status == pytest.ExitCode.INTERRUPTED, ended.output


def test_a_controller_that_is_killed_leaves_nothing(run: BrokenRun) -> None:
    """But its unfinished report folder, since there is nobody to remove it."""
    run.start()
    await_long_load(run)

    run.pytest.kill()
    ended = run.end(grace=40)

    assert [one for one in ended.left if not one.startswith("half a report")] == [], ended.output


def test_a_worker_that_is_killed_is_told_of_and_leaves_nothing(run: BrokenRun) -> None:
    run.start()
    worker = await_long_load(run)

    worker.kill()
    ended = run.end(limit=60)

    assert ended.left == [], ended.output
    # What the other worker was about to judge, and whether it was, is a matter of the moment.
    assert ended.status in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}, ended.output
    report = json.loads((run.reports / "latest" / "report.json").read_bytes())
    assert report["verdict"] == "error"
    assert any("was lost" in problem for problem in report["problems"])
    assert "fail" not in {one["verdict"] for one in report["scenarios"]}


def test_after_a_worker_that_died_alone_nothing_is_judged_any_more(run: BrokenRun) -> None:
    """What it broke stays broken: a verdict on that would be a lie."""
    (run.home / "features" / "short.feature").write_text(_ALONE)
    run.start()
    worker = await_long_load(run)

    worker.kill()
    ended = run.end(limit=60)

    assert ended.left == [], ended.output
    assert "a worker died in the middle" in ended.output
    report = json.loads((run.reports / "latest" / "report.json").read_bytes())
    assert report["verdict"] == "error"
    found = {one["name"]: one["verdict"] for one in report["scenarios"]}
    assert found.get("What comes after") in {"error", "blocked"}, found
    assert "fail" not in found.values()
