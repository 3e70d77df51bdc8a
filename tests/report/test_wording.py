from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.report.wording import clock_text, cut, instant, number_text, one_line, plain, seconds_text, tick_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b[31mred\x1b[0m", "red", id="colour"),
        pytest.param("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click", id="hyperlink"),
        pytest.param("\x1b]0;title\x07x", "x", id="window title"),
        pytest.param("\x9b2Jx", "x", id="clear screen, eight bits"),
        pytest.param("a\rb\x00\x08", "a\\x0db\\x00\\x08", id="controls"),
        pytest.param("a\r\nb\tc", "a\nb\tc", id="line ends and tabs stay"),
        pytest.param("gnp\u202eexe.", "gnp\\u202eexe.", id="reordering"),
        pytest.param("caf\udce9", "caf\\udce9", id="half a surrogate pair"),
        pytest.param("naïve 東京 🚦", "naïve 東京 🚦", id="ordinary text"),
    ],
)
def test_text_from_outside_is_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_can_be_written_after_it_was_made_plain(text: str) -> None:
    shown = plain(text)

    assert shown.encode().decode() == shown
    assert "\x1b" not in shown
    assert plain(shown) == shown


def test_a_long_text_keeps_its_beginning_and_its_end_and_says_what_is_missing() -> None:
    text = "head" + "x" * 5000 + "tail"

    shown = cut(text, 300)

    assert shown.startswith("head")
    assert shown.endswith("tail")
    assert "4,708 characters left out" in shown
    assert cut("short", 300) == "short"


def test_one_line_is_one_line_and_no_longer_than_asked() -> None:
    assert one_line("a\n  b\tc", 20) == "a b c"
    assert one_line("abcdefghij", 5) == "abcd…"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "\u2013"), (0.0, "0 ms"), (0.000_4, "0.4 ms"), (0.0312, "31 ms"), (1.0, "1.00 s"), (12.34, "12.3 s"),
        (59.96, "60.0 s"), (72.2, "1 min 12 s"), (3599.9, "1 h 0 min"), (7500.0, "2 h 5 min"), (-3.0, "-3.00 s"),
    ],
)  # fmt: skip
def test_durations_are_worded_for_people(seconds: float | None, shown: str) -> None:
    assert seconds_text(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0"), (0.02, "20 ms"), (0.0005, "0.5 ms"), (5.0, "5 s")])
def test_ticks_carry_their_unit(seconds: float, shown: str) -> None:
    assert tick_text(seconds) == shown


def test_numbers_keep_thousands_apart_and_drop_empty_decimals() -> None:
    assert [number_text(value) for value in (12_840.0, 79.375, 100, 0)] == ["12,840", "79.38", "100", "0"]


@pytest.mark.parametrize("text", ["2026-03-14T04:02:11Z", "2026-03-14T05:02:11+01:00", "2026-03-14T04:02:11"])
def test_instants_are_shown_in_utc(text: str) -> None:
    assert clock_text(instant(text)) == "04:02:11.000 UTC"
