from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sloproof.claims import alerts
from sloproof.duration import parse_duration
from sloproof.errors import FeatureError, SettingsError
from sloproof.finding import Verdict
from sloproof.harness import Harness
from sloproof.model import Notification, Rule, RuleGroup, Series, Window
from tests.fakes import FakeAlertmanager, FakePrometheus, FakeReceiver, after, clients, seconds, series, target
from tests.harnessed import World

EVALUATED = "prometheus_rule_group_last_evaluation_timestamp_seconds"
CONFIG = "route:\n  receiver: r\n  group_wait: 100ms\n  group_interval: 500ms\n"


def rule(name: str, query: str, kind: str = "alerting", hold: float = 0.0) -> Rule:
    return Rule(
        name, "alerting" if kind == "alerting" else "recording", query, "ok", None, None, {}, {}, hold=seconds(hold)
    )


GROUPS = (
    RuleGroup(
        "recordings", "f", seconds(0.4), None, seconds(0),
        (
            rule("job:errors:rate2s", "sum(rate(errors_total[2s]))", "recording"),
            rule("job:errors:ratio", "job:errors:rate2s / sum(rate(requests_total[1s]))", "recording"),
            rule("job:errors:rate2s_max", "vector(1)", "recording"),
        ),
    ),
    RuleGroup(
        "alerts", "f", seconds(0.2), None, seconds(0),
        (
            rule("Plain", "up == 0"),
            rule("Ratio", "job:errors:ratio > 0.1", hold=1),
            rule("Both", "max_over_time(job:errors:rate2s[3s]) > 1"),
            rule("Matched", 'max_over_time(job:errors:ratio{a="b"}[4s]) > 1'),
            rule("Sub", "max_over_time(up[10s:1s]) > 1"),
            rule("Longer", "job:errors:rate2s_max > 1"),
        ),
    ),
)  # fmt: skip


class Alerting:
    """A harness whose Prometheus has the rules above."""

    def __init__(self, folder: Path, *got: Notification, config: str = CONFIG) -> None:
        self.prometheus = FakePrometheus()
        self.prometheus.groups = lambda: GROUPS
        self.prometheus.scraped = (target(interval=0.2),)
        known = clients(
            self.prometheus, alertmanager=FakeAlertmanager(config) if config else None, receiver=FakeReceiver(*got)
        )
        self.world = World(folder, known=known)

    @property
    def harness(self) -> Harness:
        return self.world.harness


@pytest.fixture
def alerting(tmp_path: Path) -> Iterator[Alerting]:
    made = Alerting(tmp_path)
    yield made
    made.harness.close()


def sum_of(text: str) -> timedelta:
    """Return what the terms of a bound's text add up to."""
    total = timedelta(0)
    for term in text.partition(" = ")[0].split(" + "):
        times = re.search(r"(\d+) x", term)
        total += (int(times[1]) if times else 1) * parse_duration(term.rpartition(" ")[2])
    return total


def test_bounds_are_the_sums_of_what_is_configured(alerting: Alerting) -> None:
    bounds = alerts.bounds_of(alerting.harness, "Ratio")
    seen = 2.0 + 0.2 + 2 * 0.4  # window, scrape, two evaluations of the slowest group
    assert bounds.firing.latest == seconds(seen + 1 + 0.2 + 2)
    assert bounds.firing.earliest == seconds(1)
    assert bounds.delivered.latest == bounds.firing.latest + seconds(0.1)
    assert bounds.cleared.latest == seconds(seen + 2)
    assert bounds.resolved.latest == bounds.cleared.latest + seconds(0.5)


@pytest.mark.parametrize(("discovered", "extra"), [("static_configs", 0.0), ("kubernetes_sd_configs", 5.0)])
def test_bounds_allow_for_what_a_change_takes_and_for_discovery(
    alerting: Alerting, discovered: str, extra: float
) -> None:
    alerting.prometheus.config = f"scrape_configs: [{{job_name: api, {discovered}: []}}]"
    plain = alerts.bounds_of(alerting.harness, "Ratio")
    slow = alerts.bounds_of(alerting.harness, "Ratio", broke_in=seconds(3), mended_in=seconds(4))
    assert slow.firing.latest == plain.firing.latest + seconds(3 + extra)
    assert slow.cleared.latest == plain.cleared.latest + seconds(4 + extra)
    for bound in (slow.firing, slow.delivered, slow.cleared, slow.resolved):
        assert sum_of(bound.text) == bound.latest


@pytest.mark.parametrize("keep", [0.0, 3.0])
@pytest.mark.parametrize("part", ["firing", "delivered", "cleared", "resolved"])
def test_bound_says_the_sum_that_it_is(alerting: Alerting, part: str, keep: float) -> None:
    group = replace(GROUPS[1], rules=tuple(replace(one, keep_firing=seconds(keep)) for one in GROUPS[1].rules))
    alerting.prometheus.groups = lambda: (GROUPS[0], group)
    bound = getattr(alerts.bounds_of(alerting.harness, "Ratio"), part)
    assert sum_of(bound.text) == bound.latest
    assert parse_duration(bound.text.partition(" = ")[2]) == bound.latest


@pytest.mark.parametrize(
    ("name", "window"), [("Plain", 0), ("Ratio", 2), ("Both", 5), ("Matched", 6), ("Sub", 10), ("Longer", 0)]
)
def test_window_is_followed_through_the_recordings_that_are_named(alerting: Alerting, name: str, window: float) -> None:
    text = alerts.bounds_of(alerting.harness, name).firing.text
    assert parse_duration(text.removeprefix("window ").split(" + ")[0]) == seconds(window)


def test_recording_that_names_itself_comes_to_an_end(alerting: Alerting) -> None:
    own = rule("job:own", "job:own offset 1m or rate(a[7s])", "recording")
    group = replace(GROUPS[1], rules=(own, rule("Own", "job:own > 1")))
    alerting.prometheus.groups = lambda: (group,)
    assert alerts.bounds_of(alerting.harness, "Own").firing.text.startswith("window 7s")


def test_waits_are_alertmanagers_own_defaults_where_it_is_given_none(tmp_path: Path) -> None:
    made = Alerting(tmp_path, config="route:\n  receiver: r\n")
    bounds = alerts.bounds_of(made.harness, "Plain")
    assert bounds.delivered.latest - bounds.firing.latest == seconds(30)
    assert bounds.resolved.latest - bounds.cleared.latest == seconds(300)
    made.harness.close()


def test_waits_of_the_platform_are_read_from_its_file(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "platform" / "local" / "alertmanager.yml"
    made = Alerting(tmp_path, config=path.read_text(encoding="utf-8"))
    bounds = alerts.bounds_of(made.harness, "Plain")
    assert bounds.delivered.latest - bounds.firing.latest == seconds(0.1)
    made.harness.close()


def test_bounds_without_an_alertmanager_are_refused(tmp_path: Path) -> None:
    made = Alerting(tmp_path, config="")
    with pytest.raises(SettingsError, match="Alertmanager"):
        alerts.bounds_of(made.harness, "Plain")
    made.harness.close()


def test_unknown_alert_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(FeatureError) as caught:
        alerts.find_rule(GROUPS, "job:errors:ratio")
    assert caught.value.details["known"] == "Both, Longer, Matched, Plain, Ratio, Sub"


def evaluations(*at: float) -> Series:
    return series({one: after(one).timestamp() for one in at}, __name__=EVALUATED, rule_group="alerts")


def active(*at: float, state: str = "firing", name: str = "Ratio") -> Series:
    return series(dict.fromkeys(at, 1.0), __name__="ALERTS", alertname=name, alertstate=state)


@pytest.mark.parametrize(
    ("held", "evaluated", "verdict"),
    [
        ([], [evaluations(1, 2)], Verdict.PASS),
        ([], [], Verdict.INCONCLUSIVE),
        ([], [evaluations(-5)], Verdict.INCONCLUSIVE),
        ([], [evaluations(1, 2), series(dict.fromkeys([1.0, 2.0], after(-5).timestamp()))], Verdict.INCONCLUSIVE),
        ([active(1)], [evaluations(1)], Verdict.FAIL),
        ([active(1, state="pending")], [evaluations(1)], Verdict.FAIL),
        ([active(1)], [], Verdict.FAIL),
        ([active(-1, 9)], [evaluations(1)], Verdict.PASS),
    ],
    ids=["quiet", "no evaluation", "old evaluation", "one group stands still", "firing", "pending", "blind", "outside"],
)
def test_none_active_needs_evaluations_to_mean_anything(
    alerting: Alerting, held: Sequence[Series], evaluated: Sequence[Series], verdict: Verdict
) -> None:
    alerting.prometheus.stored = {'ALERTS{sloth_id=""}': tuple(held), EVALUATED: tuple(evaluated)}
    finding = alerts.none_active(alerting.harness, Window(after(0), after(3)))
    assert finding.verdict is verdict


def test_none_active_asks_for_one_alert_where_it_is_named(alerting: Alerting) -> None:
    alerting.prometheus.stored = {'ALERTS{alertname="Ratio"}': (active(1),), EVALUATED: (evaluations(1),)}
    window = Window(after(0), after(3))
    assert alerts.none_active(alerting.harness, window, "Ratio").verdict is Verdict.FAIL
    assert alerts.none_active(alerting.harness, window, "Plain").verdict is Verdict.PASS


def notification(status: str, at: float, name: str = "Ratio") -> Notification:
    return Notification(
        after(at), "firing" if status == "firing" else "resolved", {"alertname": name}, {}, after(at),
        after(at) if status == "resolved" else None, "r",
    )  # fmt: skip


def test_delivered_is_the_first_of_that_name_and_status_after_the_instant(tmp_path: Path) -> None:
    made = Alerting(
        tmp_path,
        notification("firing", 1), notification("resolved", 4), notification("firing", 5, "Plain"),
        notification("firing", 9), notification("firing", 6),
    )  # fmt: skip
    assert alerts.delivered_since(made.harness, "Ratio", "firing", after(2)) == after(6)
    assert alerts.delivered_since(made.harness, "Ratio", "resolved", after(5)) is None
    made.harness.close()


def test_firing_is_the_first_sample_of_all_series(alerting: Alerting) -> None:
    alerting.prometheus.stored = {'ALERTS{alertname="Ratio", alertstate="firing"}': (active(5, 6), active(3))}
    assert alerts.firing_since(alerting.harness, "Ratio", after(0), after(9)) == after(3)
    assert alerts.firing_since(alerting.harness, "Ratio", after(7), after(9)) is None


def life(folder: Path, *, evaluated: bool = True, delivered: bool = True) -> list[Verdict]:
    got = [notification("firing", 8), notification("resolved", 14)] if delivered else []
    made = Alerting(folder, *got)
    steps = [number / 5 for number in range(-5, 100)]
    made.prometheus.stored = {
        'ALERTS{alertname="Ratio"}': (
            active(6.0, 6.2, 6.4, 6.6, 6.8, state="pending"),
            active(*(number / 5 for number in range(35, 66))),
        ),
        EVALUATED: (evaluations(*steps),) if evaluated else (),
    }
    found = alerts.lifecycle(
        made.harness, "Ratio", Window(after(0), after(4)), Window(after(4.5), after(10)), after(16)
    )
    made.harness.close()
    return [one.verdict for one in found]


def test_life_of_an_alert_is_judged_in_four_parts(tmp_path: Path) -> None:
    assert life(tmp_path) == [Verdict.PASS] * 4


def test_life_is_not_known_to_be_quiet_without_evaluations(tmp_path: Path) -> None:
    quiet, _, _, resolved = life(tmp_path, evaluated=False)
    assert quiet is Verdict.INCONCLUSIVE
    assert resolved is not Verdict.PASS


def test_life_without_a_notification_fails(tmp_path: Path) -> None:
    _, fires, delivered, resolved = life(tmp_path, delivered=False)
    assert fires is Verdict.PASS
    assert Verdict.PASS not in {delivered, resolved}
