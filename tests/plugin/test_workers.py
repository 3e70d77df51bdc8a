from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from sloproof.environment.toolchain import Tool
from sloproof.plugin.workers import Controller, KeptProfile, Place, refuse_shared
from sloproof.report.document import decode
from sloproof.report.record import (
    ComponentRecord,
    EnvironmentRecord,
    LoadRecord,
    LogLagRecord,
    RunRecord,
    ScenarioRecord,
    SecondRecord,
)
from tests.fakes import T0, after
from tests.plugin.project import INI, write
from tests.report.sample_slos import slo

pytest_plugins = ["pytester"]

TABLE = """
[tool.sloproof.service]
name = "shop"
command = ["shop"]

[tool.sloproof.metrics.requests]
name = "requests_total"

[tool.sloproof.logs]
format = "json"

[tool.sloproof.logs.fields]
endpoint = "path"
method = "method"
request_id = "id"
status = "status"
"""


def scenario(verdict: str = "pass") -> ScenarioRecord:
    return ScenarioRecord(
        node_id="n", feature="F", feature_file="f.feature", line=1, name="s", tags=(), verdict=verdict, reason="",
        started="", duration_seconds=0.1, steps=(),
    )  # fmt: skip


def second(place: int, sent: int, counted: float | None) -> SecondRecord:
    return SecondRecord(
        at=after(place).isoformat(), sent=sent, failed=1, p50_seconds=0.1, p99_seconds=0.2, counted=counted,
        counted_failed=1.0, told_p50_above_seconds=0.1, told_p99_above_seconds=0.2,
    )  # fmt: skip


def load(place: int) -> LoadRecord:
    return LoadRecord(
        name=f"load {place}", scenario="n", started=after(place).isoformat(), duration_seconds=1.0, requests=1,
        failures={}, asked_rate=None, achieved_rate=1.0, unsent=0, p50_seconds=None, p95_seconds=None, p99_seconds=None,
    )  # fmt: skip


def handed(**changes: object) -> dict[str, str]:
    """What a worker hands over."""
    component = ComponentRecord(name="loki", version="3", origin="path", ready_seconds=1.0, address="http://x")
    record = RunRecord(
        verdict="inconclusive", run_id="r", started="", duration_seconds=1.0, service="shop", scenarios=(),
        environment=EnvironmentRecord(
            backend="local", capabilities=(), components=(component,), python="3", system="s", sloproof="0"
        ),
    )  # fmt: skip
    changed = msgspec.structs.replace(record, **changes)
    return {"sloproof_run": msgspec.json.encode(changed).decode()}


@pytest.fixture
def controller() -> Controller:
    """Two workers are at work."""
    made = Controller("run", T0)
    for worker in ("gw0", "gw1"):
        made.welcome(worker, {})
    return made


def both(controller: Controller, first: dict[str, str], second: dict[str, str]) -> RunRecord:
    controller.farewell("gw0", first, None)
    controller.farewell("gw1", second, None)
    return controller.record("shop", [scenario()], [])


def test_workers_have_ids_and_folders_of_their_own_within_the_run() -> None:
    assert len({Place("run", "gw0").own_id, Place("run", "gw1").own_id, "run"}) == 3


def test_what_the_workers_hand_over_becomes_one_record(controller: Controller) -> None:
    record = both(
        controller,
        handed(
            loads=(load(5),),
            log_lags=(LogLagRecord(at=after(3).isoformat(), lag_seconds=1.0),),
            timings={"barrier": 2.0, "environment start": 1.0},
            evidence_files=("evidence/ledger/",),
        ),
        handed(
            loads=(load(2),),
            log_lags=(LogLagRecord(at=after(1).isoformat(), lag_seconds=2.0),),
            timings={"barrier": 1.0, "environment start": 4.0},
        ),
    )

    assert (record.verdict, record.run_id, record.problems) == ("pass", "run", ())
    assert [one.name for one in record.loads] == ["load 2", "load 5"]
    assert [one.lag_seconds for one in record.log_lags] == [2.0, 1.0]
    assert record.timings == {"barrier": 2.0, "environment start": 4.0}
    assert record.evidence_files == ("gw0/evidence/ledger/",)
    assert record.environment is not None
    assert [one.name for one in record.environment.components] == ["loki (gw0)", "loki (gw1)"]


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_the_slos_of_all_workers_are_handed_together_and_count(controller: Controller, verdict: str) -> None:
    own = msgspec.structs.replace(slo("a"), scenario="n")
    other = msgspec.structs.replace(slo("b"), scenario="m", verdict=verdict)

    record = both(controller, handed(slos=(own,)), handed(slos=(other,)))

    assert [(one.id, one.scenario) for one in record.slos] == [("users-a", "n"), ("users-b", "m")]
    assert record.verdict == verdict


def test_traffic_adds_up_and_a_quantile_of_two_services_is_none(controller: Controller) -> None:
    first = handed(traffic=(second(0, 5, 5.0), second(1, 7, 7.0)))
    other = handed(traffic=(second(1, 3, 2.0), second(2, 4, None)))

    record = both(controller, first, other)

    told = [(one.sent, one.failed, one.counted, one.p50_seconds, one.told_p99_above_seconds) for one in record.traffic]
    assert told == [(5, 1, 5.0, 0.1, 0.2), (10, 2, 9.0, None, None), (4, 1, None, 0.1, 0.2)]


@dataclass
class Shared:
    """An environment that all workers use."""

    stage: Path
    tools: Mapping[str, Tool]
    timings: dict[str, float]


@pytest.fixture
def sharing(tmp_path: Path) -> Controller:
    """Two workers are at work on one environment."""
    tools = {"loki": Tool("loki", Path("loki"), "3.5.7", "cache", None)}
    made = Controller("run", T0, Shared(tmp_path, tools, {"environment start": 2.0}))
    for worker in ("gw0", "gw1"):
        made.welcome(worker, {})
    return made


def test_what_one_environment_counted_is_taken_once_though_all_workers_tell_of_it(sharing: Controller) -> None:
    """Each worker asks the one Prometheus, which counts what all of them send; each sent only its own."""
    first = handed(traffic=(second(0, 5, 8.0), second(1, 7, 7.0)))
    other = handed(traffic=(second(0, 3, 8.0), second(2, 4, None)))

    record = both(sharing, first, other)

    told = [(one.sent, one.failed, one.counted, one.counted_failed) for one in record.traffic]
    assert told == [(8, 2, 8.0, 1.0), (7, 1, 7.0, 1.0), (4, 1, None, 1.0)]
    assert (record.traffic[0].p50_seconds, record.traffic[0].told_p50_above_seconds) == (None, 0.1)


def test_what_one_worker_was_told_of_one_environment_is_known(sharing: Controller) -> None:
    record = both(sharing, handed(traffic=(second(0, 5, None),)), handed(traffic=(second(0, 3, 8.0),)))

    assert [(one.sent, one.counted) for one in record.traffic] == [(8, 8.0)]


def test_one_environment_is_told_of_once_with_what_its_owner_knows(sharing: Controller) -> None:
    lag = LogLagRecord(at=after(3).isoformat(), lag_seconds=1.0)

    record = both(
        sharing, handed(timings={"environment start": 0.1, "barrier": 1.0}, log_lags=(lag,)), handed(log_lags=(lag,))
    )

    assert record.environment is not None
    assert [(one.name, one.version, one.origin) for one in record.environment.components] == [
        ("loki", "3.5.7", "cache")
    ]
    assert record.timings == {"environment start": 2.0, "barrier": 1.0}
    assert record.log_lags == (lag,), "an anchor that both have used"


def test_workers_are_told_where_they_meet(sharing: Controller, controller: Controller, tmp_path: Path) -> None:
    given: dict[str, object] = {}
    sharing.welcome("gw2", given)
    assert given["sloproof_stage"] == str(tmp_path)

    controller.welcome("gw2", given)
    assert not given["sloproof_stage"]


def test_workers_are_told_of_the_profile_that_is_kept_for_them(controller: Controller) -> None:
    keeping = Controller("run", T0, profile=KeptProfile("192.0.2.7", timedelta(seconds=50)))
    given: dict[str, object] = {}
    for worker in ("gw0", "gw1"):
        keeping.welcome(worker, given)
    assert given["sloproof_node"] == "192.0.2.7"
    assert both(keeping, handed(timings={"barrier": 1.0}), handed()).timings == {
        "barrier": 1.0,
        "Minikube profile": 50.0,
    }

    controller.welcome("gw2", given)
    assert not given["sloproof_node"]


def test_what_one_prometheus_did_not_count_is_not_known_of_both(controller: Controller) -> None:
    record = both(controller, handed(traffic=(second(0, 5, 5.0),)), handed(traffic=(second(0, 3, None),)))

    assert [(one.sent, one.counted) for one in record.traffic] == [(8, None)]


@pytest.mark.parametrize("told", [None, "Not properly terminated"])
def test_a_run_that_lost_a_worker_never_passes(controller: Controller, told: str | None) -> None:
    """What that worker had found so far is not in the record."""
    controller.farewell("gw0", handed(), None)
    if told:
        controller.farewell("gw1", {}, told)

    record = controller.record("shop", [scenario()], [])

    assert record.verdict == "error"
    assert [one.partition(": ")[0] for one in record.problems] == ["worker gw1 was lost"]


def test_problems_of_workers_and_of_the_controller_are_all_told(controller: Controller) -> None:
    controller.farewell("gw0", handed(problems=("loki died",)), None)
    controller.farewell("gw1", {}, None)

    record = controller.record("shop", [scenario("fail")], ["the run ends here"])

    assert record.problems == ("worker gw0: loki died", "the run ends here")
    assert record.verdict == "fail"


def test_scenarios_that_no_worker_came_to_are_told_once_with_the_reason(controller: Controller) -> None:
    ran, left = scenario(), msgspec.structs.replace(scenario(), node_id="left")

    record = both(
        controller,
        handed(scenarios=(ran, left), problems=("the run ends here: loki has ended",)),
        handed(scenarios=(left,)),
    )

    assert [(one.node_id, one.verdict, one.reason) for one in record.scenarios] == [
        ("n", "pass", ""),
        ("left", "blocked", "not run: worker gw0: the run ends here: loki has ended"),
    ]
    assert record.verdict == "error"


def test_an_interrupted_worker_that_handed_over_is_not_lost(controller: Controller) -> None:
    """Of such a worker xdist tells twice."""
    controller.farewell("gw0", handed(problems=("interrupted",)), None)
    controller.farewell("gw0", handed(problems=("interrupted",)), "keyboard-interrupt")
    controller.farewell("gw1", handed(), None)

    assert controller.record("shop", [scenario()], []).problems == ("worker gw0: interrupted",)


@pytest.fixture
def shop(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a table, and features that need no environment."""
    write(
        pytester,
        ini=INI,
        a="Feature: A\n  Scenario: S\n    Then it holds\n  Scenario: T\n    Then it fails\n",
        b="Feature: B\n  Scenario: S\n    Then it holds\n",
    )
    pytester.makepyprojecttoml(TABLE)
    return pytester


@pytest.mark.slow
def test_the_controller_writes_one_report_of_all_scenarios(shop: pytest.Pytester) -> None:
    result = shop.runpytest_subprocess("features", "-n", "2", "--dist", "loadfile", "--report-dir", "out")

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["report: out/*/index.html"])
    folders = [path for path in (shop.path / "out").iterdir() if path.is_dir() and not path.is_symlink()]
    assert len(folders) == 1
    record = decode((folders[0] / "report.json").read_bytes())
    assert (record.verdict, record.service, record.problems) == ("fail", "shop", ())
    assert sorted(f"{one.feature}.{one.name} {one.verdict}" for one in record.scenarios) == [
        "A.S pass", "A.T fail", "B.S pass",
    ]  # fmt: skip
    assert {path.name for path in folders[0].iterdir()} >= {"index.html", "report.md", "junit.xml"}


@pytest.mark.slow
def test_no_report_leaves_nothing_behind(shop: pytest.Pytester) -> None:
    shop.runpytest_subprocess("features", "-n", "2", "--report-dir", "out", "--no-report")

    assert not list((shop.path / "out").glob("*"))


@pytest.mark.parametrize("option", ["--env-reuse", "--env-keep"])
@pytest.mark.parametrize("name", ["kube", "minikube"])
def test_workers_in_a_cluster_may_keep_what_is_theirs(pytester: pytest.Pytester, option: str, name: str) -> None:
    refuse_shared(pytester.parseconfig("--env", name, option))


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--env-reuse", "--env-keep"])
def test_workers_and_one_environment_for_all_are_refused(shop: pytest.Pytester, option: str) -> None:
    # In this process xdist is no longer found once it has run here.
    result = shop.runpytest_subprocess("features", "-n", "2", option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{option} and the workers of xdist do not go together*"])
