"""A row's alert that lies about when it fires, whom it tells and when it clears is told from one that does not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import pytest

from sloproof.duration import format_duration
from sloproof.finding import Verdict
from sloproof.model import Notification, Sample, Series, Window, ns_from_instant
from sloproof.prove.cases import ALERT, Case
from sloproof.prove.timeline import Condition, Events
from sloproof.prove.watch import LiveRow, RowWatch
from sloproof.slo.model import AlertRow, Severity
from tests.claims.test_alerts import EVALUATED, Alerting, evaluations
from tests.fakes import after, seconds
from tests.slo.objectives import objective

ROW = AlertRow("page-quick", Severity.PAGE, seconds(12), seconds(1), Fraction(72, 5))
SLO = objective(target=Fraction("0.95"), rows=(ROW,))
CASE = Case(SLO, ROW, Condition(ROW, SLO.budget, after(0)))
LABELS = {
    "alertname": ALERT, "sloth_id": SLO.id, "row": ROW.name, "severity": "page", "sloth_slo": SLO.slo,
}  # fmt: skip
TEXTS = {"title": "t", "summary": "s", "description": "d"}
CALM, FAULT, UNTIL = Window(after(20), after(30)), Window(after(30), after(45)), after(60)
# All is bad from 30 to 45: the budget is spent 0.72 * 12 s after that begins, and forgotten 0.28 s after its end.
FIRES, CLEARS = 38.6, 45.3


def events() -> Events:
    at = [number / 100 for number in range(6000)]
    return Events.of(
        (ns_from_instant(after(one)) for one in at if 30 <= one < 45), (ns_from_instant(after(one)) for one in at)
    )


def seen(
    folder: Path,
    *,
    fires: float | None = FIRES + 0.3,
    clears: float = CLEARS + 0.2,
    delivered: float | None = FIRES + 0.5,
    resolved: float | None = CLEARS + 0.6,
    labels: dict[str, str] | None = None,
    unanswered: tuple[float, ...] = (),
    unmade: tuple[float, ...] = (),
    outages: tuple[Window, ...] = (),
    earlier: tuple[Notification, ...] = (),
) -> LiveRow:
    told = {**LABELS, **(labels or {})}
    instants: dict[Literal["firing", "resolved"], float | None] = {"firing": delivered, "resolved": resolved}
    got = [
        Notification(after(at), status, told, TEXTS, after(0), None, "r")
        for status, at in instants.items()
        if at is not None
    ]
    made = Alerting(folder, *earlier, *got)
    steps = [after(number / 5) for number in range(50, 300)]
    failed = {after(one) for one in unanswered}
    firing = tuple(Sample(one, 1.0) for one in steps if fires is not None and after(fires) <= one < after(clears))
    up = (Sample(one, float(one not in failed)) for one in steps if one not in {after(each) for each in unmade})
    made.prometheus.stored = {
        CASE.selector: (Series({**told, "__name__": "ALERTS", "alertstate": "firing"}, firing),) if firing else (),
        EVALUATED: (evaluations(*(number / 5 for number in range(50, 310))),),
        f'up{{job="{made.harness.settings.service.name}"}}': (Series({"__name__": "up"}, tuple(up)),),
    }
    watch = RowWatch(made.harness, [CASE], lambda _objective, _window: events(), after(0))
    (row,) = watch.judge(CALM, FAULT, UNTIL, outages)
    made.harness.close()
    return row


def test_an_honest_alert_passes(tmp_path: Path) -> None:
    row = seen(tmp_path)

    assert [one.verdict for one in row.findings] == [Verdict.PASS] * 4
    assert row.event.firing is not None
    assert row.event.bound is not None
    assert row.event.firing < row.event.bound


def test_bounds_in_the_report_are_those_of_the_receiver(tmp_path: Path) -> None:
    """What is told there beside them is when the receiver had the alert and its end, after the group's waits."""
    row = seen(tmp_path)
    told = [finding.expected for finding in row.findings]
    assert row.event.bound is not None
    assert row.event.clear_bound is not None
    assert f"= {format_duration(row.event.bound - FAULT.start)}" in told[2]
    assert f"= {format_duration(row.event.clear_bound - FAULT.end)}" in told[3]


def test_what_an_earlier_run_was_sent_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    earlier = Notification(after(5), "firing", LABELS, TEXTS, after(0), None, "r")
    row = seen(tmp_path, earlier=(earlier,))
    assert row.verdict is Verdict.PASS
    assert row.event.delivered == after(FIRES + 0.5)
    assert seen(tmp_path / "lie", delivered=None, earlier=(earlier,)).event.delivered is None


def test_an_alert_that_never_came_has_its_bound_all_the_same(tmp_path: Path) -> None:
    event = seen(tmp_path, fires=None, delivered=None, resolved=None).event

    assert (event.pending, event.firing, event.delivered, event.cleared) == (None,) * 4
    assert event.bound is not None
    assert event.bound > after(FIRES)


@pytest.mark.parametrize(
    ("lie", "number"),
    [
        ({"fires": None, "delivered": None, "resolved": None}, 1),
        ({"fires": FIRES + 5}, 1),
        ({"fires": 31.0}, 1),  # on less than the budget that it says
        ({"delivered": None}, 2),
        ({"delivered": FIRES + 6}, 2),
        ({"clears": CLEARS + 8}, 3),
        ({"resolved": None}, 3),
        ({"fires": 25.0}, 0),
    ],
)
def test_a_lie_turns_its_finding_red(tmp_path: Path, lie: dict[str, float | None], number: int) -> None:
    row = seen(tmp_path, **lie)  # type: ignore[arg-type]

    assert row.findings[number].verdict is Verdict.FAIL
    assert row.verdict is Verdict.FAIL


def test_what_is_late_while_scrapes_were_missed_proves_nothing_and_says_so(tmp_path: Path) -> None:
    late = seen(tmp_path / "late", clears=CLEARS + 8, unanswered=(47.0, 47.2))
    assert late.findings[3].verdict is late.verdict is Verdict.INCONCLUSIVE
    assert "2 scrapes of the running service not made or not answered" in late.findings[3].measured
    on_time = seen(tmp_path / "on time", unanswered=(47.0,))
    assert on_time.verdict is Verdict.PASS


@pytest.mark.parametrize(("unmade", "verdict"), [((47.0, 47.2), Verdict.INCONCLUSIVE), ((47.0,), Verdict.FAIL)])
def test_what_is_late_while_scrapes_were_not_made_proves_nothing(
    tmp_path: Path, unmade: tuple[float, ...], verdict: Verdict
) -> None:
    """One that is not there may have come a little late; two were not made."""
    assert seen(tmp_path, clears=CLEARS + 8, unmade=unmade).verdict is verdict


def test_scrapes_of_a_service_that_is_stopped_on_purpose_excuse_nothing(tmp_path: Path) -> None:
    row = seen(tmp_path, clears=CLEARS + 8, unanswered=(31.0, 31.2, 45.4), outages=(FAULT,))
    assert row.findings[3].verdict is row.verdict is Verdict.FAIL


def test_an_alert_with_another_severity_is_not_taken_for_the_right_one(tmp_path: Path) -> None:
    assert seen(tmp_path, labels={"severity": "ticket"}).verdict is Verdict.FAIL


def test_a_fault_that_never_spends_the_budget_proves_nothing(tmp_path: Path) -> None:
    made = Alerting(tmp_path)
    watch = RowWatch(made.harness, [CASE], lambda _objective, _window: Events.of([], []), after(0))

    (row,) = watch.judge(CALM, FAULT, UNTIL)
    (delivery,) = watch.judge_delivery(FAULT.start, UNTIL)

    assert row.verdict is delivery.verdict is Verdict.INCONCLUSIVE
    assert "never came to hold" in row.findings[0].measured
    made.harness.close()


@pytest.mark.parametrize(("delivered", "verdict"), [(39.0, Verdict.PASS), (45.0, Verdict.FAIL), (None, Verdict.FAIL)])
def test_delivery_is_judged_against_the_ledger(tmp_path: Path, delivered: float | None, verdict: Verdict) -> None:
    got = [] if delivered is None else [Notification(after(delivered), "firing", LABELS, TEXTS, after(0), None, "r")]
    made = Alerting(tmp_path, *got)

    (found,) = RowWatch(made.harness, [CASE], lambda _objective, _window: events(), after(0)).judge_delivery(
        FAULT.start, UNTIL
    )

    assert found.verdict is verdict
    made.harness.close()


def test_a_late_delivery_while_scrapes_were_missed_proves_nothing(tmp_path: Path) -> None:
    made = Alerting(tmp_path)
    samples = tuple(Sample(after(number / 5), float(number != 190)) for number in range(50, 300))
    made.prometheus.stored = {f'up{{job="{made.harness.settings.service.name}"}}': (Series({}, samples),)}
    watch = RowWatch(made.harness, [CASE], lambda _objective, _window: events(), after(0))
    (found,) = watch.judge_delivery(FAULT.start, UNTIL)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.measured.startswith("not delivered; 1 scrape of the running service")
    made.harness.close()
