from __future__ import annotations

import re

import msgspec
import pytest

from sloproof.report.charts import charts
from sloproof.report.drawing import Band, Line, Mark, Step, draw
from sloproof.report.record import LogLagRecord, RunRecord
from sloproof.report.wording import ABSENT, number_text
from tests.report.examples import BEGIN, at, failing_run, green_run, traffic


def drawn(*values: float | None, log_allowed: bool = False, marks: tuple[Mark, ...] = ()) -> str:
    points = tuple((float(place), value) for place, value in enumerate(values))
    return str(draw("T", [Line("l", "ledger", points)], marks, log_allowed=log_allowed, text=number_text).svg)


def paths(svg: str) -> str:
    (found,) = re.findall(r'<g class="line-ledger"><path d="([^"]*)"', svg)
    return str(found)


def test_a_drawing_is_bare_svg_without_script_style_comment_or_address() -> None:
    svg = drawn(1.0, 2.0, 3.0)

    assert svg.startswith("<svg ")
    for forbidden in ("<script", "<style", "<!--", "style=", " id=", "pygal.org", "github.com"):
        assert forbidden not in svg
    assert re.findall(r"https?://[^\" ]+", svg) in ([], ["http://www.w3.org/2000/svg"])
    assert 'role="img" aria-label="T"' in svg


def test_a_gap_breaks_the_line_and_a_point_alone_is_still_seen() -> None:
    path = paths(drawn(1.0, 2.0, None, 3.0, None, 4.0, 5.0))

    assert path.count("M") == 3
    lonely = path.split("M")[2]
    assert lonely.split("L")[0] == lonely.split("L")[1]


def test_a_gap_breaks_the_line_on_a_logarithmic_scale_too() -> None:
    assert paths(drawn(1.0, 2.0, None, 300.0, 400.0, log_allowed=True)).count("M") == 2


def test_higher_values_are_drawn_higher_and_zero_on_the_axis() -> None:
    numbers = [float(word) for word in re.findall(r"[\d.]+", paths(drawn(0.0, 5.0, 10.0)))]
    heights = numbers[1::2]

    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.11)


def test_a_logarithmic_scale_is_taken_only_where_it_shows_more() -> None:
    assert draw("T", [Line("l", "x", ((0, 1.0), (1, 1000.0)))], log_allowed=True, text=number_text).is_log
    assert not draw("T", [Line("l", "x", ((0, 1.0), (1, 3.0)))], log_allowed=True, text=number_text).is_log
    assert not draw("T", [Line("l", "x", ((0, 0.0), (1, 1000.0)))], log_allowed=True, text=number_text).is_log


def banded(*steps: Step, points: tuple[tuple[float, float | None], ...] = ((0, 0.02), (4, 0.02))) -> list[str]:
    """Return the paths of a band: what lies within, and its bounds."""
    svg = str(draw("T", [Line("l", "x", points)], bands=[Band("b", "told", steps)], text=number_text).svg)
    return re.findall(r'<path class="(?:within|bound)" d="([^"]*)"', svg)


def test_a_band_is_drawn_from_edge_to_edge_and_never_as_a_line_between_them() -> None:
    within, bound = banded(
        Step(0, 1, 0.01, 0.05), Step(1, 2, 0.01, 0.05), Step(2, 3, 0.05, 0.1), Step(3.5, 4, 0.05, 0.1)
    )
    heights = re.findall(r"M[\d.]+ ([\d.]+)H", bound)

    assert within.count("Z") == 3, "steps that meet and have the same edges are one, and a dashed line goes on"
    assert (len(heights), len(set(heights))) == (6, 3)
    assert bound.count("V") == 2, "upright lines stand where edges change, and nowhere else"
    assert set(re.findall(r"V([\d.]+)H", within)) <= set(heights)


def test_a_band_without_an_upper_edge_reaches_to_the_top_and_has_no_line_there() -> None:
    (closed, both), (opened, one) = (banded(Step(0, 4, 0.01, high)) for high in (0.05, None))

    assert (both.count("H"), one.count("H")) == (2, 1)
    assert float(opened.split()[1].partition("H")[0]) <= float(closed.split()[1].partition("H")[0])


def test_a_band_from_0_has_no_line_at_its_bottom_and_none_outside_the_time_drawn() -> None:
    _, bound = banded(Step(-9, 2, 0.0, 0.05), Step(8, 9, 0.01, 0.05))

    assert bound.count("H") == 1


def test_a_histogram_is_never_given_as_one_number() -> None:
    p99 = next(chart for chart in charts(green_run(2, 60)) if chart.slug == "p99")

    told = {row[3] for row in p99.rows}
    assert p99.header[3] == "service, between bucket edges"
    assert told == {"100 to 500 ms", ABSENT}


def test_of_many_seconds_the_band_holds_the_highest() -> None:
    """The highest of values, each within edges of its own, lies between the highest of the lower and of the upper."""
    p99 = next(chart for chart in charts(green_run(2, 7200)) if chart.slug == "p99")
    opened = [row[3] for row in p99.rows if row[3].startswith("above")]

    assert opened
    assert set(opened) == {"above 1 s"}
    assert "where the band is open above" in p99.note


def test_odd_series_can_be_drawn() -> None:
    for values in ((), (None,), (0.0,), (0.0, 0.0), (5.0,), (1e-9, 2e-9), (1e12, 2.0)):
        assert drawn(*values, log_allowed=True).startswith("<svg ")


def test_marks_too_close_together_share_a_line() -> None:
    marks = (Mark(1.0, "2"), Mark(1.01, "1"), Mark(1.02, "7"), Mark(80.0, "3"), Mark(500.0, "9"))

    svg = drawn(*(1.0 for _ in range(101)), marks=marks)

    assert (
        re.findall(r">([\d,…]+)</text></g>|>([\d,…]+)</text><path", svg.partition('class="marks"')[2])[0][1] == "2,1…"
    )
    assert svg.partition('class="marks"')[2].count("<path") == 2 + 1  # two marks and the line itself


def test_ledger_and_prometheus_are_drawn_side_by_side_with_strokes_of_their_own() -> None:
    rate, errors, p99, p50, lag = charts(failing_run())

    assert [chart.slug for chart in (rate, errors, p99, p50, lag)] == ["rate", "errors", "p99", "p50", "lag"]
    assert rate.lines == (("sent (ledger)", "ledger"), ("counted (Prometheus)", "told"))
    assert (rate.bands, p99.bands) == ((), (("service, between bucket edges", "told"),))
    assert len({stroke for _, stroke in p99.lines}) == 2


def test_seconds_without_a_sample_are_shaded_and_said() -> None:
    rate = charts(failing_run())[0]

    assert rate.has_gaps
    assert 'class="gaps"><rect' in rate.svg
    assert not charts(green_run())[0].has_gaps


def test_the_table_holds_the_numbers_of_the_chart() -> None:
    rate = charts(green_run(2, 60))[0]
    sent = [one.sent for one in traffic(60)]

    assert rate.header == ("time (UTC)", "sent (ledger)", "counted (Prometheus)")
    assert [int(row[1]) for row in rate.rows] == sent
    assert rate.rows[0][0] == f"{BEGIN:%H:%M:%S}"


def test_a_long_run_is_thinned_out_and_says_so() -> None:
    rate, errors, *_ = charts(green_run(2, 7200))

    assert rate.note == "One point is the mean of 24 s."
    assert errors.note == "One point is the max of 24 s."
    assert len(rate.rows) == 300
    assert len(rate.svg) < 15_000


def test_a_prometheus_that_never_told_anything_is_said_and_not_drawn() -> None:
    silent = tuple(msgspec.structs.replace(one, counted=None, counted_failed=None) for one in traffic(30))
    rate = charts(msgspec.structs.replace(green_run(2, 30), traffic=silent))[0]

    assert rate.lines == (("sent (ledger)", "ledger"),)
    assert rate.note == "No sample of counted (Prometheus)."


def test_a_run_without_traffic_has_only_the_charts_it_has_data_for() -> None:
    bare = RunRecord(verdict="pass", run_id="r", started=at(0), duration_seconds=1, service="s", scenarios=())
    lags = tuple(LogLagRecord(at=at(second), lag_seconds=0.01) for second in range(1000))

    assert charts(bare) == ()
    (lag,) = charts(msgspec.structs.replace(bare, log_lags=lags))
    assert lag.note == "250 of 1000 points, the highest of their time."
