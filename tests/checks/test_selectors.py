from __future__ import annotations

import pytest

from sloproof.checks.selectors import Matcher, Selector, metric_names, selectors, unknown_reason
from tests.checks.facts import label_set


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up", ["up"]),
        ("sum by (job, endpoint) (rate(a_total[5m]))", ["a_total"]),
        ("sum(rate(a_total[5m])) by (job)", ["a_total"]),
        ("sum without(pod)(a) / on(job) group_left(version) b", ["a", "b"]),
        ("a * ignoring(x) b", ["a", "b"]),
        ("histogram_quantile(0.99, sum by (le) (rate(lat_bucket[1m])))", ["lat_bucket"]),
        ("a offset 5m > bool 1e3 and b unless c or d", ["a", "b", "c", "d"]),
        ("max_over_time(sum(a)[1h:1m]) @ end()", ["a"]),
        ("level:metric:rate5m{x='y'}", ["level:metric:rate5m"]),
        ('{__name__="a"}', ["a"]),
        ('{"a.b", x="y"}', ["a.b"]),
        ("a # comment b\n + c", ["a", "c"]),
        ('label_replace(a, "dst", "$1", "src", "b{c}")', ["a"]),
        ("1 + inf + NaN + 0x1f + .5", []),
        ("topk(5, a) - a", ["a"]),
        ("by{x='1'}", ["by"]),
        ("a @ 1609746000", ["a"]),
        ("vector(1)", []),
        ("-a ^ 2", ["a"]),
    ],
)
def test_metric_names_finds_the_names_and_only_the_names(expression: str, names: list[str]) -> None:
    assert list(metric_names(expression)) == names


def test_selectors_keep_their_conditions() -> None:
    found = selectors('sum(rate(a_total{job="x", code=~"5..", path!~`a|b`, q!="\\""}[5m]))')

    assert found == (
        Selector(
            "a_total",
            (
                Matcher("job", "=", "x"),
                Matcher("code", "=~", "5.."),
                Matcher("path", "!~", "a|b"),
                Matcher("q", "!=", '"'),
            ),
        ),
    )


def test_selectors_within_absent_are_marked() -> None:
    assert [one.is_absence for one in selectors("absent(sum(a)) or absent_over_time(b[5m]) or c")] == [
        True,
        True,
        False,
    ]


SERIES = [label_set("a_total", job="x", code="200"), label_set("a_total", job="x", code="500"), label_set("b", job="x")]


@pytest.mark.parametrize(
    ("expression", "values", "reason"),
    [
        ("a_total", False, ""),
        ("a", False, "metric a does not exist; nearest: a_total"),
        ('a_total{status="500"}', False, "a_total has no label status; it has code, job"),
        ('a_total{status!="500"}', False, ""),
        ('a_total{status=""}', True, ""),
        ('a_total{code="404"}', False, ""),
        ('a_total{code="404"}', True, "no a_total has code='404'; values: 200, 500"),
        ('a_total{code=~"5.."}', True, ""),
        ('a_total{code=~"5"}', True, "no a_total has code=~'5'"),
        ('a_total{job="y",code="200"}', True, "no a_total has job='y'"),
        ("absent(gone)", True, ""),
    ],
)
def test_unknown_reason_goes_from_coarse_to_fine(expression: str, *, values: bool, reason: str) -> None:
    (found,) = selectors(expression)

    said = unknown_reason(found, {"a_total", "b"}, SERIES, values_must_exist=values)

    assert said.startswith(reason) if reason else not said


def test_unknown_reason_names_a_combination_that_no_series_has() -> None:
    (found,) = selectors('a_total{job="z",code="500"}')
    series = [*SERIES, label_set("a_total", job="z", code="200")]

    assert "meets all of" in unknown_reason(found, {"a_total"}, series, values_must_exist=True)
