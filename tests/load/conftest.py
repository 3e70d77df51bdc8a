"""One server a test, one resident driver a module: starting Locust is what costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sloproof.load.driver import Driver
from tests.load.server import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Driver, Path]]:
    folder = tmp_path_factory.mktemp("ledger")
    with serving() as running, Driver(base_url=running.url, ledger_dir=folder, run_id="run") as driver:
        yield running, driver, folder
