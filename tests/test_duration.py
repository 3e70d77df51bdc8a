from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.duration import format_duration, parse_duration
from sloproof.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25), ("3 s", 3), ("1m30s", 90), ("2h", 7200), ("1.5s", 1.5), ("0s", 0), ("5m", 300),
        ("5m5ms", 300.005), ("1d 2h", 93_600), ("1w", 604_800), ("1y", 31_536_000), (" 1 m 30 s ", 90),
    ],
)  # fmt: skip
def test_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["5", "0", "1.5", "", " ", "s", "5 x", "-5s", "30s1m", "1s1s", "1.5h", "+1s", "1e3s"])
def test_duration_without_a_unit_or_with_another_is_refused(text: str) -> None:
    """A bare number's unit would be a guess."""
    with pytest.raises(SettingsError, match="a duration with a unit") as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["1 0s", "1 30s", "2 5 0ms", "3 m s", "1. 5s"])
def test_blank_within_a_number_or_a_unit_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_duration(text)


def test_duration_beyond_all_bounds_is_refused_in_words() -> None:
    with pytest.raises(SettingsError, match="at most"):
        parse_duration("99999999999y")


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"), (timedelta(milliseconds=250), "250ms"), (timedelta(hours=1, minutes=30), "1h30m"),
        (timedelta(days=9), "9d"), (timedelta(seconds=-90), "-1m30s"), (timedelta(microseconds=400), "0s"),
        (timedelta(microseconds=1600), "2ms"),
    ],
)  # fmt: skip
def test_duration_is_written_to_the_millisecond(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@given(st.integers(min_value=0, max_value=10**11))
def test_duration_that_was_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration
