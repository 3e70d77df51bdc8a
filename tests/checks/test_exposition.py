from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from sloproof.checks.exposition import Declared, ExpositionEvidence, judge
from tests.checks.facts import BASIS, fails, passes, unclear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.finding import Finding

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
DECLARED = (
    Declared("app_error_count_total", "counter", ["error_type"], children=[{"error_type": "client_error"}]),
    Declared("app_request_latency_seconds", "histogram", ["endpoint"], buckets=[0.01, 0.1, 1]),
    Declared("app_active_requests", "gauge", children=[{}]),
)


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("app_error_count", "Errors", ["error_type"], registry=made).labels("client_error")
    histogram = Histogram("app_request_latency_seconds", "Latency", ["endpoint"], buckets=[0.01, 0.1, 1], registry=made)
    histogram.labels("/").observe(0.05)
    Gauge("app_active_requests", "In flight", registry=made)
    return made


def openmetrics() -> str:
    return str(generate_openmetrics(registry()).decode())  # type: ignore[no-untyped-call]


GOOD = generate_latest(registry()).decode()


def judged(text: str, declared: Sequence[Declared] = DECLARED, content_type: str = TEXT) -> Finding:
    return judge(ExpositionEvidence(text, content_type, declared, is_fresh=True), BASIS)


def problems(found: Finding) -> str:
    return dict(found.evidence)["problems"]


def test_exposition_passes_in_both_formats_when_all_is_as_declared() -> None:
    assert passes(judged(GOOD))
    assert passes(judged(openmetrics(), content_type=OPENMETRICS))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("app_error_count_total{", "app_error_count{", "app_error_count"),
        ("app_active_requests", "app_requests_active", "it is not there; nearest: app_requests_active"),
        ("TYPE app_active_requests gauge", "TYPE app_active_requests counter", "it is a counter, not a gauge"),
        ('error_type="client_error"} 0.0', 'error_type="client_error"} 7.0', "starts at 7, not 0"),
        ('error_type="client_error"', 'error_type="server_error"', "does not exist before its first event"),
        ('error_type="client_error"', 'type="client_error"', "its labels are type, not error_type"),
        ('le="0.1"', 'le="0.2"', "has buckets 0.01, 0.2, 1, inf, not 0.01, 0.1, 1, inf"),
        ('endpoint="/",le="0.1"} 1.0', 'endpoint="/",le="0.1"} 3.0', "not cumulative"),
        ("app_active_requests 0.0", "app_active_requests 0.0\napp_active_requests 1.0", "stands 2 times"),
        ("# TYPE app_active_requests gauge", "# TYPE app_active_requests gauge\n" * 2, "its type is said 2 times"),
    ],
    ids=["no _total", "renamed", "other type", "not at 0", "child missing", "label renamed", "other buckets",
         "not cumulative", "doubled", "type twice"],
)  # fmt: skip
def test_exposition_says_so_when_it_is_not_as_declared(old: str, new: str, said: str) -> None:
    assert old in GOOD

    found = judged(GOOD.replace(old, new))

    assert fails(found)
    assert said in problems(found)


def test_exposition_says_so_when_a_line_cannot_be_read() -> None:
    found = judged(GOOD + "app_x{ 1\n")

    assert fails(found)
    assert "cannot be read" in found.measured


def test_exposition_says_so_when_openmetrics_has_no_end() -> None:
    text = openmetrics().replace("# EOF\n", "")

    assert fails(judged(text, content_type=OPENMETRICS))


def test_exposition_says_so_when_a_counter_is_declared_without_total() -> None:
    found = judged(GOOD, [Declared("app_error_count", "counter", ["error_type"])])

    assert fails(found)
    assert "not its name on the wire" in problems(found)


def test_exposition_says_so_when_a_histogram_has_no_infinite_bucket() -> None:
    text = "\n".join(line for line in GOOD.splitlines() if "+Inf" not in line) + "\n"

    assert fails(judged(text))
    assert fails(judged(text, [Declared("app_request_latency_seconds", "histogram", ["endpoint"])]))


def test_exposition_is_inconclusive_without_data() -> None:
    assert unclear(judged(""))
    assert unclear(judged(GOOD, []))
