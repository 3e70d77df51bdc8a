"""Hostile requests: repeatable, hostile in each part, and aimed where they are told to."""

from __future__ import annotations

from sloproof.load.hostile import hostile_requests, hostile_requests_to

OBSERVERS = ("/health/liveness", "/metrics", "/faults")


def test_hostile_requests_are_the_same_for_the_same_seed() -> None:
    assert list(hostile_requests(50, 1)) == list(hostile_requests(50, 1))
    assert list(hostile_requests(50, 1)) != list(hostile_requests(50, 2))
    assert list(hostile_requests_to(OBSERVERS, 50, 1)) == list(hostile_requests_to(OBSERVERS, 50, 1))


def test_hostile_requests_to_observers_reach_each_of_them_with_methods_none_of_them_answers() -> None:
    found = list(hostile_requests_to(OBSERVERS, 300, 1))
    asked = {(request.path.partition("?")[0], request.method) for request in found}
    for path in OBSERVERS:
        assert {(path, "PATCH"), (path, "PROPFIND"), (path, "POST")} <= asked
    assert {path for path, _ in asked} == set(OBSERVERS)
    assert any("Authorization" in request.headers for request in found)
