"""One worker's numbers, as the metrics client keeps them in a file: keys are parsed once, values at each scrape.

A file begins with how many of its bytes are used. Entries follow, and are only ever added: the length of a key, the
key, blanks up to a multiple of eight, the value, and a timestamp that only some gauges use.
"""

from __future__ import annotations

import os
import struct
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LENGTH = struct.Struct("=i")
_HEADER_BYTES = 8
_VALUE_BYTES = 16


class CounterFile:
    """A file of numbers, held open: while it is, no other file can have its identity.

    Args:
        path: The file; its name begins with the kind of metric that it holds.

    Attributes:
        kind: `counter`, `gauge` or `histogram`.
        mode: For a gauge, how several workers' values become one, as the metrics client calls it; else empty.
        identity: Device and inode.
        keys: The key of each value, in the file's order.
    """

    def __init__(self, path: Path) -> None:
        self.kind, _, rest = path.stem.partition("_")
        self.mode = rest.partition("_")[0] if self.kind == "gauge" else ""
        self._descriptor = os.open(path, os.O_RDONLY)
        self.close = weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        self.identity = (status.st_dev, status.st_ino)
        self.keys: list[str] = []
        self._used = _HEADER_BYTES
        self._format = f"={_HEADER_BYTES}x"
        self._values = struct.Struct(self._format)
        # As they were read last, and what they say.
        self._data = b""
        self._read: tuple[float, ...] = ()

    def read(self) -> tuple[float, ...]:
        """Return the values, in the order of `keys`, which gets longer where the worker has added some."""
        data = os.pread(self._descriptor, self._used, 0)
        # A worker makes its file before it gives it a size; until then there is nothing in it to read.
        if not data:
            return ()
        if data == self._data:
            return self._read
        (used,) = _LENGTH.unpack_from(data)
        if used > self._used:
            data = os.pread(self._descriptor, used, 0)
            self._learn(data, used)
        self._data = data[: self._used]
        self._read = self._values.unpack_from(data)
        return self._read

    def _learn(self, data: bytes, used: int) -> None:
        place = self._used
        while place < used:
            (length,) = _LENGTH.unpack_from(data, place)
            begin = place + _LENGTH.size
            self.keys.append(data[begin : begin + length].decode())
            value = begin + length + 8 - (begin + length) % 8
            self._format += f"{value - place}xd8x"
            place = value + _VALUE_BYTES
        self._used = place
        self._values = struct.Struct(self._format)
