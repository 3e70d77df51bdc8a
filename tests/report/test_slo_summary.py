from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

import msgspec
import pytest

from sloproof.report.record import AlertRecord, BurnRecord, MomentRecord, SloRecord
from sloproof.report.slo_summary import moments_of, standing_of, summarise_slos
from tests.report.sample_slos import MONTH, NOW, breached, burning, empty, live, slo, text, unknown

Record = TypeVar("Record", SloRecord, AlertRecord)


def changed(one: Record, **changes: object) -> Record:
    return msgspec.structs.replace(one, **changes)


def test_the_worst_stands_first_and_a_page_that_burns_before_what_is_not_known() -> None:
    ticket = slo("ticket", burns=(0.1, 0.1, 3.5, 0.1))
    low = slo("low", bad_ratio=lambda _: 0.0008)
    views = summarise_slos((slo(), low, ticket, unknown(), empty(), burning(), breached())).views

    assert [view.slo.name for view in views] == [
        "availability", "latency", "probe", "log-errors", "ticket", "low", "availability",
    ]  # fmt: skip
    assert [view.standing for view in views] == ["spent", "burning", "unknown", "unknown", "burning", "safe", "safe"]
    assert [view.number for view in views] == list(range(1, 8))


def test_a_verdict_of_pass_is_no_comfort_while_the_budget_burns() -> None:
    assert standing_of(burning()) == "burning"
    assert summarise_slos((burning(),)).headline == "1 SLO: 1 burning too fast"
    assert summarise_slos((slo(),)).headline == "1 SLO, within budget"


def test_an_order_of_records_does_not_matter() -> None:
    some = [slo("b"), slo("a"), breached(), unknown()]
    assert summarise_slos(some).views == summarise_slos(some[::-1]).views


def test_a_breach_is_dated_by_the_moment_in_which_the_budget_fell_below_nothing() -> None:
    (view,) = summarise_slos((breached(),)).views

    assert view.danger is not None
    assert view.danger.what == "budget overspent"
    below = next(one for one in view.slo.moments if one.budget_left is not None and one.budget_left < 0)
    assert view.danger.since is not None
    assert text(view.danger.since) == below.start
    assert view.danger.within == timedelta(hours=1)
    assert "of the budget went in the 1 h from" in view.why


def test_a_budget_that_recovered_is_not_dated_by_its_first_dip() -> None:
    lefts = (0.5, -0.1, 0.2, -0.3, -0.4)
    moments = tuple(
        MomentRecord(start=text(NOW - timedelta(hours=5 - place)), bad=1.0, valid=10.0, budget_left=left)
        for place, left in enumerate(lefts)
    )
    (view,) = summarise_slos((breached(moments=moments),)).views

    assert view.danger is not None
    assert view.danger.since == NOW - timedelta(hours=2)


def test_a_burning_budget_is_dated_by_its_alert_and_without_one_by_the_counts() -> None:
    with_alert, without = burning(), burning(alerts=())
    (told,), (counted,) = (summarise_slos((one,)).views for one in (with_alert, without))

    assert told.danger is not None
    assert told.danger.since == NOW - timedelta(minutes=41)
    assert told.danger.what == "alert pending"
    assert counted.danger is not None
    assert counted.danger.since == NOW - MONTH / 720
    assert counted.danger.what == "burning faster than allowed"


def test_an_alert_that_cleared_dates_nothing() -> None:
    old = AlertRecord(
        row="page-1h", severity="page", pending=text(NOW - timedelta(days=9)), cleared=text(NOW - timedelta(days=8))
    )
    (view,) = summarise_slos((burning(alerts=(old,)),)).views

    assert view.danger is not None
    assert view.danger.what == "burning faster than allowed"


def test_what_ends_without_data_is_dated_by_its_last_data() -> None:
    (view,) = summarise_slos((unknown(),)).views

    assert view.danger is not None
    assert view.danger.what == "no data"
    assert view.danger.since == NOW - MONTH / 10


def test_idle_moments_do_not_end_a_burn() -> None:
    ratios = ((0.0, 10.0), (1.0, 10.0), (0.0, 0.0), (2.0, 10.0))
    moments = tuple(
        MomentRecord(start=text(NOW - timedelta(hours=4 - place)), bad=bad, valid=valid, budget_left=0.5)
        for place, (bad, valid) in enumerate(ratios)
    )
    (view,) = summarise_slos((burning(alerts=(), moments=moments),)).views

    assert view.danger is not None
    assert view.danger.since == NOW - timedelta(hours=3)


def test_how_long_a_budget_lasts_is_told_from_the_rate_of_now() -> None:
    row = BurnRecord(
        row="r",
        severity="page",
        long_seconds=3600,
        short_seconds=300,
        factor=14.4,
        long=20.0,
        short=30.0,
        is_burning=True,
    )
    (view,) = summarise_slos((changed(burning(), burn_rates=(row,), remaining=0.5),)).views

    assert "at this rate the budget is gone in 12 h" in view.why


def test_alerts_that_missed_their_bound_are_named() -> None:
    (view,) = summarise_slos((live(),)).views

    assert view.late == (
        "Alert page-1h, clearing: late by 3.00 s",
        "Alert ticket-1d, telling of it: missed, 55.0 s overdue at the judgement",
    )


@pytest.mark.parametrize("most", [1, 7, 36, 720, 1000])
def test_slices_put_together_lose_no_event_and_end_where_the_period_ends(most: int) -> None:
    one = unknown()
    merged = moments_of(one, most)

    assert len(merged) <= most
    assert sum(each.bad or 0 for _, each in merged) == one.bad
    assert sum(each.valid or 0 for _, each in merged) == one.events
    assert merged[-1][0] == NOW
    assert merged[-1][1].budget_left == pytest.approx(one.remaining)


def drill(**changes: object) -> SloRecord:
    """Return an SLO that was broken on purpose, its alert in time."""
    alert = AlertRecord(
        row="page-quick", severity="page", pending=text(NOW - timedelta(seconds=20)),
        firing=text(NOW - timedelta(seconds=20)), delivered=text(NOW - timedelta(seconds=18)),
        cleared=text(NOW - timedelta(seconds=5)), bound=text(NOW - timedelta(seconds=17)),
        clear_bound=text(NOW - timedelta(seconds=4)),
    )  # fmt: skip
    made = changed(breached(), verdict="pass", drill=True, alerts=(alert,), scenario="features/a.feature::b")
    return changed(made, burn_rates=burning().burn_rates, **changes)


def test_a_budget_spent_on_purpose_is_no_danger() -> None:
    told = summarise_slos((drill(), slo()))

    assert told.in_danger == ()
    assert ([view.slo.drill for view in told.safe], [view.name for view in told.drills]) == (
        [False], ["Availability (drill)"],
    )  # fmt: skip
    assert told.headline == "1 SLO, within budget; 1 of 1 alert drill passed"
    assert (told.counts, told.drill_counts) == ((("pass", 1),), (("pass", 1),))
    assert summarise_slos((drill(),)).headline == "1 of 1 alert drill passed"


def test_a_drill_whose_alert_was_late_is_in_danger_with_the_bound_it_missed() -> None:
    late = changed(drill().alerts[0], delivered=text(NOW - timedelta(seconds=10)))
    told = summarise_slos((slo(), drill(verdict="fail", alerts=(late,))))

    (view,) = told.in_danger
    assert (view.standing, view.late) == ("spent", ("Alert page-quick, telling of it: late by 7.00 s",))
    assert view.danger is not None
    assert (view.danger.since, view.danger.what) == (NOW - timedelta(seconds=20), "alert pending in a drill")
    assert told.headline == "1 SLO, within budget; 0 of 1 alert drill passed"


def test_a_drill_without_any_alert_says_so() -> None:
    (view,) = summarise_slos((drill(verdict="inconclusive", alerts=()),)).in_danger
    assert view.danger is not None
    assert (view.standing, view.danger.since, view.danger.what) == ("unknown", None, "no alert")
