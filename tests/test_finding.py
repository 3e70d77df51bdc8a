from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from sloproof.finding import Finding, Query, Verdict, worst

ORDER = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.BLOCKED, Verdict.ERROR, Verdict.FAIL]


def test_worst_of_nothing_is_inconclusive() -> None:
    assert worst([]) is Verdict.INCONCLUSIVE


def test_worst_ranks_every_verdict_whatever_the_order() -> None:
    for first, second in permutations(ORDER, 2):
        assert worst([first, second]) is max(first, second, key=ORDER.index)
    assert set(ORDER) == set(Verdict)


@pytest.mark.parametrize("bad", [one for one in Verdict if one is not Verdict.PASS])
def test_one_verdict_that_is_no_pass_keeps_all_from_passing(bad: Verdict) -> None:
    assert worst([Verdict.PASS, bad, Verdict.PASS]) is bad


def test_finding_reads_from_claim_to_hint() -> None:
    finding = Finding(
        check="three_way_count",
        verdict=Verdict.FAIL,
        claim="all agree",
        expected="4",
        measured="3\nof 4",
        at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        sample_age=timedelta(milliseconds=214),
        queries=(Query("prometheus", "up", "http://p/up"), Query("ledger", "all")),
        hint="look",
        evidence=(("rows", "a"),),
    )
    assert finding.text().splitlines() == [
        "FAIL [three_way_count] all agree",
        "  expected:   4",
        "  measured:   3",
        "              of 4",
        "  at:         2026-03-01T12:00:00.000+00:00, newest sample 0.214 s old",
        "  prometheus: up",
        "              http://p/up",
        "  ledger:     all",
        "  rows:       a",
        "  hint:       look",
    ]


def test_finding_without_an_instant_says_nothing_of_it() -> None:
    assert Finding("a", Verdict.PASS, "b", "", "d").text().splitlines() == [
        "PASS [a] b", "  expected: ", "  measured: d",
    ]  # fmt: skip


def test_finding_with_dozens_of_queries_shows_a_few_and_says_where_the_others_are() -> None:
    queries = tuple(Query("prometheus", f"up{number}") for number in range(40))

    text = Finding("slo", Verdict.FAIL, "met", "97 %", "96 %", queries=queries, evidence=(("coverage", "1"),)).text()

    assert text.count("prometheus:") == 3
    assert "and 37 more queries, all of them in the report" in text
    assert "coverage" in text
