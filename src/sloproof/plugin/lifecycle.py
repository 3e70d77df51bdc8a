"""The hooks of a run: loaded only where a project has a `[tool.sloproof]` table."""

from __future__ import annotations

import pytest

from sloproof.plugin import running


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make the run, if there are scenarios to run."""
    running.begin(session)


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Close with the verdict, the worst failures and the report's place."""
    running.tell(terminalreporter, config)
