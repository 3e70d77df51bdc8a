from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import pytest

from sloproof.report.record import AlertRecord, SloRecord
from sloproof.report.slo_charts import SloCharts, points_for, slo_charts, spark
from sloproof.report.slo_summary import summarise_slos
from tests.report.sample_slos import NOW, breached, burning, empty, live, slo, text, unknown


def drawn(one: SloRecord, points: int = 180) -> SloCharts:
    (view,) = summarise_slos((one,)).views
    return slo_charts(view, points)


def heights(svg: str, stroke: str) -> list[float]:
    """Return how far down each point of a line stands."""
    found = re.search(rf'<g class="line-{stroke}"><path d="([^"]*)"', svg)
    assert found is not None
    return [float(word) for word in re.findall(r"[\d.]+", found[1])[1::2]]


def test_the_budget_falls_and_crosses_the_line_where_nothing_is_left() -> None:
    budget, _ = drawn(breached()).over_period
    left, limit = heights(str(budget.svg), "left"), heights(str(budget.svg), "limit")

    assert left == sorted(left)
    assert left[0] < limit[0] < left[-1]


def test_the_objective_is_drawn_beside_the_ratio_and_a_bad_hour_lies_below_it() -> None:
    _, ratio = drawn(breached()).over_period
    good, limit = heights(str(ratio.svg), "good"), heights(str(ratio.svg), "limit")

    assert min(good) < limit[0] < max(good)
    assert ("objective 99.9 %", "limit") in ratio.lines


def test_stretches_without_data_are_shaded_and_break_the_ratio() -> None:
    _, ratio = drawn(unknown()).over_period

    assert ratio.has_gaps
    assert str(ratio.svg).count("<rect") >= 2 + 2
    assert str(ratio.svg).split('class="line-good"')[1].count("M") == 2
    assert any(row[1] == "no data" for row in drawn(unknown()).rows)


def test_the_table_holds_every_event_that_the_charts_draw() -> None:
    one = breached()
    rows = drawn(one, 50).rows

    assert len(rows) <= 50
    assert sum(float(row[1].replace(",", "")) for row in rows) == one.events
    assert sum(float(row[2].replace(",", "")) for row in rows) == one.bad


def test_an_slo_without_events_has_no_chart() -> None:
    nothing = drawn(empty())

    assert nothing.over_period == ()
    assert nothing.timeline is None
    assert spark(empty()) == ""


def test_an_alert_is_drawn_from_pending_to_cleared_beside_its_bounds() -> None:
    timeline = drawn(live()).timeline

    assert timeline is not None
    assert [stroke for _, stroke in timeline.lines] == [
        "pending", "firing", "delivered", "cleared", "bound", "clear-bound",
    ]  # fmt: skip
    assert timeline.rows == (
        ("page-1h", "03-14 03:58:31", "03:58:33", "03:58:34", "03:58:37, kept by 3.00 s", "03:59:26", "03:59:23, late by 3.00 s"),
        ("ticket-1d", "never", "\u2013", "\u2013", "03:59:05, missed, 55.0 s overdue at the judgement", "\u2013", "no bound"),
    )  # fmt: skip


def test_an_alert_that_is_still_on_is_drawn_to_the_instant_of_the_judgement() -> None:
    timeline = drawn(burning()).timeline

    assert timeline is not None
    svg = str(timeline.svg)
    ends = [float(re.findall(r"[\d.]+", path)[-2]) for path in re.findall(r'line-firing"><path d="([^"]*)"', svg)]
    assert len(ends) == 2
    assert ends[0] == pytest.approx(ends[1])


def test_alerts_without_any_instant_draw_nothing() -> None:
    assert drawn(slo(alerts=(AlertRecord(row="r", severity="page"),))).timeline is None


def test_a_hundred_alerts_are_all_in_the_table_and_some_drawn() -> None:
    alerts = tuple(AlertRecord(row=f"r{number}", severity="page", pending=text(NOW)) for number in range(100))
    timeline = drawn(slo(alerts=alerts)).timeline

    assert timeline is not None
    assert len(timeline.rows) == 100
    assert timeline.note == "88 more in the table."


@pytest.mark.parametrize("slos", [1, 26, 200, 10_000])
def test_the_points_of_all_slos_together_stay_few_and_the_worst_have_most(slos: int) -> None:
    safe, bad = (summarise_slos((one,)).views[0] for one in (slo(), breached()))

    assert 24 <= points_for(safe, slos) <= 180
    assert points_for(safe, slos) * min(slos, 200) <= 4800
    assert points_for(bad, slos) >= 120
    assert points_for(replace(bad, number=9), slos) == points_for(safe, slos)


def test_instants_that_cannot_be_read_stop_no_page() -> None:
    one = breached()
    moments = tuple(msgspec.structs.replace(each, start="once upon a time") for each in one.moments)

    assert (
        drawn(msgspec.structs.replace(one, moments=moments, at="?", period_begin="", period_end="")).over_period == ()
    )
