"""A feature file as it is written, line by line: the parser's own objects, and what is wrong with the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gherkin.dialect import Dialect
from pytest_bdd import exceptions
from pytest_bdd.gherkin_parser import (
    Background,
    ExamplesTable,
    Feature,
    Rule,
    Scenario,
    Step,
    Tag,
    get_gherkin_document,
)

from sloproof.errors import FeatureError

# UTF-8; a byte order mark, which some editors write, is no part of the text.
ENCODING = "utf-8-sig"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that must be mended before anything is run."""

    path: Path
    line: int
    message: str
    hint: str = ""

    def text(self, root: Path) -> str:
        """Return it as `file:line: message`, the file relative to `root` where it lies in it, and the hint below."""
        lines = [f"{shown(self.path, root)}:{self.line}: {self.message}"]
        lines += [f"    {line}" for line in self.hint.splitlines()]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario or an outline with what applies to it from around it."""

    scenario: Scenario
    rule: Rule | None
    backgrounds: tuple[Background, ...]

    @property
    def line(self) -> int:
        """Return the line of its title."""
        return self.scenario.location.line

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of all its Examples, each once."""
        headers = (table.table_header for table in self.scenario.examples)
        return tuple(dict.fromkeys(cell.value for header in headers if header for cell in header.cells))

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield the line and the values of each row of its Examples."""
        for table in self.scenario.examples:
            columns = [cell.value for cell in table.table_header.cells] if table.table_header else []
            for row in table.table_body or []:
                yield row.location.line, dict(zip(columns, (cell.value for cell in row.cells), strict=False))


@dataclass(frozen=True, slots=True)
class Prose:
    """A line of a description. `within` is the keyword of the block it describes, as written."""

    line: int
    text: str
    within: str
    in_scenario: bool


class FeatureDocument:
    """One feature file.

    Args:
        path: The file.

    Attributes:
        feature: What the parser made of it; None where it could not.
        problems: Why it could not.
        dialect: The words of its language.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.feature: Feature | None = None
        self.problems: tuple[Problem, ...] = ()
        self.dialect = dialect_of("en")
        try:
            self.lines = path.read_text(encoding=ENCODING).splitlines()
        except UnicodeDecodeError as error:
            self.lines = []
            self.problems = (Problem(path, 1, f"expected UTF-8, but {error.reason} at byte {error.start}"),)
            return
        if not any(line.strip() and not line.lstrip().startswith("#") for line in self.lines):
            self.problems = (Problem(path, 1, "the file is empty: expected a feature with at least one scenario"),)
            return
        try:
            self.feature = get_gherkin_document(str(path), encoding=ENCODING).feature
        except exceptions.GherkinParseError as error:
            self.problems = tuple(_syntax_problems(path, error))
        else:
            self.dialect = dialect_of(self.feature.language)

    def cases(self) -> Iterator[Case]:
        """Yield every scenario and outline, in the order of the file, those of one name each."""
        if self.feature is None:
            return
        outer = tuple(child.background for child in self.feature.children if child.background)
        for child in self.feature.children:
            if child.scenario:
                yield Case(child.scenario, None, outer)
            elif child.rule:
                inner = tuple(each.background for each in child.rule.children if each.background)
                for each in child.rule.children:
                    if each.scenario:
                        yield Case(each.scenario, child.rule, outer + inner)

    def steps(self) -> Iterator[tuple[Step, str]]:
        """Yield each step as written, once, and its kind: `given`, `when` or `then`, inherited by And and But."""
        blocks: dict[int, list[Step]] = {}
        for case in self.cases():
            for background in case.backgrounds:
                blocks[background.location.line] = background.steps
            blocks[case.line] = case.scenario.steps
        for line in sorted(blocks):
            yield from kinds(blocks[line])

    def tags(self) -> Iterator[Tag]:
        """Yield every tag, wherever it stands."""
        if self.feature is None:
            return
        yield from self.feature.tags
        for child in self.feature.children:
            if child.rule:
                yield from child.rule.tags
        for case in self.cases():
            yield from case.scenario.tags
            for table in case.scenario.examples:
                yield from table.tags

    def prose(self) -> Iterator[Prose]:
        """Yield every line of every description, with the line it stands on."""
        if self.feature is None:
            return
        yield from self._described(self.feature, in_scenario=False)
        for child in self.feature.children:
            if child.rule:
                yield from self._described(child.rule, in_scenario=False)
        for case in self.cases():
            for background in case.backgrounds:
                yield from self._described(background, in_scenario=True)
            yield from self._described(case.scenario, in_scenario=True)
        yield from self._described_examples()

    def _described(self, block: Feature | Rule | Background | Scenario, *, in_scenario: bool) -> Iterator[Prose]:
        yield from self._located(block.description, block.location.line, block.keyword, in_scenario=in_scenario)

    def _described_examples(self) -> Iterator[Prose]:
        # The parser's own objects drop the description of an Examples table, so its lines are read from the file.
        for case in self.cases():
            for table in case.scenario.examples:
                yield from self._located(
                    "\n".join(self._between(table)), table.location.line, "Examples", in_scenario=True
                )

    def _between(self, table: ExamplesTable) -> list[str]:
        end = table.table_header.location.line - 1 if table.table_header else table.location.line
        lines = self.lines[table.location.line : end]
        return [line for line in lines if not line.lstrip().startswith(("#", "@", "|"))]

    def _located(self, description: str, after: int, within: str, *, in_scenario: bool) -> Iterator[Prose]:
        line = after
        for text in filter(None, map(str.strip, description.splitlines())):
            while line < len(self.lines) and self.lines[line].strip() != text:
                line += 1
            line += 1
            yield Prose(line, text, within, in_scenario)


def dialect_of(language: str) -> Dialect:
    """Return the words of a language.

    Raises:
        FeatureError: Gherkin has no such language.
    """
    dialect = Dialect.for_name(language)
    if dialect is None:
        raise FeatureError(f"expected a language that Gherkin has, got {language!r}")
    return dialect


def kinds(steps: list[Step]) -> Iterator[tuple[Step, str]]:
    """Yield steps with their kind; And, But and * have that of the step before them."""
    kind = "given"
    for step in steps:
        kind = {"Context": "given", "Action": "when", "Outcome": "then"}.get(step.keyword_type, kind)
        yield step, kind


def shown(path: Path, root: Path) -> str:
    """Return a path as people are shown it: relative to `root` where it lies in it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _syntax_problems(path: Path, error: exceptions.GherkinParseError) -> Iterator[Problem]:
    """Yield every error that the parser met, not only the first that pytest-bdd tells of."""
    causes: list[Any] = list(getattr(error.__cause__, "errors", []))
    if not causes:
        yield Problem(path, error.line, error.message)
    for cause in causes:
        text = re.sub(r"^\(\d+:\d+\): ", "", str(cause))
        line: int = (getattr(cause, "location", None) or {}).get("line", error.line)
        seen = re.fullmatch(r"expected: .*, got '(.*)'", text, re.DOTALL)
        yield Problem(path, line, f"cannot be understood here: {seen[1]}" if seen else text)
