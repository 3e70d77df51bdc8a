"""One more try for tests that start real programs: a neighbour that takes the processor is no finding.

What passed only then is told at the end, with what it said at first, so that nothing unsteady hides. A plugin for this
exists; with pytest-xdist installed it opens a port in every run of pytest, those that our tests make included.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

_TESTS = Path(__file__).parent
_FIRST = "sloproof_first_try"  # an attribute of a report, so that it comes home from an xdist worker
_TOLD = pytest.StashKey[list[tuple[str, str]]]()


class SecondTry:
    """A plugin of pytest.

    Args:
        config: Where what is told is kept.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._told = config.stash.setdefault(_TOLD, [])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a slow test, and once more if it failed; the last try is what counts."""
        if item.get_closest_marker("slow") is None or not item.path.is_relative_to(_TESTS):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        failed = [report for report in reports if report.failed]
        if failed and not (item.session.shouldstop or item.session.shouldfail):
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
            if not any(report.failed for report in reports):
                setattr(reports[-1], _FIRST, failed[0].longreprtext)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what needed two."""
        first = getattr(report, _FIRST, None)
        if first is not None:
            self._told.append((report.nodeid, first))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell it."""
        if self._told:
            terminalreporter.section(f"{len(self._told)} passed only at the second try")
        for name, first in self._told:
            terminalreporter.write_line(f"{name}\n{first}\n")
