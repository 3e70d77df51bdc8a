from __future__ import annotations

import pytest

from sloproof.errors import SettingsError
from sloproof.slo.judging.exact_terms import Vector, terms_of, total_of


def key(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


SERIES: dict[str, Vector] = {
    "a": {key(x="1", y="1"): {1: 10, 2: 1}, key(x="1", y="2"): {1: 5}, key(x="2", y="1"): {2: 7}},
    "b": {key(x="1"): {1: 3}, key(x="3"): {1: 100}},
    "none": {},
}


def value(query: str) -> dict[int, int]:
    terms = terms_of(query)
    assert terms is not None
    return {step: int(count) for step, count in total_of(terms.value(lambda text: SERIES[text.strip("{}")])).items()}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a", {1: 15, 2: 8}),
        ("sum(a)", {1: 15, 2: 8}),
        ("sum by (x) (a)", {1: 15, 2: 8}),
        ("sum(a) + sum(b)", {1: 118, 2: 8}),
        ("sum by (x) (a) - sum by (x) (b)", {1: 12, 2: 1}),  # what has no partner has no difference
        ("sum without (y) (a) - b", {1: 12, 2: 1}),
        ("sum(a) - sum(none)", {}),
        ("(sum(none) or vector(0))", {}),
        ("sum(a) - (sum(none) or vector(0))", {1: 15, 2: 8}),
        ("b or sum by (x) (a)", {1: 103, 2: 7}),
    ],
)
def test_terms_count_as_promql_does(query: str, expected: dict[int, int]) -> None:
    assert value(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "rate(a[5m])", "max(a)", "a offset 5m", "a @ 0", "a * 2", "a / b", "a - on (x) b", "topk(1, a)", "vector(1)",
        "sum(rate(a[{{.window}}]))", "a unless b", "-a", "sum(max without (job) (a))",
    ],
)  # fmt: skip
def test_anything_else_is_not_counted_exactly(query: str) -> None:
    assert terms_of(query) is None


def test_selectors_are_told_once_each() -> None:
    terms = terms_of('sum(a{x="1"}) + sum(a{x="1"}) - sum(b{le="1"})')
    assert terms is not None
    assert terms.selectors == ('a{x="1"}', r'b{le=~"1(\\.0)?"}')


def test_what_does_not_parse_is_an_error() -> None:
    with pytest.raises(SettingsError, match="expected PromQL"):
        terms_of("sum(")
