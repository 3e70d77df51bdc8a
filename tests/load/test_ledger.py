"""The ledger's files and questions."""

from __future__ import annotations

import itertools
import random
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from sloproof.errors import LedgerError
from sloproof.load.ledger import Clock, Entry, Ledger, LedgerWriter
from sloproof.load.ledger_file import LedgerFile, Row
from sloproof.model import NANOSECONDS, Window, instant_from_ns

_START = 1_700_000_000 * NANOSECONDS


def entry(number: int, **changes: object) -> Entry:
    start = _START + number * 1_000_000
    values = {
        "intended_ns": start, "start_ns": start, "duration_ns": 5_000_000, "method": "GET", "path": "/a?x=1",
        "endpoint": "/a", "status": 200, "failure": "", "request_id": f"run-1-0-{number}", "bytes": 2,
    }  # fmt: skip
    return Entry(**{**values, **changes})  # type: ignore[arg-type]


def written(path: Path, entries: list[Entry], **options: object) -> Path:
    with LedgerWriter(path, run_id="run", **options) as writer:  # type: ignore[arg-type]
        for one in sorted(entries, key=lambda one: one.end_ns):
            writer.write(one)
    return path


def window(first_ms: float, last_ms: float) -> Window:
    return Window(instant_from_ns(_START + int(first_ms * 1e6)), instant_from_ns(_START + int(last_ms * 1e6)))


def test_ledger_returns_what_was_written(tmp_path: Path) -> None:
    entries = [entry(0), entry(1, path="/ü?\n", failure="timeout", status=0), entry(2, method="POST")]
    written(tmp_path / "a.jsonl", entries)
    assert list(Ledger.open(tmp_path).entries()) == entries


def test_ledger_merges_processes_by_start(tmp_path: Path) -> None:
    draw = random.Random(3)
    entries = [entry(n, duration_ns=draw.randrange(1, 900_000_000)) for n in range(9000)]
    for process in range(3):
        written(tmp_path / f"{process}.jsonl", entries[process::3], process=process, horizon_ns=NANOSECONDS)
    assert list(Ledger.open(tmp_path).entries()) == entries


def test_ledger_reads_more_files_than_may_be_open(tmp_path: Path) -> None:
    """Files are opened in their turn: a run leaves one a burst."""
    resource = pytest.importorskip("resource")
    entries = [entry(n * 100) for n in range(150)]
    for one in entries:
        written(tmp_path / f"{one.request_id}.jsonl", [one])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        assert list(Ledger.open(tmp_path).entries()) == entries
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ledger_window_holds_what_started_in_it_both_ends_included(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [entry(n) for n in range(10)])
    found = Ledger.open(tmp_path).entries(window(3, 5))
    assert [one.request_id for one in found] == ["run-1-0-3", "run-1-0-4", "run-1-0-5"]
    assert Ledger.open(tmp_path).tally(window(20, 30)).sent == 0


def test_ledger_leaves_closed_files_outside_the_window_unread(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [entry(n) for n in range(10)])
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"run-1-0-5"', b"damage"))
    assert list(Ledger.open(tmp_path).entries(window(100, 200))) == []
    with pytest.raises(LedgerError):
        list(Ledger.open(tmp_path).entries(window(0, 1)))


def test_ledger_filters_by_endpoint_method_and_load(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [entry(0), entry(1, endpoint="/b")], load="one")
    written(tmp_path / "b.jsonl", [entry(2, method="POST")], load="two")
    ledger = Ledger.open(tmp_path)
    assert [one.endpoint for one in ledger.entries(endpoint="/b")] == ["/b"]
    assert [one.method for one in ledger.entries(method="POST")] == ["POST"]
    assert len(list(ledger.entries(load="one"))) == 2
    assert ledger.tally(load="two").certain == {("/a", "POST", 200): 1}


def test_ledger_tally_tells_certain_from_unknown_from_never_arrived(tmp_path: Path) -> None:
    kinds = ["", "", "timeout", "reset", "protocol", "refused", "connect", "unsent"]
    written(tmp_path / "a.jsonl", [entry(n, failure=kind, status=0 if kind else 200) for n, kind in enumerate(kinds)])
    tally = Ledger.open(tmp_path).tally()
    assert tally.certain == {("/a", "GET", 200): 2}
    assert tally.unknown == {("/a", "GET"): 3}
    assert (tally.refused, tally.unsent, tally.sent) == (2, 1, 7)
    assert len(set(Ledger.open(tmp_path).request_ids())) == 7


def test_ledger_quantile_is_a_latency_that_occurred(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [entry(n, duration_ns=(n + 1) * 1_000_000) for n in range(20)])
    ledger = Ledger.open(tmp_path)
    assert [ledger.quantile(q) for q in (0, 0.5, 0.95, 0.96, 1)] == [
        timedelta(milliseconds=ms) for ms in (1, 10, 19, 20, 20)
    ]
    with pytest.raises(LedgerError, match="between 0 and 1"):
        ledger.quantile(95)


def test_ledger_quantile_counts_timeouts_and_not_refusals(tmp_path: Path) -> None:
    """Leaving timeouts out would make an outage look fast; counting refusals would too."""
    entries = [entry(0), entry(1, failure="timeout", status=0, duration_ns=10 * NANOSECONDS)]
    written(tmp_path / "a.jsonl", [*entries, entry(2, failure="refused", status=0, duration_ns=1)])
    assert Ledger.open(tmp_path).quantile(1) == timedelta(seconds=10)
    assert Ledger.open(tmp_path).quantile(0) == timedelta(milliseconds=5)


def test_ledger_quantile_from_intended_holds_the_wait(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [entry(0, intended_ns=_START - NANOSECONDS)])
    assert Ledger.open(tmp_path).quantile(0.5, from_="intended") == timedelta(seconds=1, milliseconds=5)


def test_ledger_of_nothing_has_no_quantile_and_no_seconds(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [])
    assert Ledger.open(tmp_path).quantile(0.5) is None
    assert Ledger.open(tmp_path).per_second() == ()


def test_ledger_per_second_keeps_idle_seconds(tmp_path: Path) -> None:
    entries = [entry(0), entry(10, status=500), entry(2000, failure="refused", status=0), entry(2001, failure="unsent")]
    written(tmp_path / "a.jsonl", entries)
    first, idle, last = Ledger.open(tmp_path).per_second()
    assert (first.sent, first.failed, first.p50) == (2, 1, timedelta(milliseconds=5))
    assert (idle.sent, idle.p99) == (0, None)
    assert (last.sent, last.failed, last.p50) == (1, 1, None)
    assert last.at - first.at == timedelta(seconds=2)


def test_ledger_is_readable_while_it_is_written(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "a.jsonl", run_id="run")
    assert list(Ledger.open(tmp_path).entries()) == []
    writer.write(entry(0))
    writer.write(entry(1))
    writer.flush()
    assert len(list(Ledger.open(tmp_path).entries())) == 2
    writer.write(entry(200))
    assert len(list(Ledger.open(tmp_path).entries())) == 3, "expected a write 100 ms after the last to flush by itself"
    writer.close()
    writer.close()
    assert len(list(Ledger.open(tmp_path).entries())) == 3


@pytest.mark.parametrize("cut", [1, 10, 60, 80])
def test_ledger_forgives_a_torn_last_line(tmp_path: Path, cut: int) -> None:
    """A writer that was killed, or is in the middle of a write, leaves part of a line."""
    writer = LedgerWriter(tmp_path / "a.jsonl", run_id="run")
    writer.write(entry(0))
    writer.write(entry(1))
    writer.close()
    whole, _, _ = writer.path.read_bytes()[:-1].rpartition(b"\n")  # without the last line, that of a closed file
    writer.path.write_bytes((whole + b"\n")[:-cut])
    assert list(Ledger.open(tmp_path).entries()) == [entry(0)]


@pytest.mark.parametrize("size", [0, 1, 40])
def test_ledger_forgives_a_file_that_just_begins(tmp_path: Path, size: int) -> None:
    path = written(tmp_path / "a.jsonl", [entry(0)])
    path.write_bytes(path.read_bytes()[:size])
    assert list(Ledger.open(tmp_path).entries()) == []


def test_ledger_names_the_damaged_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [entry(n) for n in range(10)])
    lines = path.read_bytes().split(b"\n")
    lines[4] = lines[4][:30]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(LedgerError) as caught:
        Ledger.open(tmp_path).tally()
    assert caught.value.details["at"] == f"{path}:5"


def test_ledger_misses_a_line_that_was_taken_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [entry(n) for n in range(10)])
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:4] + lines[5:]))
    with pytest.raises(LedgerError, match="10 were written and 9 are there"):
        Ledger.open(tmp_path).tally()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b'{"format":"x"}\n', "no header"),
        (b"not json\n", "no header"),
        (b"x" * 20_000, "no header"),
    ],
)
def test_ledger_refuses_what_is_no_ledger(tmp_path: Path, header: bytes, message: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(header)
    with pytest.raises(LedgerError, match=message):
        Ledger.open(tmp_path).tally()


def test_ledger_refuses_another_version(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [])
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    with pytest.raises(LedgerError, match="version 1, got sloproof-ledger version 2"):
        Ledger.open(tmp_path).tally()


def test_ledger_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="No such file"):
        Ledger.open([tmp_path / "a.jsonl"]).tally()


def test_writer_refuses_a_file_that_exists(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [entry(0)])
    with pytest.raises(LedgerError, match="exists"):
        LedgerWriter(path, run_id="run")
    assert len(list(Ledger.open(path).entries())) == 1


def test_header_notes_the_clock_and_the_owner(tmp_path: Path) -> None:
    clock = Clock.anchored()
    header = LedgerFile(written(tmp_path / "a.jsonl", [], load="x", process=3, clock=clock)).header
    assert header is not None
    assert (header.load, header.process, header.clock, header.run_id) == ("x", 3, clock, "run")


def test_clock_follows_the_monotonic_clock() -> None:
    clock = Clock(wall_ns=_START, monotonic_ns=1000)
    assert clock.unix_ns(1500) == _START + 500
    assert abs(Clock.anchored().stepped_ns()) < NANOSECONDS // 2
    now = Clock.anchored()
    assert abs(Clock(now.wall_ns - NANOSECONDS, now.monotonic_ns).stepped_ns() - NANOSECONDS) < NANOSECONDS // 2


def test_ledger_of_100000_parses_within_a_second_in_little_memory(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [entry(n) for n in range(100_000)])
    ledger = Ledger.open(tmp_path)

    def spent() -> float:
        begin = time.process_time()
        assert sum(1 for _ in ledger.entries()) == 100_000
        return time.process_time() - begin

    assert any(spent() < 1.0 for _ in range(3))
    tracemalloc.start()
    try:
        assert next(ledger.entries()) == entry(0)
        for _ in itertools.islice(ledger.entries(), 20_000):
            pass
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_quantile_of_many_is_the_same_as_of_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(7)
    rows: list[Row] = [
        (0, number, round(draw.lognormvariate(16, 2)), "GET", "/", "/", 200, "", str(number), 0)
        for number in range(3000)
    ]
    with LedgerWriter(tmp_path / "a.jsonl", run_id="r") as writer:
        writer.write_rows(rows)
    ledger = Ledger.open(tmp_path)
    shares = (0, 0.001, 0.5, 0.9, 0.999, 1)
    few = [ledger.quantile(q) for q in shares]
    monkeypatch.setattr("sloproof.load.ledger._FEW", 10)
    assert [ledger.quantile(q) for q in shares] == few


def test_rows_written_together_are_as_those_written_one_by_one(tmp_path: Path) -> None:
    rows: list[Row] = [(n, 10**18 + n * 3 % 7, n, "GET", f"/{n}", "/", 200, "", f"r-{n}", n) for n in range(20)]
    with LedgerWriter(tmp_path / "one.jsonl", run_id="r") as writer:
        for row in rows:
            writer.write(Entry(*row))
    with LedgerWriter(tmp_path / "all.jsonl", run_id="r") as writer:
        writer.write_rows(rows[:9])
        writer.write_rows([])
        writer.write_rows(rows[9:])
    one, together = (LedgerFile(tmp_path / name) for name in ("one.jsonl", "all.jsonl"))
    assert one.footer == together.footer
    assert list(itertools.chain(*one.blocks())) == list(itertools.chain(*together.blocks()))


def test_counts_tell_seconds_endpoints_and_statuses_apart(tmp_path: Path) -> None:
    start = 1_700_000_000
    with LedgerWriter(tmp_path / "a.jsonl", run_id="r") as writer:
        for second, status, failure in [(0, 200, ""), (0, 200, ""), (1, 500, ""), (1, 0, "reset"), (1, 0, "unsent")]:
            at = (start + second) * 10**9
            writer.write(Entry(at, at, 5, "GET", "/a", "/a", status, failure, "x", 0))
    assert Ledger.open(tmp_path).counts() == {
        (start, "/a", "GET", 200): 2,
        (start + 1, "/a", "GET", 500): 1,
        (start + 1, "/a", "GET", 0): 1,
    }
