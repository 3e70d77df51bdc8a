from __future__ import annotations

import pytest

from sloproof.plugin.document import dialect_of
from sloproof.plugin.prose import edit_distance, nearest, step_words


@pytest.mark.parametrize(
    ("first", "second", "slips"),
    [
        ("given", "given", 0),
        ("givn", "given", 1),
        ("gievn", "given", 1),
        ("gven", "given", 1),
        ("abc", "xyz", 3),
        ("", "a", 1),
    ],
)
def test_slips_are_counted_and_a_swap_is_one(first: str, second: str, slips: int) -> None:
    assert edit_distance(first, second) == slips
    assert edit_distance(second, first) == slips


@pytest.mark.parametrize(
    ("word", "keyword"),
    [
        ("Givn", "Given"),
        ("Gvien", "Given"),
        ("wehn", "When"),
        ("Thne", "Then"),
        ("Adn", "And"),
        ("Btu", "But"),
        ("Load", None),
        ("I", None),
    ],
)
def test_a_word_is_taken_for_the_keyword_it_was_meant_to_be(word: str, keyword: str | None) -> None:
    assert nearest(word, step_words(dialect_of("en"))) == keyword
