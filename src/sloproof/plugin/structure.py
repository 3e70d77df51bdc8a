"""What can be wrong with a feature file in itself, whatever the steps are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from pytest_bdd.gherkin_parser import ExamplesTable, Step

from sloproof.plugin.document import Case, FeatureDocument, Problem, kinds
from sloproof.plugin.tags import explain_unknown

# What someone who writes <name> means; not the "< 5 and b >" of a query.
_PLACEHOLDER = re.compile(r"<([^\W\d](?:[\w .-]*\w)?)>")


def structure_problems(document: FeatureDocument, known_tags: Collection[str]) -> Iterator[Problem]:
    """Yield everything wrong with a file that needs no knowledge of its steps."""
    path = document.path
    if document.feature is None:
        return
    for tag in document.tags():
        name = tag.name.lstrip("@")
        if name not in known_tags:
            yield Problem(path, tag.location.line, *explain_unknown(name, known_tags))
    cases = tuple(document.cases())
    if not cases:
        yield Problem(path, document.feature.location.line, "the feature has no scenario")
    yield from _repeated_titles(document, cases)
    for case in cases:
        yield from _empty_parts(document, case)
        if case.scenario.examples:
            yield from _columns(document, case)
    yield from breaking_problems(document)


def breaking_problems(document: FeatureDocument) -> Iterator[Problem]:
    """Yield the problems that make it impossible to collect the file's scenarios at all."""
    for case in document.cases():
        for steps in (case.scenario.steps, *(background.steps for background in case.backgrounds)):
            if steps and steps[0].keyword_type not in {"Context", "Action", "Outcome"}:
                yield Problem(
                    document.path,
                    steps[0].location.line,
                    f"follows no step: {steps[0].keyword} {steps[0].text}",
                    "begin with Given, When or Then",
                )
        ids: dict[str, int] = {}
        for line, row in case.rows():
            first = ids.setdefault("-".join(row.values()), line)
            if first != line:
                yield Problem(document.path, line, f"the row gives the same test as the row in line {first}")


def placeholders(text: str) -> tuple[str, ...]:
    """Return the names between angle brackets."""
    return tuple(_PLACEHOLDER.findall(text))


def _repeated_titles(document: FeatureDocument, cases: Collection[Case]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for case in cases:
        title = case.scenario.name
        first = seen.setdefault(title, case.line)
        if first != case.line:
            yield Problem(
                document.path,
                case.line,
                f"the scenario of line {first} has this title too, and only one of the two would be run: {title}",
                "give each scenario of a feature a title of its own",
            )
        if not title:
            yield Problem(document.path, case.line, "the scenario has no title", "say what it claims")


def _empty_parts(document: FeatureDocument, case: Case) -> Iterator[Problem]:
    scenario = case.scenario
    if not scenario.steps:
        yield Problem(document.path, case.line, f"the scenario has no steps, and would pass: {scenario.name}")
    elif all(kind != "then" for _, kind in kinds(scenario.steps)):
        yield Problem(
            document.path,
            case.line,
            f"the scenario has no Then, so nothing is judged and it would pass: {scenario.name}",
            "add a Then of its own that says what must hold; one in the Background judges no scenario",
        )
    outlines = {word.strip() for word in document.dialect.scenario_outline_keywords}
    if scenario.keyword.strip() in outlines and not scenario.examples:
        yield Problem(
            document.path, case.line, f"the outline has no Examples, and would be run as it is written: {scenario.name}"
        )
    for table in scenario.examples:
        if not table.table_body:
            yield Problem(
                document.path,
                table.location.line,
                f"the Examples have no rows: {scenario.name}",
                "add a row, or take the table away",
            )


def _columns(document: FeatureDocument, case: Case) -> Iterator[Problem]:
    """Compare the columns of each Examples table with the placeholders of the outline."""
    wanted = _first_lines([(case.scenario.name, case.line), *_texts(case.scenario.steps)])
    # These may be meant as they stand: markup in a text, or a background that other scenarios use.
    behind = [text for background in case.backgrounds for text in _texts(background.steps)]
    loose = _first_lines(
        [
            *behind,
            *_docstrings([step for each in case.backgrounds for step in each.steps]),
            *_docstrings(case.scenario.steps),
        ]
    )
    for table in case.scenario.examples:
        if table.table_header is None:
            continue
        columns = [cell.value for cell in table.table_header.cells]
        yield from _unused_columns(document, table, columns, wanted, loose)
        for name, line in wanted.items():
            if name not in columns:
                yield Problem(
                    document.path,
                    line,
                    f"placeholder <{name}> has no column in the Examples of line {table.location.line}, and would be "
                    "passed on as it is written",
                    _did_you_mean(name, columns) or "if the text is meant so, write it in a column",
                )
        for name, line in loose.items():
            if name not in columns and name not in wanted and (hint := _did_you_mean(name, columns)):
                yield Problem(document.path, line, f"placeholder <{name}> has no column in the Examples", hint)


def _unused_columns(
    document: FeatureDocument,
    table: ExamplesTable,
    columns: list[str],
    wanted: Mapping[str, int],
    loose: Mapping[str, int],
) -> Iterator[Problem]:
    line = table.table_header.location.line if table.table_header else table.location.line
    for column in dict.fromkeys(columns):
        if columns.count(column) > 1:
            yield Problem(document.path, line, f"there are {columns.count(column)} columns {column}, and one would win")
        if column not in wanted and column not in loose:
            yield Problem(
                document.path,
                line,
                f"column {column} of the Examples is used by no step of the outline",
                _did_you_mean(column, wanted),
            )


def _first_lines(texts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the line that each placeholder is first met in."""
    lines: dict[str, int] = {}
    for text, line in texts:
        for name in placeholders(text):
            lines.setdefault(name, line)
    return lines


def _texts(steps: Iterable[Step]) -> Iterator[tuple[str, int]]:
    """Yield the sentence of each step and the cells of its table, each with its line."""
    for step in steps:
        yield step.text, step.location.line
        for row in step.datatable.rows if step.datatable else []:
            for cell in row.cells:
                yield cell.value, row.location.line


def _docstrings(steps: Iterable[Step]) -> Iterator[tuple[str, int]]:
    for step in steps:
        if step.docstring:
            yield step.docstring.content, step.docstring.location.line


def _did_you_mean(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean <{close[0]}>?" if close else ""
