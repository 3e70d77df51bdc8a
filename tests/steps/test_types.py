from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_bdd import parsers

from sloproof.errors import FeatureError, SettingsError
from sloproof.steps.types import TYPES


def read(sentence: str, text: str) -> dict[str, object] | None:
    parser = parsers.parse(sentence, TYPES)
    return dict(parser.parse_arguments(text) or {}) if parser.is_matching(text) else None


def test_duration_is_read_as_one() -> None:
    assert read('within "{bound:duration}"', 'within "1m30s"') == {"bound": timedelta(seconds=90)}


def test_duration_without_a_unit_is_refused_and_not_passed_over() -> None:
    """A sentence that does not match would be reported as unknown, which says nothing of the unit."""
    with pytest.raises(SettingsError, match="with a unit"):
        read('within "{bound:duration}"', 'within "5"')


def test_text_may_be_empty_and_holds_no_quotes() -> None:
    assert read('says "{text:text}"', 'says ""') == {"text": ""}
    assert read('says "{text:text}"', 'says "a" and "b"') is None


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("method", "DELETE", "M-SEARCH"), ("probe", "liveness", "startup"), ("colour", "red", "amber"),
        ("quantity", "error ratio", "errors"),
    ],
)  # fmt: skip
def test_kind_takes_its_own_words_only(kind: str, good: str, bad: str) -> None:
    assert read(f"it is {{value:{kind}}} now", f"it is {good} now") == {"value": good}
    assert read(f"it is {{value:{kind}}} now", f"it is {bad} now") is None


@pytest.mark.parametrize(("kind", "text"), [("probe", "Liveness"), ("method", "get"), ("colour", "GREEN")])
def test_value_in_another_case_is_refused(kind: str, text: str) -> None:
    """The parser does not mind the case, and whatever is not `liveness` would be taken for readiness."""
    with pytest.raises(FeatureError, match=text):
        read(f"it is {{value:{kind}}} now", f"it is {text} now")
