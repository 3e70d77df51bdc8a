from __future__ import annotations

from pathlib import Path

import pytest

from sloproof.errors import SettingsError
from sloproof.slo.documents.folder import document_paths

TABLE = '[tool.sloproof.slo]\ndocuments = "objectives"\n[tool.sloproof.service]\nname = "shop"\ncommand = ["x"]\n'
METRICS = '[tool.sloproof.metrics.requests]\nname = "n"\nendpoint = "e"\nmethod = "m"\nstatus = "s"\n'
LOGS = (
    '[tool.sloproof.logs]\nformat = "json"\nfields = {request_id = "r", method = "m", endpoint = "e", status = "s"}\n'
)


def test_what_is_given_is_read_as_it_is() -> None:
    assert document_paths([Path("a.yaml"), Path("b")], Path("/anywhere")) == [Path("a.yaml"), Path("b")]


@pytest.mark.parametrize(("below", "named"), [("", "objectives"), ("src/deep", "../../objectives")])
def test_the_projects_own_folder_is_found_from_anywhere_in_it(tmp_path: Path, below: str, named: str) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE + METRICS + LOGS)
    start = tmp_path / below
    start.mkdir(parents=True, exist_ok=True)
    assert document_paths([], start) == [Path(named)]


def test_without_a_table_it_is_the_one_that_tables_default_to(tmp_path: Path) -> None:
    assert document_paths([], tmp_path) == [Path("slo")]


def test_a_table_that_is_wrong_is_told_rather_than_guessed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.sloproof]\nunheard_of = 1\n")
    with pytest.raises(SettingsError, match="unheard_of"):
        document_paths([], tmp_path)
