from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sloproof.cli import main
from sloproof.prove.scratch_server import Points, Programs, scratch_prometheus, series_text
from sloproof.report.document import decode

AT = "2026-03-10T12:00:00Z"
END = round(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp() * 1000)
DOCUMENT = """
apiVersion: openslo/v1
kind: SLO
metadata:
  name: JOB
spec:
  service: shop
  indicator:
    metadata:
      name: JOB
    spec:
      ratioMetric:
        counter: true
        bad:
          metricSource:
            type: Prometheus
            spec:
              query: sum(req_total{job="JOB", code="500"})
        total:
          metricSource:
            type: Prometheus
            spec:
              query: sum(req_total{job="JOB"})
  timeWindow:
    - duration: 2h
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - target: 0.99
"""


def history() -> list[Points]:
    times = tuple(range(END - 130 * 60_000, END + 1, 60_000))
    found = []
    for job, bad in (("good", 0), ("bad", 5), ("few", 0)):
        for code, step in (("200", 1 if job == "few" else 95), ("500", bad)):
            labels = {"job": job, "instance": "a:80", "code": code}
            found.append(Points(series_text("req_total", labels), times, [step * n for n in range(131)]))
    return found


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports go into the test's own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def address(tool_path: Callable[[str], Path]) -> Iterator[str]:
    with scratch_prometheus(Programs(tool_path("prometheus"), tool_path("promtool")), history()) as client:
        yield client.query_url("x", datetime.now(UTC)).partition("/api")[0]


def documents(folder: Path, *jobs: str) -> Path:
    for job in jobs:
        (folder / f"{job}.yaml").write_text(DOCUMENT.replace("JOB", job))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jobs", "status"),
    [
        (("good",), 0),
        (("good", "bad"), 1),
        (("good", "few"), 2),
        (("nothing",), 2),
        (("nothing", "bad", "good"), 1),
    ],
)
def test_report_exits_by_the_worst_verdict(address: str, tmp_path: Path, jobs: tuple[str, ...], status: int) -> None:
    assert main(["report", str(documents(tmp_path, *jobs)), "--prometheus", address, "--at", AT]) == status


@pytest.mark.slow
def test_report_shows_the_worst_first_with_its_reason(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["report", str(documents(tmp_path, "good", "few", "bad")), "--prometheus", address, "--at", AT])
    seen = capsys.readouterr().out
    assert seen.index("shop-bad") < seen.index("shop-few") < seen.index("shop-good")
    assert "FAIL shop-bad: 95 % good of 12,000 is below 99 %" in seen
    assert "381 are needed" in seen
    assert "queries, answered in" in seen


@pytest.mark.slow
def test_a_table_cuts_nothing_off_however_many_rows_burn(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slo.yaml").write_text(DOCUMENT.replace("JOB", "bad").replace("target: 0.99", "target: 0.9999"))
    main(["report", str(tmp_path), "--prometheus", address, "--at", AT, "--no-report"])
    seen = capsys.readouterr().out
    assert seen.count("500x in") > 2
    assert "…" not in seen
    assert "FAIL shop-bad: 95 % good of 12,000 is below 99.99 %" in seen


@pytest.mark.slow
def test_report_in_json_is_the_same_when_asked_again(address: str, tmp_path: Path) -> None:
    words = ["report", str(documents(tmp_path, "bad")), "--prometheus", address, "--at", AT, "--json"]
    main([*words, str(tmp_path / "one.json")])
    main([*words, str(tmp_path / "two.json")])
    one, two = (decode((tmp_path / name).read_bytes()) for name in ("one.json", "two.json"))
    assert one.slos == two.slos
    (found,) = one.slos
    assert (found.verdict, found.consumed, found.events, found.exact) == ("fail", 5.0, 12_000.0, True)
    assert all(query.url.startswith(address) for query in found.queries)


@pytest.mark.slow
def test_report_folder_has_every_document_and_the_worst_minutes_with_their_query(address: str, tmp_path: Path) -> None:
    words = ["report", str(documents(tmp_path, "good", "bad")), "--prometheus", address, "--at", AT]
    main([*words, "--report-dir", str(tmp_path / "out")])

    folder = tmp_path / "out" / "latest"
    assert {path.name for path in folder.iterdir()} == {"index.html", "report.json", "report.md", "junit.xml"}
    record = decode((folder / "report.json").read_bytes())
    assert (record.verdict, record.service, [one.verdict for one in record.slos]) == ("fail", "shop", ["fail", "pass"])
    worst = record.slos[0].worst
    assert [(one.seconds, one.bad) for one in worst] == [(60.0, 5.0)] * 5
    assert all(query.url.startswith(address) for one in worst for query in one.queries)
    assert 'id="o2"' in (folder / "index.html").read_text()


@pytest.mark.slow
def test_each_report_is_a_run_of_the_history(address: str, tmp_path: Path) -> None:
    words = ["report", str(documents(tmp_path, "bad")), "--prometheus", address, "--at", AT, "--report-dir"]
    for _ in range(2):
        main([*words, str(tmp_path / "out")])

    past = decode((tmp_path / "out" / "latest" / "report.json").read_bytes()).history
    assert past is not None
    assert [one.verdict for one in past.runs] == ["fail", "fail"]
    assert past.claims[0].failing_since == past.runs[0].started


@pytest.mark.slow
def test_no_report_writes_nothing(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = str(documents(tmp_path, "good"))
    assert main(["report", made, "--prometheus", address, "--at", AT, "--no-report"]) == 0
    assert not (tmp_path / "reports").exists()
    assert "index.html" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_damaged_history_is_told_of_and_changes_no_verdict(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = tmp_path / "out"
    reports.mkdir()
    (reports / "history.sqlite").write_bytes(b"once a history" * 100)
    made = str(documents(tmp_path, "good"))
    assert main(["report", made, "--prometheus", address, "--at", AT, "--report-dir", str(reports)]) == 0
    assert "kept as history.sqlite.1.aside" in capsys.readouterr().err
    assert (reports / "history.sqlite.1.aside").read_bytes().startswith(b"once a history")


@pytest.mark.slow
def test_a_report_that_cannot_be_written_is_an_error(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file")
    made = str(documents(tmp_path, "good"))
    assert main(["report", made, "--prometheus", address, "--at", AT, "--report-dir", str(tmp_path / "out")]) == 3
    assert "expected to write a report" in capsys.readouterr().err


def test_a_server_that_is_not_there_never_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = str(documents(tmp_path, "good"))
    assert main(["report", made, "--prometheus", "http://127.0.0.1:1", "--at", AT]) == 2
    assert "BLOCKED shop-good" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at", "yesterday"], "expected an instant"),
        (["--at", "2026-03-10T12:00:00"], "time zone"),
        (["--at", (datetime.now(UTC) + timedelta(days=1)).isoformat()], "is over"),
        (["--header", "X-Team"], "NAME: TEXT"),
        (["--bearer", "/nowhere/token"], "a file with a token"),
    ],
)
def test_what_cannot_be_asked_is_an_error(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = str(documents(tmp_path, "good"))
    assert main(["report", made, "--prometheus", "http://127.0.0.1:1", *words]) == 3
    assert message in capsys.readouterr().err


def test_no_address_at_all_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(documents(tmp_path, "good")), "--at", AT]) == 3
    assert "--prometheus" in capsys.readouterr().err
