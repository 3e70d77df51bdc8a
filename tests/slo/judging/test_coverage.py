from __future__ import annotations

from datetime import timedelta

from sloproof.model import Window
from sloproof.slo.judging.coverage import coverage
from tests.slo.counted import AT

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def windows(count: int, length: timedelta = HOUR) -> list[Window]:
    return [Window(AT + n * length, AT + (n + 1) * length) for n in range(count)]


def part(
    samples: dict[int, float], count: int = 10, length: timedelta = HOUR, **scrapes: tuple[float, float]
) -> list[float]:
    asked = {int(name[1:]): pair for name, pair in scrapes.items()}
    return [round(one / length, 3) for one in coverage(windows(count, length), [samples], asked)]


def test_as_many_samples_as_usual_are_all() -> None:
    assert part(dict.fromkeys(range(1, 11), 240.0)) == [1] * 10


def test_half_as_many_are_half() -> None:
    samples = dict.fromkeys(range(1, 11), 240.0) | {5: 119.0}
    assert part(samples) == [1, 1, 1, 1, 0.5, 1, 1, 1, 1, 1]


def test_a_sample_late_or_early_at_a_steps_edge_is_no_gap() -> None:
    """Scrapes every 200 ms: five to a second, of which one that comes late falls into the next."""
    second = timedelta(seconds=1)
    assert part({1: 5.0, 2: 6.0, 3: 4.0, 4: 5.0}, 4, second) == [1] * 4
    assert part({1: 5.0, 2: 5.0, 3: 2.0, 4: 5.0}, 4, second) == [1, 1, 0.6, 1]


def test_a_step_without_a_sample_is_a_gap() -> None:
    samples = dict.fromkeys(range(1, 9), 240.0)
    assert part(samples) == [1] * 8 + [0] * 2


def test_another_scrape_interval_is_no_gap_but_next_to_the_change() -> None:
    samples = dict.fromkeys(range(1, 11), 240.0) | dict.fromkeys(range(11, 21), 60.0)
    found = part(samples, 20)
    assert found[:10] == [1] * 10
    assert found[12:] == [1] * 8


def test_steps_narrower_than_the_scrape_interval_are_bridged() -> None:
    samples: dict[int, float] = dict.fromkeys(range(2, 31, 4), 1.0)
    assert part(samples, 30, MINUTE) == [1] * 30


def test_a_gap_of_five_minutes_is_one_and_nothing_at_all_covers_nothing() -> None:
    samples: dict[int, float] = {**dict.fromkeys(range(1, 11), 1.0), **dict.fromkeys(range(16, 31), 1.0)}
    assert part(samples, 30, MINUTE)[10:15] == [0] * 5
    assert part({}, 3, MINUTE) == [0, 0, 0]


def test_scrapes_that_failed_cover_nothing() -> None:
    samples = dict.fromkeys(range(1, 11), 240.0)
    assert part(samples, s3=(120.0, 480.0), s4=(0.0, 240.0))[1:5] == [1, 0.25, 0, 1]


def test_one_target_may_take_over_from_another_within_a_step() -> None:
    most = dict.fromkeys(range(1, 11), 240.0) | {5: 130.0}
    together = dict.fromkeys(range(1, 11), 240.0)
    found = coverage(windows(10), [most, together], {})
    assert set(found) == {HOUR}
