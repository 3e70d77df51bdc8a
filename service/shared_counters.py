"""Counters of several worker processes, read as one: whole while workers come, recycle and die."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import mmap_dict, multiprocess

from service.counter_file import CounterFile
from service.exposition import Exposition, Layout, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# These parts of the client have no types.
_forget_gauges: Any = multiprocess.mark_process_dead
_Counts: Any = mmap_dict.MmapedDict
# Counts of workers that ended, in the place of a process id.
_ENDED = "ended"
# The one way of putting several workers' gauges together that is known here: added up, over those that live.
_SUMMED = "livesum"
# A folder's time of change is coarse: one that is younger may yet be that of another change.
_SETTLED_NS = 100_000_000
# Each header of those that ask has an answer kept, but not as many as clients can think of.
_MOST_ANSWERS = 8


class SharedCounters:
    """Reads the files in which the metrics client keeps each worker's numbers.

    The files of a worker that ended are added to one archive, so that a scrape costs the same after a thousand
    recycled workers as after none.

    Args:
        folder: Where the workers keep their files (`PROMETHEUS_MULTIPROC_DIR`).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reading = threading.Lock()
        self._files: dict[str, CounterFile] = {}
        self._ordered: list[CounterFile] = []
        self._shape: tuple[tuple[tuple[int, int], int], ...] = ()
        self._layout = Layout(())
        self._slots: list[list[int]] = []
        self._values: list[tuple[float, ...]] = []
        # What was exposed of these very values, by Accept header.
        self._answers: dict[str, Exposition] = {}
        self._folder_changed_ns: int | None = None
        # The process that opened the lock for reading, and its file.
        self._lock = (0, -1)

    def expose(self, accept: str) -> Exposition:
        """Return every metric, summed over the workers that live and those that ended.

        Args:
            accept: The Accept header of who asks.
        """
        with self._reading:
            lock = self._lock_to_read()
            fcntl.flock(lock, fcntl.LOCK_SH)
            try:
                files = self._current_files()
                values = [file.read() for file in files]
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)
            if self._fit(files) or values != self._values or len(self._answers) >= _MOST_ANSWERS:
                self._values = values
                self._answers.clear()
            answer = self._answers.get(accept)
            if answer is None:
                sums = [0.0] * len(self._layout.slots)
                for slots, found in zip(self._slots, values, strict=True):
                    for slot, value in zip(slots, found, strict=True):
                        sums[slot] += value
                answer = self._answers[accept] = self._layout.expose(sums, accept)
            return answer

    def _lock_to_read(self) -> int:
        # The lock belongs to the opened file: a process that was forked would share it with the one it comes from.
        pid, descriptor = self._lock
        if pid != os.getpid():
            descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._lock = (os.getpid(), descriptor)
        return descriptor

    def _current_files(self) -> list[CounterFile]:
        """Return the files that there are now, those known already as they are known."""
        now_ns = time.time_ns()
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns != self._folder_changed_ns:
            self._scan()
            self._folder_changed_ns = changed_ns if now_ns - changed_ns > _SETTLED_NS else None
        return self._ordered

    def _scan(self) -> None:
        current = {}
        for entry in os.scandir(self._folder):
            if entry.name.endswith(".db"):
                known = self._files.get(entry.name)
                if known is None or known.identity[1] != entry.inode():
                    known = CounterFile(Path(entry.path))
                current[entry.name] = known
        for name, file in self._files.items():
            if current.get(name) is not file:
                file.close()
        self._files = current
        # Gauges first: whatever is not in flight any more when they are read has been counted by then.
        names = sorted(current, key=lambda name: (not name.startswith("gauge_"), name))
        self._ordered = [current[name] for name in names]

    def _fit(self, files: Sequence[CounterFile]) -> bool:
        """Find the place of each file's values, if there are other files or series than at the last scrape.

        Returns:
            Whether there are.
        """
        shape = tuple((file.identity, len(file.keys)) for file in files)
        if shape == self._shape:
            return False
        unfit = [file.mode for file in files if file.kind == "gauge" and file.mode != _SUMMED]
        if unfit:
            raise ValueError(f"expected gauges of multiprocess_mode {_SUMMED!r} alone, saw {unfit[0]!r}")
        keys = [[SeriesKey(file.kind, key) for key in file.keys] for file in files]
        every = dict.fromkeys(key for of_file in keys for key in of_file)
        if every.keys() != self._layout.slots.keys():
            self._layout = Layout(tuple(every))
        self._slots = [[self._layout.slots[key] for key in of_file] for of_file in keys]
        self._shape = shape
        return True

    def retire(self, pid: int) -> None:
        """Move the counts of a worker that ended into the archive, and forget what it had in flight."""
        with self._locked(fcntl.LOCK_EX):
            _forget_gauges(pid, str(self._folder))
            for kind in ("counter", "histogram"):
                ended = self._folder / f"{kind}_{pid}.db"
                if ended.exists():
                    if ended.stat().st_size:
                        _add(ended, self._folder / f"{kind}_{_ENDED}.db")
                    ended.unlink()

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        # Opened anew each time: this kind of lock belongs to the opened file, which forked processes would share.
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)


def _add(ended: Path, archive: Path) -> None:
    kept = _Counts(str(archive))
    try:
        for key, value, _, _ in _Counts.read_all_values_from_file(str(ended)):
            kept.write_value(key, kept.read_value(key)[0] + value, 0.0)
    finally:
        kept.close()
