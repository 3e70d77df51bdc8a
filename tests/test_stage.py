from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

import pytest

from sloproof.barrier import Anchor
from sloproof.errors import EnvironmentStartError
from sloproof.stage import OwnStage, SharedStage, Stage
from tests.fakes import after, seconds


class Barrier:
    """Gives anchors of a clock that each look moves on by a second."""

    def __init__(self) -> None:
        self.ticks = 0
        self.taken = 0
        self.is_settled = True
        self.dead: dict[str, str] = {}

    def now(self) -> datetime:
        self.ticks += 1
        return after(self.ticks)

    def take(self) -> Anchor:
        self.taken += 1
        at = self.now()
        return Anchor(at=at, covers=at, waited=seconds(0.1), is_settled=self.is_settled, dead=self.dead)


@pytest.fixture
def barrier() -> Barrier:
    return Barrier()


@pytest.fixture
def stage(tmp_path: Path, barrier: Barrier) -> Callable[[], SharedStage]:
    """Makes the stages of processes on one environment."""

    def make() -> SharedStage:
        return SharedStage(tmp_path, tmp_path / "evidence", patience_seconds=0.1, now=barrier.now)

    return make


class AnewError(Exception):
    """There is no anchor to begin from."""


def begun_from(stage: Stage) -> Anchor | None:
    """Return the known anchor that an observation begins from, None where it takes a new one."""

    def take() -> Anchor:
        raise AnewError

    try:
        return stage.begin(take)
    except AnewError:
        return None


# A harness of its own


def test_own_stage_begins_where_the_last_anchor_was_until_something_is_sent(tmp_path: Path, barrier: Barrier) -> None:
    own = OwnStage(tmp_path)
    assert begun_from(own) is None

    taken = own.anchor(barrier.take, adopt=True)
    assert begun_from(own) == taken

    with own.sending():
        assert begun_from(own) is None
    assert begun_from(own) is None


def test_own_stage_takes_each_anchor_anew(tmp_path: Path, barrier: Barrier) -> None:
    own = OwnStage(tmp_path)

    assert own.anchor(barrier.take, adopt=True) != own.anchor(barrier.take, adopt=True)


@pytest.mark.parametrize("why", ["under way", "not settled", "dead"])
def test_own_stage_does_not_begin_where_evidence_is_missing(tmp_path: Path, barrier: Barrier, why: str) -> None:
    own = OwnStage(tmp_path)
    barrier.is_settled = why != "not settled"
    barrier.dead = {"logs": "gone"} if why == "dead" else {}

    with own.sending() if why == "under way" else ExitStack():
        own.anchor(barrier.take, adopt=True)

    assert begun_from(own) is None


def test_own_stage_reads_the_ledgers_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").touch()
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "c.txt").touch()

    assert [path.name for path in OwnStage(tmp_path).ledgers()] == ["a.jsonl", "b.jsonl"]


# Anchors of several


def test_an_anchor_that_another_took_since_is_adopted(stage: Callable[[], SharedStage], barrier: Barrier) -> None:
    """One asks, then another takes one meanwhile: what the first has sent is covered by it."""
    one, other = stage(), stage()
    theirs: list[Anchor] = []
    now, is_asked = barrier.now, Event()

    def asked() -> datetime:
        is_asked.set()
        return now()

    def take() -> Anchor:
        one._now = asked
        ours.start()
        assert is_asked.wait(60)
        return barrier.take()

    ours = Thread(target=lambda: theirs.append(one.anchor(barrier.take, adopt=True)))
    taken = other.anchor(take, adopt=True)
    ours.join(60)

    assert theirs == [taken]
    assert barrier.taken == 1


def test_an_anchor_of_before_is_not_adopted(stage: Callable[[], SharedStage], barrier: Barrier) -> None:
    one, other = stage(), stage()

    assert one.anchor(barrier.take, adopt=True) != other.anchor(barrier.take, adopt=True)
    assert barrier.taken == 2


def test_an_anchor_that_began_before_it_was_asked_for_is_not_adopted(
    stage: Callable[[], SharedStage], barrier: Barrier
) -> None:
    """It may not cover what was sent last."""
    one, other = stage(), stage()
    theirs: list[Anchor] = []
    now, is_asked = barrier.now, Event()

    def asked() -> datetime:
        is_asked.set()
        return now()

    def take() -> Anchor:
        taken = barrier.take()
        one._now = asked
        ours.start()
        assert is_asked.wait(60)
        return taken

    ours = Thread(target=lambda: theirs.append(one.anchor(barrier.take, adopt=True)))
    taken = other.anchor(take, adopt=True)
    ours.join(60)

    assert theirs[0].covers > taken.covers
    assert barrier.taken == 2


def test_an_anchor_that_must_be_new_is_never_adopted(stage: Callable[[], SharedStage], barrier: Barrier) -> None:
    one, other = stage(), stage()
    other.anchor(lambda: replace(barrier.take(), covers=after(10**6)), adopt=False)

    one.anchor(barrier.take, adopt=False)
    assert barrier.taken == 2


def test_an_anchor_that_another_has_just_taken_is_adopted_while_others_send_already(
    stage: Callable[[], SharedStage], barrier: Barrier
) -> None:
    """Eight begin at once: whoever of them is last must not wait until the load of the first is over."""
    one, other, sender = stage(), stage(), stage()
    taken = other.anchor(lambda: replace(barrier.take(), covers=after(10**6)), adopt=True)

    with sender.sending():
        assert one.anchor(barrier.take, adopt=True) == taken


def test_a_scenario_begins_where_another_does_while_that_one_sends(
    stage: Callable[[], SharedStage], barrier: Barrier
) -> None:
    one, other = stage(), stage()
    begun: list[Anchor] = []
    beginning = Thread(target=lambda: begun.append(one.begin(barrier.take)))

    def take() -> Anchor:
        beginning.start()
        beginning.join(0.1)
        assert not begun, "there is nothing to begin from yet"
        return barrier.take()

    taken = other.begin(take)
    with other.sending():
        beginning.join(60)
        assert begun == [taken]


def test_no_anchor_is_taken_while_another_sends(stage: Callable[[], SharedStage], barrier: Barrier) -> None:
    one, other = stage(), stage()
    taking = Thread(target=lambda: one.anchor(barrier.take, adopt=True))

    with other.sending():
        taking.start()
        taking.join(0.1)
        assert barrier.taken == 0
    taking.join(60)

    assert barrier.taken == 1


def test_what_is_anchored_within_ones_own_load_is_for_nobody_else(
    stage: Callable[[], SharedStage], barrier: Barrier
) -> None:
    one, other = stage(), stage()

    with one.sending(), one.sending():
        one.anchor(barrier.take, adopt=True)
        assert begun_from(one) is None

    assert begun_from(other) is None
    assert barrier.taken == 1


def test_beside_others_a_scenario_begins_before_what_others_have_sent(
    stage: Callable[[], SharedStage], barrier: Barrier
) -> None:
    one, other = stage(), stage()
    taken = one.anchor(barrier.take, adopt=True)
    with other.sending():
        pass

    with one.scenario("s", alone=False):
        assert begun_from(one) == taken


def test_beside_others_a_scenario_never_begins_before_what_its_own_process_has_sent(
    stage: Callable[[], SharedStage], barrier: Barrier
) -> None:
    """What an earlier scenario has sent, which it never observed, would else be taken for this one's."""
    one, other = stage(), stage()
    one.anchor(barrier.take, adopt=True)
    with one.scenario("earlier", alone=False), one.sending():
        pass

    with one.scenario("later", alone=False):
        assert begun_from(one) is None
        taken = other.anchor(barrier.take, adopt=True)
        assert begun_from(one) == taken


@pytest.mark.parametrize("why", ["not settled", "dead"])
def test_nobody_begins_where_evidence_is_missing_but_before(
    stage: Callable[[], SharedStage], barrier: Barrier, why: str
) -> None:
    one, other = stage(), stage()
    good = one.anchor(barrier.take, adopt=True)
    barrier.is_settled = why != "not settled"
    barrier.dead = {"logs": "gone"} if why == "dead" else {}
    one.anchor(barrier.take, adopt=True)

    assert begun_from(other) == good
    with other.scenario("alone", alone=True):
        assert begun_from(other) is None, "the barrier itself has sent something since"


# Alone


def test_alone_a_scenario_begins_where_nothing_was_sent_since(
    stage: Callable[[], SharedStage], barrier: Barrier
) -> None:
    one, other = stage(), stage()
    taken = other.anchor(barrier.take, adopt=True)

    with one.scenario("a", alone=True):
        assert begun_from(one) == taken

    with other.sending():
        pass
    with one.scenario("b", alone=True):
        assert begun_from(one) is None


def test_what_was_sent_alone_is_forgotten_for_the_next(stage: Callable[[], SharedStage], barrier: Barrier) -> None:
    one, other = stage(), stage()
    one.anchor(barrier.take, adopt=True)

    with one.scenario("a", alone=True), one.sending():
        pass

    assert begun_from(other) is None


def test_what_was_anchored_alone_is_where_the_next_begin(stage: Callable[[], SharedStage], barrier: Barrier) -> None:
    one, other = stage(), stage()

    with one.scenario("a", alone=True):
        with one.sending():
            pass
        taken = one.anchor(barrier.take, adopt=True)

    assert begun_from(other) == taken


def test_a_scenario_that_fails_gives_its_turn_up(stage: Callable[[], SharedStage]) -> None:
    one, other = stage(), stage()

    with pytest.raises(KeyboardInterrupt), one.scenario("a", alone=True), one.sending():
        raise KeyboardInterrupt

    with other.scenario("b", alone=True):
        other.require_whole()


# First ones


def run(stage: SharedStage, firsts: int) -> None:
    with stage.scenario("later", alone=False, firsts=firsts):
        pass


def test_others_wait_until_the_first_have_ended(stage: Callable[[], SharedStage]) -> None:
    one, other = stage(), stage()
    later = Thread(target=lambda: run(other, 2))

    with one.scenario("first", alone=True, is_first=True, firsts=2):
        later.start()
        later.join(0.3)  # three times its patience
        assert later.is_alive()
        other._patience_seconds = 60.0  # a busy machine may take long from the first to the second
    with one.scenario("second", alone=True, is_first=True, firsts=2):
        later.join(0.1)
        assert later.is_alive()

    later.join(60)
    assert not later.is_alive()


def test_first_ones_that_are_not_to_come_are_waited_for_once(stage: Callable[[], SharedStage]) -> None:
    one, other = stage(), stage()
    one._patience_seconds = 0.2

    begin = time.monotonic()
    run(one, 1)
    assert time.monotonic() - begin >= 0.2

    one._patience_seconds = other._patience_seconds = 1000.0
    for again in (other, one):
        waiting = Thread(target=run, args=(again, 1), daemon=True)
        waiting.start()
        waiting.join(60)
        assert not waiting.is_alive()


def test_without_first_ones_nobody_waits(stage: Callable[[], SharedStage]) -> None:
    one = stage()
    one._patience_seconds = 1000.0

    run(one, 0)


# Who dies

# One process that has imported everything, and a child of it for each death.
_DYING = """
import os, sys
from pathlib import Path
from sloproof.stage import SharedStage
while line := sys.stdin.readline():
    where, folder = line.rstrip("\\n").split(" ", 1)
    child = os.fork()
    if not child:
        stage = SharedStage(Path(folder), Path(folder))
        with stage.scenario("s", alone=where == "alone"):
            if where == "sending":
                with stage.sending():
                    os._exit(9)
            os._exit(9)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def parent() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _DYING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.fixture
def die(tmp_path: Path, parent: subprocess.Popen[str]) -> Callable[[str], None]:
    """Lets a process die in the middle of something."""
    assert parent.stdin is not None
    assert parent.stdout is not None
    told, asked = parent.stdout, parent.stdin

    def start(where: str) -> None:
        print(where, tmp_path, file=asked, flush=True)
        assert told.readline() == "9\n"

    return start


@pytest.mark.parametrize("alone", [True, False])
def test_who_dies_alone_leaves_an_environment_that_nobody_uses(
    stage: Callable[[], SharedStage], die: Callable[[str], None], *, alone: bool
) -> None:
    """Its faults are set, what it stopped is stopped: whatever is found then is nobody's truth."""
    one = stage()
    die("alone")

    for _ in range(2):
        with one.scenario("a", alone=alone), pytest.raises(EnvironmentStartError, match="died in the middle"):
            one.require_whole()


def test_who_dies_while_it_sends_leaves_counts_that_nobody_judges(
    stage: Callable[[], SharedStage], barrier: Barrier, die: Callable[[str], None]
) -> None:
    one = stage()
    one.anchor(barrier.take, adopt=True)
    with one.scenario("a", alone=False):
        die("sending")
        with pytest.raises(EnvironmentStartError, match="died in the middle"):
            one.anchor(barrier.take, adopt=True)

    with one.scenario("b", alone=True), pytest.raises(EnvironmentStartError):
        one.require_whole()


def test_who_dies_beside_others_without_sending_leaves_nothing(
    stage: Callable[[], SharedStage], barrier: Barrier, die: Callable[[str], None]
) -> None:
    one = stage()
    die("beside")

    for alone in (True, False):
        with one.scenario("a", alone=alone):
            one.require_whole()
            one.anchor(barrier.take, adopt=True)


def test_what_others_do_beside_is_no_loss(stage: Callable[[], SharedStage]) -> None:
    one, other = stage(), stage()

    with one.scenario("a", alone=False), other.scenario("b", alone=False), other.sending():
        one.require_whole()
    one.require_whole()


# Ledgers


def test_the_ledgers_of_all_are_read(stage: Callable[[], SharedStage], tmp_path: Path) -> None:
    for worker in ("gw1", "gw0"):
        folder = tmp_path / "evidence" / worker / "evidence" / "ledger"
        folder.mkdir(parents=True)
        (folder / "harness.jsonl").touch()

    assert [path.parts[-4] for path in stage().ledgers()] == ["gw0", "gw1"]
