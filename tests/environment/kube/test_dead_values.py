"""Keys of values files that do nothing: each way of being dead is named, and nothing that lives is."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from sloproof.environment.kube.chart_source import ChartSource
from sloproof.environment.kube.dead_values import ValuesReport, find_dead_values
from sloproof.environment.kube.helm import Helm
from sloproof.environment.kube.renders import inventory_faults, mask_of, workloads
from sloproof.environment.kube.values_tree import changed, dotted, merged, read_values, without
from sloproof.errors import SettingsError

CHART = Path(__file__).parent / "chart"
Checked = Callable[..., ValuesReport]


@pytest.fixture
def checked(tool_path: Callable[[str], Path], tmp_path: Path) -> Checked:
    """Return a function that checks texts of values files against the chart of these tests."""
    helm = Helm(tool_path("helm"), kubeconfig=None, context=None, environ=os.environ)

    def check(*texts: str, chart: Path = CHART) -> ValuesReport:
        files = []
        for number, text in enumerate(texts):
            files.append(tmp_path / f"values{number}.yaml")
            files[-1].write_text(textwrap.dedent(text))
        return find_dead_values(helm, ChartSource("shop", folder=chart), files, release="shop", namespace="try")

    return check


def dead(report: ValuesReport) -> list[str]:
    return [str(each.key) for each in report.dead]


@pytest.mark.slow
def test_a_key_that_the_chart_does_not_know_is_named_with_the_one_that_would_do_it(checked: Checked) -> None:
    report = checked("# switched off\nmetre:\n  enabled: false\nreplicas: 2\n")
    (one,) = report.dead
    assert (str(one.key), one.key.line, one.near) == ("metre.enabled", 3, ("meter.enabled",))
    assert "the chart knows no metre" in one.why
    assert not report.is_clean
    assert any(each.name == "DaemonSet/shop-meter" for each in report.workloads)


@pytest.mark.slow
def test_a_key_that_says_what_the_chart_says_is_not_dead(checked: Checked) -> None:
    report = checked("replicas: 1\nmeter:\n  enabled: true\n  port: 9100\n")
    assert report.is_clean
    assert [str(key) for key in report.restating] == ["replicas", "meter.enabled", "meter.port"]


@pytest.mark.slow
def test_a_key_that_only_the_schema_reads_is_dead(checked: Checked) -> None:
    report = checked("colour: red\n")
    assert dead(report) == ["colour"]
    # Everything of this chart hangs together with a password made up at each render, so this much can be said:
    assert "beside the fields that change at each render" in report.dead[0].why


@pytest.mark.slow
def test_why_a_key_is_dead_is_told_where_nothing_is_made_up(checked: Checked) -> None:
    report = checked("password: fixed\ncolour: red\nnotes:\n  today: rain\nlabels:\n  team: shop\n")
    assert {str(each.key): each.why for each in report.dead} == {
        "colour": "the chart's values have it, but no template reads it with these values",
        "notes.today": "the chart lets anything stand there, but no template reads this",
    }
    assert report.masked == ()


@pytest.mark.slow
def test_a_key_of_a_feature_that_is_off_says_which_switch(checked: Checked) -> None:
    report = checked("cache:\n  memory: 128Mi\nmeter:\n  enabled: false\n  port: 9200\n")
    assert {str(each.key): each.why for each in report.dead} == {
        "cache.memory": "it would, but cache.enabled: false switches off what reads it",
        "meter.port": "it would, but meter.enabled: false switches off what reads it",
    }


@pytest.mark.slow
def test_what_is_made_up_at_each_render_makes_nothing_look_alive(checked: Checked) -> None:
    report = checked("nowhere: 1\n")
    assert dead(report) == ["nowhere"]
    assert report.masked == (
        "Deployment/shop: spec.template.metadata.annotations.checksum/secret",
        "Secret/shop: stringData.password",
    )
    assert checked("password: fixed\n").is_clean


@pytest.mark.slow
def test_a_key_that_a_later_file_says_otherwise_is_dead_in_the_earlier_one(checked: Checked) -> None:
    report = checked("replicas: 2\nresources:\n  cpu: 1\n", "replicas: 3\nresources:\n  memory: 1Gi\n")
    (one,) = report.dead
    assert (one.key.file.name, str(one.key)) == ("values0.yaml", "replicas")
    assert one.why.endswith("values1.yaml says otherwise, and wins")


@pytest.mark.slow
@pytest.mark.parametrize("later", ["args: [{a: 1}]\n", "args: []\n", "args: null\n"])
def test_a_list_of_a_later_file_wins_whole(checked: Checked, later: str) -> None:
    report = checked("args:\n  - cri: 1\n  - x: {z: 2}\n", later)
    assert [str(each.key) for each in report.dead if each.key.file.name == "values0.yaml"] == [
        "args[0].cri",
        "args[1].x.z",
    ]
    assert {each.why.partition(" ")[2] for each in report.dead} == {"says otherwise, and wins"}


@pytest.mark.slow
def test_a_remark_allows_a_dead_key_and_must_be_true(checked: Checked) -> None:
    report = checked(
        """\
        nowhere: 1  # sloproof: unused - read by the next version of the chart
        # sloproof: unused - so we thought
        replicas: 5
        """
    )
    assert [(str(each.key), each.key.allowance) for each in report.allowed] == [
        ("nowhere", "read by the next version of the chart")
    ]
    assert [str(key) for key in report.unneeded] == ["replicas"]
    assert report.dead == ()
    assert not report.is_clean


@pytest.mark.slow
def test_values_are_read_as_helm_reads_them(checked: Checked) -> None:
    assert checked("since: 2024-04-01\nlabels:\n  on: yes\n  time: 1:30\n  octal: 017\n").is_clean
    assert checked("args: [a, b]\nresources: {requests: {memory: 1Gi}}\nlabels: {}\n").checked == 4


@pytest.mark.slow
def test_values_that_do_not_render_are_refused_with_helms_reason(checked: Checked) -> None:
    with pytest.raises(SettingsError, match="a template fails") as caught:
        checked('image: ""\n')
    assert "an image is needed" in str(caught.value)
    with pytest.raises(SettingsError, match="the chart's schema allows") as caught:
        checked("colour: blue\n")
    assert "colour" in caught.value.details["seen"]


@pytest.mark.slow
def test_a_packed_chart_and_packed_subcharts_are_checked_alike(checked: Checked, tmp_path: Path) -> None:
    copy = tmp_path / "shop"
    shutil.copytree(CHART, copy)
    meter = shutil.make_archive(str(tmp_path / "meter"), "gztar", copy / "charts", "meter")
    shutil.rmtree(copy / "charts" / "meter")
    shutil.move(meter, copy / "charts" / "meter-0.1.0.tgz")
    text = "metre:\n  enabled: false\n"
    (one,) = checked(text, chart=copy).dead
    assert one.near == ("meter.enabled",)
    packed = shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path, "shop")
    (one,) = checked(text, chart=Path(packed)).dead
    assert one.near == ("meter.enabled",)


@pytest.mark.slow
def test_workloads_are_held_against_an_inventory(checked: Checked, tmp_path: Path) -> None:
    report = checked("cache:\n  enabled: true\nmeter:\n  enabled: false\n")
    assert [each.name for each in report.workloads] == [
        "Deployment/shop",
        "PersistentVolumeClaim/data of StatefulSet/shop-cache",
        "StatefulSet/shop-cache",
    ]
    assert report.workloads[2].memory == 64 * 2**20
    assert report.workloads[0].unbound == ("shop",)
    expected = tmp_path / "inventory.yaml"
    expected.write_text(
        "Deployment/shop: [shop, proxy]\nDaemonSet/shop-meter: [meter]\nStatefulSet/shop-cache: [cache]\n"
    )
    assert inventory_faults(report.workloads, expected) == (
        "DaemonSet/shop-meter: expected, but not rendered",
        "PersistentVolumeClaim/data of StatefulSet/shop-cache: rendered, but not expected",
        "Deployment/shop: expected the containers proxy, shop, seen shop",
    )
    expected.write_text("Deployment/shop: shop")
    with pytest.raises(SettingsError, match="inventory of workloads cannot be read"):
        inventory_faults(report.workloads, expected)


def test_renders_whose_objects_come_and_go_cannot_be_compared() -> None:
    with pytest.raises(SettingsError, match="their names change"):
        mask_of("kind: Secret\nmetadata: {name: a-x1}\n", "kind: Secret\nmetadata: {name: a-x2}\n")


def test_workloads_of_a_render_include_jobs_and_what_begins_a_pod() -> None:
    render = """\
kind: CronJob
metadata: {name: sweep}
spec: {jobTemplate: {spec: {template: {spec: {
  initContainers: [{name: first}], containers: [{name: broom, resources: {requests: {memory: 1.5Gi}}}]}}}}}
---
kind: ConfigMap
metadata: {name: none}
"""
    (one,) = workloads(render)
    assert (one.name, one.containers, one.memory) == ("CronJob/sweep", ("broom", "first"), 1536 * 2**20)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (True, False),
        (2, 9),
        (0.5, 7.5),
        ("128Mi", "135Mi"),
        ("1.5Gi", "8.5Gi"),
        ("9093", "9100"),
        ("5s", "12s"),
        ("text", "text-sloproof-sentinel"),
        ("", "sloproof-sentinel"),
        ("a\nb\n", "a\nb\n\nsloproof-sentinel\n"),
        (None, "sloproof-sentinel"),
        ({}, {"sloproof-sentinel": "sloproof-sentinel"}),
        ([], ["sloproof-sentinel"]),
    ],
)
def test_another_value_is_of_the_same_kind(value: object, other: object) -> None:
    assert changed(value) == other


def test_a_key_left_out_takes_the_maps_with_it_that_it_alone_filled() -> None:
    assert without({"a": {"b": {"c": 1}}, "d": 2}, ("a", "b", "c")) == {"d": 2}
    assert without({"a": {"b": {"c": 1}, "e": 3}}, ("a", "b", "c")) == {"a": {"e": 3}}
    assert without({"a": [{"b": 1}, {"c": 2}]}, ("a", 0, "b")) == {"a": [{}, {"c": 2}]}


def test_values_are_laid_over_each_other_as_helm_does_it() -> None:
    assert merged([{"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3]}, "d": None}]) == {
        "a": {"b": 1, "c": [3]},
        "d": None,
    }


def test_paths_and_lines_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text('files:\n  "a.yml": {}\nlist:\n  - name: x\n  - y\n')
    assert [(dotted(key.path), key.line) for key in read_values(file).keys] == [
        ('files."a.yml"', 2),
        ("list[0].name", 4),
        ("list[1]", 5),
    ]


@pytest.mark.parametrize("text", ["- a list\n", "a: [\n"])
def test_a_file_without_values_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_values(file)
    assert caught.value.details["where"] == str(file)
