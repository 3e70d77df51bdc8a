from __future__ import annotations

from typing import TYPE_CHECKING

from sloproof.checks.bounded_cardinality import CardinalityEvidence, judge
from tests.checks.facts import BASIS, fails, label_set, passes, unclear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.model import Labels

REQUESTS = "app_request_count_total"
BEFORE = [label_set(REQUESTS, endpoint="/api/users", method="GET"), label_set("up", job="a")]
UNMATCHED = label_set(REQUESTS, endpoint="unmatched", method="GET")


def evidence(*new: Labels, before: Sequence[Labels] = BEFORE, sent: int = 1000) -> CardinalityEvidence:
    return CardinalityEvidence(before, [*before, *new], sent)


def test_bounded_cardinality_passes_when_only_allowed_values_are_new() -> None:
    found = judge(evidence(UNMATCHED), BASIS, allowed={"endpoint": {"unmatched"}})

    assert passes(found)
    assert "1 new series" in found.measured


def test_bounded_cardinality_says_so_when_the_raw_path_is_a_label() -> None:
    raw = [label_set(REQUESTS, endpoint=f"/x/{number}", method="GET") for number in range(300)]

    found = judge(evidence(UNMATCHED, *raw), BASIS, allowed={"endpoint": {"unmatched"}})

    assert fails(found)
    assert "300 new label values" in found.measured
    assert "'/x/0'" in dict(found.evidence)["new values"]
    assert "and 294 more" in dict(found.evidence)["new values"]


def test_bounded_cardinality_says_so_when_an_unknown_method_is_a_label() -> None:
    found = judge(evidence(label_set(REQUESTS, endpoint="/api/users", method="BREW")), BASIS)

    assert fails(found)
    assert "'BREW'" in dict(found.evidence)["new values"]


def test_bounded_cardinality_says_so_when_a_label_or_a_metric_is_new() -> None:
    assert fails(judge(evidence(label_set(REQUESTS, endpoint="/api/users", method="GET", agent="x")), BASIS))
    assert fails(judge(evidence(label_set("x_total")), BASIS))


def test_bounded_cardinality_does_not_allow_a_value_of_another_label() -> None:
    swapped = label_set(REQUESTS, endpoint="GET", method="/api/users")

    assert fails(judge(evidence(swapped), BASIS))


def test_bounded_cardinality_says_so_when_known_values_combine_beyond_the_limit() -> None:
    before = [*BEFORE, label_set(REQUESTS, endpoint="/", method="POST")]
    mixed = label_set(REQUESTS, endpoint="/", method="GET")

    assert passes(judge(evidence(mixed, before=before), BASIS, max_new_series=1))
    assert fails(judge(evidence(mixed, before=before), BASIS, max_new_series=0))


def test_bounded_cardinality_shortens_a_value_of_thousands_of_characters() -> None:
    found = judge(evidence(label_set(REQUESTS, endpoint="/" + "a" * 9000, method="GET")), BASIS)

    assert fails(found)
    assert len(found.text()) < 2000


def test_bounded_cardinality_is_inconclusive_without_data() -> None:
    assert unclear(judge(evidence(sent=0), BASIS))
    assert unclear(judge(CardinalityEvidence([], BEFORE, 10), BASIS))
    assert unclear(judge(CardinalityEvidence(BEFORE, [], 10), BASIS))
