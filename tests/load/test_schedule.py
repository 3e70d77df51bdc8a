"""The schedule: even or Poisson, seeded, and split over processes without loss."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest

from sloproof.load.profile import Profile, RequestSpec
from sloproof.load.schedule import Arrival, arrivals, processes_of, share, users_of

MIX = (RequestSpec(path="/a", endpoint="/a", weight=3), RequestSpec(path="/b", endpoint="/b"))


def offsets(profile: Profile, process: int = 0) -> list[int]:
    return [one.offset_ns for one in arrivals(profile, process) if one.offset_ns is not None]


@pytest.mark.parametrize(
    ("rate", "seconds", "count"), [(100, 10, 1000), (3, 1, 3), (0.5, 3, 2), (333.3, 3, 1000), (7, 0.1, 1)]
)
def test_constant_arrivals_are_even_and_as_many_as_asked(rate: float, seconds: float, count: int) -> None:
    due = offsets(Profile(mix=MIX, rate=rate, duration_seconds=seconds))
    assert len(due) == count
    assert due == [round(n * 1e9 / rate) for n in range(count)]


def test_constant_arrivals_do_not_drift() -> None:
    assert offsets(Profile(mix=MIX, rate=7, requests=70_001))[-1] == 10_000 * 10**9


def test_poisson_arrivals_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    first, same, other = (
        offsets(Profile(mix=MIX, rate=100, duration_seconds=5, arrivals="poisson", seed=seed)) for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_poisson_gaps_are_exponential() -> None:
    """Kolmogorov-Smirnov against the exponential distribution, at the 0.1 % level; and their mean and spread."""
    due = offsets(Profile(mix=MIX, rate=1000, requests=20_000, arrivals="poisson"))
    gaps = sorted(b - a for a, b in itertools.pairwise([0, *due]))
    worst = max(abs((n + 1) / len(gaps) - (1 - math.exp(-gap / 1e6))) for n, gap in enumerate(gaps))
    assert worst < 1.95 / math.sqrt(len(gaps))
    assert statistics.mean(gaps) == pytest.approx(1e6, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(1e6, rel=0.05)


def test_requests_and_duration_end_the_schedule_at_whichever_comes_first() -> None:
    assert len(offsets(Profile(mix=MIX, rate=10, duration_seconds=1, requests=5))) == 5
    assert len(offsets(Profile(mix=MIX, rate=10, duration_seconds=1, requests=50))) == 10


@pytest.mark.parametrize("pacing", ["constant", "poisson", "closed"])
@pytest.mark.parametrize("processes", [2, 3, 7])
def test_processes_split_the_schedule_without_loss(pacing: str, processes: int) -> None:
    how = {"users": 10} if pacing == "closed" else {"rate": 100.0, "arrivals": pacing}
    alone = Profile(mix=MIX, requests=1003, **how)
    split = Profile(mix=MIX, requests=1003, processes=processes, **how)
    parts: list[list[Arrival]] = [list(arrivals(split, process)) for process in range(processes)]
    assert sorted(one for part in parts for one in part) == list(arrivals(alone))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(("users", "processes"), [(10, 3), (2, 4), (64, 2), (1, 1)])
def test_processes_split_the_users_without_loss(users: int, processes: int) -> None:
    for profile in (
        Profile(mix=MIX, users=users, processes=processes, duration_seconds=1),
        Profile(mix=MIX, rate=1, connections=users, processes=processes, duration_seconds=1),
    ):
        parts = [users_of(profile, process) for process in range(processes_of(profile))]
        assert sum(parts) == users
        assert min(parts) >= 1


def test_few_requests_get_few_users() -> None:
    assert users_of(Profile(mix=MIX, users=50, requests=3), 0) == 3


def test_shares_add_up() -> None:
    assert all(sum(share(n, k, p) for p in range(k)) == n for n in range(40) for k in range(1, 9))


def test_mix_follows_its_weights() -> None:
    kinds = [one.kind for one in arrivals(Profile(mix=MIX, users=1, requests=20_000))]
    assert kinds.count(0) / len(kinds) == pytest.approx(0.75, abs=0.01)
