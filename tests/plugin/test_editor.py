"""The editor settings find the steps: checked with the expression that the Cucumber extension builds from them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = json.loads((ROOT / ".vscode/settings.json").read_text())


def step_files() -> list[Path]:
    return sorted(path for pattern in SETTINGS["cucumberautocomplete.steps"] for path in ROOT.glob(pattern))


def sentences(path: Path) -> Iterator[str]:
    """Yield the sentence of each step decorator in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        for decorator in getattr(node, "decorator_list", []):
            called = ast.unparse(decorator.func) if isinstance(decorator, ast.Call) else ""
            if called not in {"given", "when", "then", "step"}:
                continue
            argument = decorator.args[0]
            text = argument.args[0] if isinstance(argument, ast.Call) else argument
            assert isinstance(text, ast.Constant), f"{path}: a sentence is one plain string, or no editor finds it"
            assert isinstance(text.value, str)
            yield text.value


def found_by_the_editor(path: Path) -> set[str]:
    # The extension looks at one line at a time: anything, the setting, no letters, a quote, the sentence, the quote.
    part = SETTINGS["cucumberautocomplete.gherkinDefinitionPart"]
    line = re.compile(rf"""^((?:[^'"/]*?[^\w])|.{{0}}){part}[^/'"`\w]*?(/|'|"|`)(.+)\3""", re.IGNORECASE)
    return {match[4].replace("\\", "") for text in path.read_text().splitlines() if (match := line.match(text))}


def test_there_are_step_files_to_find() -> None:
    assert len(step_files()) > 3


@pytest.mark.parametrize("path", step_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_editor_finds_every_step_of(path: Path) -> None:
    assert set(sentences(path)) <= found_by_the_editor(path)


def test_the_setting_has_the_one_group_that_the_extension_counts_on() -> None:
    assert re.compile(SETTINGS["cucumberautocomplete.gherkinDefinitionPart"]).groups == 1


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('@given("a thing")', "a thing"),
        ("@then(parsers.parse('it says \"{words}\"', TYPES))", 'it says "{words}"'),
        ("    parsers.parse('a line of its own \"{x}\"', TYPES)", 'a line of its own "{x}"'),
    ],
)
def test_editor_finds_each_way_of_writing_a_step(tmp_path: Path, line: str, sentence: str) -> None:
    file = tmp_path / "steps.py"
    file.write_text(line)

    assert found_by_the_editor(file) == {sentence}


def test_editor_takes_the_values_out_of_a_sentence() -> None:
    (rule,) = SETTINGS["cucumberautocomplete.customParameters"]
    pattern = re.sub(rule["parameter"].strip("/"), rule["value"], '{count:d} requests to "{path:text}"')

    assert re.fullmatch(pattern, '20 requests to "/api"')
