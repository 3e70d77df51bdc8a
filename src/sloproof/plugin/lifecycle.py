"""The hooks of a run: loaded only where a project has a `[tool.sloproof]` table."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from sloproof.plugin import running
from sloproof.plugin.options import read_options
from sloproof.plugin.profile import keep_profile
from sloproof.plugin.sharing import start_shared
from sloproof.plugin.workers import Controller, place_of, refuse_shared
from sloproof.report.run_id import new_run_id


def pytest_sessionstart(session: pytest.Session) -> None:
    """Make ready to hear from workers, where there are going to be some (pytest-xdist)."""
    if session.config.pluginmanager.hasplugin("dsession"):
        refuse_shared(session.config)
        # A worker's refusal would be taken for its crash.
        settings = running.required_settings(session.config)
        now = datetime.now(UTC)
        run_id = new_run_id(now)
        shared = start_shared(session.config, run_id)
        profile = keep_profile(session.config, run_id, running.reports_of(session.config, settings))
        session.config.stash[running.CONTROLLER] = Controller(run_id, now, shared, profile)
    elif _is_shared_by_nobody(session.config):
        raise pytest.UsageError("--env-shared: expected workers that share it; add -n 8, or leave it out")


def _is_shared_by_nobody(config: pytest.Config) -> bool:
    # Where nothing is run, xdist starts no workers either.
    return read_options(config).shared and place_of(config) is None and not config.option.collectonly


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of the run it is a part of."""
    node.config.stash[running.CONTROLLER].welcome(node.gateway.id, node.workerinput)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take what a worker hands over as it ends."""
    output = getattr(node, "workeroutput", {})
    node.config.stash[running.CONTROLLER].farewell(node.gateway.id, output, error)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Put scenarios about error budgets before all others: what the others spend of a budget stays spent."""
    running.budgets_first(session, items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make the run, if there are scenarios to run."""
    running.begin(session)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a scenario have its turn where others use the same environment."""
    with running.turn(item):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what the backend cannot do; let loads be told apart by scenario."""
    running.note_scenario(item)
    running.skip_if_incapable(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """End the run at once when a component has died."""
    running.end_if_dead(item, call)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report and end everything, whatever has happened."""
    running.finish(session)
    running.finish_controller(session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Close with the verdict, the worst failures and the report's place."""
    running.tell(terminalreporter, config)
