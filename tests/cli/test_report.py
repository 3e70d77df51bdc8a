from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sloproof.cli import main
from sloproof.prove.scratch_server import Points, Programs, scratch_prometheus, series_text

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
def test_report_in_json_is_exact_and_the_same_when_asked_again(address: str, tmp_path: Path) -> None:
    words = ["report", str(documents(tmp_path, "bad")), "--prometheus", address, "--at", AT, "--json"]
    main([*words, str(tmp_path / "one.json")])
    main([*words, str(tmp_path / "two.json")])
    one = (tmp_path / "one.json").read_text()
    assert one == (tmp_path / "two.json").read_text()
    (found,) = json.loads(one)["objectives"]
    assert found["verdict"] == "fail"
    assert found["consumed"] == {"exact": "5", "value": 5.0}
    assert found["valid"]["exact"] == "12000"
    assert found["exact"] is True
    assert all(query["url"].startswith(address) for query in found["queries"])


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
