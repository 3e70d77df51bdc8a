"""The pitfalls of alerts: each naive rule is run beside ours and fires, or stays silent, when it should not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from sloproof.slo.rows import detection_time, left_out_rows, reset_time
from tests.slo.objectives import SCRAPE, objective
from tests.slo.pitfalls import BAD, DAY, GOOD, HOUR, LIE, MINUTE, OURS, Claim, engine, row

pytestmark = pytest.mark.slow
Judge = Callable[..., None]
ONE_ROW = objective(rows=(row(),))


@pytest.fixture
def judge(tool_path: Callable[[str], Path], tmp_path: Path) -> Judge:
    return engine(tool_path, tmp_path).judge


def outage(calm: int, lasting: int, after: int = 0) -> dict[str, str]:
    """Return traffic of 100 events a step: healthy, all bad, healthy again."""
    good, bad = 100 * calm, 100 * lasting
    recovery = (f" {good + 100}+100x{after - 1}", f" {bad}x{after - 1}") if after else ("", "")
    return {
        GOOD: f"0+100x{calm} {good}x{lasting - 1}{recovery[0]}",
        BAD: f"0x{calm} 100+100x{lasting - 1}{recovery[1]}",
    }


def test_pitfall_01_windows_of_different_labels_still_match(judge: Judge) -> None:
    judge("01", ONE_ROW, outage(60, 20), [
        Claim(79 * MINUTE, "naive:error:ratio > 0.2"),
        Claim(79 * MINUTE, LIE, holds=False),
        Claim(79 * MINUTE, OURS),
    ])  # fmt: skip


def test_pitfall_08_a_cold_window_counts_what_is_not_there_as_good(judge: Judge) -> None:
    told = objective(rows=(row(3 * DAY, 6 * HOUR, "1"),))
    detection = detection_time(told.rows[0], told.budget, Fraction(5, 1000))
    assert detection == timedelta(hours=14.4)
    step = timedelta(minutes=10)
    series = {GOOD: "0+995x100", BAD: "0+5x100"}
    judge("08", told, series, [
        Claim(3 * step, LIE),
        Claim(3 * step, "slo:window_coverage:ratio3d < 0.01"),
        Claim(detection - 2 * step - timedelta(minutes=4), OURS, holds=False),
        Claim(detection + 4 * step - timedelta(minutes=4), OURS),
    ], interval=step)  # fmt: skip


def test_pitfall_09_one_failure_pages_nobody_and_an_outage_does(judge: Judge) -> None:
    told = replace(ONE_ROW, min_events=20)
    few = {GOOD: "0x11 1x12 2x12 3x12 4x20", BAD: "0x30 1x37"}
    judge("09", told, few, [
        Claim(50 * MINUTE, "slo:sli_error:ratio_rate1h > 0.1"),
        Claim(50 * MINUTE, LIE),
        Claim(50 * MINUTE, f"last_over_time({OURS}[50m])", holds=False),
    ])  # fmt: skip
    judge("09", told, outage(60, 20), [Claim(79 * MINUTE, LIE), Claim(79 * MINUTE, OURS)])


def test_pitfall_10_a_total_outage_is_told_for_any_objective(judge: Judge) -> None:
    judge("10", ONE_ROW, outage(60, 65), [Claim(124 * MINUTE, LIE, holds=False), Claim(124 * MINUTE, OURS)])


def test_pitfall_11_rows_that_cannot_hold_are_left_out_and_others_are_not(judge: Judge) -> None:
    told = objective(target=Fraction("0.9"))
    assert [one.name for one in left_out_rows(told.period, told.budget, SCRAPE)] == ["page-quick"]
    step = timedelta(minutes=3)
    judge("11", told, outage(120, 90), [
        Claim(209 * step, LIE, holds=False),
        Claim(209 * step, 'ALERTS{alertname="ErrorBudgetBurn", alertstate="firing", severity="page"}'),
    ], interval=step)  # fmt: skip


@pytest.mark.parametrize(("bad", "fires"), [(475, False), (525, True)], ids=["0.95", "1.05"])
def test_pitfall_12_thresholds_are_not_rounded(judge: Judge, bad: int, fires: bool) -> None:
    told = objective(target=Fraction("0.9995"), rows=(row(factor="1"),))
    series = {GOOD: f"0+{1_000_000 - bad}x150", BAD: f"0+{bad}x150"}
    judge("12", told, series, [Claim(140 * MINUTE, LIE), Claim(140 * MINUTE, OURS, holds=fires)])


def test_pitfall_19_an_alert_sees_what_was_recorded_at_its_own_instant(judge: Judge) -> None:
    detection = detection_time(ONE_ROW.rows[0], ONE_ROW.budget, Fraction(1))
    assert detection is not None
    assert detection < MINUTE
    # The first bad sample is that of minute 61.
    judge("19", ONE_ROW, outage(60, 20), [
        Claim(61 * MINUTE, LIE, holds=False),
        Claim(61 * MINUTE, OURS),
        Claim(62 * MINUTE, LIE),
    ])  # fmt: skip


def test_pitfall_26_an_alert_ends_when_its_formula_says(judge: Judge) -> None:
    reset = reset_time(ONE_ROW.rows[0], ONE_ROW.budget, Fraction(1))
    assert reset is not None
    end = 80 * MINUTE
    cleared = end + (-(-reset // MINUTE) + 3) * MINUTE
    judge("26", ONE_ROW, outage(60, 20, 40), [
        Claim(end, OURS),
        Claim(cleared, OURS, holds=False),
        Claim(cleared, LIE),
        Claim(end + 30 * MINUTE, LIE),
    ])  # fmt: skip


@pytest.mark.parametrize("wrong", [Claim(79 * MINUTE, LIE), Claim(79 * MINUTE, OURS, holds=False)])
def test_engine_refuses_a_wrong_claim(judge: Judge, wrong: Claim) -> None:
    with pytest.raises(AssertionError, match="FAILED"):
        judge("01", ONE_ROW, outage(60, 20), [wrong])


@pytest.mark.parametrize("broken", [GOOD, BAD], ids=["good", "bad"])
def test_a_counter_that_is_no_number_silences_burn_alerts_and_is_told(judge: Judge, broken: str) -> None:
    series = outage(60, 20)
    series[broken] += " NaN" * 20
    told = 'ALERTS{alertname="SloDataMissing", alertstate="firing"}'
    judge("01", replace(ONE_ROW, missing_after=5 * MINUTE), series, [
        Claim(70 * MINUTE, OURS),
        Claim(79 * MINUTE, told, holds=False),
        Claim(90 * MINUTE, OURS, holds=False),
        Claim(90 * MINUTE, "absent(slo:sli_valid:increase5m)", holds=False),
        Claim(90 * MINUTE, told),
    ])  # fmt: skip
