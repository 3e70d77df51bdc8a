from __future__ import annotations

import math

import pytest

from sloproof.errors import FeatureError
from sloproof.load.profile import Profile, RequestSpec

USERS = RequestSpec(path="/api/users", endpoint="/api/users")


def spec(path: str, weight: float = 1.0) -> RequestSpec:
    return RequestSpec(path=path, endpoint=path, weight=weight)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (Profile(mix=(USERS,), users=8, requests=0), "expected at least 1 request to send, got 0"),
        (Profile(mix=(USERS,), users=0, requests=0), "expected at least 1 request to send, got 0"),
        (Profile(mix=(USERS,), users=0, duration_seconds=1), "expected at least 1 user, got 0"),
        (Profile(mix=(USERS,), rate=-2.5, requests=1), "expected a rate above 0 requests a second, got -2.5"),
        (Profile(mix=(USERS,), rate=math.nan, requests=1), "expected a rate above 0 requests a second, got nan"),
        (Profile(mix=(USERS,), rate=1, duration_seconds=0.0), "longer than 0 s, got 0.0 s"),
        (Profile(mix=(USERS,), rate=1), "expected a duration or a number of requests"),
        (Profile(mix=(USERS,), requests=1), "expected either a rate of requests or a number of users"),
        (Profile(mix=(), users=1, requests=1), "at least one kind of request to send, got none"),
        (Profile(mix=(spec("/", -8),), users=1, requests=1), "expected a weight above 0 for GET /, got -8"),
        (Profile(mix=(USERS,), users=1, requests=1, timeout_seconds=-1), "a wait longer than 0 s"),
        (Profile(mix=(USERS,), users=1, requests=1, connections=0), "at least 1 connection, got 0"),
        (Profile(mix=(USERS,), users=1, requests=1, processes=0), "at least 1 load process, got 0"),
    ],
)
def test_profile_that_cannot_be_driven_is_refused_by_its_value(profile: Profile, message: str) -> None:
    with pytest.raises(FeatureError) as caught:
        profile.check()
    assert message in caught.value.headline
    assert "Profile(" not in str(caught.value)


def test_path_without_its_slash_is_refused_with_the_path_that_was_meant() -> None:
    with pytest.raises(FeatureError, match=r'begins with a slash, got "api/users"') as caught:
        Profile(mix=(spec("api/users"),), users=1, requests=1).check()
    assert caught.value.details["hint"] == 'write "/api/users"'


def test_profile_that_can_be_driven_is_let_pass() -> None:
    Profile(mix=(USERS, spec("/?a=1", 0.5)), rate=0.5, duration_seconds=0.1).check()
