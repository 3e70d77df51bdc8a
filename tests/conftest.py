"""What tests of several packages share."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.second_try import SecondTry
from tests.system.cluster_tool import TOLD

if TYPE_CHECKING:
    from collections.abc import Callable

# Many runs see more examples than one long one; how long an example takes says more about the machine's neighbours than
# about the code.
hypothesis.settings.register_profile("sloproof", deadline=None, max_examples=40)
hypothesis.settings.load_profile("sloproof")

# Thousands of collected tests and kept reports are walked through each time the collector comes, and none of them goes
# before the end: a tenth of the processor time at the default of 700.
gc.set_threshold(100_000, 50, 100)


def pytest_configure(config: pytest.Config) -> None:
    """Give tests that start real programs one more try."""
    config.pluginmanager.register(SecondTry(config))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Spare the collector all that was imported and collected: runs of pytest within a test collect many times."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tool_path() -> Callable[[str], Path]:
    """Return a function that finds a program on PATH or in the tool cache, and skips where it is in neither."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sloproof" / "tools"

    def find(name: str) -> Path:
        on_path = shutil.which(name)
        if on_path:
            return Path(on_path)
        cached = [path for path in cache.glob(f"{name}/*/{name}") if os.access(path, os.X_OK)]
        if not cached:
            pytest.skip(f"{name} is not in the tool cache: run `sloproof tools`")
        return max(cached, key=lambda path: path.stat().st_mtime)

    return find


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what became of the tests on real clusters, and how long each part of them took."""
    told = config.stash.get(TOLD, [])
    if told:
        terminalreporter.section("kubernetes")
        for line in told:
            terminalreporter.write_line(line)
