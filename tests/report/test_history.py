from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from sloproof.report.history import STEPS, HistoryError, UselessHistoryError, _transaction, append, history, remembered
from sloproof.report.history_view import past_view
from sloproof.report.record import RunRecord
from tests.report.examples import HOSTILE, green_run, scenario, step
from tests.report.sample_slos import NOW, slo

_LOOP = """
import sys
from pathlib import Path
from tests.report.test_history import run
from sloproof.report.history import append
for number in range(int(sys.argv[3])):
    append(Path(sys.argv[1]), run(f"{sys.argv[2]}-{number}", number))
    print(number, flush=True)
"""


def run(name: str, night: int, *verdicts: str, left: float | None = None, slo_verdict: str = "") -> RunRecord:
    """Return a run whose scenarios came out as said."""
    scenarios = tuple(
        scenario("users", f"S{place}", place, 1.0, [step("Then", "x", 1)], verdict)
        for place, verdict in enumerate(verdicts or ("pass",))
        if verdict
    )
    slos = (slo(verdict=slo_verdict, remaining=left, moments=(), worst=()),) if slo_verdict else ()
    return msgspec.structs.replace(
        green_run(2, 2), run_id=name, started=(NOW + timedelta(days=night)).isoformat(), scenarios=scenarios, slos=slos
    )


def filled(path: Path, *nights: str) -> RunRecord:
    """Return the last of nights of one scenario, one after the other, with its history."""
    for night, verdict in enumerate(nights[:-1]):
        append(path, run(f"n{night}", night, verdict))
    return remembered(path, run(f"n{len(nights) - 1}", len(nights) - 1, nights[-1]))


def day(night: int) -> str:
    return (NOW + timedelta(days=night)).isoformat(timespec="microseconds")


def test_a_history_has_each_run_and_each_claim_in_the_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "history.sqlite"
    append(path, run("b", 2, "fail", "pass"))
    append(path, run("a", 1, "pass", left=0.4, slo_verdict="pass"))
    append(path, run("c", 3, "pass", left=-0.1, slo_verdict="fail"))

    found = history(path)

    assert [(one.run_id, one.started) for one in found.runs] == [("a", day(1)), ("b", day(2)), ("c", day(3))]
    claims = {(one.kind, one.key): one for one in found.claims}
    first = claims["scenario", "features/users.feature::S0"]
    assert [(one.run_id, one.verdict) for one in first.verdicts] == [("a", "pass"), ("b", "fail"), ("c", "pass")]
    told = claims["slo", "users-availability"]
    assert [(one.run_id, one.verdict, one.remaining) for one in told.verdicts] == [
        ("a", "pass", 0.4),
        ("c", "fail", -0.1),
    ]


@pytest.mark.parametrize(
    ("nights", "since", "first", "changes"),
    [
        (("pass", "pass"), None, None, 0),
        (("pass", "fail"), 1, 1, 1),
        (("fail", "pass", "fail", "inconclusive"), 2, 0, 2),
        (("fail", "pass"), None, 0, 1),
        (("fail", "error", "blocked"), 0, 0, 0),
        (("pass", "fail", "", "fail"), 1, 1, 1),
    ],
)  # fmt: skip
def test_a_failure_is_dated_by_the_run_that_saw_it_first(
    tmp_path: Path, nights: tuple[str, ...], since: int | None, first: int | None, changes: int
) -> None:
    record = filled(tmp_path / "h", *nights)

    assert record.history is not None
    (claim,) = record.history.claims
    assert claim.failing_since == (None if since is None else day(since))
    assert claim.first_failed == (None if first is None else day(first))
    assert claim.changes == changes


def test_what_failed_before_the_runs_shown_is_dated_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "h"
    filled(path, "pass", "fail", "fail", "fail", "fail")

    found = history(path, limit=2)

    assert [one.run_id for one in found.runs] == ["n3", "n4"]
    assert found.claims[0].failing_since == found.claims[0].first_failed == day(1)


def test_unsteady_is_what_breaks_mends_and_breaks_again(tmp_path: Path) -> None:
    once = past_view(filled(tmp_path / "a", "pass", "fail", "pass", "pass"))
    often = past_view(filled(tmp_path / "b", "pass", "fail", "pass", "fail"))

    assert once is not None
    assert often is not None
    assert [row.is_unsteady for row in once.rows] == [False]
    assert [(row.is_unsteady, row.cells, row.is_new) for row in often.rows] == [
        (True, ("pass", "fail", "pass", "fail"), True)
    ]


def test_a_skipped_scenario_is_no_evidence_and_the_worst_of_two_runs_of_one_counts(tmp_path: Path) -> None:
    twice = run("a", 0, "pass", "skipped")
    bad = msgspec.structs.replace(twice.scenarios[0], verdict="fail")
    found = remembered(tmp_path / "h", msgspec.structs.replace(twice, scenarios=(*twice.scenarios, bad))).history

    assert found is not None
    assert [(one.key[-2:], one.verdicts[0].verdict) for one in found.claims] == [("S0", "fail")]


def test_a_run_that_is_told_again_is_replaced(tmp_path: Path) -> None:
    append(tmp_path / "h", run("a", 0, "fail"))
    found = remembered(tmp_path / "h", run("a", 0, "pass")).history

    assert found is not None
    assert len(found.runs) == 1
    assert found.claims[0].first_failed is None


def test_a_report_ends_at_its_own_run(tmp_path: Path) -> None:
    append(tmp_path / "h", run("later", 5, "fail"))
    found = remembered(tmp_path / "h", run("now", 1, "pass")).history

    assert found is not None
    assert [one.run_id for one in found.runs] == ["now"]
    assert found.claims[0].first_failed is None


def test_hostile_names_are_stored_as_text(tmp_path: Path) -> None:
    record = msgspec.structs.replace(run("a'; DROP TABLE runs; --", 0, "pass"), service=HOSTILE + "\udce9")
    bad = msgspec.structs.replace(record.scenarios[0], name=HOSTILE, node_id="x\udce9\x00'")

    found = remembered(tmp_path / "h", msgspec.structs.replace(record, scenarios=(bad,))).history

    assert found is not None
    assert not found.problem
    assert found.runs[0].run_id == "a'; DROP TABLE runs; --"


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()


def _newer(path: Path) -> None:
    append(path, run("a", 0))
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()


def _cut(path: Path) -> None:
    for night in range(20):
        append(path, run(f"n{night}", night, *["pass"] * 20))
    path.write_bytes(path.read_bytes()[:9000])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_newer, f"version {len(STEPS) + 1}"),
        (lambda path: path.mkdir(), "unable to open"),
    ],
    ids=["newer", "folder"],
)
def test_a_file_that_others_may_still_use_is_named_and_left_alone(tmp_path: Path, spoil: object, told: str) -> None:
    path = tmp_path / "history.sqlite"
    assert callable(spoil)
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""

    record = remembered(path, run("x", 30))

    assert record.history is not None
    assert told in record.history.problem
    assert str(path) in record.history.problem
    assert not record.history.runs
    assert (path.read_bytes() if path.is_file() else b"") == before
    with pytest.raises(HistoryError, match=told):
        append(path, run("x", 30))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_foreign, "another program's database"),
        (_cut, "malformed"),
        (lambda path: path.write_text("these are no pages of a database, " * 100), "not a database"),
    ],
    ids=["foreign", "cut", "text"],
)
def test_a_file_that_is_no_history_is_kept_aside_and_a_new_one_begun(tmp_path: Path, spoil: object, told: str) -> None:
    path = tmp_path / "history.sqlite"
    assert callable(spoil)
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(UselessHistoryError, match=told):
        append(path, run("x", 30))

    record = remembered(path, run("x", 30))

    assert record.history is not None
    assert told in record.history.problem
    assert str(path) in record.history.problem
    assert "kept as history.sqlite.1.aside" in record.history.problem
    assert (tmp_path / "history.sqlite.1.aside").read_bytes() == before
    assert [one.run_id for one in record.history.runs] == ["x"]
    following = remembered(path, run("y", 40)).history
    assert following is not None
    assert (following.problem, [one.run_id for one in following.runs]) == ("", ["x", "y"])


def test_a_second_file_that_is_set_aside_does_not_take_the_place_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    for text in ("first ", "second "):
        path.write_text(text * 200)
        remembered(path, run("x", 30))

    assert [(tmp_path / f"history.sqlite.{number}.aside").read_text()[:6] for number in (1, 2)] == ["first ", "second"]


def test_a_drill_is_no_claim_and_a_scenarios_slo_is_not_that_of_the_month(tmp_path: Path) -> None:
    month = slo()
    own = msgspec.structs.replace(month, scenario="features/a.feature::b", verdict="fail")
    spent = msgspec.structs.replace(own, drill=True, verdict="fail", remaining=-40.0)
    append(tmp_path / "h", msgspec.structs.replace(run("x", 30), slos=(month, own, spent)))

    found = {one.key: one.verdicts[0].verdict for one in history(tmp_path / "h").claims if one.kind == "slo"}
    assert found == {"users-availability": "pass", "users-availability in features/a.feature::b": "fail"}


def test_an_older_file_is_brought_up_and_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "h"
    append(path, run("a", 0, "fail"))

    for _ in range(2):
        with _transaction(
            path, (*STEPS, "ALTER TABLE runs ADD COLUMN place TEXT; UPDATE runs SET place = 'here'")
        ) as at:
            assert at.execute("SELECT run_id, place FROM runs").fetchall() == [("a", "here")]

    with pytest.raises(HistoryError, match="newer sloproof"):
        history(path)


def test_a_change_of_form_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "h"
    append(path, run("a", 0))

    with pytest.raises(HistoryError), _transaction(path, (*STEPS, "DROP TABLE verdicts; DROP TABLE none")):
        pass

    assert len(history(path).claims) == 1


def _start(path: Path, name: str, amount: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _LOOP, str(path), name, str(amount)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


@pytest.mark.slow
def test_two_runs_at_once_are_both_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "h"
    both = [_start(path, name, 25) for name in ("a", "b")]
    for one in both:
        one.communicate(timeout=60)

    assert [one.returncode for one in both] == [0, 0]
    assert {one.run_id for one in history(path, 100).runs} == {f"{name}-{n}" for name in "ab" for n in range(25)}


@pytest.mark.slow
def test_a_killed_run_leaves_a_whole_history(tmp_path: Path) -> None:
    path = tmp_path / "h"
    for round_ in range(4):
        child = _start(path, f"r{round_}", 100_000)
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(3 + round_)]
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=20)
        assert told[-1]

        found = remembered(path, run(f"after-{round_}", -1 - round_)).history

        assert found is not None
        assert not found.problem
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            orphans = "SELECT count(*) FROM verdicts WHERE run NOT IN (SELECT id FROM runs)"
            assert connection.execute(orphans).fetchone() == (0,)
            assert connection.execute(
                "SELECT count(*) FROM runs WHERE id NOT IN (SELECT run FROM verdicts)"
            ).fetchone() == (0,)
        connection.close()
