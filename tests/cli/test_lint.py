"""`sloproof lint`: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sloproof.cli import main

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: availability
spec:
  service: shop
  indicator:
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'sum(requests_total{code=~"5.."})'}}}
        total: {metricSource: {type: Prometheus, spec: {query: sum(requests_total)}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives:
    - target: 95
"""


def spoilt(path: Path) -> Path:
    made = path / "slo.yaml"
    made.write_text(DOCUMENT, encoding="utf-8")
    return made


def test_lint_of_the_default_folder_is_clean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert main(["lint"]) == 0
    assert capsys.readouterr().out == "0 to mend, 0 to know\n"


def test_lint_tells_file_line_and_rule_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = spoilt(tmp_path)
    assert main(["lint", str(made)]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{made}:16: [percent] expected target as a ratio below 1, got 95; ")
    assert last == "1 to mend, 0 to know"


def test_lint_as_json_has_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--json", str(spoilt(tmp_path))]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["rule"], row["kind"]) == ("percent", "finding")
    assert row["hint"] == "if that is a percentage, write target: 0.95"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "expected SLO documents at nowhere"),
        (["--scrape-interval", "15"], "expected a duration with a unit"),
        (["--prometheus", "http://127.0.0.1:1"], "cannot be reached"),
    ],
)
def test_lint_that_cannot_look_ends_with_3(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert main(["lint", *arguments]) == 3
    assert words in capsys.readouterr().err
