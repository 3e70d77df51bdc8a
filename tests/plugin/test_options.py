from __future__ import annotations

from pathlib import Path

import pytest

from sloproof.plugin.options import Options, read_options
from sloproof.plugin.tags import missing_capabilities

pytest_plugins = ["pytester"]


def test_options_have_defaults_that_start_the_local_environment_and_write_a_report(pytester: pytest.Pytester) -> None:
    assert read_options(pytester.parseconfig()) == Options(
        environment="local",
        reuse=False,
        shared=False,
        keep=False,
        tools_mirror=None,
        tools_offline=False,
        report_dir=None,
        write_report=True,
        catalogue=None,
    )


def test_options_are_read_and_paths_start_where_pytest_was_called(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig(
        "--env",
        "kube",
        "--env-reuse",
        "--env-shared",
        "--env-keep",
        "--tools-mirror",
        "http://127.0.0.1:1",
        "--tools-offline",
        "--report-dir",
        "out",
        "--no-report",
    )

    assert read_options(config) == Options(
        environment="kube",
        reuse=True,
        shared=True,
        keep=True,
        tools_mirror="http://127.0.0.1:1",
        tools_offline=True,
        report_dir=Path(pytester.path) / "out",
        write_report=False,
        catalogue=None,
    )


@pytest.mark.parametrize(
    ("tags", "capabilities", "missing"),
    [
        (["slow", "nightly"], [], ()),
        (["needs_grafana"], ["grafana"], ()),
        (["needs_replicas", "slow", "needs_grafana"], ["processes"], ("grafana", "replicas")),
    ],
)
def test_missing_capabilities_are_those_asked_for_by_tag(
    tags: list[str], capabilities: list[str], missing: tuple[str, ...]
) -> None:
    assert missing_capabilities(tags, capabilities) == missing
