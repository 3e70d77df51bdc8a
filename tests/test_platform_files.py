"""Where the platform's files are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloproof import platform_files
from sloproof.errors import SettingsError
from sloproof.platform_files import platform_file


def test_platform_file_of_the_project_comes_first(tmp_path: Path, packaged: Path) -> None:
    (packaged / "tools.lock").write_text("packaged")
    (packaged / "other").write_text("packaged")
    own = tmp_path / "platform"
    own.mkdir()
    (own / "tools.lock").write_text("own")
    assert platform_file(own, "tools.lock") == own / "tools.lock"
    assert platform_file(own, "other") == packaged / "other"
    assert platform_file(None, "tools.lock") == packaged / "tools.lock"


def test_platform_file_that_nobody_has_is_refused_with_both_places(tmp_path: Path, packaged: Path) -> None:
    with pytest.raises(SettingsError, match="found none") as caught:
        platform_file(tmp_path, "tools.lock")
    assert str(tmp_path / "tools.lock") in caught.value.details["project"]
    assert str(packaged) in caught.value.details["packaged"]
    assert "editable" in caught.value.details["next"]


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the wheel brings."""
    monkeypatch.setattr(platform_files, "files", lambda package: tmp_path / package)
    folder = tmp_path / "sloproof" / "_platform"
    folder.mkdir(parents=True)
    return folder
