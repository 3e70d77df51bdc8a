from __future__ import annotations

from sloproof.catalogue import StepEntry, catalogue_text, select


def entry(pattern: str, *, module: str = "steps.a", uses: int = 1, doc: str = "Do it.", example: str = "") -> StepEntry:
    return StepEntry(
        kind="given",
        pattern=pattern,
        doc=doc,
        module=module,
        file="steps/a.py",
        line=7,
        uses=uses,
        example=example,
        example_file="features/x.feature",
        example_line=3,
    )


def test_text_groups_by_module_and_counts() -> None:
    text = catalogue_text([entry("one"), entry("{n} two", module="steps.b", uses=0), entry("z", module="steps.b")])

    assert [line for line in text.splitlines() if line.startswith("steps.")] == ["steps.a", "steps.b"]
    assert text.endswith("3 steps, 1 unused")


def test_text_shows_an_example_only_where_it_says_more_than_the_pattern() -> None:
    assert "such as" not in catalogue_text([entry("one", example="one")])
    assert "such as: 5 ones  (features/x.feature:3)" in catalogue_text([entry("{n} ones", example="5 ones")])


def test_text_says_that_a_docstring_is_missing() -> None:
    assert "(its function has no docstring)" in catalogue_text([entry("one", doc="")])


def test_select_looks_into_pattern_doc_and_module_in_any_case() -> None:
    entries = [entry("Loki holds"), entry("x", doc="Ask LOKI."), entry("y", module="steps.loki"), entry("z")]

    assert [each.pattern for each in select(entries, text="loki")] == ["Loki holds", "x", "y"]


def test_select_keeps_the_unused() -> None:
    assert [each.pattern for each in select([entry("a"), entry("b", uses=0)], unused=True)] == ["b"]
