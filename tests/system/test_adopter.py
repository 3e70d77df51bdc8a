"""Another team's service, on another framework, with nothing but the wheel and its own table."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADOPTER = ROOT / "tests" / "adopter"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_holds_the_library_and_its_platform_files_and_nothing_else(wheel: Path) -> None:
    """Other people's names on the package index (`service`, `steps`, `slo`) are not in it."""
    names = zipfile.ZipFile(wheel).namelist()

    tops = {name.partition("/")[0] for name in names}

    assert tops == {"sloproof", f"sloproof-{wheel.name.split('-')[1]}.dist-info"}
    assert {"sloproof/py.typed", "sloproof/_platform/tools.lock", "sloproof/_platform/local/loki.yml"} <= set(names)
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]


@pytest.mark.slow
def test_features_of_another_service_are_green_with_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    """An empty folder, the wheel, the service's own framework, its table and its features: that is all."""
    project, environment = tmp_path / "shop", tmp_path / "venv"
    shutil.copytree(ADOPTER, project, ignore=shutil.ignore_patterns("reports", "__pycache__", ".pytest_cache"))
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    _run([str(python), "-m", "pip", "install", "--quiet", str(wheel), "aiohttp"])

    done = subprocess.run(
        [str(python), "-m", "pytest", "features/", "-q"],
        cwd=project,
        env={name: text for name, text in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((project / "reports" / "latest" / "report.json").read_bytes())
    assert report["verdict"] == "pass"
    assert report["service"] == "shop"
    assert len(report["scenarios"]) >= 10


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
