"""The fixtures that steps ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sloproof.harness import Harness
from sloproof.plugin import running
from sloproof.trial import Trial


@pytest.fixture(scope="session")
def harness(request: pytest.FixtureRequest) -> Harness:
    """The harness on a running environment, brought up once for the whole run."""
    return running.harness_of(request.config)


@pytest.fixture
def trial(harness: Harness, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """What this scenario has done and seen so far; its faults, loads and stops are undone when it ends."""
    harness.environment.check_alive()
    yield Trial(harness)
    if running.has_environment(request.config):
        harness.restore()


@pytest.fixture(scope="module")
def feature_memory() -> dict[str, Any]:
    """What one scenario of a feature leaves for the next ones of the same feature."""
    return {}
