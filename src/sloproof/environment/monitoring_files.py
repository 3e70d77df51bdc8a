"""The monitoring's files, the same for every environment: configuration, rule groups and dashboards, as texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sloproof.environment.templates import fill
from sloproof.platform_files import platform_file

PROGRAMS = ("prometheus", "alertmanager", "loki", "promtail")


def config_texts(platform_dir: Path | None, values: Mapping[str, str]) -> dict[str, str]:
    """Return each program's configuration, filled in.

    Args:
        platform_dir: The project's platform folder; None for the one that comes with sloproof.
        values: What the names in the files stand for in the environment.

    Raises:
        SettingsError: A file is not there, or asks for a name that there is no value for.
    """
    return {name: fill(platform_file(platform_dir, f"local/{name}.yml"), values) for name in PROGRAMS}


def rule_texts(platform_dir: Path | None) -> dict[str, str]:
    """Return the project's own rule groups for Prometheus: file name to text, each name ending in `.yml`."""
    if platform_dir is None:
        return {}
    found = (path for pattern in ("*.yml", "*.yaml") for path in sorted((platform_dir / "rules").glob(pattern)))
    return {f"{path.stem}.yml": path.read_text(encoding="utf-8") for path in found}


def dashboard_texts(platform_dir: Path | None) -> dict[str, str]:
    """Return the project's dashboards: file name to JSON."""
    if platform_dir is None:
        return {}
    return {
        path.name: path.read_text(encoding="utf-8") for path in sorted((platform_dir / "dashboards").glob("*.json"))
    }
