"""The load driver's own record of every request: what really happened, whatever the monitoring says.

One file a process that sends (`sloproof.load.ledger_file`), many files a run. Everything here streams: a question costs
memory for its answer, not for the ledger.
"""

from __future__ import annotations

import heapq
import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple, Self

from sloproof.errors import LedgerError
from sloproof.load.ledger_file import Clock, Entry, LedgerFile, LedgerWriter
from sloproof.model import NANOSECONDS, Window, instant_from_ns, ns_from_instant

__all__ = ["Cell", "Clock", "Entry", "Key", "Ledger", "LedgerWriter", "Second", "Tally"]

Key = tuple[str, str, int]
"""Endpoint, method and status."""

_NEVER_ARRIVED = frozenset({"refused", "connect"})
_SERVER_ERROR = 500
_FEW = 200_000
_COARSE = 16  # bits; a bucket of 65 us


@dataclass(frozen=True, slots=True)
class Tally:
    """How many requests there were, by what can be known of them.

    Attributes:
        certain: Answered requests, by endpoint, method and status.
        unknown: Requests that were cut off (timed out, reset, answered with nonsense), by endpoint and method: the
            service may have counted each of them once, under any status, or not at all.
        refused: Requests that never reached the service, because no connection came about.
        unsent: Arrivals that could not be sent.
    """

    certain: Mapping[Key, int]
    unknown: Mapping[tuple[str, str], int]
    refused: int
    unsent: int

    @property
    def sent(self) -> int:
        """Return how many requests were sent, whatever became of them."""
        return sum(self.certain.values()) + sum(self.unknown.values()) + self.refused


@dataclass(frozen=True, slots=True)
class Second:
    """One second of traffic, by the start of its requests.

    Attributes:
        at: The beginning of the second.
        sent: Requests sent in it.
        failed: Those of them that failed or were answered with a 5xx.
        p50: Median from send to last byte; None where nothing was answered or timed out.
        p99: The same for the 99th percentile.
        intended_p50: The median from the instant the schedule wanted a request sent.
        intended_p99: The same for the 99th percentile.
    """

    at: datetime
    sent: int
    failed: int
    p50: timedelta | None
    p99: timedelta | None
    intended_p50: timedelta | None = None
    intended_p99: timedelta | None = None


class Cell(NamedTuple):
    """What `Ledger.counts` counts by. `second` is Unix time, that of the request's start."""

    second: int
    endpoint: str
    method: str
    status: int


class Ledger:
    """The record in any number of files, read as one.

    A window holds the requests that *started* in it, both ends included.

    Args:
        source: A folder, of which every `.jsonl` file is read, or the files themselves.
    """

    def __init__(self, source: Path | Iterable[Path]) -> None:
        if isinstance(source, Path):
            source = sorted(source.glob("*.jsonl")) if source.is_dir() else (source,)
        self._paths = tuple(source)

    @classmethod
    def open(cls, source: Path | Iterable[Path]) -> Self:
        """Return the ledger in a folder or in the files given; see the class."""
        return cls(source)

    def entries(
        self,
        window: Window | None = None,
        *,
        endpoint: str | None = None,
        method: str | None = None,
        load: str | None = None,
    ) -> Iterator[Entry]:
        """Yield the requests in the order of their starts, over all files.

        Memory holds what started within the longest request's time, whatever the size of the ledger. In a file that is
        still written that time is its writer's bound; a request that outlasts it (a suspended driver) comes late.

        Raises:
            LedgerError: A file is damaged, or of another format version.
        """
        wanted = _Filter(window, endpoint, method)
        # A file is opened when its turn comes: a run has more files than a process may open at once.
        heap: list[tuple[int, int, Entry | None]] = []
        streams: dict[int, Iterator[Entry]] = {}
        for number, file in enumerate(self._files(wanted, load)):
            streams[number] = _in_order(file, wanted)
            heap.append((file.footer.first_ns if file.footer else -1, number, None))
        heapq.heapify(heap)
        while heap:
            _, number, entry = heap[0]
            if entry is not None:
                yield entry
            following = next(streams[number], None)
            if following is None:
                heapq.heappop(heap)
                del streams[number]
            else:
                heapq.heapreplace(heap, (following.start_ns, number, following))

    def request_ids(self, window: Window | None = None, *, load: str | None = None) -> Iterator[str]:
        """Yield the id of every request that was sent, in no certain order."""
        for entries in self._scan(_Filter(window), load):
            yield from (entry.request_id for entry in entries if entry.failure != "unsent")

    def tally(self, window: Window | None = None, *, load: str | None = None) -> Tally:
        """Return how many requests there were, by what can be known of them.

        Raises:
            LedgerError: A file is damaged, or of another format version.
        """
        certain: Counter[Key] = Counter()
        unknown: Counter[tuple[str, str]] = Counter()
        refused = unsent = 0
        for entries in self._scan(_Filter(window), load):
            certain.update((one.endpoint, one.method, one.status) for one in entries if not one.failure)
            for one in entries:
                if not one.failure:
                    continue
                if one.failure == "unsent":
                    unsent += 1
                elif one.failure in _NEVER_ARRIVED:
                    refused += 1
                else:
                    unknown[one.endpoint, one.method] += 1
        return Tally(dict(certain), dict(unknown), refused, unsent)

    def quantile(
        self,
        q: float,
        *,
        from_: Literal["intended", "start"] = "start",
        endpoint: str | None = None,
        method: str | None = None,
        window: Window | None = None,
        load: str | None = None,
    ) -> timedelta | None:
        """Return a latency that the share `q` of requests did not exceed: one that occurred, never interpolated.

        Counted are requests that were answered, whatever the status, and those that timed out, as long as they were
        waited for: leaving those out would make an outage look fast.

        Args:
            q: 0 to 1.
            from_: Where latency begins: at the instant the schedule wanted the request sent, or at its send. From the
                intended instant it holds the wait for a free connection too, which is what a stall does to users.
            endpoint: Only this endpoint.
            method: Only this method.
            window: Only requests that started in it.
            load: Only the load of this name.

        Returns:
            None where nothing is counted.
        """
        values = array("q")
        for entries in self._scan(_Filter(window, endpoint, method), load):
            if from_ == "start":
                values.extend(one.duration_ns for one in entries if one.failure in {"", "timeout"})
            else:
                values.extend(one.end_ns - one.intended_ns for one in entries if one.failure in {"", "timeout"})
        return _quantile_of(values, q)

    def counts(self, window: Window | None = None, *, load: str | None = None) -> Mapping[Cell, int]:
        """Return how many requests there were of each endpoint, method and status in each second, in one reading.

        A status of 0 is that of requests without a whole answer; arrivals that could not be sent are not counted.
        """
        counts: Counter[tuple[int, str, str, int]] = Counter()
        for entries in self._scan(_Filter(window), load):
            counts.update(
                [
                    (one.start_ns // NANOSECONDS, one.endpoint, one.method, one.status)
                    for one in entries
                    if one.status or one.failure != "unsent"
                ]
            )
        return {Cell(*key): count for key, count in counts.items()}

    def per_second(self, window: Window | None = None, *, load: str | None = None) -> tuple[Second, ...]:
        """Return the traffic second by second, from the first request to the last, idle seconds included."""
        sent: Counter[int] = Counter()
        failed: Counter[int] = Counter()
        durations: dict[int, array[int]] = {}
        intended: dict[int, array[int]] = {}
        for entries in self._scan(_Filter(window), load):
            for one in entries:
                if one.failure == "unsent":
                    continue
                second = one.start_ns // NANOSECONDS
                sent[second] += 1
                if one.failure or one.status >= _SERVER_ERROR:
                    failed[second] += 1
                if one.failure in {"", "timeout"}:
                    durations.setdefault(second, array("q")).append(one.duration_ns)
                    intended.setdefault(second, array("q")).append(one.end_ns - one.intended_ns)
        if not sent:
            return ()
        seconds = []
        for second in range(min(sent), max(sent) + 1):
            at = instant_from_ns(second * NANOSECONDS)
            both = [sorted(of.get(second, ())) for of in (durations, intended)]
            quantiles = (_quantile(values, q) for values in both for q in (0.5, 0.99))
            seconds.append(Second(at, sent[second], failed[second], *quantiles))
        return tuple(seconds)

    def _files(self, wanted: _Filter, load: str | None) -> Iterator[LedgerFile]:
        for path in self._paths:
            file = LedgerFile(path)
            if file.header is None or (load is not None and file.header.load != load):
                continue
            if file.footer is None or wanted.may_hold(file.footer.first_ns, file.footer.last_ns):
                yield file

    def _scan(self, wanted: _Filter, load: str | None) -> Iterator[Iterable[Entry]]:
        for file in self._files(wanted, load):
            for entries in file.blocks():
                yield wanted.of(entries)


class _Filter:
    """Which entries are asked for."""

    def __init__(self, window: Window | None, endpoint: str | None = None, method: str | None = None) -> None:
        self._start = None if window is None else ns_from_instant(window.start)
        self._end = 0 if window is None else ns_from_instant(window.end)
        self._endpoint = endpoint
        self._method = method

    def may_hold(self, first_ns: int, last_ns: int) -> bool:
        """Return whether a file whose starts lie between these can hold an entry that is asked for."""
        return self._start is None or (first_ns <= self._end and last_ns >= self._start)

    def of(self, entries: list[Entry]) -> list[Entry]:
        """Return those that are asked for."""
        start, end, endpoint, method = self._start, self._end, self._endpoint, self._method
        if start is not None:
            entries = [one for one in entries if start <= one.start_ns <= end]
        if endpoint is not None:
            entries = [one for one in entries if one.endpoint == endpoint]
        if method is not None:
            entries = [one for one in entries if one.method == method]
        return entries


def _in_order(file: LedgerFile, wanted: _Filter) -> Iterator[Entry]:
    """Yield a file's entries by start: it holds them by end, and nothing still to come started before the horizon."""
    held: list[Entry] = []
    held_before = 0
    for entries in file.blocks():
        held += wanted.of(entries)
        if len(held) < 2 * held_before:
            continue  # sorting what is mostly held over again would cost more than it yields
        held.sort(key=_start_ns)
        ready = bisect_right(held, entries[-1].end_ns - file.horizon_ns, key=_start_ns)
        yield from held[:ready]
        del held[:ready]
        held_before = len(held)
    held.sort(key=_start_ns)
    yield from held


def _start_ns(entry: Entry) -> int:
    return entry.start_ns


def _quantile(ordered: list[int], q: float) -> timedelta | None:
    rank = _rank(len(ordered), q)
    return timedelta(microseconds=ordered[rank - 1] / 1000) if ordered else None


def _quantile_of(values: array[int], q: float) -> timedelta | None:
    """Return a quantile of many values without making them all objects: of ten million, that takes half a gigabyte."""
    if len(values) <= _FEW:
        return _quantile(sorted(values), q)
    rank = _rank(len(values), q)
    for bucket, count in sorted(Counter(value >> _COARSE for value in values).items()):
        if rank <= count:
            inside = sorted(value for value in values if value >> _COARSE == bucket)
            return timedelta(microseconds=inside[rank - 1] / 1000)
        rank -= count
    raise AssertionError("every rank is in a bucket")


def _rank(count: int, q: float) -> int:
    if not 0 <= q <= 1:
        raise LedgerError(f"expected a quantile between 0 and 1, got {q}")
    # The nearest rank; the guard keeps 0.95 * 20 = 19.000000000000004 at rank 19.
    return max(math.ceil(round(q * count, 9)), 1)
