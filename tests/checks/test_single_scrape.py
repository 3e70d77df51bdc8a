from __future__ import annotations

from typing import TYPE_CHECKING

from sloproof.checks.single_scrape import ScrapeEvidence, judge
from tests.checks.facts import BASIS, after, fails, named, passes, seconds, unclear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.finding import Finding
    from sloproof.model import Series


def up(instance: str, job: str = "users-api", at: float = 9.9) -> Series:
    return named("up", {at: 1}, instance=instance, job=job)


def judged(found: Sequence[Series], *instances: str, child_labels: tuple[str, ...] = ()) -> Finding:
    evidence = ScrapeEvidence("up", found, instances, after(10))
    return judge(evidence, BASIS, max_age=seconds(1), child_labels=child_labels)


def test_single_scrape_passes_with_one_fresh_series_per_instance() -> None:
    assert passes(judged([up("a:1"), up("b:1")], "a:1", "b:1"))


def test_single_scrape_says_so_when_service_and_pod_are_both_annotated() -> None:
    found = judged([up("a:1", "kubernetes-pods"), up("a:1", "kubernetes-service-endpoints")], "a:1")

    assert fails(found)
    assert "kubernetes-service-endpoints" in dict(found.evidence)["problems"]
    assert "doubled" in found.hint


def test_single_scrape_says_so_when_one_process_is_scraped_under_two_addresses() -> None:
    found = judged([up("127.0.0.1:1"), up("localhost:1")], "127.0.0.1:1")

    assert fails(found)
    assert "unexpected" in dict(found.evidence)["problems"]


def test_single_scrape_says_so_when_a_replica_is_not_scraped() -> None:
    found = judged([up("a:1")], "a:1", "b:1")

    assert fails(found)
    assert "not at all" in dict(found.evidence)["problems"]


def test_single_scrape_does_not_pass_on_a_series_that_has_gone_stale() -> None:
    """An instant query still answers for a target that died up to five minutes ago."""
    found = judged([up("a:1"), up("b:1", at=2)], "a:1", "b:1")

    assert unclear(found)
    assert "8.000 s old" in dict(found.evidence)["problems"]


def test_single_scrape_lets_a_stale_series_stand_beside_a_fresh_one_of_the_same_instance() -> None:
    assert passes(judged([up("a:1"), up("a:1", "old-job", at=2)], "a:1"))


def test_single_scrape_tells_children_of_one_instance_from_a_double_scrape() -> None:
    get = named("up", {9.9: 1}, instance="a:1", method="GET")
    post = named("up", {9.9: 1}, instance="a:1", method="POST")
    twice = named("up", {9.9: 1}, instance="a:1", method="GET", job="other")

    assert passes(judged([get, post], "a:1", child_labels=("method",)))
    assert fails(judged([get, post, twice], "a:1", child_labels=("method",)))


def test_single_scrape_is_inconclusive_without_data() -> None:
    assert unclear(judged([], "a:1"))
    assert unclear(judged([up("a:1")]))


def test_single_scrape_counts_a_sample_of_exactly_the_age_allowed() -> None:
    assert passes(judged([up("a:1", at=9)], "a:1"))
    assert unclear(judged([up("a:1", at=8.999)], "a:1"))


def test_single_scrape_points_at_what_is_wrong() -> None:
    assert "under two addresses" in judged([up("a:1"), up("b:1", "other")], "a:1").hint
    assert "job other" in dict(judged([up("a:1"), up("b:1", "other")], "a:1").evidence)["problems"]
    assert "missing from every sum" in judged([up("a:1")], "a:1", "b:1").hint
