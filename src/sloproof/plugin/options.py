"""What can be asked for on pytest's command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's answers.

    Attributes:
        environment: Name of the backend.
        reuse: Use the environment that `sloproof up` keeps running.
        shared: Let all workers of xdist use one environment.
        keep: Leave the environment running at the end.
        tools_mirror: Base URL to get release archives from instead of the projects' own; None for their own.
        tools_offline: Get nothing over the network.
        report_dir: Where report folders go; None for the project's `reports_dir`.
        write_report: Whether to write one.
        catalogue: Where to write the step catalogue as JSON; None for nowhere.
    """

    environment: str
    reuse: bool
    shared: bool
    keep: bool
    tools_mirror: str | None
    tools_offline: bool
    report_dir: Path | None
    write_report: bool
    catalogue: Path | None


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("sloproof", "monitoring that tells the truth (sloproof)")
    group.addoption(
        "--env",
        dest="sloproof_env",
        metavar="NAME",
        default="local",
        help="where the system runs: local (the default), minikube, kube (a named cluster), attached (one that "
        "runs already); others by the hook pytest_sloproof_environment",
    )
    group.addoption(
        "--env-reuse",
        dest="sloproof_env_reuse",
        action="store_true",
        help="use the environment that `sloproof up` keeps running; in a cluster, bring what was kept up to date",
    )
    group.addoption(
        "--env-keep",
        dest="sloproof_env_keep",
        action="store_true",
        help="leave the environment as it is at the end; `sloproof down` ends a local one",
    )
    group.addoption(
        "--env-shared",
        dest="sloproof_env_shared",
        action="store_true",
        help="with -n: one environment for all workers; scenarios that leave one another alone run together",
    )
    group.addoption(
        "--tools-mirror",
        dest="sloproof_tools_mirror",
        metavar="URL",
        help="get the release archives of Prometheus, Loki and the others from here",
    )
    group.addoption(
        "--tools-offline",
        dest="sloproof_tools_offline",
        action="store_true",
        help="get no program over the network: PATH and the cache must have them all",
    )
    group.addoption(
        "--report-dir",
        dest="sloproof_report_dir",
        metavar="DIR",
        type=Path,
        help="where report folders go, relative to the current directory (default: the project's reports_dir)",
    )
    group.addoption("--no-report", dest="sloproof_no_report", action="store_true", help="write no report folder")
    group.addoption(
        "--step-catalogue",
        dest="sloproof_step_catalogue",
        metavar="FILE",
        type=Path,
        help="write the catalogue of steps to FILE as JSON; with --collect-only (what `sloproof steps` does)",
    )


def read_options(config: pytest.Config) -> Options:
    """Return what was asked for; relative paths are taken from where pytest was called."""
    report_dir: Path | None = config.getoption("sloproof_report_dir")
    catalogue: Path | None = config.getoption("sloproof_step_catalogue")
    here = config.invocation_params.dir
    return Options(
        environment=config.getoption("sloproof_env"),
        reuse=config.getoption("sloproof_env_reuse"),
        shared=config.getoption("sloproof_env_shared"),
        keep=config.getoption("sloproof_env_keep"),
        tools_mirror=config.getoption("sloproof_tools_mirror"),
        tools_offline=config.getoption("sloproof_tools_offline"),
        report_dir=None if report_dir is None else here / report_dir,
        write_report=not config.getoption("sloproof_no_report"),
        catalogue=None if catalogue is None else here / catalogue,
    )
