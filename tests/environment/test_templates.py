from __future__ import annotations

from pathlib import Path

import pytest

from sloproof.environment.templates import fill
from sloproof.errors import SettingsError


def filled(tmp_path: Path, text: str, **values: str) -> str:
    """Return a text with its names filled in."""
    path = tmp_path / "some.yml"
    path.write_text(text, encoding="utf-8")
    return fill(path, values)


def test_fill_puts_each_value_in_its_place(tmp_path: Path) -> None:
    assert filled(tmp_path, "a: ${HOST}:${PORT_2}\nb: ${HOST}ü", HOST="h", PORT_2="80") == "a: h:80\nb: hü"


def test_fill_does_not_read_values_again(tmp_path: Path) -> None:
    assert filled(tmp_path, "${ONE}", ONE=r"${TWO}\1\g<0>", TWO="2") == r"${TWO}\1\g<0>"


@pytest.mark.parametrize("text", ["$1", "${1}", "$__range", "${lower}", "{{ $labels.job }}", "$NAME", "$${", "${}"])
def test_fill_leaves_what_belongs_to_prometheus(tmp_path: Path, text: str) -> None:
    assert filled(tmp_path, text, NAME="x") == text


def test_fill_indents_lines_where_a_name_stands_alone(tmp_path: Path) -> None:
    text = "a:\n  ${LINES}\nb: [${LINES}]\n${LINES}\n"

    assert filled(tmp_path, text, LINES="- 1\n- 2") == "a:\n  - 1\n  - 2\nb: [- 1\n- 2]\n- 1\n- 2\n"


def test_fill_leaves_nothing_where_a_name_that_stands_alone_is_empty(tmp_path: Path) -> None:
    assert filled(tmp_path, "a:\n  ${NOTHING}\n  - 1\n", NOTHING="") == "a:\n\n  - 1\n"


def test_fill_refuses_names_it_does_not_know_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        filled(tmp_path, "${WRONG} ${KNOWN} ${ALSO_WRONG} ${WRONG}", KNOWN="x")

    assert caught.value.headline == "expected known names in ${...}, found ALSO_WRONG, WRONG"
    assert caught.value.details["where"] == str(tmp_path / "some.yml")
    assert "KNOWN" in str(caught.value)
