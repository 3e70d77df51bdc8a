"""The stage: where scenarios of several processes meet on one environment, and how they are kept apart.

Scenarios that leave one another alone run together. What each of them sends is in a ledger of its own, under request
ids of its own, and all ledgers are read as one; so counts are judged over everything that was sent between two anchors,
and claims on a scenario's own requests by their ids. An anchor is taken while nobody sends, so that no request is on
both sides of it. It then serves everyone who waits for one: eight scenarios wait for one scrape, not for eight.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from sloproof.barrier import Anchor
from sloproof.turns import Turns

_LOOK_SECONDS = 0.02
# Between two scenarios of one worker there are milliseconds; when none has begun for so long, none is to come.
_NO_MORE_SECONDS = 5.0


class Stage(Protocol):
    """What a harness asks of whom it shares its environment with."""

    def sending(self) -> AbstractContextManager[None]:
        """Return what is held while requests are under way; no anchor of another process is taken meanwhile."""

    def latest(self) -> Anchor | None:
        """Return the last anchor if an observation may begin there; None where a new one must be taken."""

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

    def latest(self) -> Anchor | None:
        """Return the last anchor, if nothing was sent since."""
        return self._latest

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
        now: The clock, the same one for all of them.
    """

    def __init__(self, folder: Path, evidence: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder = folder
        self._evidence = evidence
        self._now = now
        self._traffic = Turns(folder / "traffic")
        self._scenarios = Turns(folder / "scenarios")
        self._first = Turns(folder / "first")
        self._is_held = False
        self._is_alone = False

    # Scenarios

    @contextmanager
    def scenario(self, name: str, *, alone: bool, is_first: bool, firsts: int) -> Iterator[None]:
        """Hold a scenario's turn.

        Args:
            name: Its id.
            alone: Whether it changes what others rely on, or would take theirs for its own.
            is_first: Whether it must come before all that are not.
            firsts: How many of those there are in the run.
        """
        if not is_first:
            self._await_firsts(firsts)
        with self._first.together() if is_first else nullcontext():
            try:
                with self._scenarios.alone() if alone else self._scenarios.together():
                    if not alone:
                        yield
                        return
                    self._forget_unless_clean()
                    self._is_alone = True
                    try:
                        yield
                    finally:
                        self._is_alone = False
                        self._forget_unless_clean()
            finally:
                if is_first:
                    (self._folder / f"ended-{hashlib.sha256(name.encode()).hexdigest()[:16]}").touch()

    def _await_firsts(self, count: int) -> None:
        """Wait until those that come first have ended, or until none of them is to come any more."""
        idle_since = time.monotonic()
        while len(list(self._folder.glob("ended-*"))) < count:
            if not self._first.is_free():
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > _NO_MORE_SECONDS:
                return
            time.sleep(_LOOK_SECONDS)

    # Traffic

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Hold what keeps others from taking an anchor; within what is held already, nothing more."""
        if self._is_held:
            yield
            return
        with self._traffic.together(), self._holding():
            self._sent.touch()
            try:
                yield
            finally:
                self._sent.touch()

    def anchor(self, take: Callable[[], Anchor], *, adopt: bool) -> Anchor:
        """Return an anchor taken while nobody sends; one of another process, if it was taken since this was asked."""
        if self._is_held:  # a load of this scenario is still running: nobody else could use what is seen now
            return take()
        asked = self._now()

        def newer() -> Anchor | None:
            known = self._read() if adopt else None
            return known if known is not None and known.covers > asked else None

        # Whoever comes first takes it for all who wait; they need not wait for their turns then.
        while (known := newer()) is None:
            with self._traffic.alone(unless=lambda: newer() is not None) as is_alone:
                if is_alone and newer() is None:
                    with self._holding():
                        taken = take()
                        if _can_begin(taken):
                            self._write(taken)
                        return taken
        return known

    @contextmanager
    def _holding(self) -> Iterator[None]:
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    def latest(self) -> Anchor | None:
        """Return the last anchor that may be begun from.

        A scenario beside others may begin before what others of its kind have sent: all ledgers are read. One that is
        alone begins where nothing was sent since.
        """
        return None if self._is_held or (self._is_alone and not self._is_clean()) else self._read()

    def _is_clean(self) -> bool:
        """Return whether nothing was sent since the last anchor."""
        try:
            return self._anchor.stat().st_mtime_ns > self._sent.stat().st_mtime_ns
        except FileNotFoundError:
            return self._anchor.exists()

    def _forget_unless_clean(self) -> None:
        # What is sent by a scenario that is alone is judged by nobody else, nor does it judge what others have sent.
        if not self._is_clean():
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
    def _sent(self) -> Path:
        return self._folder / "sent"

    def ledgers(self) -> Iterable[Path]:
        """Return the files in everyone's folders."""
        return sorted(self._evidence.glob("*/evidence/ledger/*.jsonl"))
