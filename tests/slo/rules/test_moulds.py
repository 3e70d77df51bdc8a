from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloproof.slo.model import Objective, Source
from sloproof.slo.rules import moulds
from sloproof.slo.rules.files import rule_text_of
from sloproof.slo.rules.groups import rules_of
from sloproof.slo.rules.moulds import objective_texts
from sloproof.slo.rules.values import Timing
from tests.slo.objectives import BAD_QUERY, TOTAL_QUERY, objective, ratio, raw, sliced, threshold

LOG = ratio("sum(count_over_time({a='b'}[{{.window}}]))", bad="sum(x[{{.window}}])", source=Source.LOKI)
LEDGER = ratio("requests", bad='requests{outcome="refused"}', source=Source.LEDGER)
WRITTEN = 'sum(rate(http_requests_total{job="shop"}\n  [{{.window}}]))'


def several(**changes: Any) -> list[Objective]:
    """Return four of a sort: one that is the first, one that makes the mould, two that fill it."""
    return [
        objective(
            service=service, slo=slo, **{"title": title, "indicator": ratio(total, bad='sum(x{it="\'"})'), **changes}
        )
        for service, slo, title, total in (
            ("shop", "availability", "", TOTAL_QUERY),
            ("Shop_2", "on-time", "It's {{ late }}", 'sum(y{a=~"\\\\d+", le="1"})'),
            ("bank", "b", 'said "no"', "sum by (z) (y)"),
            ("qzServiceqz", "qzSloqz", "qzTitleqz qzid", BAD_QUERY),
        )
    ]


def both(objectives: list[Objective]) -> None:
    timing = Timing()
    assert list(objective_texts(objectives, timing)) == [rule_text_of(rules_of(one, timing)) for one in objectives]


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"min_events": 20}, {"indicator": ratio(TOTAL_QUERY, good="sum(x)")}, {"indicator": LOG},
        {"indicator": LEDGER}, {"indicator": raw("x")}, {"indicator": threshold("x", "<", "1")}, {"rows": ()},
        {"labels": (("team", "qzSloqz"),)}, {"labels": (("severity", "qz"),)}, {"missing_after": None},
        {"title": "two\nlines"}, {"indicator": ratio(WRITTEN, bad=WRITTEN)}, {"target": Fraction("0.95")},
    ],
)  # fmt: skip
def test_text_of_a_mould_is_the_text_that_is_made(changes: dict[str, Any]) -> None:
    both(several(**changes))


def test_slices_have_moulds_too() -> None:
    both([sliced(service=f"s{n}", slice_length=timedelta(minutes=5 + n % 2)) for n in range(8)])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1), st.text()), min_size=3, max_size=5))
def test_names_of_any_sort_are_written_as_ever(names: list[tuple[str, str, str]]) -> None:
    both([objective(service=service, slo=slo, title=title) for service, slo, title in names])


def test_a_mould_is_used_from_the_third_of_a_sort_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(one: Objective, *rest: Any) -> Any:
        made.append(one.service)
        return rules_of(one, *rest)

    monkeypatch.setattr(moulds, "rules_of", counted)
    list(objective_texts([objective(service=f"s{n}") for n in range(50)], Timing()))
    assert made == ["s0", "s1", "qzServiceqz"]


def test_a_mould_that_gives_another_text_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moulds, "_SLO", "no")  # is written in quotes, where other names are not
    both([objective(service=f"s{n}") for n in range(4)])
