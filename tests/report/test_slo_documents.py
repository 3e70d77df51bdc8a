from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import msgspec
import pytest

from sloproof.report.document import decode, encode, schema
from sloproof.report.html import MAX_BYTES, page
from sloproof.report.junit import junit
from sloproof.report.markdown import MAX_BYTES as MAX_COMMENT
from sloproof.report.markdown import comment
from sloproof.report.record import AlertRecord, HistoryRecord, RunRecord, SloRecord
from sloproof.report.slo_run import slo_run, write_slo_report
from sloproof.report.terminal import closing_lines
from tests.report.examples import HOSTILE, failing_run, green_run
from tests.report.sample_slos import (
    NOW,
    breached,
    burning,
    empty,
    hostile,
    live,
    many,
    nights,
    slo,
    slos_alone,
    some,
    unknown,
)
from tests.report.test_html import Page

_KINDS: dict[str, Callable[[], tuple[SloRecord, ...]]] = {
    "breached": lambda: (breached(),), "burning": lambda: (burning(),), "unknown": lambda: (unknown(),),
    "empty": lambda: (empty(),), "live": lambda: (live(),), "safe": lambda: (slo(),), "some": some,
    "hostile": lambda: (hostile(),), "none": tuple,
}  # fmt: skip


def flat(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL)))


@pytest.fixture(scope="module", params=list(_KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def page_of() -> Callable[[str], str]:
    """Makes the page of each kind once."""
    return cache(lambda kind: page(slos_alone(*_KINDS[kind]())))


def test_a_run_of_slos_survives_the_way_to_disk_and_is_valid(kind: str) -> None:
    record = slos_alone(*_KINDS[kind]())
    checker = jsonschema.Draft202012Validator(json.loads(schema()))

    assert decode(encode(record)) == record
    written = json.loads(encode(record))
    for one in written["slos"]:  # hundreds of moments have two shapes between them: one of each is enough
        one["moments"] = list(
            {tuple((name, type(told)) for name, told in each.items()): each for each in one["moments"]}.values()
        )
    assert list(checker.iter_errors(written)) == []


def test_a_page_of_slos_is_whole_and_loads_nothing(kind: str, page_of: Callable[[str], str]) -> None:
    text = page_of(kind)
    found = Page(text)

    assert found.open == []
    ids = [each["id"] for _, each in found.elements if "id" in each]
    assert len(ids) == len(set(ids))
    for link in found.all("a"):
        assert link["href"].startswith(("#", "http://127.0.0.1", "report."))
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids
    assert not any("style" in each for _, each in found.elements)
    assert "url(http" not in text


@pytest.mark.parametrize(
    ("slos", "verdict"),
    [((), "inconclusive"), ((slo(),), "pass"), ((slo(), unknown()), "inconclusive"), ((slo(), empty()), "blocked"),
     (some(), "fail")],
)  # fmt: skip
def test_a_run_of_slos_is_as_good_as_the_worst_of_them(slos: tuple[object, ...], verdict: str) -> None:
    assert slos_alone(*slos).verdict == verdict  # type: ignore[arg-type]


def test_a_problem_beside_makes_an_error_of_a_pass() -> None:
    told = slo_run([slo()], run_id="x", started=NOW, duration=timedelta(seconds=1), problems=["no rules"])
    assert told.verdict == "error"


def test_the_page_says_which_since_when_and_why_before_all_else(page_of: Callable[[str], str]) -> None:
    told = flat(page_of("some"))
    top = told[: told.index("SLOs, one by one", told.index("SLOs in danger"))]

    assert "10 SLOs: 2 failed, 1 burning too fast, 2 not judged" in top
    assert "14 Mar 03:19:00 alert pending" in top
    assert "burns 30.1\u00d7 over 1 h and 33.1\u00d7 over 5 min; page above 14.4\u00d7" in top
    assert "02 Mar 22:00:00 budget overspent" in top
    assert top.index("Signups") < top.index("Availability") < top.index("Latency") < top.index("Log errors")


def test_a_card_tells_what_the_verdict_rests_on(page_of: Callable[[str], str]) -> None:
    told = flat(page_of("live"))

    for word in (
        "Objective 99 %", "Valid events 10,870", "slo/signups.yaml:7", "(wilson, 95 %)", "3,838 could prove the objective",
        "clearing: late by 3.00 s", "missed, 55.0 s overdue", "log lines", "Where the budget went", "Burn rates",
        "03:58:37, kept by 3.00 s", "03:59:23, late by 3.00 s",
    ):  # fmt: skip
        assert word in told


def test_every_drawing_of_an_slo_can_be_read_as_a_table(page_of: Callable[[str], str]) -> None:
    text = page_of("live")

    assert len(re.findall(r'<svg class="chart"', text)) == 3
    rows = re.findall(r"<summary>Data \((\d+) rows?\)</summary>", text)
    assert rows == ["180", "2"]


def test_an_slo_without_any_data_says_so_and_draws_nothing(page_of: Callable[[str], str]) -> None:
    text = page_of("empty")

    assert '<svg class="chart"' not in text
    assert "the connection was refused" in text


def test_hostile_names_are_shown_as_text(page_of: Callable[[str], str]) -> None:
    record = slos_alone(hostile())
    found = Page(page_of("hostile"))

    assert not [tag for tag, _ in found.elements if tag == "img"]
    assert len(found.all("script")) == 1
    assert not [link for link in found.all("a") if link["href"].startswith("javascript")]
    for told in (comment(record), "\n".join(line.text for line in closing_lines(record, None))):
        assert "\x1b" not in told
        assert "\u202e" not in told
        assert "\x00" not in told
    outside_code = re.sub(r"(`+) ?.*?[^`]\1(?!`)", "", comment(record))
    assert "<script" not in outside_code
    assert "<img" not in outside_code
    ET.fromstring(junit(record))


def test_a_pipe_or_a_line_break_in_a_name_breaks_no_table_of_the_comment() -> None:
    bad = msgspec.structs.replace(breached(), title="a | b\nc `d`", reason="x | y\n| z", place="slo/a|b.yaml:1")
    table = [line for line in comment(slos_alone(bad)).splitlines() if line.startswith("|")]

    assert len(table) == 3
    assert len(re.findall(r"(?<!\\)\|", table[2])) == 6


def test_200_slos_are_one_page_under_3_mb_and_a_short_comment() -> None:
    record = slos_alone(*many(200))
    text = page(record)

    assert len(text.encode()) < MAX_BYTES
    assert text.count('class="card slo') == 200
    brief = comment(record)
    assert len(brief.encode()) < 16_000
    assert "48 more SLOs" in brief
    assert len(closing_lines(record, Path("reports/x"))) < 12


@pytest.mark.slow
def test_however_many_and_however_wordy_slos_are_the_page_stays_small() -> None:
    wordy = [msgspec.structs.replace(one, reason="because " * 4000, description=HOSTILE * 300) for one in many(400)]
    record = msgspec.structs.replace(failing_run(), slos=tuple(wordy))

    assert len(page(record).encode()) < MAX_BYTES
    assert len(comment(record).encode()) < MAX_COMMENT


def test_each_slo_is_a_case_of_its_own_suite() -> None:
    root = ET.fromstring(junit(msgspec.structs.replace(green_run(4, 3), slos=some())))
    suites = {suite.get("name"): suite for suite in root}

    assert list(suites) == ["sloproof", "sloproof.slo"]
    told = suites["sloproof.slo"]
    assert (told.get("tests"), told.get("failures"), told.get("errors")) == ("10", "4", "0")
    case = next(case for case in told if case.get("name") == "signups")
    assert (case.get("classname"), case.get("file"), case.get("line")) == (
        "sloproof.slo.users",
        "slo/signups.yaml",
        "7",
    )
    failure = case.find("failure")
    assert failure is not None
    assert "is below 99 %" in (failure.get("message") or "")


def test_slos_alone_have_no_empty_suite_of_scenarios() -> None:
    assert [suite.get("name") for suite in ET.fromstring(junit(slos_alone(slo())))] == ["sloproof.slo"]


def test_the_terminal_ends_with_a_line_for_each_slo_that_is_not_safe() -> None:
    lines = [line.text for line in closing_lines(slos_alone(*some()), None, width=100)]

    assert lines[0].startswith("✕ FAIL  10 SLOs: 2 failed")
    assert lines[2] == "SLOs: 2 fail, 1 blocked, 1 inconclusive, 6 pass"
    assert [line[2:].split()[2] for line in lines[3:]] == [
        "users-signups", "users-availability", "users-latency", "users-probe:", "users-log-errors",
    ]  # fmt: skip
    assert all(len(line) <= 100 for line in lines)


def test_a_written_report_of_slos_has_every_document_and_remembers(tmp_path: Path) -> None:
    first = write_slo_report(slos_alone(slo()), tmp_path / "one", history=tmp_path / "history.sqlite")
    again = msgspec.structs.replace(slos_alone(breached()), run_id="two", started=(NOW + timedelta(days=1)).isoformat())
    second = write_slo_report(again, tmp_path / "two", history=tmp_path / "history.sqlite")

    assert sorted(each.name for each in (tmp_path / "latest").iterdir()) == [
        "index.html", "junit.xml", "report.json", "report.md",
    ]  # fmt: skip
    assert first.history is not None
    assert second.history is not None
    assert len(second.history.runs) == 2
    assert decode((tmp_path / "two" / "report.json").read_bytes()) == second
    assert "new in this run" in (tmp_path / "two" / "index.html").read_text()
    assert "- new in this run: Availability" in (tmp_path / "two" / "report.md").read_text()


def test_a_history_that_cannot_be_used_stops_no_report(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_text("no database, " * 200)
    told = write_slo_report(slos_alone(slo()), tmp_path / "one", history=tmp_path / "history.sqlite")

    assert told.verdict == "pass"
    text = flat((tmp_path / "one" / "index.html").read_text())
    assert "There is no history of the runs before: " in text
    assert "it is kept as history.sqlite.1.aside" in text


def test_nights_are_shown_as_trends_and_rows_of_verdicts(tmp_path: Path) -> None:
    told = nights(tmp_path, 12)
    text = page(told)

    assert Page(text).open == []
    for slug in ("past-budget", "past-broken", "past-duration"):
        assert f'id="chart-{slug}"' in text
    assert "no pass since the run of" in text or "new: the scenario" in text
    assert "The newest 13 runs, this one last" in text
    assert isinstance(told.history, HistoryRecord)


def test_without_a_history_nothing_is_said_of_one(page_of: Callable[[str], str]) -> None:
    assert 'id="history"' not in page_of("safe")


def drilled() -> RunRecord:
    """Return a run with an SLO, a drill that passed and one whose alert never came."""
    alert = AlertRecord(
        row="page-quick", severity="page", pending=(NOW - timedelta(seconds=20)).isoformat(),
        firing=(NOW - timedelta(seconds=20)).isoformat(), delivered=(NOW - timedelta(seconds=18)).isoformat(),
        bound=(NOW - timedelta(seconds=17)).isoformat(),
    )  # fmt: skip
    held = msgspec.structs.replace(breached(), verdict="pass", drill=True, alerts=(alert,), scenario="a::b")
    late = msgspec.structs.replace(
        held, id="users-late", title="Late", verdict="fail", alerts=(msgspec.structs.replace(alert, delivered=None),)
    )
    return slos_alone(slo(), held, late)


def test_a_drill_is_told_apart_in_every_document() -> None:
    told = drilled()
    whole = page(told)
    text = flat(whole)

    assert "1 SLO, within budget; 1 of 2 alert drills passed" in text
    assert "1 alert drill passed: a fault was planted" in text
    assert "kept by 1.00 s" in text
    assert "Late (drill)" in text
    assert "spent on purpose" in text
    assert "missed, 17.0 s overdue" in text
    assert Page(whole).open == []
    brief = comment(told)
    assert "SLOs: \u2713 1 pass \u2014 drills: \u2715 1 fail \u00b7 \u2713 1 pass" in brief
    assert "1 alert drill passed" in brief
    assert [line.text for line in closing_lines(told, None) if line.text.startswith("SLOs")] == [
        "SLOs: 1 pass; alert drills: 1 fail, 1 pass"
    ]
    names = [one.get("name") for one in ET.fromstring(junit(told)).iter("testcase")]
    assert names == ["availability", "availability (drill) in a::b", "availability (drill) in a::b"]
