from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sloproof.checks.alert_lifecycle import AlertEvidence, Bound, judge
from sloproof.finding import Finding, Verdict
from sloproof.model import Notification, Series
from tests.checks.facts import BASIS, after, fails, named, passes, seconds, unclear, window

if TYPE_CHECKING:
    from collections.abc import Sequence

LABELS = {"alertname": "Burning", "severity": "page"}


def alerts(state: str, start: float, end: float, **labels: str) -> Series:
    """Return the samples of an alert's state, one every quarter of a second, ends included."""
    moments = [start + 0.25 * step for step in range(round((end - start) / 0.25) + 1)]
    return named("ALERTS", dict.fromkeys(moments, 1.0), alertstate=state, **(LABELS | labels))


def notified(status: str, at: float, **labels: str) -> Notification:
    return Notification(
        received=after(at),
        status="firing" if status == "firing" else "resolved",
        labels=LABELS | labels,
        annotations={"summary": "users-api burns its budget"},
        starts_at=after(12),
        ends_at=None,
        receiver="page",
    )


TRUE = AlertEvidence(
    name="Burning",
    alerts=[alerts("pending", 10.5, 12.25), alerts("firing", 12.5, 21)],
    notifications=[notified("firing", 12.8), notified("resolved", 21.6)],
    quiet=window(0, 10),
    fault=window(10, 20),
    until=after(30),
    evaluations=[after(0.25 * step) for step in range(121)],
    labels={"severity": "page"},
    annotations=("summary",),
)


def judged(**changed: Any) -> tuple[Finding, Finding, Finding, Finding]:
    return judge(
        replace(TRUE, **changed),
        BASIS,
        firing=Bound(seconds(3), "scrape 0.25 s + evaluation 0.25 s + for 2 s + grace 0.5 s", earliest=seconds(2)),
        delivered=Bound(seconds(4)),
        cleared=Bound(seconds(2)),
        resolved=Bound(seconds(3)),
        max_gap=seconds(0.6),
    )


def firing_at(start: float, end: float = 21) -> Sequence[Series]:
    return [alerts("pending", 10.5, start - 0.25), alerts("firing", start, end)]


def test_alert_lifecycle_passes_when_it_is_quiet_fires_arrives_and_clears() -> None:
    found = judged()

    assert [one.verdict for one in found] == [Verdict.PASS] * 4
    assert "for 2 s" in dict(found[1].evidence)["instants"]
    assert "+2.500 s" in dict(found[1].evidence)["instants"]


def test_alert_lifecycle_says_so_when_the_alert_is_heard_under_healthy_load() -> None:
    """A threshold on a raw counter crosses some day without any fault."""
    assert fails(judged(alerts=[*TRUE.alerts, alerts("pending", 4, 4)])[0])
    assert fails(judged(notifications=[notified("firing", 5), *TRUE.notifications])[0])


def test_alert_lifecycle_does_not_pass_silence_that_nobody_evaluated() -> None:
    assert unclear(judged(evaluations=[])[0])
    assert unclear(judged(evaluations=[one for one in TRUE.evaluations if not after(3) < one < after(5)])[0])


def test_alert_lifecycle_says_so_when_for_is_too_long() -> None:
    fires = judged(alerts=firing_at(14))[1]

    assert fails(fires)
    assert "firing 1.000 s too late" in fires.measured


def test_alert_lifecycle_says_so_when_for_is_not_kept() -> None:
    fires = judged(alerts=firing_at(10.75))[1]

    assert fails(fires)
    assert "1.250 s too early" in fires.measured


def test_alert_lifecycle_says_so_when_the_alert_never_fires() -> None:
    quiet, fires, delivered, resolved = judged(alerts=[], notifications=[])

    assert passes(quiet)
    assert fails(fires)
    assert fails(delivered)
    assert unclear(resolved), "what never fired has not cleared"


def test_alert_lifecycle_does_not_judge_before_the_bound_is_over() -> None:
    _, fires, delivered, _ = judged(alerts=[], notifications=[], until=after(11))

    assert unclear(fires)
    assert unclear(delivered)


def test_alert_lifecycle_takes_no_other_alert_for_its_own() -> None:
    other = [alerts("firing", 12.5, 21, alertname="Other")]

    assert fails(judged(alerts=other)[1])
    assert fails(judged(notifications=[notified("firing", 12.8, alertname="Other")])[2])


def test_alert_lifecycle_says_so_when_it_fires_without_its_label() -> None:
    found = judged(alerts=[alerts("firing", 12.5, 21, severity="ticket")])[1]

    assert fails(found)
    assert 'severity="ticket"' in found.measured


def test_alert_lifecycle_says_so_when_the_route_drops_or_delays_it() -> None:
    assert fails(judged(notifications=[])[2])
    assert fails(judged(notifications=[notified("firing", 14.5)])[2])


def test_alert_lifecycle_says_so_when_the_words_are_wrong() -> None:
    good = notified("firing", 12.8)

    for wrong in (
        replace(good, labels={"alertname": "Burning"}),
        replace(good, annotations={}),
        replace(good, annotations={"summary": " "}),
        replace(good, annotations={"summary": "<no value> burns"}),
        replace(good, annotations={"summary": "{{ $labels.job }} burns"}),
    ):
        assert fails(judged(notifications=[wrong])[2])


def test_alert_lifecycle_says_so_when_the_alert_does_not_clear() -> None:
    assert fails(judged(alerts=firing_at(12.5, 30))[3])
    assert fails(judged(alerts=firing_at(12.5, 23))[3])


def test_alert_lifecycle_says_so_when_the_alert_comes_back_after_clearing() -> None:
    assert fails(judged(alerts=[*TRUE.alerts, alerts("firing", 27, 28)])[3])


def test_alert_lifecycle_says_so_when_the_all_clear_is_not_sent_or_late() -> None:
    assert fails(judged(notifications=[notified("firing", 12.8)])[3])
    assert fails(judged(notifications=[notified("firing", 12.8), notified("resolved", 23.5)])[3])


def test_alert_lifecycle_does_not_take_an_earlier_all_clear_for_this_one() -> None:
    earlier = [notified("resolved", 10.2), notified("firing", 12.8)]

    assert fails(judged(notifications=earlier)[3])


def test_alert_lifecycle_does_not_call_it_cleared_when_evaluation_stopped() -> None:
    """A dead Prometheus has no firing sample either."""
    assert not passes(judged(evaluations=[one for one in TRUE.evaluations if one <= after(21)])[3])
    assert unclear(judged(evaluations=[one for one in TRUE.evaluations if one <= after(22)])[3])


def test_alert_lifecycle_leaves_alerts_of_the_same_name_for_other_slos_aside() -> None:
    other = [alerts("firing", 2, 30, slo="other")]
    own = [alerts("pending", 10.5, 12.25, slo="users"), alerts("firing", 12.5, 21, slo="users")]
    notes = [notified("firing", 12.8, slo="users"), notified("resolved", 21.6, slo="users")]
    noise = [notified("firing", 3, slo="other")]

    found = judged(alerts=[*other, *own], notifications=[*notes, *noise], among={"slo": "users"})

    assert [one.verdict for one in found] == [Verdict.PASS] * 4
    assert fails(judged(alerts=other, notifications=noise, among={"slo": "users"})[1])


def test_alert_lifecycle_takes_each_bound_to_the_end() -> None:
    for start, verdict in ((12, passes), (13, passes), (11.75, fails), (13.25, fails)):
        assert verdict(judged(alerts=firing_at(start))[1])
    for received, verdict in ((14, passes), (14.001, fails)):
        assert verdict(judged(notifications=[notified("firing", received)])[2])


def test_alert_lifecycle_says_when_the_bound_is_not_over_for_the_all_clear() -> None:
    assert unclear(judged(notifications=[notified("firing", 12.8)], until=after(22.9))[3])
    assert fails(judged(notifications=[notified("firing", 12.8)], until=after(23))[3])


def test_alert_lifecycle_names_what_else_was_delivered() -> None:
    found = judged(notifications=[notified("firing", 12.8, alertname="Other")])[2]

    assert "Other" in dict(found.evidence)["instants"]


def test_alert_lifecycle_takes_the_first_silent_evaluation_for_cleared() -> None:
    instants = dict(judged()[3].evidence)["instants"].splitlines()

    assert [row.split()[2] for row in instants if row.startswith("cleared")] == ["+1.250"]


def test_alert_lifecycle_counts_only_evaluations_of_the_quiet_stretch() -> None:
    short = window(9.7, 9.9)

    assert unclear(
        judged(quiet=short, evaluations=[after(9), *(one for one in TRUE.evaluations if one > after(9.9))])[0]
    )
