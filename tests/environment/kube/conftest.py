"""What tests of the Kubernetes adapter share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment.kube.fake_api import FakeApi, fake_api


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeApi]:
    """Serve a Kubernetes API that says what the test has it say."""
    with fake_api(tmp_path) as served:
        yield served
