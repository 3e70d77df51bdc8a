"""No claim passes on a blind observation: a dead pipeline blocks it, a series that is not there leaves it open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sloproof.claims import dashboards, requests, service
from sloproof.dashboards import Dashboard, PanelQuery
from sloproof.finding import Finding, Verdict
from sloproof.observation import Observation
from tests.claims.observed import gauge, observation, stored
from tests.fakes import INSTANCE, FakeLoki, FakePrometheus, clients, seconds
from tests.harnessed import World

Claim = Callable[[Observation, Path], Sequence[Finding]]


def _panel(kind: str, expression: str) -> Claim:
    query = PanelQuery("P", 1, "stat", "A", expression, kind, kind, is_instant=True)
    board = Dashboard("D", "d", (), (query,))

    def judge(seen: Observation, folder: Path) -> Sequence[Finding]:
        assert isinstance(seen.prometheus, FakePrometheus)
        assert isinstance(seen.loki, FakeLoki)
        seen.prometheus.names = ("requests_total", "in_flight")
        seen.prometheus.stored["in_flight"] = (gauge("in_flight", 0),)
        seen.prometheus.stored["in_flight{}"] = (gauge("in_flight", 0),)
        world = World(folder / "harness", known=clients(seen.prometheus, seen.loki))
        try:
            answers = dashboards.answer(world.harness, board, seen)
            return dashboards.panels_tell(world.harness, board, seen, answers)
        finally:
            world.harness.close()

    return judge


CLAIMS: dict[str, tuple[Claim, set[str]]] = {
    "counts_agree": (lambda seen, _: [requests.counts_agree(seen)], {"metrics", "logs"}),
    "counts_agree_by_status": (
        lambda seen, _: [requests.counts_agree(seen, by_status_only=True)], {"metrics", "logs"},
    ),
    "lines_delivered": (lambda seen, _: requests.lines_delivered(seen, seconds(1)), {"logs"}),
    "ids_join": (lambda seen, _: [requests.ids_join(seen)], {"logs"}),
    "errors_visible": (lambda seen, _: [requests.errors_visible(seen)], {"metrics", "logs"}),
    "quantile_agrees": (lambda seen, _: [requests.quantile_agrees(seen, 0.5, "/")], {"metrics"}),
    "scraped_once": (
        lambda seen, _: [
            service.scraped_once(seen.prometheus, seen.settings, seen.after, [INSTANCE], seconds(0.25))
        ],
        {"metrics"},
    ),
    "at_rest": (lambda seen, _: [service.at_rest(seen, seconds(0.25))], {"metrics"}),
    "label_values_bounded": (lambda seen, _: [service.label_values_bounded(seen, {})], {"metrics"}),
    "counted_across_restart": (lambda seen, _: service.counted_across_restart(seen, 0, seconds(1)), {"metrics"}),
    "metrics_panel": (_panel("prometheus", "in_flight"), {"metrics"}),
    "logs_panel": (_panel("loki", '{app="api"}'), {"logs"}),
}  # fmt: skip
PAIRS = [(name, pipeline) for name, (_, needs) in CLAIMS.items() for pipeline in sorted(needs)]


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_passes_on_a_healthy_service(tmp_path: Path, name: str) -> None:
    """Or the tests below would prove nothing."""
    found = CLAIMS[name][0](observation(tmp_path), tmp_path)
    assert {one.verdict for one in found} == {Verdict.PASS}, "\n".join(one.text() for one in found)


@pytest.mark.parametrize(("name", "pipeline"), PAIRS)
def test_claim_is_blocked_when_a_pipeline_it_needs_is_dead(tmp_path: Path, name: str, pipeline: str) -> None:
    found = CLAIMS[name][0](observation(tmp_path, dead={pipeline: "it was stopped"}), tmp_path)
    assert {one.verdict for one in found} == {Verdict.BLOCKED}
    assert all("it was stopped" in one.measured for one in found)


@pytest.mark.parametrize("name", [name for name, (_, needs) in CLAIMS.items() if len(needs) == 1])
def test_claim_is_judged_when_only_a_pipeline_it_does_not_need_is_dead(tmp_path: Path, name: str) -> None:
    claim, needs = CLAIMS[name]
    (other,) = {"metrics", "logs"} - needs
    found = claim(observation(tmp_path, dead={other: "it was stopped"}), tmp_path)
    assert {one.verdict for one in found} == {Verdict.PASS}


@pytest.mark.parametrize(
    "name", [name for name, (_, needs) in CLAIMS.items() if "panel" not in name and "metrics" in needs]
)
def test_claim_is_inconclusive_where_there_is_no_series(tmp_path: Path, name: str) -> None:
    found = CLAIMS[name][0](observation(tmp_path, without=list(stored())), tmp_path)
    verdicts = {one.verdict for one in found}
    assert Verdict.PASS not in verdicts
    assert verdicts == {Verdict.INCONCLUSIVE}, "\n".join(one.text() for one in found)


@pytest.mark.parametrize("name", [name for name, (_, needs) in CLAIMS.items() if "logs" in needs])
def test_claim_does_not_pass_where_no_line_arrived(tmp_path: Path, name: str) -> None:
    found = CLAIMS[name][0](observation(tmp_path, are_lines_there=False), tmp_path)
    assert Verdict.PASS not in {one.verdict for one in found}
