"""Counters of several worker processes, read as one: whole while workers come, recycle and die."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Any

from prometheus_client import mmap_dict, multiprocess
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

# These parts of the client have no types.
_merge: Any = multiprocess.MultiProcessCollector.merge
_forget_gauges: Any = multiprocess.mark_process_dead
_Counts: Any = mmap_dict.MmapedDict
# Counts of workers that ended, in the place of a process id.
_ENDED = "ended"


class SharedCounters(Collector):
    """Reads the files in which the metrics client keeps each worker's numbers.

    The files of a worker that ended are added to one archive, so that a scrape costs the same after a thousand
    recycled workers as after none.

    Args:
        folder: Where the workers keep their files (`PROMETHEUS_MULTIPROC_DIR`).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Return every metric, summed over the workers that live and those that ended."""
        with self._locked(fcntl.LOCK_SH):
            # Gauges first: whatever is not in flight any more when they are read has been counted by then.
            found = sorted(self._folder.glob("*.db"), key=lambda path: (not path.name.startswith("gauge_"), path.name))
            # A worker makes its file before it gives it a size; until then there is nothing in it to read.
            files = [path for path in found if path.stat().st_size]
            metrics: Iterable[Metric] = _merge([str(path) for path in files], accumulate=True)
        return metrics

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
