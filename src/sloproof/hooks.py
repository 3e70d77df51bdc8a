"""What another plugin, or a project's conftest, may add to a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloproof.environment.base import Environment
from sloproof.report.record import RunRecord


@pytest.hookspec(firstresult=True)
def pytest_sloproof_environment(config: pytest.Config, name: str) -> Environment | None:
    """Return the backend that `--env NAME` asks for, not yet started, or None to leave the name to others."""


@pytest.hookspec
def pytest_sloproof_report(config: pytest.Config, record: RunRecord, folder: Path) -> None:
    """Write one more document about a finished run into its report folder."""
