"""The page of pitfalls has a row for each, and the test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "slo-pitfalls.md").read_text()
ROWS = re.findall(r"^\| (\d+) \|(.+)\| `(\S+)::(\w+)` \|$", PAGE, re.MULTILINE)


def defined_in(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_page_has_each_pitfall_once() -> None:
    assert [int(number) for number, *_ in ROWS] == list(range(1, 28))


@pytest.mark.parametrize(("number", "cells", "file", "name"), ROWS)
def test_pitfall_is_told_in_full_and_its_test_is_there(number: str, cells: str, file: str, name: str) -> None:
    assert len([one for one in cells.split(" | ") if one.strip()]) == 3
    assert name.startswith(f"test_pitfall_{int(number):02}_")
    assert name in defined_in(REPOSITORY / file)


def test_each_naive_rule_is_run_by_a_test_of_its_number() -> None:
    lies = yaml.safe_load((REPOSITORY / "tests/slo/lies/naive.yaml").read_text())
    texts = "".join(path.read_text() for path in (REPOSITORY / "tests/slo/rules").glob("test_pitfalls_*.py"))
    assert [number for number in lies if f'judge("{number}"' not in texts] == []
