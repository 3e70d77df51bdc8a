from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from sloproof.plugin.interruption import Interruption, Terminated

ENDING = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _plain_signals() -> Iterator[None]:
    """The signals as a fresh process has them, and afterwards as they were."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    one = Interruption()
    yield one
    one.restore()


def hit(number: signal.Signals) -> None:
    """Send a signal to this process."""
    os.kill(os.getpid(), number)


def hit_twice() -> None:
    """Send two signals to this process, of which the second must not let this return."""
    hit(signal.SIGTERM)
    hit(signal.SIGINT)
    pytest.fail("it went on")


@pytest.mark.parametrize("number", ENDING)
def test_a_request_to_end_is_raised_like_ctrl_c(interruption: Interruption, number: signal.Signals) -> None:
    with pytest.raises(Terminated, match=number.name) as caught:
        hit(number)

    assert isinstance(caught.value, KeyboardInterrupt)


def test_restore_puts_back_what_was_there(interruption: Interruption) -> None:
    interruption.restore()
    interruption.restore()

    assert [signal.getsignal(number) for number in ENDING] == [signal.SIG_DFL, signal.SIG_DFL]


def test_a_signal_that_somebody_handles_or_ignores_is_left_alone() -> None:
    """A run under nohup goes on when its terminal closes."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interruption = Interruption()

    hit(signal.SIGHUP)
    with interruption.held() as noted:
        hit(signal.SIGHUP)

    assert noted == []
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    interruption.restore()


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])
def test_the_first_signal_is_held_until_the_block_is_over(interruption: Interruption, number: signal.Signals) -> None:
    with interruption.held() as noted:
        hit(number)
        done = True

    assert done
    assert noted == [number]
    with pytest.raises(KeyboardInterrupt):
        hit(number)


def test_the_second_signal_breaks_the_block(interruption: Interruption) -> None:
    with pytest.raises(KeyboardInterrupt), interruption.held():
        hit_twice()


def test_a_block_within_a_block_holds_no_signal_of_its_own(interruption: Interruption) -> None:
    with interruption.held() as outer, interruption.held() as inner:
        hit(signal.SIGINT)

    assert (outer, inner) == ([signal.SIGINT], [])


def test_outside_the_main_thread_nothing_is_touched() -> None:
    noted: list[object] = []

    def elsewhere() -> None:
        one = Interruption()
        with one.held() as held:
            noted.append(held)
        one.restore()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()

    assert noted == [[]]
    assert [signal.getsignal(number) for number in ENDING] == [signal.SIG_DFL, signal.SIG_DFL]
