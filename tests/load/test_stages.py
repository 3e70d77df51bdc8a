"""Rates that change: steps, ramps, spikes and recordings, to the arrival."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest

from sloproof.errors import FeatureError, LedgerError
from sloproof.load.ledger import Entry, Ledger, LedgerWriter
from sloproof.load.profile import Profile, Recording, RequestSpec, Stage
from sloproof.load.recording import recorded
from sloproof.load.schedule import arrivals

A, B = RequestSpec(path="/a", endpoint="/a", weight=3), RequestSpec(path="/b", endpoint="/b")
STEPS = (Stage(seconds=1, rate=100), Stage(seconds=0.5, rate=0), Stage(seconds=2, rate=10))
RAMP = (Stage(seconds=10, rate=0, to_rate=200),)
DOWN = (Stage(seconds=10, rate=200, to_rate=0),)
SPIKE = (Stage(seconds=1, rate=10), Stage(seconds=0.005, rate=10_000), Stage(seconds=1, rate=10))


def seconds(*stages: Stage, **options: object) -> list[float]:
    profile = Profile(mix=(A, B), stages=stages, **options)  # type: ignore[arg-type]
    profile.check()
    return [(one.offset_ns or 0) / 1e9 for one in arrivals(profile)]


def test_steps_send_what_each_of_them_asks_and_a_pause_sends_nothing() -> None:
    due = seconds(*STEPS)
    assert [round(at, 6) for at in due[:100]] == [round(n / 100, 6) for n in range(100)]
    assert [round(at, 6) for at in due[100:]] == [round(1.5 + n / 10, 6) for n in range(20)]


@pytest.mark.parametrize(("stages", "instant"), [(RAMP, lambda n: math.sqrt(n / 10)), (DOWN, None)])
def test_ramp_is_dense_where_its_rate_is_high(stages: tuple[Stage, ...], instant: object) -> None:
    due = seconds(*stages)
    assert len(due) == 1000
    assert due == sorted(due)
    if callable(instant):
        assert due == pytest.approx([instant(n) for n in range(1000)], abs=1e-8)
    halves = [sum(at < 5 for at in due), sum(at >= 5 for at in due)]
    assert sorted(halves) == [250, 750]


def test_spike_of_five_milliseconds_is_whole() -> None:
    due = seconds(*SPIKE)
    assert len(due) == 70
    assert sum(1 <= at < 1.005 for at in due) == 50


def test_random_arrivals_follow_the_ramp() -> None:
    """Stretched back to a rate of one, the gaps are exponential: Kolmogorov-Smirnov at the 0.1 % level."""
    due = seconds(Stage(seconds=100, rate=0, to_rate=400), arrivals="poisson")
    units = [2 * at * at for at in due]
    gaps = sorted(b - a for a, b in itertools.pairwise([0, *units]))
    worst = max(abs((n + 1) / len(gaps) - (1 - math.exp(-gap))) for n, gap in enumerate(gaps))
    assert worst < 1.95 / math.sqrt(len(gaps))
    assert len(due) == pytest.approx(20_000, rel=0.03)


@pytest.mark.parametrize("stages", [STEPS, RAMP, SPIKE])
@pytest.mark.parametrize("pacing", ["constant", "poisson"])
def test_processes_split_stages_without_loss(stages: tuple[Stage, ...], pacing: str) -> None:
    alone = Profile(mix=(A, B), stages=stages, arrivals=pacing)  # type: ignore[arg-type]
    split = Profile(mix=(A, B), stages=stages, arrivals=pacing, processes=3)  # type: ignore[arg-type]
    assert sorted(one for process in range(3) for one in arrivals(split, process)) == list(arrivals(alone))


def test_length_and_mean_rate_are_those_of_the_stages() -> None:
    profile = Profile(mix=(A,), stages=STEPS)
    assert profile.length_seconds == 3.5
    assert profile.mean_rate == pytest.approx(120 / 3.5)


def test_recorded_load_is_due_as_it_was_meant_to_be_sent(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path / "a.jsonl", run_id="r", load="l") as writer:
        for number, (method, path) in enumerate([("GET", "/a"), ("POST", "/b"), ("GET", "/a"), ("GET", "/a?x=1")]):
            intended = 10**18 + number**2 * 10**6
            late = intended + 5 * 10**9 * (number == 1)  # sent late, answered after the others
            writer.write(Entry(intended, late, 1000, method, path, path[:2], 200, "", f"r-{number}", 0))
    post = RequestSpec(path="/b", endpoint="/b", method="POST", body="{}")
    mix, recording = recorded(Ledger.open(tmp_path), [post])
    assert recording.offsets_ns == (0, 10**6, 4 * 10**6, 9 * 10**6)
    assert [mix[kind].path for kind in recording.kinds] == ["/a", "/b", "/a", "/a?x=1"]
    assert mix[1] is post
    profile = Profile(mix=mix, recording=recording)
    profile.check()
    assert [(one.offset_ns, one.kind) for one in arrivals(profile)] == list(
        zip(recording.offsets_ns, recording.kinds, strict=True)
    )
    with pytest.raises(LedgerError, match="holds none"):
        recorded(Ledger.open(tmp_path), load="another")


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (Profile(mix=(A,), stages=(Stage(seconds=0, rate=1),)), "a stage longer than 0 s, got 0 s"),
        (Profile(mix=(A,), stages=(Stage(seconds=1, rate=-1),)), "a stage's rate of 0 or more"),
        (Profile(mix=(A,), stages=(Stage(seconds=1, rate=math.nan),)), "a stage's rate of 0 or more"),
        (Profile(mix=(A,), stages=(Stage(seconds=1, rate=0),)), "a stage with a rate above 0, got none"),
        (Profile(mix=(A,), stages=STEPS, rate=1), "either a rate of requests or a number of users"),
        (Profile(mix=(A,), recording=Recording(offsets_ns=(), kinds=())), "at least 1 arrival, got none"),
        (Profile(mix=(A,), recording=Recording(offsets_ns=(5, 4), kinds=(0, 0))), "arrivals in order"),
        (Profile(mix=(A,), recording=Recording(offsets_ns=(5,), kinds=(1,))), "kinds that are in the mix"),
    ],
)
def test_shape_that_cannot_be_driven_is_refused(profile: Profile, message: str) -> None:
    with pytest.raises(FeatureError) as caught:
        profile.check()
    assert message in caught.value.headline
