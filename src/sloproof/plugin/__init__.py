"""The pytest plugin. It only delegates; each part has a module of its own."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from sloproof import hooks
from sloproof.errors import CapabilityError
from sloproof.plugin.catalogue import write_catalogue
from sloproof.plugin.collect import FeatureFile, collect_file
from sloproof.plugin.elsewhere_options import add_attached_options, add_cluster_options
from sloproof.plugin.failure import github_annotations
from sloproof.plugin.options import add_options, read_options
from sloproof.plugin.preflight import check, refuse_instead
from sloproof.plugin.recorder import RECORDER, Recorder
from sloproof.plugin.tags import register_tags
from sloproof.settings import has_table

# What a project that has a table runs with; projects that have none do not pay for its import.
_RUNNING = (
    "sloproof.plugin.lifecycle",
    "sloproof.plugin.fixtures",
    "sloproof.steps.alerts",
    "sloproof.steps.answers",
    "sloproof.steps.checks",
    "sloproof.steps.components",
    "sloproof.steps.dashboards",
    "sloproof.steps.kubernetes",
    "sloproof.steps.logs",
    "sloproof.steps.metrics",
    "sloproof.steps.pod_failures",
    "sloproof.steps.probes",
    "sloproof.steps.service",
    "sloproof.steps.slos",
    "sloproof.steps.traffic",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the command-line options."""
    add_options(parser)
    add_cluster_options(parser)
    add_attached_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that others may implement."""
    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the tags, start keeping records, and load the general sentences where there is a service for them."""
    register_tags(config)
    config.stash[RECORDER] = Recorder(config)
    config.pluginmanager.register(config.stash[RECORDER], "sloproof-recorder")
    if has_table(config.rootpath):
        for name in _RUNNING:
            config.pluginmanager.import_plugin(name)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> FeatureFile | None:
    """Collect feature files."""
    return collect_file(file_path, parent)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Tell of the problems in a feature file where pytest would only say that a scenario was not found in it."""
    with refuse_instead(session):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:  # noqa: ARG001 - the hook's
    """Skip a scenario that finds out only in a step that the environment has not what it needs."""
    try:
        return (yield)
    except CapabilityError as error:
        pytest.skip(error.headline)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Write the step catalogue if that is asked for; refuse features that would not do what they say."""
    catalogue = read_options(session.config).catalogue
    if catalogue is not None:
        write_catalogue(session, catalogue)
    else:
        check(session, items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Annotate the lines of failed scenarios, on GitHub."""
    for line in github_annotations(config.stash[RECORDER].records, config.rootpath, os.environ):
        terminalreporter.write_line(line)
