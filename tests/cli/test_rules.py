from __future__ import annotations

import gc
from pathlib import Path

import pytest
import yaml

from sloproof.cli import main

DOCUMENT = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: availability}
spec:
  service: shop
  indicator:
    metadata: {name: errors}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'sum(requests_total{code=~"5.."})'}}}
        total: {metricSource: {type: Prometheus, spec: {query: sum(requests_total)}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.999}]
---
apiVersion: openslo/v1
kind: Service
metadata: {name: shop}
spec: {}
"""
WINDOWS = """\
apiVersion: sloth.slok.dev/v1
kind: AlertWindows
spec:
  sloPeriod: 30d
  page:
    quick: {errorBudgetPercent: 1, shortWindow: 10m, longWindow: 2h}
    slow: {errorBudgetPercent: 5, shortWindow: 30m, longWindow: 6h}
  ticket:
    quick: {errorBudgetPercent: 10, shortWindow: 2h, longWindow: 1d}
    slow: {errorBudgetPercent: 10, shortWindow: 6h, longWindow: 3d}
"""
LEDGER = """\
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: received}
spec:
  service: shop
  indicator:
    metadata: {name: answers}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: ledger, spec: {query: 'requests{outcome=~"5..|timeout"}'}}}
        total: {metricSource: {type: ledger, spec: {query: 'requests{outcome=~".+"}'}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
"""
RULES = Path("platform/rules/slo/shop.yml")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "slo").mkdir()
    (tmp_path / "slo" / "availability.yaml").write_text(DOCUMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def groups(project: Path) -> list[dict[str, object]]:
    found = yaml.safe_load((project / RULES).read_text())["groups"]
    assert isinstance(found, list)
    return found


def test_rules_are_written_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    assert "1 changed" in capsys.readouterr().out
    before = (project / RULES).read_bytes()
    assert main(["rules"]) == 0
    assert "0 changed" in capsys.readouterr().out
    assert (project / RULES).read_bytes() == before
    assert gc.isenabled()


def test_check_tells_where_written_rules_differ_and_writes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rules", "--check"]) == 1
    assert "missing" in capsys.readouterr().out
    assert main(["rules"]) == 0
    assert main(["rules", "--check"]) == 0
    written = (project / RULES).read_text()
    (project / RULES).write_text(written.replace("> 0.0144)", "> 0.02)"))
    capsys.readouterr()
    assert main(["rules", "--check"]) == 1
    told = capsys.readouterr().out
    assert "different" in told
    assert "> 0.02)" in told
    assert "run: sloproof rules" in told
    assert "> 0.02)" in (project / RULES).read_text()


def test_check_tells_when_a_document_changed(project: Path) -> None:
    assert main(["rules"]) == 0
    document = project / "slo" / "availability.yaml"
    document.write_text(DOCUMENT.replace("0.999", "0.99"))
    assert main(["rules", "--check"]) == 1


def test_interval_compression_and_windows_are_taken(project: Path) -> None:
    (project / "windows.yml").write_text(WINDOWS)
    assert main(["rules", "--interval", "1s", "--compress", "60", "--windows", "windows.yml"]) == 0
    assert groups(project)[0]["interval"] == "1s"
    text = (project / RULES).read_text()
    assert "ratio_rate10s" in text  # 10m by 60
    assert "ratio_rate12h" in text  # 30d by 60
    assert "ratio_rate5m" not in text


def test_out_and_tests_go_where_they_are_told(project: Path) -> None:
    assert main(["rules", "slo/availability.yaml", "--out", "made", "--tests", "made/tests"]) == 0
    assert (project / "made/slo/shop.yml").exists()
    assert len(list((project / "made/tests/shop-availability").iterdir())) == 8
    assert not (project / RULES).exists()
    assert main(["rules", "--out", "made", "--check"]) == 0


def test_an_objective_without_rules_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "slo" / "availability.yaml").write_text(DOCUMENT + LEDGER)
    assert main(["rules"]) == 0
    assert "shop-received: no rules" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--interval", "0s"], "an interval above 0"),
        (["--interval", "30"], "a duration with a unit"),
        (["--compress", "0"], "a factor above 0"),
        (["nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_an_error(
    project: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rules", *words]) == 3
    assert why in capsys.readouterr().err


def test_files_of_someone_else_stay(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / RULES).parent.mkdir(parents=True)
    (project / RULES).write_text("groups: []\n")
    assert main(["rules"]) == 3
    assert "was not made from documents" in capsys.readouterr().err
    assert (project / RULES).read_text() == "groups: []\n"
