"""What the tests of the service share: the application in this process, and the real one in its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.service.observed import Observed
from tests.service.running import Running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def observed() -> Iterator[Observed]:
    """The application in this process, with its lines and its numbers."""
    with Observed() as made:
        yield made


@pytest.fixture
def make_observed() -> type[Observed]:
    return Observed


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that is not started yet; whatever it starts is gone after the test."""
    running = Running(tmp_path_factory.mktemp("service"), dict(os.environ))
    try:
        yield running
    finally:
        running.kill()
