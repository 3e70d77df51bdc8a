"""A few bytes of memory that every worker sees at once: the life cycle and the faults.

The master makes it before it forks; workers inherit the mapping, also those started later.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_READY_AT = struct.Struct("=d")
_READY_OFFSET = 0
_DRAINING = 8
_STOPPING = 9
_CURRENT = 10
_SLOTS_OFFSET = 64
_SLOT_BYTES = 64
# As many as one byte can count: a reader would have to sleep through that many changes to see a torn record.
_SLOTS = 256


class SharedMemory:
    """Fixed-size memory shared between this process and those forked from it.

    Args:
        folder: Where its nameless file lives; None for the system's folder for temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        size = _SLOTS_OFFSET + _SLOTS * _SLOT_BYTES
        # A mapping needs no file, but a lock between processes does.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)
            self._lockable = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._lockable)
        self._lock = threading.Lock()

    def read_byte(self, offset: int) -> int:
        """Return one byte of the header."""
        return self._map[offset]

    def write_byte(self, offset: int, value: int) -> None:
        """Set one byte of the header; one byte is never seen half-written."""
        self._map[offset] = value

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the header."""
        return self._map[offset : offset + size]

    def write(self, offset: int, data: bytes) -> None:
        """Set bytes of the header."""
        self._map[offset : offset + len(data)] = data

    def record(self, size: int) -> bytes:
        """Return the first bytes of the record that was published last; zeros before the first."""
        start = _SLOTS_OFFSET + self._map[_CURRENT] * _SLOT_BYTES
        return self._map[start : start + size]

    def publish(self, data: bytes) -> None:
        """Replace the record. Readers in every process see the old or the new one, whole, and the new one from now on.

        Args:
            data: At most 64 bytes.
        """
        # Locks of this kind belong to the process, so that threads need one of their own.
        with self._lock:
            fcntl.lockf(self._lockable, fcntl.LOCK_EX)
            try:
                following = (self._map[_CURRENT] + 1) % _SLOTS
                start = _SLOTS_OFFSET + following * _SLOT_BYTES
                self._map[start : start + len(data)] = data
                self._map[_CURRENT] = following
            finally:
                fcntl.lockf(self._lockable, fcntl.LOCK_UN)


class Lifecycle:
    """Where the service as a whole stands: starting, serving, draining, stopping.

    Args:
        memory: Where that is kept, for all workers.
        warmup_seconds: How long the service goes on starting once it has begun.
    """

    def __init__(self, memory: SharedMemory, *, warmup_seconds: float = 0.0) -> None:
        self._memory = memory
        self._warmup_seconds = warmup_seconds

    def begin(self) -> None:
        """Say that requests are answered from now on; warm-up counts from the first time this is said."""
        if not self._ready_at():
            self._memory.write(_READY_OFFSET, _READY_AT.pack(time.monotonic() + self._warmup_seconds))

    def drain(self) -> None:
        """Say that the service is going away, while it still serves."""
        self._memory.write_byte(_DRAINING, 1)

    def stop(self) -> None:
        """Say that no new connection is taken any more."""
        self._memory.write_byte(_DRAINING, 1)
        self._memory.write_byte(_STOPPING, 1)

    @property
    def draining(self) -> bool:
        """Whether the service is going away."""
        return bool(self._memory.read_byte(_DRAINING))

    @property
    def stopping(self) -> bool:
        """Whether new connections are refused already."""
        return bool(self._memory.read_byte(_STOPPING))

    @property
    def reason(self) -> str | None:
        """Why the service should get no traffic, as far as its life cycle goes; None while it should."""
        if self.draining:
            return "draining"
        ready_at = self._ready_at()
        return None if ready_at and time.monotonic() >= ready_at else "starting"

    def _ready_at(self) -> float:
        """Return the monotonic second, the same clock in every process, or 0 before the beginning."""
        value: float = _READY_AT.unpack(self._memory.read(_READY_OFFSET, _READY_AT.size))[0]
        return value
