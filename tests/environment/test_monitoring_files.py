from __future__ import annotations

import json
from pathlib import Path

import pytest

from sloproof.environment.monitoring_files import PROGRAMS, config_texts, dashboard_texts, rule_texts
from sloproof.errors import SettingsError

ROOT = Path(__file__).parents[2]


def test_rules_are_named_so_that_prometheus_loads_them(tmp_path: Path) -> None:
    for name in ("a.yml", "b.yaml", "c.txt", "slo/d.yml"):
        path = tmp_path / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")

    assert rule_texts(tmp_path) == {"a.yml": "a.yml", "b.yml": "b.yaml"}


def test_dashboards_are_the_json_files() -> None:
    found = dashboard_texts(ROOT / "platform")

    assert [*found] == ["users-api.json"]
    assert json.loads(found["users-api.json"])["uid"] == "users-api"


def test_project_without_a_folder_has_neither() -> None:
    assert rule_texts(None) == dashboard_texts(None) == {}


def test_every_program_has_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    for name in PROGRAMS:
        (tmp_path / "local" / f"{name}.yml").write_text(f"{name}: ${{VALUE}}", encoding="utf-8")

    assert config_texts(tmp_path, {"VALUE": "1"}) == {name: f"{name}: 1" for name in PROGRAMS}
    with pytest.raises(SettingsError, match="found VALUE"):
        config_texts(tmp_path, {})
