"""The stage: where scenarios of several processes meet on one environment, and how they are kept apart.

Scenarios that leave one another alone run together. What each of them sends is in a ledger of its own, under request
ids of its own, and all ledgers are read as one; so counts are judged over everything that was sent between two anchors,
and claims on a scenario's own requests by their ids. An anchor is taken while nobody sends, so that no request is on
both sides of it. It then serves everyone who waits for one: eight scenarios wait for one scrape, not for eight.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from sloproof.barrier import Anchor
from sloproof.errors import EnvironmentStartError
from sloproof.turns import Turns

_LOOK_SECONDS = 0.02
# Between two scenarios of one worker there are milliseconds; when none has begun for so long, none is to come.
_NO_MORE_SECONDS = 5.0
# Signs of what is under way. One that outlives its turn tells of a process that died in the middle.
_ALONE, _SENDING = "alone", "sending"


class Stage(Protocol):
    """What a harness asks of whom it shares its environment with."""

    def sending(self) -> AbstractContextManager[None]:
        """Return what is held while requests are under way; no anchor of another process is taken meanwhile."""

    def begin(self, take: Callable[[], Anchor]) -> Anchor:
        """Return an anchor to begin an observation from: the last one that will do, or a new one.

        Args:
            take: Passes the barrier.
        """

    def anchor(self, take: Callable[[], Anchor], *, adopt: bool) -> Anchor:
        """Return an anchor that covers everything this process has sent so far.

        Args:
            take: Passes the barrier.
            adopt: Whether one will do that another process has taken since this was asked.
        """

    def ledgers(self) -> Iterable[Path]:
        """Return the ledger files of everyone who sends."""


class OwnStage:
    """The stage of a harness that has its environment to itself.

    Args:
        ledgers: Folder of its ledger.
    """

    def __init__(self, ledgers: Path) -> None:
        self._ledgers = ledgers
        self._under_way = 0
        self._latest: Anchor | None = None

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Note that what was seen last is no longer all there is."""
        self._latest = None
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def begin(self, take: Callable[[], Anchor]) -> Anchor:
        """Return the last anchor, if nothing was sent since, or a new one."""
        return self._latest or self.anchor(take, adopt=True)

    def anchor(self, take: Callable[[], Anchor], *, adopt: bool) -> Anchor:  # noqa: ARG002 - the protocol's
        """Return a new anchor."""
        taken = take()
        # What is still in flight will be counted and logged later, and must not be taken for the next scenario's.
        self._latest = taken if not self._under_way and _can_begin(taken) else None
        return taken

    def ledgers(self) -> Iterable[Path]:
        """Return the files in its folder."""
        return sorted(self._ledgers.glob("*.jsonl"))


def _can_begin(anchor: Anchor) -> bool:
    """Return whether an observation may begin there: every pipeline gave evidence, and nothing was in flight."""
    return anchor.is_settled and not anchor.dead


class SharedStage:
    """The stage of several processes on one environment of this machine.

    Args:
        folder: A folder that all of them name.
        evidence: The folder under which each keeps its own at `NAME/evidence`.
        patience_seconds: How long scenarios that come first may be waited for while none of them runs.
        now: The clock, the same one for all of them.
    """

    def __init__(
        self,
        folder: Path,
        evidence: Path,
        *,
        patience_seconds: float = _NO_MORE_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder
        self._evidence = evidence
        self._patience_seconds = patience_seconds
        self._now = now
        self._name = secrets.token_hex(8)
        self._traffic = Turns(folder / "traffic")
        self._scenarios = Turns(folder / "scenarios")
        self._first = Turns(folder / "first")
        self._is_held = False
        self._has_turn = False
        self._is_alone = False
        self._sent_at: datetime | None = None

    # Scenarios

    @contextmanager
    def scenario(self, name: str, *, alone: bool, is_first: bool = False, firsts: int = 0) -> Iterator[None]:
        """Hold a scenario's turn.

        Args:
            name: Its id.
            alone: Whether it changes what others rely on, or would take theirs for its own.
            is_first: Whether it must come before all that are not; such a one is alone, too.
            firsts: How many of those there are in the run.
        """
        if not is_first:
            self._await_firsts(firsts)
        with self._first.alone() if is_first else nullcontext():
            try:
                with self._turn_alone() if alone or is_first else self._turn_beside():
                    yield
            finally:
                if is_first:
                    (self._folder / f"ended-{hashlib.sha256(name.encode()).hexdigest()[:16]}").touch()

    @contextmanager
    def _turn_beside(self) -> Iterator[None]:
        with self._scenarios.together():
            self._has_turn = True
            try:
                yield
            finally:
                self._has_turn = False

    @contextmanager
    def _turn_alone(self) -> Iterator[None]:
        with self._scenarios.alone():
            self._forget_unless_clean()
            self._has_turn = self._is_alone = True
            try:
                if self._lost(_ALONE, _SENDING):  # it is going to be told, and must not do more on top of that
                    yield
                    return
                with self._signed(_ALONE):
                    yield
            finally:
                self._has_turn = self._is_alone = False
                self._forget_unless_clean()

    def _await_firsts(self, count: int) -> None:
        """Wait until those that come first have ended, or until none of them is to come any more."""
        over = self._folder / "firsts-over"
        idle_since = time.monotonic()
        while not over.exists() and len(list(self._folder.glob("ended-*"))) < count:
            if self._first.is_held_alone():
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > self._patience_seconds:
                # One that died or was never begun would else be waited for before each scenario anew.
                over.touch()
                return
            time.sleep(_LOOK_SECONDS)

    # What a process leaves that dies in the middle

    def require_whole(self) -> None:
        """Return if nobody who is gone has left the environment as nobody knows it; within a scenario's turn.

        Raises:
            EnvironmentStartError: Somebody has: faults that are never cleared, components that stay stopped, requests
                that are in no ledger.
        """
        if self._has_turn and self._lost(*((_ALONE, _SENDING) if self._is_alone else (_ALONE,))):
            raise _unknown()

    @contextmanager
    def _signed(self, what: str) -> Iterator[None]:
        sign = self._folder / f"{what}.{self._name}"
        sign.touch()
        try:
            yield
        finally:
            sign.unlink(missing_ok=True)

    def _lost(self, *kinds: str) -> bool:
        """Return whether there is another's sign of a kind that nobody can have up while this process has its turn."""
        return any(sign.suffix != f".{self._name}" for kind in kinds for sign in self._folder.glob(f"{kind}.*"))

    # Traffic

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Hold what keeps others from taking an anchor; within what is held already, nothing more."""
        if self._is_held:
            yield
            return
        with self._traffic.together(), self._holding():
            self._clean.unlink(missing_ok=True)
            try:
                with self._signed(_SENDING):
                    yield
            finally:
                self._sent_at = self._now()

    def anchor(self, take: Callable[[], Anchor], *, adopt: bool) -> Anchor:
        """Return an anchor taken while nobody sends; one of another process, if it was taken since this was asked.

        Raises:
            EnvironmentStartError: A process has died while it sent: what it sent is counted, and in no ledger.
        """
        asked = self._now()

        def find() -> Anchor | None:
            known = self._read() if adopt else None
            return known if known is not None and known.covers > asked else None

        return self._take(take, find)

    def _take(self, take: Callable[[], Anchor], find: Callable[[], Anchor | None]) -> Anchor:
        """Take an anchor while nobody sends, unless one that will do is found before that."""
        if self._is_held:  # a load of this scenario is still running: nobody else could use what is seen now
            return take()
        with self._traffic.alone_unless(find) as known:
            # Another may have taken it until the turn came.
            found = known or find()
            if found is not None:
                return found
            if self._lost(_SENDING):
                raise _unknown()
            with self._holding():
                # What the barrier sends itself is before the anchor that it gives, and after the one before.
                self._clean.unlink(missing_ok=True)
                taken = take()
            if _can_begin(taken):
                self._write(taken)
                self._clean.touch()
            return taken

    @contextmanager
    def _holding(self) -> Iterator[None]:
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    def begin(self, take: Callable[[], Anchor]) -> Anchor:
        """Return the last anchor that may be begun from, or a new one.

        A scenario beside others may begin before what others of its kind have sent: all ledgers are read. It does not
        begin before what its own process has sent, which an earlier scenario did. One that is alone begins where
        nothing was sent since.

        Raises:
            EnvironmentStartError: A process has died while it sent.
        """
        return self._take(take, self._latest)

    def _latest(self) -> Anchor | None:
        if self._is_alone and not self._clean.exists():
            return None
        known = self._read()
        if known is not None and self._sent_at is not None and known.covers <= self._sent_at:
            return None
        return known

    def _forget_unless_clean(self) -> None:
        # What is sent by a scenario that is alone is judged by nobody else, nor does it judge what others have sent.
        if not self._clean.exists():
            self._anchor.unlink(missing_ok=True)

    def _read(self) -> Anchor | None:
        try:
            return msgspec.json.decode(self._anchor.read_bytes(), type=Anchor)
        except FileNotFoundError:
            return None

    def _write(self, anchor: Anchor) -> None:
        fresh = self._anchor.with_suffix(".new")  # one process at a time: it is alone
        fresh.write_bytes(msgspec.json.encode(anchor))
        fresh.replace(self._anchor)

    @property
    def _anchor(self) -> Path:
        return self._folder / "anchor.json"

    @property
    def _clean(self) -> Path:
        """There while nothing was sent since the last anchor."""
        return self._folder / "clean"

    def ledgers(self) -> Iterable[Path]:
        """Return the files in everyone's folders."""
        return sorted(self._evidence.glob("*/evidence/ledger/*.jsonl"))


def _unknown() -> EnvironmentStartError:
    return EnvironmentStartError(
        "expected the shared environment as its scenarios leave it, but a worker died in the middle of one",
        left="faults, stopped components, or requests that are in no ledger",
        hint="why it died is told beside the scenario it was in; run again",
    )
