"""Each lie, planted in a real environment, turns the check it is meant for red, and no check that it does not concern.

A check that cannot be made to fail proves nothing. What is lied to here is the whole chain: the service, the real
Prometheus, Loki, Promtail and Alertmanager, the barrier and the claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import sloproof.checks
from sloproof.claims import alerts
from sloproof.environment.components import TOOLS
from sloproof.finding import Finding, Verdict
from sloproof.harness import Harness
from sloproof.load.profile import Profile
from sloproof.model import Window
from sloproof.observation import Observation
from tests.lies import platform_lies, service_lies
from tests.lies.catalogue import COMPANIES, DASHBOARD_LIES, Company
from tests.lies.rounds import ROOT, Place, Plan, copy_of_platform, environment, not_green, panels, round_of

# Minutes of real environments: `tox run -e lies`, and every night.
pytestmark = [pytest.mark.nightly, pytest.mark.slow]

ALERT_LIES = {
    "Unreachable": {"fires": "never firing", "reaches": "never delivered", "resolved": "it never fired"},
    "ToNobody": {"reaches": "never delivered", "resolved": "never all-clear"},
    "NoAllClear": {"resolved": "never all-clear"},
}


@pytest.fixture(scope="module")
def place(tool_path: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place({name: tool_path(name) for name in TOOLS}, tmp_path_factory.mktemp("lies"))


@pytest.fixture(scope="module")
def honest(place: Place) -> Iterator[tuple[Harness, Observation, list[Finding]]]:
    """An environment without a lie, whose workers are recycled again and again, after a whole round."""
    with round_of(place, Plan(env={"SERVICE_MAX_REQUESTS": "110"})) as held:
        yield held


def told(findings: list[Finding]) -> str:
    return "\n\n".join(finding.text() for finding in findings)


def test_honest_twin_passes_every_claim(honest: tuple[Harness, Observation, list[Finding]]) -> None:
    *_, findings = honest

    bad = [finding for finding in findings if finding.verdict is not Verdict.PASS]

    assert not bad, told(bad)
    assert len({finding.check for finding in findings}) == 15


@pytest.mark.parametrize("name", DASHBOARD_LIES)
def test_lie_about_a_dashboard_turns_its_panels_red(
    honest: tuple[Harness, Observation, list[Finding]], name: str
) -> None:
    """A dashboard is only read, so its lies can be told about the honest environment."""
    harness, seen, _ = honest
    titles, text = DASHBOARD_LIES[name]

    bad = [one for one in panels(harness, seen, getattr(platform_lies, name)) if one.verdict is not Verdict.PASS]

    assert {one.claim.split('"')[1] for one in bad} == set(titles), told(bad)
    assert all(text in one.text() for one in bad), told(bad)


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.name)
def test_lies_turn_their_checks_red_and_no_other(place: Place, company: Company) -> None:
    platform = copy_of_platform(place, company.name)
    for lie in company.lies:
        if not lie.is_of_service:
            getattr(platform_lies, lie.name)(platform)
    service = [lie.name for lie in company.lies if lie.is_of_service]
    is_about_scrapes = company.name == "some_scrapes_fail"

    with round_of(place, Plan(service, platform, company.env, is_about_scrapes=is_about_scrapes)) as (*_, findings):
        bad = not_green(findings)

    everything = told([finding for found in bad.values() for finding in found])
    assert bad.keys() - company.may == {check for lie in company.lies for check in lie.red}, everything
    for lie in company.lies:
        for check, text in lie.red.items():
            assert any(text in one.text() for one in bad[check]), f"{lie.name}: {text!r} is not in\n{told(bad[check])}"
            verdict = Verdict.INCONCLUSIVE if check in lie.unclear else Verdict.FAIL
            assert {one.verdict for one in bad[check]} == {verdict}, everything


def test_stopped_shipper_blocks_what_needs_lines_and_nothing_else(place: Place) -> None:
    """Blindness is neither a pass nor a fail."""
    with round_of(place, Plan(stopped="promtail")) as (*_, findings):
        bad = not_green(findings)

    verdicts = {check: {one.verdict for one in found} for check, found in bad.items()}
    # The panels of lines are not blocked: that they show nothing fresh is their own failure.
    lines = {one.claim.split('"')[1] for one in bad.pop("dashboard_panels", [])}
    assert lines <= {"Log volume", "Error lines"}, told([one for found in bad.values() for one in found])
    assert {check: verdicts[check] for check in bad} == {
        check: {Verdict.BLOCKED} for check in ("three_way_count", "log_delivery", "id_join", "error_visibility")
    }
    assert "promtail was stopped" in told(bad["three_way_count"])


def test_alerts_that_never_fire_or_never_arrive_are_told_apart(place: Place) -> None:
    """One honest alert and three lies live through the same fault."""
    platform = copy_of_platform(place, "alerts")
    platform_lies.alerts_that_never_arrive(platform)

    for _ in range(2):
        with environment(place, Plan(platform=platform)) as harness:
            life = _life_of_alerts(harness)
        # On a machine so busy that the honest one is late, the others tell nothing either: once more.
        if all(one.verdict is Verdict.PASS for one in life["Honest"]):
            break

    for name, findings in life.items():
        wrong = ALERT_LIES.get(name, {})
        bad = [one for one in findings if one.verdict is not Verdict.PASS]
        assert len(bad) == len(wrong), told(bad)
        for word, text in wrong.items():
            assert any(word in one.claim and text in one.measured for one in bad), f"{word}: {text}\n{told(bad)}"


def _life_of_alerts(harness: Harness) -> dict[str, tuple[Finding, ...]]:
    """Let a fault come and go under load, each for as long as its bounds say, and judge every alert's life."""
    bounds = alerts.bounds_of(harness, "Honest")
    second = timedelta(seconds=1)
    harness.begin(
        Profile(mix=(harness.request("/api/users"), harness.request("/")), rate=60, duration_seconds=60), "alerts"
    )
    harness.linger(second)
    start = datetime.now(UTC)
    harness.linger(second)
    began = datetime.now(UTC)
    harness.clients.service.set_faults({"error_ratio": 0.8})
    harness.linger(bounds.delivered.latest + second / 4)
    harness.clients.service.clear_faults()
    ended = datetime.now(UTC)
    harness.linger(bounds.resolved.latest + second / 4)
    until = harness.anchor(rules=True).at
    harness.end_load()
    return {
        name: alerts.lifecycle(harness, name, Window(start, began), Window(began, ended), until)
        for name in ("Honest", *ALERT_LIES)
    }


def test_no_two_lies_in_company_are_heard_by_one_check() -> None:
    for company in COMPANIES:
        heard = [check for lie in company.lies for check in lie.red]
        assert len(heard) == len(set(heard)), company.name


def test_every_check_is_turned_red_by_a_lie() -> None:
    checks = {
        module.CHECK
        for found in iter_modules(sloproof.checks.__path__)
        if hasattr(module := import_module(f"sloproof.checks.{found.name}"), "CHECK")
    }

    red = {check for company in COMPANIES for lie in company.lies for check in lie.red}

    # Blindness blocks, which is its own kind of red.
    assert checks - red == {"pipeline_alive"}


def test_every_lie_is_told_and_documented() -> None:
    lies = {lie.name for company in COMPANIES for lie in company.lies} | DASHBOARD_LIES.keys()
    planted = set(service_lies.LIES) | {
        name
        for name, made in vars(platform_lies).items()
        if callable(made) and getattr(made, "__module__", "") == platform_lies.__name__ and not name.startswith("_")
    }
    page = (ROOT / "docs" / "lies.md").read_text(encoding="utf-8")

    assert planted - {"alerts_that_never_arrive"} == lies
    assert not [name for name in (*lies, *ALERT_LIES) if f"`{name}`" not in page]
