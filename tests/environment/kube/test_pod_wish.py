"""Bounds are sums of what the probes say, and amounts of memory are read as the API writes them."""

from __future__ import annotations

import msgspec
import pytest

from sloproof.environment.kube.pod_wish import (
    Probe,
    WishfulWorkload,
    leaves_within,
    memory_bytes,
    restarts_within,
    returns_within,
)
from sloproof.errors import SettingsError

PROBE = Probe(period_seconds=3, timeout_seconds=2, failure_threshold=4, success_threshold=2)


def test_bounds_are_sums_of_the_probe() -> None:
    assert leaves_within(PROBE).text == "4 x period 3 s + timeout 2 s + slack 2 s = 16 s"
    assert leaves_within(PROBE).length.total_seconds() == 16
    assert returns_within(PROBE).length.total_seconds() == 10
    assert restarts_within(PROBE, 15).text == "4 x period 3 s + timeout 2 s + grace 15 s + slack 2 s = 31 s"


def test_probes_own_grace_wins_over_the_pods() -> None:
    own = msgspec.structs.replace(PROBE, termination_grace_period_seconds=1)
    assert restarts_within(own, 15).length.total_seconds() == 17


def test_probe_of_what_hangs_takes_its_whole_timeout() -> None:
    slow = msgspec.structs.replace(PROBE, timeout_seconds=5)
    assert restarts_within(slow, 1).text == "4 x period 5 s + timeout 5 s + grace 1 s + slack 2 s = 28 s"


def test_probe_is_read_with_the_defaults_of_the_api() -> None:
    document = {
        "spec": {"template": {"spec": {"containers": [{"name": "api", "readinessProbe": {"periodSeconds": 1}}]}}}
    }
    wish = msgspec.convert(document, WishfulWorkload)
    assert wish.container("api").readiness_probe == Probe(1, 1, 3, 1)
    assert wish.container("api").liveness_probe is None
    assert wish.spec.template.spec.termination_grace_period_seconds == 30


@pytest.mark.parametrize(
    ("text", "amount"), [("0", 0), ("96Mi", 96 * 2**20), ("1.5Gi", 1536 * 2**20), ("2k", 2000), ("1e3", 1000)]
)
def test_memory_is_read_in_bytes(text: str, amount: int) -> None:
    assert memory_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "Mi", "5Xi", "-1Mi", "1 Mi"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="amount of memory"):
        memory_bytes(text)
