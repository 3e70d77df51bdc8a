from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sloproof.checks.dashboard_panels import PanelAnswer
from sloproof.claims import dashboards, requests, service
from sloproof.dashboards import Dashboard, PanelQuery, ResolvedQuery
from sloproof.errors import FeatureError, SettingsError
from sloproof.finding import Verdict
from sloproof.model import Series
from tests.claims.observed import BAD, GOOD, JOB, counter, gauge, observation
from tests.fakes import SETTINGS, seconds
from tests.harnessed import World

PATH = {"endpoint": "/", "method": "GET"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "harness")
    yield made
    made.harness.close()


def requests_counted(good: float, bad: float, endpoint: str = "/") -> dict[str, list[Series]]:
    path = PATH | {"endpoint": endpoint}
    return {
        f"requests_total{{{JOB}}}": [
            counter("requests_total", good, **path, status="200"), counter("requests_total", bad, **path, status="500"),
        ]
    }  # fmt: skip


@pytest.mark.parametrize(("good", "bad"), [(GOOD - 1, BAD), (GOOD + 1, BAD), (GOOD + 1, BAD - 1), (2 * GOOD, 2 * BAD)])
def test_counts_that_differ_by_one_row_do_not_agree(tmp_path: Path, good: int, bad: int) -> None:
    seen = observation(tmp_path, changed=requests_counted(good, bad))
    assert requests.counts_agree(seen).verdict is Verdict.FAIL
    assert requests.counts_agree(seen, by_status_only=True).verdict is Verdict.FAIL


def test_counts_under_another_endpoint_agree_by_status_only(tmp_path: Path) -> None:
    seen = observation(tmp_path, changed=requests_counted(GOOD, BAD, "/other"))
    assert requests.counts_agree(seen).verdict is Verdict.FAIL
    assert requests.counts_agree(seen, by_status_only=True).verdict is Verdict.PASS


def test_errors_that_their_counter_misses_are_a_fail(tmp_path: Path) -> None:
    errors = [counter("errors_total", BAD - 1, **PATH, error_type="crash")]
    seen = observation(tmp_path, changed={f"errors_total{{{JOB}}}": errors})
    assert requests.errors_visible(seen).verdict is Verdict.FAIL


def test_unhandled_exception_owes_a_traceback(tmp_path: Path) -> None:
    assert requests.errors_visible(observation(tmp_path), unhandled_paths=["/"]).verdict is Verdict.FAIL


def test_claims_on_metrics_that_the_service_is_said_not_to_have_are_refused(tmp_path: Path) -> None:
    seen = observation(tmp_path)
    bare = msgspec.structs.replace(SETTINGS.metrics, errors=None, latency=None, in_flight=None)
    seen.settings = msgspec.structs.replace(SETTINGS, metrics=bare)
    with pytest.raises(SettingsError, match=r"metrics.errors"):
        requests.errors_visible(seen)
    with pytest.raises(SettingsError, match=r"metrics.latency"):
        requests.quantile_agrees(seen, 0.5, "/")
    with pytest.raises(SettingsError, match=r"metrics.in_flight"):
        service.at_rest(seen, seconds(0.25))


def test_gauge_that_is_not_back_at_0_is_a_fail(tmp_path: Path) -> None:
    seen = observation(tmp_path, changed={f"in_flight{{{JOB}}}": [gauge("in_flight", 1)]})
    assert service.at_rest(seen, seconds(0.25)).verdict is Verdict.FAIL


def test_samples_may_be_four_scrapes_old_and_never_less_than_two_seconds() -> None:
    assert service.max_age(seconds(0.2)) == seconds(2)
    assert service.max_age(seconds(15)) == seconds(60)


def test_ledger_rate_counts_what_ended_in_the_last_stretch(tmp_path: Path) -> None:
    """Requests begin every 50 ms from 0.1 s and take 20 ms; the instant is 3 s; the last two got a 500."""
    seen = observation(tmp_path)
    assert dashboards.ledger_rate(seen, seconds(3)) == pytest.approx((GOOD + BAD) / 3)
    assert dashboards.ledger_rate(seen, seconds(3), only_5xx=True) == pytest.approx(BAD / 3)
    assert dashboards.ledger_rate(seen, seconds(2)) == pytest.approx(8 / 2)


def test_panel_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, world: World) -> None:
    query = PanelQuery("P", 1, "stat", "A", "up", "prometheus", "prometheus", is_instant=True)
    with pytest.raises(FeatureError) as caught:
        dashboards.answer(world.harness, Dashboard("D", "d", (), (query,)), observation(tmp_path), "p")
    assert caught.value.details["known"] == "P"


def test_dashboard_without_a_panel_is_no_pass(tmp_path: Path, world: World) -> None:
    seen = observation(tmp_path)
    found = dashboards.panels_tell(world.harness, Dashboard("D", "d", (), ()), seen, [])
    assert [one.verdict for one in found] == [Verdict.INCONCLUSIVE]


def test_stacked_series_are_added_up() -> None:
    query = PanelQuery("P", 1, "stat", "A", "up", "prometheus", "prometheus", is_instant=True)
    answer = PanelAnswer(ResolvedQuery(query, "up", "prometheus"), series=(gauge("a", 2), gauge("b", 3)))
    (whole,) = dashboards.summed(answer).series
    assert whole.samples[0].value == 5
    empty = PanelAnswer(ResolvedQuery(query, "up", "prometheus"))
    assert dashboards.summed(empty) is empty
