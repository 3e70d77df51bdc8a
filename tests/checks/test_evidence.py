from __future__ import annotations

import dataclasses

from sloproof.checks.evidence import Basis, Bounds, selector_text, total
from sloproof.checks.freshness import last_sample, oldest_age, youngest_age
from sloproof.checks.wording import listing, nearest, number, table
from sloproof.finding import Verdict
from tests.checks.facts import BASIS, T0, after, fails, named, seconds, series, unclear


def test_basis_turns_pass_and_fail_into_inconclusive_on_stale_samples() -> None:
    """An old sample proves nothing, neither way; what it would have said is kept as evidence."""
    stale = Basis(at=T0, sample_age=seconds(3), max_sample_age=seconds(2))

    for holds in (True, False):
        found = stale.judged("x", "claim", holds=holds, expected="1", measured="1")

        assert unclear(found)
        assert "3.000 s old" in found.measured
        assert any(name == "on stale data" for name, _ in found.evidence)


def test_basis_takes_a_bound_of_0_for_a_bound() -> None:
    assert unclear(
        Basis(sample_age=seconds(1), max_sample_age=seconds(0)).judged(
            "x", "claim", holds=True, expected="1", measured="1"
        )
    )


def test_basis_keeps_the_verdict_on_a_sample_of_exactly_the_age_allowed() -> None:
    edge = Basis(at=T0, sample_age=seconds(2), max_sample_age=seconds(2))

    assert edge.judged("x", "claim", holds=True, expected="1", measured="1").verdict is Verdict.PASS


def test_basis_states_its_questions_and_instant() -> None:
    found = BASIS.judged("x", "claim", holds=False, expected="1", measured="2", hint="look")

    assert fails(found)
    assert (found.at, found.queries, found.hint) == (BASIS.at, BASIS.queries, "look")


def test_bounds_meet_hold_and_add_up() -> None:
    assert Bounds(1, 3).meets(Bounds(3, 4))
    assert not Bounds(1, 3).meets(Bounds(3.001, 4))
    assert Bounds(1, 3).holds(3)
    assert total([Bounds(1, 2), Bounds(3, 3)]) == Bounds(4, 5)
    assert total([]) == Bounds(0, 0)
    assert (str(Bounds(2, 2)), str(Bounds(1, 2.5))) == ("2", "1..2.5")


def test_number_never_makes_two_different_numbers_look_alike() -> None:
    assert number(12345678) == "12345678"
    assert number(12345678.0) == "12345678"
    assert number(0.1 + 0.2) != number(0.3)
    assert number(float("nan")) == "nan"
    assert number(float("inf")) == "inf"


def test_table_shows_twenty_rows_and_says_how_many_more_there_are() -> None:
    shown = table(("a", "b"), [(str(one), "x") for one in range(25)]).splitlines()

    assert len(shown) == 22
    assert shown[-1] == "and 5 more"
    assert table(("a",), []) == ""


def test_listing_and_nearest_name_what_exists() -> None:
    assert listing("abcdefgh") == "a, b, c, d, e, f and 2 more"
    assert "app_request_count_total" in nearest("app_request_count", ["app_request_count_total", "up"])
    assert nearest("zzz", ["up"]) == "nothing like it exists"


def test_selector_text_writes_labels_as_promql_does() -> None:
    assert selector_text({"__name__": "up", "job": "a"}) == 'up{job="a"}'


def test_sample_ages_are_those_of_the_newest_samples_at_the_instant() -> None:
    found = [named("up", {0: 1, 4: 1}), series({1: 1, 9: 1})]

    assert youngest_age(found, after(5)) == seconds(1)
    assert oldest_age(found, after(5)) == seconds(4)
    assert youngest_age([], after(5)) is None
    assert last_sample(found[1], after(0.5)) is None
    assert dataclasses.is_dataclass(found[0])
