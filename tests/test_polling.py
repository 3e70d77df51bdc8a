from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sloproof.errors import ComponentExitedError, DeadlineError, QueryError, UnavailableError
from sloproof.polling import Observation, Waited, history_table, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class World:
    """A clock that only sleeping and looking move, and what is seen at each look; the last again and again."""

    def __init__(self, *sights: int | Exception, look_seconds: float = 0.0) -> None:
        self.sights = sights
        self.look_seconds = look_seconds
        self.time = 1000.0
        self.looks = 0
        self.sleeps: list[float] = []

    def observe(self) -> int:
        sight = self.sights[min(self.looks, len(self.sights) - 1)]
        self.looks += 1
        self.time += self.look_seconds
        if isinstance(sight, Exception):
            raise sight
        return sight

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.time - 1000)

    def wait(
        self, timeout: float = 1.0, interval: float = 0.25, alive: Callable[[], None] = lambda: None
    ) -> Waited[int]:
        return wait_until(
            self.observe,
            lambda value: value >= 3,
            what="three",
            timeout=timedelta(seconds=timeout),
            interval=timedelta(seconds=interval),
            check_alive=alive,
            describe=lambda value: f"saw {value}",
            clock=lambda: self.time,
            sleep=self.sleep,
            now=self.now,
        )


def test_wait_returns_what_satisfied_and_how_it_came() -> None:
    world = World(1, 1, 3)
    found = world.wait()
    assert (found.value, found.waited) == (3, timedelta(seconds=0.5))
    assert [one.text for one in found.history] == ["saw 1", "saw 1", "saw 3"]
    assert [one.time - BEGIN for one in found.history] == [timedelta(seconds=0.25 * turn) for turn in range(3)]


def test_wait_looks_at_once_and_sleeps_not_at_all_when_satisfied() -> None:
    world = World(5)
    assert world.wait(timeout=0).value == 5
    assert world.sleeps == []


def test_wait_looks_a_last_time_at_the_deadline_and_not_beyond() -> None:
    world = World(0)
    with pytest.raises(DeadlineError):
        world.wait(timeout=1.1, interval=0.5)
    assert world.looks == 4
    assert sum(world.sleeps) == pytest.approx(1.1)
    assert World(0, 0, 0, 3).wait(timeout=1.1, interval=0.5).waited == timedelta(seconds=1.1)


def test_wait_goes_on_past_a_silent_server_and_tells_its_last_good_answer() -> None:
    lost = UnavailableError("cannot be reached", kind="refused", url="http://x/q")
    assert World(1, lost, lost, 3).wait().value == 3
    world = World(1, 2, lost)
    with pytest.raises(DeadlineError) as caught:
        world.wait()
    details = caught.value.details
    assert caught.value.headline == "expected three within 1 s, but it did not come"
    assert details["last_seen"] == "saw 2 (2026-03-01T12:00:00.250+00:00)"
    assert details["last_error"] == "cannot be reached (http://x/q) (2026-03-01T12:00:01.000+00:00)"
    assert details["waited"] == "1.000 s, 5 looks, 3 without an answer"
    assert "error: cannot be reached (http://x/q)  (x 3, until 2026-03-01T12:00:01.000+00:00)" in details["history"]


def test_wait_tells_an_error_that_has_passed_from_one_that_lasts() -> None:
    with pytest.raises(DeadlineError) as caught:
        World(UnavailableError("no"), 1).wait()
    assert caught.value.details["last_error"].endswith("answered again since)")
    with pytest.raises(DeadlineError) as caught:
        World(UnavailableError("no")).wait()
    assert caught.value.details["last_seen"] == "nothing: no look got an answer"


def test_wait_counts_slow_looks_into_the_time_waited() -> None:
    with pytest.raises(DeadlineError) as caught:
        World(0, look_seconds=5).wait()
    assert caught.value.details["waited"].startswith("5.000 s, 1 looks")


def test_wait_ends_at_a_question_that_is_wrong() -> None:
    world = World(1, QueryError("parse error"))
    with pytest.raises(QueryError):
        world.wait()
    assert world.looks == 2


@pytest.mark.parametrize(
    "error", [ComponentExitedError("loki", 1, ("panic",)), UnavailableError("gone")], ids=["exited", "unavailable"]
)
def test_wait_ends_with_what_a_component_died_of(error: Exception) -> None:
    """Even where that is the kind of error that a poll outlives."""
    world = World(0)

    def alive() -> None:
        if world.looks == 2:
            raise error

    with pytest.raises(type(error)) as caught:
        world.wait(alive=alive)
    assert caught.value is error
    assert world.looks == 2


def test_history_table_keeps_first_changes_and_last() -> None:
    def seen(*texts: str) -> list[Observation]:
        return [Observation(BEGIN + timedelta(seconds=turn), text) for turn, text in enumerate(texts)]

    assert history_table([]) == ""
    assert history_table(seen("a", "a", "a", "b\nmore")).splitlines() == [
        "2026-03-01T12:00:00.000+00:00  a  (x 3, until 2026-03-01T12:00:02.000+00:00)",
        "2026-03-01T12:00:03.000+00:00  b",
    ]
    rows = history_table(seen(*(str(turn) for turn in range(1000)))).splitlines()
    assert len(rows) == 12
    assert rows[0].endswith("  0")
    assert "989 more changes" in rows[3]
    assert rows[-1].endswith("  999")
    assert len(history_table([Observation(BEGIN, "x", is_error=True), Observation(BEGIN, "x")]).splitlines()) == 2
