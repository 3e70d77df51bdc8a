"""The examples of the guide are features that would not be refused for their form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sloproof.environment.base import CAPABILITIES
from sloproof.plugin.document import FeatureDocument
from sloproof.plugin.prose import stray_lines
from sloproof.plugin.structure import structure_problems

GUIDE = (Path(__file__).parents[2] / "docs/writing-scenarios.md").read_text()
EXAMPLES = re.findall(r"```gherkin\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=["a scenario", "an outline"])
def test_example_is_a_good_feature(tmp_path: Path, text: str) -> None:
    path = tmp_path / "example.feature"
    path.write_text(text)
    document = FeatureDocument(path)

    assert list(document.problems) == []
    assert list(structure_problems(document, frozenset())) == []
    assert list(stray_lines(document, lambda _: False)) == []


def test_guide_names_every_capability() -> None:
    assert {name for name in CAPABILITIES if f"`@needs_{name}`" not in GUIDE} == set()
