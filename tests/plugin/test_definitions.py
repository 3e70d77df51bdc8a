"""Pins what is used of pytest-bdd's registry, so that an upgrade that moves it fails here and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloproof.plugin.collect import FeatureFile, ScenarioItem
from sloproof.plugin.definitions import Matcher, template_of, visible_definitions, visible_fixtures
from tests.plugin.project import GOOD, write

pytest_plugins = ["pytester"]


@pytest.fixture
def items(pytester: pytest.Pytester) -> list[pytest.Item]:
    write(pytester, good=GOOD)
    found, _ = pytester.inline_genitems("features")
    return found


def feature_of(items: list[pytest.Item]) -> FeatureFile:
    node = items[0].getparent(FeatureFile)
    assert node is not None
    return node


def test_definitions_are_found_with_sentence_kind_doc_and_place(items: list[pytest.Item]) -> None:
    node = feature_of(items)

    found = {each.pattern: each for each in visible_definitions(node.session, node)}

    assert sorted(found) == ["a thing", "it fails", "it holds", 'it says "{words}"', "it works", "{count:d} things"]
    things = found["{count:d} things"]
    assert (things.kind, things.doc, things.path.name, things.line) == (
        "given",
        "Bring some things.",
        "conftest.py",
        20,
    )
    assert things.values("5 things") == {"count": 5}
    assert things.values("five things") is None
    assert things.needed() == ("count",)


def test_fixtures_are_found_by_name(items: list[pytest.Item]) -> None:
    node = feature_of(items)

    assert {"tmp_path", "monkeypatch"} <= visible_fixtures(node.session, node)


def test_the_scenario_behind_an_item_is_found(items: list[pytest.Item]) -> None:
    item = items[0]

    template = template_of(item)

    assert isinstance(item, ScenarioItem)
    assert template is not None
    assert (template.name, template.line_number, Path(template.feature.filename)) == ("It holds", 4, item.path)


def test_an_ordinary_test_has_no_scenario(pytester: pytest.Pytester) -> None:
    write(pytester)
    assert template_of(pytester.getitem("def test_func(): ...")) is None


def test_matcher_finds_every_definition_of_a_sentence(items: list[pytest.Item]) -> None:
    node = feature_of(items)
    matcher = Matcher(visible_definitions(node.session, node))

    [(definition, names)] = matcher.all_for("5 things")
    assert (definition.pattern, names) == ("{count:d} things", frozenset({"count"}))
    assert matcher.all_for("no things") == ()
    assert next(each.pattern for each in matcher.nearest("a thign")) == "a thing"
