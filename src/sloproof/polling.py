"""Waiting until something is seen, with the whole history kept for whoever has to understand why it was not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result

from sloproof.errors import DeadlineError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_HEAD, _TAIL = 3, 8


@dataclass(frozen=True, slots=True)
class Observation:
    """One look: when it was taken, and what was seen or which error came instead."""

    time: datetime
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Waited(Generic[T]):
    """What was waited for, and how it came about."""

    value: T
    waited: timedelta
    history: tuple[Observation, ...]


def wait_until(
    observe: Callable[[], T],
    satisfied: Callable[[T], bool],
    *,
    what: str,
    timeout: timedelta,
    interval: timedelta | Callable[[], timedelta],
    check_alive: Callable[[], None] = lambda: None,
    describe: Callable[[T], str] = str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Waited[T]:
    """Return what was observed as soon as it satisfies.

    It is looked at least once, and a last time at the deadline. A server that does not answer neither ends the wait
    nor hides the last answer it gave.

    Args:
        observe: Looks; it must not act.
        satisfied: Judges what was seen.
        what: What is waited for, as a noun.
        timeout: How long at most.
        interval: From the end of one look to the next; asked after each look, where it is not always the same.
        check_alive: Called before each look; what it raises ends the wait at once, whatever it is.
        describe: Turns what was seen into a short text.
        clock: Monotonic seconds.
        sleep: Lets seconds pass.
        now: The time of day that the history is written in.

    Raises:
        DeadlineError: It was not seen in time; carries the last good answer, the last error and the history.
        QueryError: The question itself is wrong, so that asking again is no use.
    """
    begin = clock()
    deadline = begin + timeout.total_seconds()
    history: list[Observation] = []

    def look() -> list[T]:
        """Return what was seen if it satisfies, else nothing."""
        # Outside the try: whatever this raises, even a server's silence, is no poll's error but the end.
        check_alive()
        moment = now()
        try:
            value = observe()
        except UnavailableError as error:
            history.append(Observation(moment, _error_text(error), is_error=True))
            return []
        history.append(Observation(moment, describe(value)))
        return [value] if satisfied(value) else []

    def pause(_: RetryCallState) -> float:
        given = interval if isinstance(interval, timedelta) else interval()
        return max(min(given.total_seconds(), deadline - clock()), 0.0)

    def give_up(_: RetryCallState) -> list[T]:
        raise _deadline_error(what, timeout, timedelta(seconds=clock() - begin), history)

    retrying = Retrying(
        retry=retry_if_result(lambda seen: not seen),
        stop=lambda _: clock() >= deadline,
        wait=pause,
        sleep=sleep,
        retry_error_callback=give_up,
    )
    (value,) = retrying(look)
    return Waited(value, timedelta(seconds=clock() - begin), tuple(history))


def _error_text(error: UnavailableError) -> str:
    return f"{error.headline} ({error.url})" if error.url else error.headline


def _deadline_error(what: str, timeout: timedelta, waited: timedelta, history: Sequence[Observation]) -> DeadlineError:
    good = [one for one in history if not one.is_error]
    errors = [one for one in history if one.is_error]
    last_error = ""
    if errors:
        is_terminal = history[-1].is_error
        last_error = f"{errors[-1].text} ({_clock_text(errors[-1])}{'' if is_terminal else ', answered again since'})"
    return DeadlineError(
        f"expected {what} within {timeout.total_seconds():g} s, but it did not come",
        last_seen=f"{good[-1].text} ({_clock_text(good[-1])})" if good else "nothing: no look got an answer",
        last_error=last_error,
        waited=f"{waited.total_seconds():.3f} s, {len(history)} looks, {len(errors)} without an answer",
        history=history_table(history),
    )


def history_table(history: Sequence[Observation]) -> str:
    """Return the history as rows of time and text: equal looks in a row as one, the middle of a long one left out."""
    runs: list[list[Observation]] = []
    for one in history:
        if runs and (runs[-1][0].text, runs[-1][0].is_error) == (one.text, one.is_error):
            runs[-1].append(one)
        else:
            runs.append([one])
    lines = [_row(run) for run in runs]
    if len(lines) > _HEAD + _TAIL + 1:
        lines = [*lines[:_HEAD], f"... {len(lines) - _HEAD - _TAIL} more changes ...", *lines[-_TAIL:]]
    return "\n".join(lines)


def _row(run: Sequence[Observation]) -> str:
    first, last = run[0], run[-1]
    text = next(iter(first.text.splitlines()), "")
    often = f"  (x {len(run)}, until {_clock_text(last)})" if len(run) > 1 else ""
    return f"{_clock_text(first)}  {'error: ' if first.is_error else ''}{text}{often}"


def _clock_text(one: Observation) -> str:
    return one.time.isoformat(timespec="milliseconds")
