"""Feature files as test modules: `pytest features/x.feature::test_name[row]` works like any other selection.

A feature file is a `pytest.Module` whose module is built in memory from the file, so that a module-scoped fixture is
set up once a feature, and `-k`, `-m`, `--lf`, xdist and JUnit see what they know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import pytest_bdd
from pytest_bdd.parser import Scenario, ScenarioTemplate

from sloproof.plugin.definitions import template_of
from sloproof.plugin.document import ENCODING, FeatureDocument
from sloproof.plugin.structure import breaking_problems
from sloproof.plugin.tags import register_unknown

SUFFIX = ".feature"


class ScenarioItem(pytest.Function):
    """One scenario, or one row of an outline."""

    @property
    def template(self) -> ScenarioTemplate:
        """Return the scenario as it is written."""
        template = template_of(self)
        assert template is not None, "a scenario item is only ever made from a scenario"
        return template

    @property
    def scenario(self) -> Scenario:
        """Return the scenario as it is run, with the values of its row."""
        return scenario_of(self, self.template)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return the place in the feature file, counted from 0, and the title."""
        return self.path, self.template.line_number - 1, self.scenario.name


class FeatureFile(pytest.Module):
    """One feature file.

    Attributes:
        document: The file as it is written.
    """

    document: FeatureDocument

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Return the file's scenarios; none from a file that preflight is going to refuse as unreadable."""
        self.document = FeatureDocument(self.path)
        _features(self.config)[self.path] = self
        register_unknown(self.config, (tag.name.lstrip("@") for tag in self.document.tags()))
        if self.document.feature is None or any(breaking_problems(self.document)):
            return []
        items = list(super().collect())
        for item in items:
            # pytest makes the items itself, and names their class nowhere that could be overridden.
            item.__class__ = ScenarioItem
        return items

    def _getobj(self) -> ModuleType:
        """Return a module made of the file's scenarios, where pytest would import a file of Python."""
        module = ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        titles = (case.scenario.name for case in self.document.cases())
        for name, title in item_names(titles):
            bind = pytest_bdd.scenario(
                str(self.path), title, encoding=ENCODING, features_base_dir=str(self.path.parent)
            )
            function = bind(_nothing_more)
            function.__name__ = name
            function.__doc__ = title
            setattr(module, name, function)
        return module


def collect_file(file_path: Path, parent: pytest.Collector) -> FeatureFile | None:
    """Return the collector of a feature file, None for any other file."""
    if file_path.suffix != SUFFIX:
        return None
    collector: FeatureFile = FeatureFile.from_parent(parent, path=file_path)
    return collector


def collected_features(config: pytest.Config) -> tuple[FeatureFile, ...]:
    """Return the feature files that were collected, in that order."""
    return tuple(_features(config).values())


def scenario_of(item: pytest.Item, template: ScenarioTemplate) -> Scenario:
    """Return a scenario as an item runs it, with the values of its row."""
    callspec = getattr(item, "callspec", None)
    return template.render(callspec.params.get("_pytest_bdd_example", {}) if callspec else {})


def item_names(titles: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the name of a test for each title, no two the same; each title once."""
    taken: set[str] = set()
    for title in dict.fromkeys(titles):
        plain = re.sub("['\u2019]", "", title.lower())
        base = "test_" + (re.sub(r"\W+", "_", plain).strip("_") or "scenario")
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        yield name, title


def _nothing_more() -> None:
    """Do nothing after a scenario's steps: they are all there is to it."""


_FEATURES = pytest.StashKey[dict[Path, FeatureFile]]()


def _features(config: pytest.Config) -> dict[Path, FeatureFile]:
    return config.stash.setdefault(_FEATURES, {})
