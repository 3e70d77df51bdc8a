"""Refuses, before anything is started, what pytest-bdd would pass in silence or find out too late.

It covers every feature file that was collected, whole, whichever of its scenarios were selected, and tells of all
problems at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pytest_bdd.gherkin_parser import Step
from pytest_bdd.parser import render_string

from sloproof.plugin.collect import FeatureFile, collected_features
from sloproof.plugin.definitions import (
    Matcher,
    StepDefinition,
    template_of,
    visible_definitions,
    visible_fixtures,
)
from sloproof.plugin.document import Case, FeatureDocument, Problem, kinds, shown
from sloproof.plugin.prose import stray_lines, syntax_problems
from sloproof.plugin.structure import structure_problems
from sloproof.plugin.tags import known_tags
from sloproof.settings import has_table

_TOLD = pytest.StashKey[bool]()

_UNDEFINED = "no step is defined for: "
_ATTACHMENTS = {"datatable": "table", "docstring": 'text between """'}


@dataclass(frozen=True, slots=True)
class Steps:
    """What the scenarios of a feature file see.

    Attributes:
        matcher: Over the step definitions.
        fixtures: Names of the fixtures, those included that some step puts its result into.
        root: What shown paths are relative to.
    """

    matcher: Matcher
    fixtures: frozenset[str]
    root: Path


def find_problems(session: pytest.Session, items: Iterable[pytest.Item]) -> tuple[Problem, ...]:
    """Return everything wrong with the feature files that were collected, by file and line, each once."""
    config = session.config
    features = collected_features(config)
    tags = known_tags(config)
    matchers: dict[tuple[int, ...], Matcher] = {}
    found: set[Problem] = set()
    for node in features:
        definitions = visible_definitions(session, node)
        key = tuple(hash((each.path, each.line, each.pattern, each.kind)) for each in definitions)
        matcher = matchers.setdefault(key, Matcher(definitions))
        targets = {each.target for each in definitions if each.target}
        steps = Steps(matcher, visible_fixtures(session, node) | targets | {"request"}, config.rootpath)
        found.update(structure_problems(node.document, tags))
        found.update(step_problems(node.document, steps))
    for matcher in matchers.values():
        found.update(_repeated_definitions(matcher.definitions, config.rootpath))
    found.update(_bound_twice(features, items, config.rootpath))
    return tuple(sorted(found))


def step_problems(document: FeatureDocument, steps: Steps) -> Iterator[Problem]:
    """Yield everything wrong with the steps of a file, given what its scenarios see."""
    yield from syntax_problems(document)
    yield from stray_lines(document, steps.matcher.is_step)
    for case in document.cases():
        told: set[int] = set()
        for step, kind in _steps_of(case):
            for where, text in _as_run(case, step):
                problem = _step_problem(document, steps, step, kind, text)
                if problem is None:
                    continue
                if problem.path != document.path:
                    yield problem
                elif step.location.line not in told:
                    told.add(step.location.line)
                    yield (
                        replace(problem, message=f"{problem.message}, with the row in line {where}")
                        if where
                        else problem
                    )


def problem_report(problems: Iterable[Problem], root: Path) -> str:
    """Return the problems as one text: how many, then each with its place and what to do about it."""
    told = tuple(problems)
    head = "1 problem" if len(told) == 1 else f"{len(told)} problems"
    files = len({problem.path for problem in told})
    where = "1 file" if files == 1 else f"{files} files"
    return "\n".join(
        [f"{head} in {where}, nothing was started", *_no_table(told, root), *(problem.text(root) for problem in told)]
    )


def _no_table(problems: Iterable[Problem], root: Path) -> Iterator[str]:
    """Yield what makes every general sentence unknown, where steps are: it comes before each of them."""
    if has_table(root) or not any(problem.message.startswith(_UNDEFINED) for problem in problems):
        return
    file = root / "pyproject.toml"
    yield (
        f"{file}: {'it has no [tool.sloproof] table' if file.exists() else 'there is no such file'}, "
        "so the sentences that come with sloproof are not known here"
    )
    yield "    write a [tool.sloproof] table there, as docs/adopting.md shows, or name its folder with --rootdir"


def _steps_of(case: Case) -> Iterator[tuple[Step, str]]:
    for background in case.backgrounds:
        yield from kinds(background.steps)
    yield from kinds(case.scenario.steps)


def _as_run(case: Case, step: Step) -> Iterator[tuple[int, str]]:
    """Yield each text that a step is run with, and the line of the row that makes it so (0 where none does)."""
    seen: dict[str, int] = {}
    for line, row in case.rows():
        text = render_string(step.text, row)
        seen.setdefault(text, 0 if text == step.text else line)
    for text, line in (seen or {step.text: 0}).items():
        yield line, text


def _step_problem(document: FeatureDocument, steps: Steps, step: Step, kind: str, text: str) -> Problem | None:
    line = step.location.line
    matches = steps.matcher.all_for(text)
    fitting = [(definition, names) for definition, names in matches if definition.takes(kind)]
    if not fitting:
        hint = _undefined_hint(steps, kind, text, [definition for definition, _ in matches])
        return Problem(document.path, line, f"{_UNDEFINED}{kind.capitalize()} {text}", hint)
    if len(fitting) > 1:
        places = "\n".join(_place(definition, steps.root) for definition, _ in fitting)
        return Problem(document.path, line, f"{len(fitting)} steps fit: {kind.capitalize()} {text}", places)
    definition, names = fitting[0]
    place = _place(definition, steps.root)
    if isinstance(names, Exception):
        return Problem(document.path, line, f"a value of this step cannot be read: {names}", place)
    attachment = _attachment_problem(definition, step, steps)
    if attachment:
        return Problem(document.path, line, attachment, place)
    fault = _definition_fault(definition, names, steps)
    return Problem(definition.path, definition.line, fault, place) if fault else None


def _undefined_hint(steps: Steps, kind: str, text: str, other_kinds: list[StepDefinition]) -> str:
    if other_kinds:
        return "it is defined, but as\n" + "\n".join(_place(each, steps.root) for each in other_kinds)
    near = sorted(steps.matcher.nearest(text), key=lambda each: not each.takes(kind))
    if not near:
        return "`sloproof steps` lists those there are"
    return "did you mean\n" + "\n".join(_place(each, steps.root) for each in near)


def _place(definition: StepDefinition, root: Path) -> str:
    return f"  {definition.sentence}  ({shown(definition.path, root)}:{definition.line})"


def _attachment_problem(definition: StepDefinition, step: Step, steps: Steps) -> str:
    for name, what in _ATTACHMENTS.items():
        given = getattr(step, name) is not None
        if given and not definition.accepts(name):
            return f"this step takes no {what}: {step.text}"
        if not given and name in definition.needed() and name not in steps.fixtures:
            return f"this step needs a {what} below it: {step.text}"
    return ""


def _definition_fault(definition: StepDefinition, names: frozenset[str], steps: Steps) -> str:
    """Return what is wrong with a definition that takes these values from its sentence."""
    ignored = sorted(name for name in names if not definition.accepts(name))
    if ignored:
        return f"the step's function does not take {', '.join(ignored)} from its sentence, and would ignore it"
    known = names | steps.fixtures | _ATTACHMENTS.keys()
    missing = [name for name in definition.needed() if name not in known]
    return f"the step's function asks for {', '.join(missing)}: no fixture, no value of its sentence" if missing else ""


def _repeated_definitions(definitions: Iterable[StepDefinition], root: Path) -> Iterator[Problem]:
    seen: dict[str, list[StepDefinition]] = {}
    for definition in definitions:
        for first in seen.get(definition.pattern, []):
            if first.kind is None or definition.takes(first.kind):
                yield Problem(
                    definition.path,
                    definition.line,
                    f"{definition.sentence} is defined twice, and one definition would win in silence",
                    f"the other:\n{_place(first, root)}",
                )
        seen.setdefault(definition.pattern, []).append(definition)


def _bound_twice(features: Iterable[FeatureFile], items: Iterable[pytest.Item], root: Path) -> Iterator[Problem]:
    """Yield a problem for each feature that a test module runs as well: its scenarios would be run twice."""
    collected = {str(node.path): node.path for node in features}
    for item in items:
        template = template_of(item)
        if template is None or item.getparent(FeatureFile) is not None or template.feature.filename not in collected:
            continue
        yield Problem(
            item.path,
            1,
            f"{shown(collected[template.feature.filename], root)} is run by this module and by itself, so twice",
            "feature files are collected by themselves: take scenarios() out of this module",
        )


def check(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Refuse the run if a feature file has a problem; does nothing when no feature file was collected.

    Raises:
        UsageError: It tells of all problems.
    """
    problems = find_problems(session, items)
    if not problems:
        return
    root = session.config.rootpath
    if not hasattr(session.config, "workerinput"):
        session.config.stash[_TOLD] = True
        raise pytest.UsageError(problem_report(problems, root))
    # The controller of xdist takes an error of a worker for a crash, but tells of files that could not be collected.
    items.clear()
    for path in sorted({problem.path for problem in problems}):
        text = problem_report((problem for problem in problems if problem.path == path), root)
        report = pytest.CollectReport(shown(path, root), "failed", text, [])
        session.config.hook.pytest_collectreport(report=report)


@contextlib.contextmanager
def refuse_instead(session: pytest.Session) -> Iterator[None]:
    """Put the problems of feature files in the place of "not found": a broken file has no scenarios to find."""
    try:
        yield
    except pytest.UsageError:
        told = session.config.stash.get(_TOLD, default=False) or hasattr(session.config, "workerinput")
        problems = () if told else find_problems(session, ())
        if problems:
            raise pytest.UsageError(problem_report(problems, session.config.rootpath)) from None
        raise
