from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sloproof.turns import Turns

# Holds a turn from when it says so until it is told to go on.
_HOLDER = """
import sys
from pathlib import Path
from sloproof.turns import Turns
turns = Turns(Path(sys.argv[1]))
print("asks", flush=True)
with getattr(turns, sys.argv[2])():
    print("holds", flush=True)
    sys.stdin.readline()
print("gave up", flush=True)
"""


class Holder:
    """A process that asks for a turn."""

    def __init__(self, path: Path, how: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        assert self.output.readline() == "asks\n"

    def holds(self) -> None:
        """Wait until it has its turn."""
        assert self.output.readline() == "holds\n"

    def give_up(self) -> None:
        """Let it give its turn up."""
        self.process.communicate("\n")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Callable[[str], Holder]]:
    """Starts processes that ask for a turn at one thing."""
    holders: list[Holder] = []

    def start(how: str) -> Holder:
        holders.append(Holder(tmp_path / "thing", how))
        return holders[-1]

    yield start
    for one in holders:
        one.close()


def waits(path: Path, *, since: int) -> None:
    """Wait until a process waits for a lock beyond a number of them, by the kernel's own list of those who wait."""
    end = time.monotonic() + 60
    while len(waiting(path)) <= since:
        assert time.monotonic() < end
        time.sleep(0.01)


def waiting(path: Path) -> list[str]:
    inodes = {one.stat().st_ino for one in path.parent.glob(f"{path.name}*")}
    lines = Path("/proc/locks").read_text().splitlines()
    return [line for line in lines if "->" in line and int(line.split()[6].split(":")[2]) in inodes]


needs_list = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the kernel lists no locks here")


def test_many_hold_a_turn_together(holder: Callable[[str], Holder]) -> None:
    first, second = holder("together"), holder("together")

    first.holds()
    second.holds()


@needs_list
@pytest.mark.parametrize(("inside", "asks"), [("alone", "alone"), ("alone", "together"), ("together", "alone")])
def test_one_who_is_alone_has_nobody_beside(
    holder: Callable[[str], Holder], tmp_path: Path, inside: str, asks: str
) -> None:
    first = holder(inside)
    first.holds()
    second = holder(asks)
    waits(tmp_path / "thing", since=0)

    first.give_up()

    second.holds()


@needs_list
def test_who_waits_to_be_alone_is_let_in_before_whoever_comes_later(
    holder: Callable[[str], Holder], tmp_path: Path
) -> None:
    first = holder("together")
    first.holds()
    alone = holder("alone")
    waits(tmp_path / "thing", since=0)
    later = holder("together")
    waits(tmp_path / "thing", since=1)

    first.give_up()
    alone.holds()
    assert len(waiting(tmp_path / "thing")) == 1

    alone.give_up()
    later.holds()


@pytest.mark.parametrize("how", ["alone", "together"])
def test_a_holder_that_is_killed_gives_its_turn_up(holder: Callable[[str], Holder], how: str) -> None:
    first = holder(how)
    first.holds()

    first.process.kill()

    holder("alone").holds()


@needs_list
def test_one_who_is_killed_while_it_waits_keeps_nobody_out(holder: Callable[[str], Holder], tmp_path: Path) -> None:
    first = holder("together")
    first.holds()
    alone = holder("alone")
    waits(tmp_path / "thing", since=0)

    alone.process.kill()

    holder("together").holds()


def test_whether_somebody_is_alone_is_told_of_who_is_alone_only(
    holder: Callable[[str], Holder], tmp_path: Path
) -> None:
    turns = Turns(tmp_path / "thing")
    assert not turns.is_held_alone()
    beside = holder("together")
    beside.holds()
    assert not turns.is_held_alone()
    beside.give_up()

    alone = holder("alone")
    alone.holds()
    assert turns.is_held_alone()
    alone.give_up()

    assert not turns.is_held_alone()


def test_a_turn_ends_with_its_block_however_that_ends(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "thing")

    for turn in (turns.together, turns.alone):
        with pytest.raises(KeyboardInterrupt), turn():
            raise KeyboardInterrupt

    with turns.alone():
        assert turns.is_held_alone()
    assert not turns.is_held_alone()


def test_a_turn_alone_is_given_where_nothing_spares_it(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "thing")

    with turns.alone_unless(lambda: "found") as found:
        assert found is None
        assert turns.is_held_alone()
    assert not turns.is_held_alone()


@pytest.mark.parametrize("inside", ["together", "alone"])
def test_who_is_spared_a_turn_alone_holds_none_and_keeps_nobody_waiting(
    holder: Callable[[str], Holder], tmp_path: Path, inside: str
) -> None:
    turns = Turns(tmp_path / "thing")
    first = holder(inside)
    first.holds()
    looks = iter([None, None, "found"])

    with turns.alone_unless(lambda: next(looks)) as found:
        assert found == "found"
        first.give_up()
        beside = holder("alone")
        beside.holds()


def test_who_waits_for_a_turn_alone_in_vain_gets_it_in_the_end(holder: Callable[[str], Holder], tmp_path: Path) -> None:
    turns = Turns(tmp_path / "thing")
    first = holder("together")
    first.holds()
    looks = 0

    def find() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            first.give_up()

    with turns.alone_unless(find) as found:
        assert found is None
        assert turns.is_held_alone()
