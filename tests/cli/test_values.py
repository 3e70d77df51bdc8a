"""`sloproof values`: what it prints and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sloproof.cli import main
from sloproof.cli.values import chart_source
from sloproof.errors import SettingsError

CHART = str(Path(__file__).parents[1] / "environment" / "kube" / "chart")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def helm_on_path(tool_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tool_path("helm").parent), prepend=":")
    monkeypatch.chdir(REPOSITORY)


@pytest.mark.slow
@pytest.mark.usefixtures("helm_on_path")
def test_a_dead_key_is_named_with_its_line_and_the_status_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("replicas: 3\nmetre:\n  enabled: false\npassword: x\n")
    assert main(["values", CHART, "-f", str(file), "--release", "shop", "--offline"]) == 1
    out = capsys.readouterr().out
    assert (
        f"{file}:3: metre.enabled changes nothing: the chart knows no metre; nearest that would: meter.enabled\n" in out
    )
    assert "DaemonSet/shop-meter: meter, no memory requested" in out
    assert "3 keys: 1 of them changes nothing; " in out


@pytest.mark.slow
@pytest.mark.usefixtures("helm_on_path")
def test_a_clean_file_is_0_and_another_inventory_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, inventory = tmp_path / "values.yaml", tmp_path / "inventory.yaml"
    file.write_text("replicas: 3\n")
    given = ["values", CHART, "-f", str(file), "--release", "shop", "--expect-inventory", str(inventory)]
    inventory.write_text("Deployment/shop: [shop]\nDaemonSet/shop-meter: [meter]\n")
    assert main(given) == 0
    out = capsys.readouterr().out
    assert "another at each render, and so not compared:\n  Deployment/default/shop" not in out
    assert "Secret/shop: stringData.password" in out
    assert "1 keys: every key does something" in out
    inventory.write_text("Deployment/shop: [shop]\n")
    assert main(given) == 1
    assert f"{inventory}: DaemonSet/shop-meter: rendered, but not expected" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("helm_on_path")
def test_remarks_are_shown_and_held_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("nowhere: 1  # sloproof: unused - for later\n")
    assert main(["values", CHART, "-f", str(file)]) == 0
    assert "nowhere changes nothing, as said: for later" in capsys.readouterr().out
    file.write_text("replicas: 9  # sloproof: unused - for later\n")
    assert main(["values", CHART, "-f", str(file)]) == 1
    assert "replicas does something, and the remark beside it says that it does not" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("helm_on_path")
def test_values_that_do_not_render_are_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "values.yaml"
    file.write_text('image: ""\n')
    assert main(["values", CHART, "-f", str(file)]) == 3
    assert "an image is needed" in capsys.readouterr().err


def test_charts_are_named_in_four_ways(tmp_path: Path) -> None:
    assert chart_source("loki", "https://x.example", "1.2.3").arguments == (
        *("loki", "--repo", "https://x.example", "--version", "1.2.3"),
    )
    assert chart_source("oci://x.example/charts/loki", "", "1.2.3").arguments == (
        *("oci://x.example/charts/loki", "--version", "1.2.3"),
    )
    assert chart_source(CHART, "", "").name == "chart"
    packed = tmp_path / "loki-18.11.0.tgz"
    packed.touch()
    assert chart_source(str(packed), "", "").name == "loki"
    for chart, repository in (("loki", "https://x.example"), ("oci://x.example/loki", "")):
        with pytest.raises(SettingsError, match="expected --version"):
            chart_source(chart, repository, "")
    with pytest.raises(SettingsError, match="expected a chart, seen 'nowhere'"):
        chart_source("nowhere", "", "")
