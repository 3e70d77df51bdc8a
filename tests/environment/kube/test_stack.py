"""The stacks: the ones that are there, and what is refused with the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloproof.environment.kube.stack import FILE, load_stack
from sloproof.errors import SettingsError

PLATFORM = Path(__file__).parents[3] / "platform"
GOOD = """\
format: 1
.part: &part {name: loki, chart: loki, version: 1.2.3, repository: "https://charts.example/x"}
stacks:
  ours:
    releases:
      - name: metrics
        chart: metrics
        version: 0.1.0-rc.1
        repository: oci://registry.example/charts
        values: [helm/metrics.yaml]
        inventory: helm/inventory.yaml
        addresses:
          prometheus: {service: metrics, port: 80}
      - <<: *part
        namespace: own
        addresses: {loki: {service: loki, port: 3100}}
"""


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    folder = tmp_path / "platform"
    (folder / "helm").mkdir(parents=True)
    (folder / "charts" / "monitoring").mkdir(parents=True)
    (folder / "helm" / "metrics.yaml").write_text("{}")
    (folder / "helm" / "inventory.yaml").write_text("{}")
    (folder / FILE).write_text(GOOD)
    return folder


def test_a_stack_is_its_releases_in_order(platform: Path) -> None:
    stack = load_stack(platform, "ours")
    first, second = stack.releases
    assert first.chart.arguments == ("oci://registry.example/charts/metrics", "--version", "0.1.0-rc.1")
    assert second.chart.arguments == ("loki", "--repo", "https://charts.example/x", "--version", "1.2.3")
    assert (first.values_files, first.inventory) == (
        (platform / "helm/metrics.yaml",),
        platform / "helm/inventory.yaml",
    )
    assert (first.namespace("shop"), second.namespace("shop")) == ("shop", "shop-loki")
    assert stack.url_host("loki", "shop") == "loki.shop-loki:3100"
    with pytest.raises(SettingsError, match="to say where grafana answers") as caught:
        stack.release_of("grafana")
    assert caught.value.details["there"] == "loki, prometheus"


@pytest.mark.parametrize("name", ["community", "community-promtail"])
def test_the_communitys_stacks_pin_every_chart_and_say_where_each_part_answers(name: str) -> None:
    stack = load_stack(PLATFORM, name)
    assert [release.name for release in stack.releases][:2] == ["prometheus", "loki"]
    for release in stack.releases:
        if release.chart.folder is None:
            assert release.chart.version, release
            assert release.inventory, release
            assert release.values_files, release
    for component in ("prometheus", "alertmanager", "loki", "grafana"):
        assert stack.release_of(component).addresses[component].port


def test_a_stack_that_is_not_there_is_refused_with_the_nearest(platform: Path) -> None:
    with pytest.raises(SettingsError, match=r"seen 'our'; did you mean ours\?") as caught:
        load_stack(platform, "our")
    assert caught.value.details["where"] == str(platform / FILE)


@pytest.mark.parametrize(
    ("before", "after", "key", "message"),
    [
        ("format: 1", "format: 2", "format", "expected 1, seen 2"),
        ("stacks:", "stack:", "stacks", "expected a map of stacks"),
        ("stacks:", "extra: 1\nstacks:", "extra", "unknown key"),
        ("chart: metrics", "chrat: metrics", "stacks.ours.releases[0]", "did you mean chart?"),
        ("service: metrics", "servce: metrics", "releases[0].addresses[...]", "did you mean service?"),
        ("port: 80", "port: http", "stacks.ours.releases[0].addresses[...].port", "Expected `int`"),
        ("namespace: own", "namespace: other", "stacks.ours.releases[1].namespace", "Invalid enum value 'other'"),
        ("0.1.0-rc.1", "~0.1", "releases[0] (metrics).version", "expected one exact version"),
        ("oci://registry", "registry", "releases[0] (metrics).repository", "expected https:// or oci://"),
        ("namespace: own", "folder: charts/monitoring", "releases[1] (loki)", "seen repository and folder"),
        ("- name: metrics", "- name: Metrics", "releases[0] (Metrics).name", "a name as Helm takes it"),
        ("{name: loki", "{name: metrics", "stacks.ours", "expected each release once, seen twice: metrics"),
        ("{loki: {", "{prometheus: {", "stacks.ours", "expected each component once, seen twice: prometheus"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_key(
    platform: Path, before: str, after: str, key: str, message: str
) -> None:
    assert before in GOOD
    (platform / FILE).write_text(GOOD.replace(before, after, 1))
    with pytest.raises(SettingsError) as caught:
        load_stack(platform, "ours")
    assert message in caught.value.headline
    assert caught.value.details["where"].startswith(f"{platform / FILE}: ")
    assert key in caught.value.details["where"]


def test_a_folder_has_no_version_beside_it(platform: Path) -> None:
    release = "{name: monitoring, chart: monitoring, folder: charts/monitoring, version: 1.0.0}"
    (platform / FILE).write_text(f"format: 1\nstacks: {{ours: {{releases: [{release}]}}}}\n")
    with pytest.raises(SettingsError, match=r"its Chart\.yaml says it"):
        load_stack(platform, "ours")


def test_a_file_that_is_not_there_is_named_with_who_names_it(platform: Path) -> None:
    (platform / "helm" / "metrics.yaml").unlink()
    with pytest.raises(SettingsError, match=r"helm/metrics\.yaml, found none") as caught:
        load_stack(platform, "ours")
    assert caught.value.details["named_by"].endswith("stacks.ours.releases[0] (metrics)")


def test_a_stack_without_releases_is_refused(platform: Path) -> None:
    (platform / FILE).write_text("format: 1\nstacks: {ours: {releases: []}}\n")
    with pytest.raises(SettingsError, match="at least one release"):
        load_stack(platform, "ours")
