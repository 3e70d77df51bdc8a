from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloproof.environment import receiver
from sloproof.environment.components import ExtraRules
from sloproof.environment.kube.monitoring_values import IMAGES, monitoring_values
from sloproof.errors import SettingsError
from sloproof.settings import load_settings

ROOT = Path(__file__).parents[3]
ALL_IMAGES = {name: f"local/{name}:1" for name in IMAGES}


def made(runtime: str = "containerd", **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "namespace": "space",
        "platform_dir": ROOT / "platform",
        "images": ALL_IMAGES,
        "extra": ExtraRules(),
        **more,
    }
    return monitoring_values(load_settings(ROOT), runtime=runtime, **asked)


def config(name: str, runtime: str = "containerd") -> dict[str, Any]:
    read = yaml.safe_load(made(runtime)["config"][name])
    assert isinstance(read, dict)
    return read


def job(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in document["scrape_configs"] if one["job_name"] == name]
    assert isinstance(found, dict)
    return found


def test_prometheus_finds_the_namespaces_annotated_pods_once_each() -> None:
    found = job(config("prometheus"), "users-api")

    assert found["honor_labels"] is True
    assert found["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["space"]}}]
    assert "static_configs" not in found
    kept = [rule for rule in found["relabel_configs"] if rule.get("action") in {"keep", "keepequal", "drop"}]
    assert [(rule["action"], rule["source_labels"][0].rpartition("_pod_")[2]) for rule in kept] == [
        ("keep", "annotation_prometheus_io_scrape"),
        ("keepequal", "annotation_prometheus_io_port"),
        ("drop", "phase"),
    ]
    # A pod that is not ready is running, and its counters count.
    assert kept[2]["regex"] == "Pending|Succeeded|Failed"
    targets = [rule["target_label"] for rule in found["relabel_configs"] if "action" not in rule]
    assert targets == ["__metrics_path__", "app", "job", "namespace", "pod", "container"]


def test_prometheus_scrapes_as_often_as_the_settings_say() -> None:
    settings = load_settings(ROOT)

    assert config("prometheus")["global"]["scrape_interval"] == settings.scrape.interval
    assert config("prometheus")["global"]["evaluation_interval"] == settings.scrape.evaluation


def test_shipper_reads_the_namespaces_files_and_not_what_it_feeds() -> None:
    (found,) = job(config("promtail"), "pods")["static_configs"]

    assert found["labels"] == {
        "__path__": "/var/log/pods/space_*/*/*.log",
        "__path_exclude__": "/var/log/pods/*/{alertmanager,grafana,loki,prometheus,promtail,receiver}/*.log",
    }


def test_shipper_looks_for_new_files_more_than_once_in_ten_seconds() -> None:
    assert config("promtail")["target_config"] == {"sync_period": "250ms"}


def test_programs_are_reached_from_other_pods() -> None:
    assert config("loki")["server"]["http_listen_address"] == "0.0.0.0"
    assert config("promtail")["server"]["http_listen_address"] == "0.0.0.0"
    # What Loki says to itself stays where nobody else can hear it.
    assert config("loki")["common"]["instance_addr"] == "127.0.0.1"
    assert config("alertmanager")["receivers"][0]["webhook_configs"][0]["url"] == "http://receiver:8080/webhook"
    assert config("promtail")["clients"][0]["url"] == "http://loki:3100/loki/api/v1/push"


def test_rules_are_the_projects_and_the_runs() -> None:
    rules = made(extra=ExtraRules({"slo.yml": "groups: []"}, {"lines.yml": "groups: [1]"}))["rules"]

    own = (ROOT / "platform" / "rules" / "users-api.yml").read_text()
    assert rules == {
        "prometheus": {"users-api.yml": own, "slo.yml": "groups: []"},
        "loki": {"lines.yml": "groups: [1]"},
    }


def test_dashboards_are_the_projects() -> None:
    assert [*made()["dashboards"]] == ["users-api.json"]


def test_receiver_is_the_local_environments_program() -> None:
    assert made()["receiver"] == {"program": Path(receiver.__file__).read_text()}


def test_project_without_a_platform_folder_gets_no_rules_and_no_dashboards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packaged = tmp_path / "_platform"
    packaged.mkdir()
    (packaged / "local").symlink_to(ROOT / "platform" / "local")
    monkeypatch.setattr("sloproof.platform_files.files", lambda _: tmp_path)

    values = made(platform_dir=None)

    assert values["rules"] == {"prometheus": {}, "loki": {}}
    assert values["dashboards"] == {}
    assert values["config"]["loki"]


def test_unknown_runtime_is_refused() -> None:
    with pytest.raises(SettingsError, match="container runtime whose log lines are known, got 'rkt'"):
        made("rkt")


def test_images_that_are_missing_or_unknown_are_named() -> None:
    images = {**ALL_IMAGES, "tempo": "a:b"}
    del images["loki"]

    with pytest.raises(SettingsError) as caught:
        made(images=images)

    assert caught.value.details == {"missing": "loki", "unknown": "tempo"}


# Through the real program: the stages as they are rendered, on lines as the runtimes write them.

WHEN = "2026-11-23T10:22:06.536205648Z"
WHEN_IT_WAS = datetime.fromisoformat("2026-11-23T10:22:06.536205+00:00")
LONG = "x" * 16384
LINES = {
    "containerd": [
        f"{WHEN} stdout F plain",
        f"{WHEN} stderr P {LONG}",
        f"{WHEN} stderr F end",
        f'{WHEN} stdout F {{"a": "b\\n"}}',
    ],
    "docker": [
        json.dumps({"log": log, "stream": stream, "time": WHEN})
        for log, stream in (("plain\n", "stdout"), (LONG, "stderr"), ("end\n", "stderr"), ('{"a": "b\\n"}\n', "stdout"))
    ],
}
SHIPPED = [("stdout", "plain"), ("stderr", f"{LONG}end"), ("stdout", '{"a": "b\\n"}')]


def shipped(promtail: Path, folder: Path, lines: list[str], runtime: str) -> list[tuple[str, str]]:
    """Return stream and text of each line that Promtail would ship, the time of each checked."""
    document = config("promtail", runtime)
    pods = job(document, "pods")
    document["scrape_configs"] = [
        {
            "job_name": "pods",
            "pipeline_stages": pods["pipeline_stages"],
            "static_configs": [{"labels": {"filename": "/var/log/pods/space_shop-7d-x2_12ab-cd/shop/0.log"}}],
        }
    ]
    document["server"] |= {"http_listen_port": 0, "grpc_listen_port": 0, "http_listen_address": "127.0.0.1"}
    document["positions"]["filename"] = str(folder / "positions.yaml")
    file = folder / "promtail.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run(
        [promtail, "-stdin", "-dry-run", f"-config.file={file}"],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = []
    # After the clients it prints a line an entry: its time, its labels, its text.
    for row in re.findall(r"^(\d{4}-\S+)\t(\{.*?\})\t(.*)$", done.stdout, re.MULTILINE):
        when, labels, text = row
        assert labels.startswith('{app="shop", container="shop", namespace="space", pod="shop-7d-x2", stream=')
        assert "filename" not in labels
        assert datetime.fromisoformat(when) == WHEN_IT_WAS
        found.append((next((one for one in ("stdout", "stderr") if f'stream="{one}"' in labels), ""), text))
    assert found, done.stdout + done.stderr
    return found


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["containerd", "docker"])
def test_lines_arrive_whole_with_stream_and_time(
    runtime: str, tmp_path: Path, tool_path: Callable[[str], Path]
) -> None:
    assert shipped(tool_path("promtail"), tmp_path, LINES[runtime], runtime) == SHIPPED


@pytest.mark.slow
def test_lines_of_another_runtime_do_not_arrive_so(tmp_path: Path, tool_path: Callable[[str], Path]) -> None:
    """The stages are chosen by the runtime because none does for both."""
    try:
        found = shipped(tool_path("promtail"), tmp_path, LINES["docker"], "containerd")
    except AssertionError:
        return
    assert found != SHIPPED
