"""One file of the ledger: written by one process, request by request, and readable while it grows.

JSON Lines. The first line is an object: the format, whose file it is, and the clock it was written by. Each request is
one array of ten values, in the order of their ends. A file that was closed ends with an object that says how many there
are; a file that is still written, or whose writer was killed, may end in half a line, which is not read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from sloproof.errors import LedgerError
from sloproof.model import NANOSECONDS

FORMAT = "sloproof-ledger"
VERSION = 1

_FLUSH_NS = NANOSECONDS // 10
_BLOCK_BYTES = 1 << 18
_TAIL_BYTES = 512
_HEAD_BYTES = 1 << 14
_HORIZON_NS = 60 * NANOSECONDS


Row = tuple[int, int, int, str, str, str, int, str, str, int]
"""An entry's values, in the order of its attributes: what a line of the file holds."""

_start_of = itemgetter(1)
_duration_of = itemgetter(2)


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request. All times are nanoseconds; instants are Unix time.

    Attributes:
        intended_ns: When the schedule wanted it sent; in the closed model the same as `start_ns`.
        start_ns: When sending began (connecting included); of an `unsent` arrival, when it was given up.
        duration_ns: From the start to the last byte of the answer, or to the failure.
        method: As sent.
        path: Path and query, as sent.
        endpoint: The label value it should be counted under.
        status: HTTP status; 0 where no whole answer came.
        failure: Empty, or `refused`, `connect` (no connection, for another reason), `timeout`, `reset`, `protocol`
            (an answer that is no HTTP), `unsent` (an arrival that could not be sent).
        request_id: As sent; unique.
        bytes: Length of the answer's body.
    """

    intended_ns: int
    start_ns: int
    duration_ns: int
    method: str
    path: str
    endpoint: str
    status: int
    failure: str
    request_id: str
    bytes: int

    @property
    def end_ns(self) -> int:
        """Return when it was over."""
        return self.start_ns + self.duration_ns


class Clock(msgspec.Struct, frozen=True):
    """A monotonic clock, anchored once to Unix time: later steps of the wall clock leave what it says alone."""

    wall_ns: int
    monotonic_ns: int

    @classmethod
    def anchored(cls) -> Self:
        """Return a clock anchored to this moment."""
        before = time.monotonic_ns()
        wall = time.time_ns()
        return cls(wall, (before + time.monotonic_ns()) // 2)

    def unix_ns(self, monotonic_ns: int) -> int:
        """Return the Unix time of a reading of `time.monotonic_ns`."""
        return self.wall_ns + monotonic_ns - self.monotonic_ns

    def stepped_ns(self) -> int:
        """Return by how much the wall clock was stepped since the anchor; forward is positive."""
        now = Clock.anchored()
        return now.wall_ns - self.unix_ns(now.monotonic_ns)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Whose file it is. `horizon_ns` bounds how long a request may take; entries are put in order with its help."""

    format: str
    version: int
    run_id: str
    load: str
    process: int
    clock: Clock
    horizon_ns: int


class Footer(msgspec.Struct, frozen=True, kw_only=True):
    """That the file was closed, and what is in it.

    Attributes:
        entries: Their number.
        first_ns: The earliest start.
        last_ns: The latest start.
        longest_ns: The longest duration.
    """

    entries: int
    first_ns: int
    last_ns: int
    longest_ns: int


class LedgerWriter:
    """Writes one file of the ledger.

    What is written reaches the file within 100 ms while requests go on; who pauses calls `flush`.

    Args:
        path: The file; it must not exist.
        run_id: The run it belongs to.
        load: Name of the load; empty for requests outside any.
        process: Number of the load process.
        clock: The clock of the entries; noted in the header.
        horizon_ns: No request takes longer.
    """

    def __init__(
        self,
        path: Path,
        *,
        run_id: str,
        load: str = "",
        process: int = 0,
        clock: Clock | None = None,
        horizon_ns: int = _HORIZON_NS,
    ) -> None:
        self.path = path
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        self._entries = 0
        self._first_ns = self._last_ns = self._longest_ns = 0
        self._flushed_ns = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise LedgerError(f"expected to write a new ledger file, but {error.strerror}", file=path) from error
        self._line(
            Header(
                format=FORMAT,
                version=VERSION,
                run_id=run_id,
                load=load,
                process=process,
                clock=clock or Clock.anchored(),
                horizon_ns=horizon_ns,
            )
        )
        self.flush()

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def write(self, entry: Entry) -> None:
        """Add a request that is over."""
        self._line(entry)
        start = entry.start_ns
        if not self._entries or start < self._first_ns:
            self._first_ns = start
        self._last_ns = max(self._last_ns, start)
        self._longest_ns = max(self._longest_ns, entry.duration_ns)
        self._entries += 1
        end = start + entry.duration_ns
        if end - self._flushed_ns >= _FLUSH_NS:
            self._flushed_ns = end
            self.flush()

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Add many requests that are over, in the order of their ends, and hand them to the operating system.

        Entry by entry, `write` costs several times as much.
        """
        if not rows:
            return
        first, last = min(map(_start_of, rows)), max(map(_start_of, rows))
        self._first_ns = min(self._first_ns, first) if self._entries else first
        self._last_ns = max(self._last_ns, last)
        self._longest_ns = max(self._longest_ns, *map(_duration_of, rows))
        self._entries += len(rows)
        self._buffer += self._encoder.encode_lines(rows)
        self.flush()

    def _line(self, value: object) -> None:
        buffer = self._buffer
        self._encoder.encode_into(value, buffer, -1)
        buffer += b"\n"

    def flush(self) -> None:
        """Hand everything to the operating system, so that readers see it."""
        if self._buffer and not self._file.closed:
            rest = memoryview(bytes(self._buffer))
            self._buffer.clear()
            while rest:
                rest = rest[self._file.write(rest) or 0 :]

    def close(self) -> None:
        """Write the last line and close the file; safe to call twice."""
        if self._file.closed:
            return
        self._line(
            Footer(entries=self._entries, first_ns=self._first_ns, last_ns=self._last_ns, longest_ns=self._longest_ns)
        )
        self.flush()
        self._file.close()


class LedgerFile:
    """One file of the ledger as it was when it was opened: what is added later is not read.

    Args:
        path: The file.

    Raises:
        LedgerError: It is no ledger, of another version, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Header | None = None  # None: nothing whole was written yet
        self.footer: Footer | None = None
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
                size = file.seek(0, 2)
                start = max(size - _TAIL_BYTES, 0)
                file.seek(start)
                tail = file.read(size - start)
        except OSError as error:
            raise LedgerError(f"expected a ledger file, but {error.strerror}", file=path) from error
        self._end = size
        self._start = head.find(b"\n") + 1
        if not self._start:
            if size >= _HEAD_BYTES:
                raise self._damage(1, "no header")
            return
        self.header = self._read_header(head[: self._start])
        last = tail[:-1].rfind(b"\n") + 1
        if tail.endswith(b"}\n") and tail[last : last + 1] == b"{" and start + last >= self._start:
            try:
                self.footer = msgspec.json.decode(tail[last:], type=Footer)
            except msgspec.MsgspecError as error:
                raise LedgerError(
                    f"expected the ledger's last line to count its entries, but {error}", file=path
                ) from error
            self._end = start + last

    @property
    def horizon_ns(self) -> int:
        """Return how long a request of this file took at most: exact once it is closed, else its writer's bound."""
        if self.footer is not None:
            return self.footer.longest_ns
        return 0 if self.header is None else self.header.horizon_ns

    def _read_header(self, line: bytes) -> Header:
        try:
            header = msgspec.json.decode(line, type=Header)
        except msgspec.MsgspecError as error:
            raise self._damage(1, f"no header: {error}") from error
        if (header.format, header.version) != (FORMAT, VERSION):
            raise LedgerError(
                f"expected {FORMAT} version {VERSION}, got {header.format} version {header.version}",
                at=f"{self.path}:1",
            )
        return header

    def _damage(self, line: int, what: object) -> LedgerError:
        return LedgerError(f"expected one request a line in the ledger, but {what}", at=f"{self.path}:{line}")

    def blocks(self) -> Iterator[list[Entry]]:
        """Yield all entries in the order of their ends, a few thousand at a time.

        Raises:
            LedgerError: A line is damaged, or lines are missing.
        """
        if self.header is None:
            return
        decoder = msgspec.json.Decoder(Entry)
        count = 0
        with self.path.open("rb") as file:
            file.seek(self._start)
            left = self._end - self._start
            rest = b""
            while left > 0 and (data := file.read(min(_BLOCK_BYTES, left))):
                left -= len(data)
                data = rest + data
                cut = data.rfind(b"\n") + 1
                rest = data[cut:]
                if cut:
                    entries = self._decode(decoder, data[:cut], count + 2)
                    count += len(entries)
                    yield entries
        if self.footer is not None and (rest or left or count != self.footer.entries):
            raise self._damage(count + 2, f"{self.footer.entries} were written and {count} are there")

    def _decode(self, decoder: msgspec.json.Decoder[Entry], lines: bytes, first_line: int) -> list[Entry]:
        try:
            entries = decoder.decode_lines(lines)
        except msgspec.MsgspecError:
            entries = []
        if len(entries) == lines.count(b"\n"):
            return entries
        number = first_line
        for number, line in enumerate(lines.splitlines(), first_line):
            try:
                decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise self._damage(number, error) from error
        raise self._damage(number, "lines and requests do not match")
