"""Step definitions as pytest-bdd has registered them.

pytest-bdd keeps each as a fixture whose function it maps to the step, and finds them through pytest's own rules of
visibility. This module is the only one that knows; `tests/plugin/test_definitions.py` pins it.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_bdd.compat import get_fixture_names, getfixturedefs
from pytest_bdd.parser import ScenarioTemplate
from pytest_bdd.parsers import StepParser
from pytest_bdd.scenario import scenario_wrapper_template_registry
from pytest_bdd.steps import step_function_context_registry


@dataclass(frozen=True, slots=True, eq=False)
class StepDefinition:
    """A sentence and the function behind it.

    Attributes:
        kind: `given`, `when`, `then`, or None for all three.
        pattern: The sentence, as written in the decorator.
        function: What is called.
        parser: Takes the values out of a sentence.
        path: Where the function stands.
        line: Of its first decorator.
        doc: The first line of its docstring; empty when it has none.
        target: The fixture that its result is put into, if any.
    """

    kind: str | None
    pattern: str
    function: Callable[..., object]
    parser: StepParser
    path: Path
    line: int
    doc: str
    target: str | None

    @property
    def module(self) -> str:
        """Return the name of the module it stands in."""
        return self.function.__module__

    @property
    def sentence(self) -> str:
        """Return the keyword and the pattern."""
        return f"{(self.kind or 'step').capitalize()} {self.pattern}"

    def takes(self, kind: str) -> bool:
        """Return whether it is meant for steps of this kind."""
        return self.kind is None or self.kind == kind

    def needed(self) -> tuple[str, ...]:
        """Return the names of the arguments that it cannot do without."""
        return tuple(
            name
            for name, parameter in inspect.signature(self.function).parameters.items()
            if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        )

    def accepts(self, name: str) -> bool:
        """Return whether it has a parameter of this name."""
        return name in inspect.signature(self.function).parameters

    def values(self, text: str) -> Mapping[str, object] | None:
        """Return the values that a sentence holds; None when it is not this definition's sentence.

        Raises:
            Exception: Whatever the reader of one of its values raises: the sentence fits, a value does not.
        """
        if not self.parser.is_matching(text):
            return None
        return self.parser.parse_arguments(text) or {}


def visible_definitions(session: pytest.Session, node: pytest.Collector) -> tuple[StepDefinition, ...]:
    """Return the step definitions that a node's scenarios see, in the order of their places, each once."""
    found: dict[tuple[str | None, str, Path, int], StepDefinition] = {}
    manager = session._fixturemanager  # noqa: SLF001 - pytest has no public list of fixtures
    for name in get_fixture_names(manager):
        for fixture in getfixturedefs(manager, name, node) or ():
            context = step_function_context_registry.get(fixture.func)
            # pytest-bdd brings a step of its own, "trace", for debugging by hand.
            if context is None or context.step_func.__module__.startswith("pytest_bdd."):
                continue
            code = inspect.unwrap(context.step_func).__code__
            path, line = Path(code.co_filename), code.co_firstlineno
            found[context.type, context.parser.name, path, line] = StepDefinition(
                kind=context.type,
                pattern=context.parser.name,
                function=context.step_func,
                parser=context.parser,
                path=path,
                line=line,
                doc=(inspect.getdoc(context.step_func) or "").partition("\n")[0],
                target=context.target_fixture,
            )
    return tuple(sorted(found.values(), key=lambda each: (str(each.path), each.line, each.pattern)))


def visible_fixtures(session: pytest.Session, node: pytest.Collector) -> frozenset[str]:
    """Return the names of the fixtures that a node's scenarios can ask for."""
    manager = session._fixturemanager  # noqa: SLF001 - pytest has no public list of fixtures
    return frozenset(name for name in get_fixture_names(manager) if getfixturedefs(manager, name, node))


def template_of(item: pytest.Item) -> ScenarioTemplate | None:
    """Return the scenario behind an item, however it was collected; None for an ordinary test."""
    function = getattr(item, "function", None)
    return None if function is None else scenario_wrapper_template_registry.get(function)


class Matcher:
    """Finds the definitions of sentences, remembering what it has found.

    Args:
        definitions: Those that a feature file sees.
    """

    def __init__(self, definitions: Iterable[StepDefinition]) -> None:
        self.definitions = tuple(definitions)
        self._found: dict[str, tuple[tuple[StepDefinition, frozenset[str] | Exception], ...]] = {}

    def all_for(self, text: str) -> tuple[tuple[StepDefinition, frozenset[str] | Exception], ...]:
        """Return each definition of a sentence, of whatever kind, with the names of its values.

        A value that could not be read is given as the error it raised.
        """
        if text not in self._found:
            self._found[text] = tuple(
                (each, names) for each in self.definitions if (names := _names(each, text)) is not None
            )
        return self._found[text]

    def is_step(self, text: str) -> bool:
        """Return whether any definition understands a sentence."""
        return bool(text) and bool(self.all_for(text))

    def nearest(self, text: str, count: int = 3) -> tuple[StepDefinition, ...]:
        """Return the definitions whose sentences are nearest to a text, the nearest first."""
        wanted = _bare(text)
        scored = [
            (difflib.SequenceMatcher(None, wanted, _bare(each.pattern)).ratio(), index)
            for index, each in enumerate(self.definitions)
        ]
        best = sorted(scored, key=lambda pair: (-pair[0], pair[1]))
        return tuple(self.definitions[index] for ratio, index in best[:count] if ratio > 0.6)  # noqa: PLR2004


def _names(definition: StepDefinition, text: str) -> frozenset[str] | Exception | None:
    try:
        values = definition.values(text)
    except Exception as error:  # noqa: BLE001 - reading a value is the project's own code
        return error
    return None if values is None else frozenset(values)


def _bare(text: str) -> str:
    """Return a sentence without its values, so that sentences are compared and not numbers."""
    return re.sub(r'"[^"]*"|\{[^}]*\}|<[^>]*>|\d+(?:\.\d+)?', "_", text)
