"""What several workers expose together, against the metrics client's own merge of the same files."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    mmap_dict,
    multiprocess,
)
from prometheus_client.exposition import choose_encoder

from service.counter_file import CounterFile
from service.exposition import Layout, SeriesKey
from service.shared_counters import SharedCounters
from tests.service.running import ROOT

# These parts of the client have no types.
Counts: Any = mmap_dict.MmapedDict
mmap_key: Any = mmap_dict.mmap_key
Merger: Any = multiprocess.MultiProcessCollector

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
ACCEPTS = ["", "text/plain;version=0.0.4", "text/plain;version=1.0.0", OPEN_METRICS]
# Counts in its own process, as a worker does, under a process id of the test's choice.
COUNTING = """
import os, sys
from prometheus_client import values
values.ValueClass = values.MultiProcessValue(lambda: int(sys.argv[1]))
from prometheus_client import Counter, Gauge, Histogram
done = Counter("done", 'So far, in % of "all".\\nAs ever.', ["what"])
took = Histogram("took_seconds", "Time.", ["what"], buckets=(0.1, 1, 10))
live = Gauge("live", "Now.", multiprocess_mode=os.environ.get("MODE", "livesum"))
"""


def count(folder: Path, pid: int, body: str, mode: str = "livesum") -> None:
    folder.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-c", COUNTING + body, str(pid)], check=True,
        env={"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": str(ROOT), "MODE": mode},
    )  # fmt: skip


def merged(folder: Path, accept: str) -> tuple[set[str], str]:
    """Return the lines and the content type that the metrics client itself gives."""
    registry = CollectorRegistry()
    Merger(registry, path=str(folder))
    encode, content_type = choose_encoder(accept)
    return set(encode(registry).decode().splitlines()), content_type


@pytest.mark.slow  # real processes
@pytest.mark.parametrize("accept", ACCEPTS)
def test_exposition_is_what_the_metrics_client_makes_of_the_files(tmp_path: Path, accept: str) -> None:
    hostile = 'done.labels("a 1\\\\n%s \\"b\\" {c} \\\\\\\\ %").inc(3)'
    count(tmp_path, 1, f'{hostile}; took.labels("x").observe(0.5); took.labels("y").observe(70); live.inc(2)')
    shared = SharedCounters(tmp_path)
    for pid, body in (
        (2, 'done.labels("late").inc(2_500_000); took.labels("x").observe(0.05); live.inc()'),
        (3, 'done.labels("late").inc(0.1)'),
    ):
        count(tmp_path, pid, body)
        shown = shared.expose(accept)
        assert (set(shown.body.decode().splitlines()), shown.content_type) == merged(tmp_path, accept)
        # Again, from what is known by now.
        assert shared.expose(accept) == shown


@pytest.mark.slow  # real processes
def test_file_that_took_the_place_of_another_is_read_anew(tmp_path: Path) -> None:
    """Process ids come round again, and so do the numbers of files."""
    count(tmp_path, 7, 'done.labels("first").inc(4)')
    shared = SharedCounters(tmp_path)
    assert b'done_total{what="first"} 4.0' in shared.expose("").body
    for file in tmp_path.glob("*.db"):
        file.unlink()
    count(tmp_path, 7, 'done.labels("other").inc(9)')
    shown = shared.expose("").body
    assert b'done_total{what="other"} 9.0' in shown
    assert b"first" not in shown


@pytest.mark.slow  # real processes
def test_files_that_are_gone_are_not_kept_open(tmp_path: Path) -> None:
    shared = SharedCounters(tmp_path)
    for pid in range(10, 13):
        count(tmp_path, pid, 'done.labels("a").inc()')
        shared.expose("")
        for file in tmp_path.glob("*.db"):
            file.unlink()
    shared.expose("")
    held = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [path for path in held if path.startswith(str(tmp_path)) and ".db" in path]


@pytest.mark.slow  # real processes
def test_gauge_that_cannot_be_added_up_is_refused(tmp_path: Path) -> None:
    count(tmp_path, 5, "live.set(3)", mode="max")
    with pytest.raises(ValueError, match="saw 'max'"):
        SharedCounters(tmp_path).expose("")


def test_formats_that_clients_think_up_do_not_pile_up(tmp_path: Path) -> None:
    kept = Counts(str(tmp_path / "counter_1.db"))
    kept.write_value(mmap_key("n", "n_total", [], [], "N."), 2.0, 0.0)
    shared = SharedCounters(tmp_path)
    for minor in range(100):
        shown = shared.expose(f"application/openmetrics-text; version=1.{minor}.0")
        assert b"n_total 2.0" in shown.body
    assert len(shared._layout._texts) <= 10
    kept.close()


def test_counter_file_reads_values_that_are_added_and_changed(tmp_path: Path) -> None:
    kept = Counts(str(tmp_path / "counter_1.db"))
    file = CounterFile(tmp_path / "counter_1.db")
    assert (file.keys, file.read()) == ([], ())
    for size in range(40):
        kept.write_value("k" * size, float(size), 0.0)
        assert file.read() == tuple(float(one) for one in range(size + 1))
    # More than the file's first size.
    for number in range(3000):
        kept.write_value(f"key number {number}", 1.5, 0.0)
    kept.write_value("k", -8.25, 0.0)
    values = file.read()
    assert values == tuple(value for _, value, _ in kept.read_all_values())
    assert (len(values), file.keys[1], values[1]) == (3040, "k", -8.25)
    kept.close()


def test_counter_file_without_a_size_yet_has_no_values(tmp_path: Path) -> None:
    path = tmp_path / "counter_1.db"
    path.touch()
    file = CounterFile(path)
    assert file.read() == ()
    path.write_bytes(struct.pack("=i4x", 0) + bytes(56))
    assert file.read() == ()


Labels = tuple[str, str]
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.floats().map(abs)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["counter", "gauge", "histogram"]), st.integers(0, 2), st.one_of(st.just(1.0), NUMBERS)),
    max_size=12,
)


class Counted:
    """Metrics of the client's own in a registry of their own, and their values by the keys that its files would have."""

    def __init__(self, children: list[Labels]) -> None:
        self.registry = CollectorRegistry()
        names = ["a", "b"]
        done = Counter("done", 'In % of "all".', names, registry=self.registry)
        live = Gauge("live", "Now\nand then.", names, registry=self.registry)
        took = Histogram("took_seconds", "Time.", names, buckets=(0.1, 1, 10), registry=self.registry)
        self.children: dict[str, list[Any]] = {
            kind: [metric.labels(*one) for one in children]
            for kind, metric in (("counter", done), ("gauge", live), ("histogram", took))
        }
        self.keys: list[SeriesKey] = []
        self.read: list[Callable[[], float]] = []
        for labels, one in zip(children, self.children["counter"], strict=True):
            self._key("counter", ("done", "done_total", names, labels, 'In % of "all".'), one._value)
        for labels, one in zip(children, self.children["gauge"], strict=True):
            self._key("gauge", ("live", "live", names, labels, "Now\nand then."), one._value)
        for labels, one in zip(children, self.children["histogram"], strict=True):
            for bound, bucket in zip(("0.1", "1.0", "10.0", "+Inf"), one._buckets, strict=True):
                self._key(
                    "histogram",
                    ("took_seconds", "took_seconds_bucket", [*names, "le"], (*labels, bound), "Time."),
                    bucket,
                )
            self._key("histogram", ("took_seconds", "took_seconds_sum", names, labels, "Time."), one._sum)

    def _key(self, kind: str, parts: tuple[Any, ...], value: Any) -> None:
        self.keys.append(SeriesKey(kind, mmap_key(*parts)))
        self.read.append(value.get)

    def happen(self, kind: str, child: int, number: float) -> None:
        one: Any = self.children[kind][child % len(self.children[kind])]
        if kind == "gauge":
            one.set(number)
        elif not (kind == "counter" and math.isnan(number)):
            (one.inc if kind == "counter" else one.observe)(number)


@given(
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3, unique=True),
    st.lists(EVENTS, min_size=1, max_size=4),
    st.sampled_from(ACCEPTS),
)
def test_each_exposition_is_to_the_byte_what_the_client_writes(
    children: list[Labels], scrapes: list[list[tuple[str, int, float]]], accept: str
) -> None:
    """Over several scrapes, between which some numbers change and most do not."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    counted = Counted(children)
    layout = Layout(counted.keys)
    encode, content_type = choose_encoder(accept)
    for events in scrapes:
        for event in events:
            counted.happen(*event)
        found = layout.expose([read() for read in counted.read], accept)
        assert found == (encode(counted.registry), content_type)


def test_an_exposition_of_nothing_and_one_of_one_series_are_what_the_client_writes() -> None:
    registry = CollectorRegistry()
    encode, content_type = choose_encoder(OPEN_METRICS)
    assert Layout(()).expose([], OPEN_METRICS) == (encode(registry), content_type)
    Gauge("live", "Now.", registry=registry).set(2.5)
    alone = Layout([SeriesKey("gauge", mmap_key("live", "live", [], [], "Now."))])
    assert alone.expose([2.5], OPEN_METRICS).body == encode(registry)


@pytest.mark.slow  # real processes
def test_worker_that_comes_to_a_folder_long_unchanged_is_read(tmp_path: Path) -> None:
    """Unchanged for long, the folder is not listed again; with a new file in it, it is."""
    shared = SharedCounters(tmp_path)
    count(tmp_path, 1, 'done.labels("first").inc(4)')
    shared.expose("")
    long_ago = time.time() - 60
    for number in range(2, 6):
        os.utime(tmp_path, (long_ago + number, long_ago + number))
        assert b'done_total{what="first"} 4.0' in shared.expose("").body
        assert shared.expose("").body == shared.expose("").body
        count(tmp_path, number, f'done.labels("of {number}").inc({number})')
        assert f'done_total{{what="of {number}"}} {number}.0'.encode() in shared.expose("").body


def test_same_header_is_answered_anew_once_a_number_changed(tmp_path: Path) -> None:
    kept = Counts(str(tmp_path / "counter_1.db"))
    key = mmap_key("n", "n_total", [], [], "N.")
    shared = SharedCounters(tmp_path)
    for value in (1.0, 2.0, 2.0, 3.0):
        kept.write_value(key, value, 0.0)
        for accept in ("", "text/plain", "application/openmetrics-text; version=1.0.0"):
            assert f"n_total {value}\n".encode() in shared.expose(accept).body
    kept.close()


def test_file_that_came_in_the_same_tick_as_a_scrape_is_read(tmp_path: Path) -> None:
    """The system's clock for files is coarse: two changes of a folder can bear one time."""
    shared = SharedCounters(tmp_path)
    tick = time.time_ns() + 10**10
    for number in range(3):
        kept = Counts(str(tmp_path / f"counter_{number}.db"))
        kept.write_value(mmap_key("n", "n_total", [], [], "N."), 1.0, 0.0)
        kept.close()
        os.utime(tmp_path, ns=(tick, tick))
        assert f"n_total {number + 1}.0\n".encode() in shared.expose("").body
