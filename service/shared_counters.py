"""Counters of several worker processes, read as one: whole while workers come, recycle and die."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
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
        self._shape: tuple[tuple[tuple[int, int], int], ...] = ()
        self._layout = Layout(())
        self._slots: list[list[int]] = []

    def expose(self, accept: str) -> Exposition:
        """Return every metric, summed over the workers that live and those that ended.

        Args:
            accept: The Accept header of who asks.
        """
        with self._reading:
            with self._locked(fcntl.LOCK_SH):
                files = self._current_files()
                values = [file.read() for file in files]
            self._fit(files)
            sums = [0.0] * len(self._layout.slots)
            for slots, found in zip(self._slots, values, strict=True):
                for slot, value in zip(slots, found, strict=True):
                    sums[slot] += value
            return self._layout.expose(sums, accept)

    def _current_files(self) -> list[CounterFile]:
        """Return the files that there are now, those known already as they are known."""
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
        return [current[name] for name in sorted(current, key=lambda name: (not name.startswith("gauge_"), name))]

    def _fit(self, files: Sequence[CounterFile]) -> None:
        """Find the place of each file's values, if there are other files or series than at the last scrape."""
        shape = tuple((file.identity, len(file.keys)) for file in files)
        if shape == self._shape:
            return
        unfit = [file.mode for file in files if file.kind == "gauge" and file.mode != _SUMMED]
        if unfit:
            raise ValueError(f"expected gauges of multiprocess_mode {_SUMMED!r} alone, saw {unfit[0]!r}")
        keys = [[SeriesKey(file.kind, key) for key in file.keys] for file in files]
        every = dict.fromkeys(key for of_file in keys for key in of_file)
        if every.keys() != self._layout.slots.keys():
            self._layout = Layout(tuple(every))
        self._slots = [[self._layout.slots[key] for key in of_file] for of_file in keys]
        self._shape = shape

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
