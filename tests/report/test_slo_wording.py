from __future__ import annotations

from datetime import timedelta

import pytest

from sloproof.report.slo_wording import against_bound, budget_text, events_text, length_text, ratio_text, times_text
from tests.report.sample_slos import NOW


@pytest.mark.parametrize(
    ("part", "told"),
    [(1.0, "100.0 %"), (0.0, "0.0 %"), (-0.0001, "> -0.1 %"), (0.0001, "< 0.1 %"), (-2.735, "-273.5 %"), (None, "\u2013"),
     (-120.0, "-12,000 %")],
)  # fmt: skip
def test_a_budget_that_is_just_overspent_never_reads_as_nothing(part: float | None, told: str) -> None:
    assert budget_text(part) == told


@pytest.mark.parametrize(("ratio", "told"), [(0.99995, "99.995 %"), (1.0, "100 %"), (0.0, "0 %"), (None, "\u2013")])
def test_a_ratio_has_the_digits_that_tell_it_apart(ratio: float | None, told: str) -> None:
    assert ratio_text(ratio) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(300, "5 min"), (3600, "1 h"), (2_592_000, "30 d"), (273_600, "3 d 4 h"), (0.5, "500 ms"), (90, "90 s"), (64_140, "17 h 49 min"),
     (None, "\u2013")],
)  # fmt: skip
def test_a_length_is_told_in_its_largest_whole_unit(seconds: float | None, told: str) -> None:
    assert length_text(seconds) == told


def test_rates_and_events() -> None:
    assert [times_text(rate) for rate in (14.4, 0.0, 1000.0, None)] == [
        "14.4\u00d7",
        "0\u00d7",
        "1,000\u00d7",
        "\u2013",
    ]
    assert [events_text(count) for count in (1200.0, 0.5, None)] == ["1,200", "0.5", "\u2013"]


@pytest.mark.parametrize(
    ("came", "bound", "told", "is_late"),
    [
        (0, 5, "kept by 5.00 s", False),
        (5, 5, "kept by 0 ms", False),
        (8, 5, "late by 3.00 s", True),
        (None, 5, "missed, 5.00 s overdue at the judgement", True),
        (None, 20, "not yet due", False),
        (3, None, "no bound", False),
    ],
)
def test_an_instant_stands_beside_its_bound(came: int | None, bound: int | None, told: str, is_late: bool) -> None:
    when, limit = (None if each is None else NOW + timedelta(seconds=each) for each in (came, bound))
    assert against_bound(when, limit, NOW + timedelta(seconds=10)) == (told, is_late)
