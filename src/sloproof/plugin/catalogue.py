"""Builds the catalogue of steps from what pytest has collected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pytest_bdd.parser import render_string

from sloproof.catalogue import StepEntry
from sloproof.plugin.collect import FeatureFile, collected_features
from sloproof.plugin.definitions import Matcher, StepDefinition, visible_definitions
from sloproof.plugin.document import kinds, shown


def build_catalogue(session: pytest.Session) -> tuple[StepEntry, ...]:
    """Return every step that a collected feature could use, by module and place."""
    root = session.config.rootpath
    found: dict[tuple[str | None, str, Path, int], StepDefinition] = {}
    uses: dict[tuple[str | None, str, Path, int], list[tuple[str, str, int]]] = {}
    for node in collected_features(session.config):
        matcher = Matcher(visible_definitions(session, node))
        found |= {_key(each): each for each in matcher.definitions}
        for text, kind, line in _sentences(node):
            for definition, _ in matcher.all_for(text):
                if definition.takes(kind):
                    uses.setdefault(_key(definition), []).append((text, shown(node.path, root), line))
    entries = [_entry(definition, uses.get(key, []), root) for key, definition in found.items()]
    return tuple(sorted(entries, key=lambda entry: (entry.module, entry.line, entry.pattern, entry.kind)))


def write_catalogue(session: pytest.Session, path: Path) -> None:
    """Write the catalogue as JSON."""
    path.write_bytes(msgspec.json.encode(build_catalogue(session)))


def _key(definition: StepDefinition) -> tuple[str | None, str, Path, int]:
    return definition.kind, definition.pattern, definition.path, definition.line


def _entry(definition: StepDefinition, uses: list[tuple[str, str, int]], root: Path) -> StepEntry:
    text, file, line = uses[0] if uses else ("", "", 0)
    return StepEntry(
        kind=definition.kind or "step",
        pattern=definition.pattern,
        doc=definition.doc,
        module=definition.module,
        file=shown(definition.path, root),
        line=definition.line,
        uses=len(uses),
        example=text,
        example_file=file,
        example_line=line,
    )


def _sentences(node: FeatureFile) -> Iterator[tuple[str, str, int]]:
    """Yield each step of a file once, with its kind and line; of an outline's step, the words of the first row."""
    seen: set[int] = set()
    for case in node.document.cases():
        row = next((values for _, values in case.rows()), {})
        for steps in (*(background.steps for background in case.backgrounds), case.scenario.steps):
            for step, kind in kinds(steps):
                if step.location.line not in seen:
                    seen.add(step.location.line)
                    yield render_string(step.text, row), kind, step.location.line
