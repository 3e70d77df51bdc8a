from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from sloproof.barrier import Anchor, sentinel_id
from sloproof.checks.evidence import Bounds, RequestKey
from sloproof.errors import UnavailableError
from sloproof.load.ledger import Entry, Ledger, LedgerWriter
from sloproof.model import LogEntry, Series
from sloproof.observation import Observation
from tests.fakes import INSTANCE, OWN, SETTINGS, FakeLoki, FakePrometheus, after, entry, seconds, series

COUNTER = 'requests_total{job="api"}'
UP = 'up{job="api"}'
OTHER = "127.0.0.1:9000"
FIRST_NS = 1_772_366_400_000_000_123
LAST_NS = FIRST_NS + 1_000_000_777


def observation(
    folder: Path,
    *,
    counted: Sequence[Series] = (),
    up: Sequence[Series] = (),
    lines: Sequence[LogEntry] = (),
    entries: Sequence[Entry] = (),
    before: Anchor | None = None,
    after_: Anchor | None = None,
) -> Observation:
    with LedgerWriter(folder / "load.jsonl", run_id="run") as writer:
        for one in entries:
            writer.write(one)
    return Observation(
        settings=SETTINGS,
        prometheus=FakePrometheus({COUNTER: counted, UP: up}),
        loki=FakeLoki(lines),
        ledger=Ledger.open(folder),
        before=before or Anchor(at=after(0), covers=after(-0.1), waited=seconds(0), log_at_ns=FIRST_NS),
        after=after_ or Anchor(at=after(2), covers=after(1.9), waited=seconds(0), log_at_ns=LAST_NS),
    )


def scraped(instance: str = INSTANCE) -> Series:
    return series({0: 1, 1: 1, 2: 1}, **(OWN | {"instance": instance}), __name__="up")


def counter(first: float, last: float, instance: str = INSTANCE, status: str = "200") -> Series:
    labels = OWN | {"instance": instance, "__name__": "requests_total", "endpoint": "/", "method": "GET"}
    return series({0: first, 1: first, 2: last}, **labels, status=status)


def test_log_window_is_exact_between_the_two_sentinels(tmp_path: Path) -> None:
    """The line of the first sentinel belongs to what was before, that of the second to what is judged."""
    times = (FIRST_NS - 1, FIRST_NS, FIRST_NS + 1, LAST_NS - 1, LAST_NS, LAST_NS + 1)
    seen = observation(tmp_path, lines=[LogEntry(time, str(number)) for number, time in enumerate(times)])
    assert [one.line for one in seen.log_entries] == ["2", "3", "4"]


@pytest.mark.parametrize("missing", ["before", "after"])
def test_log_lines_are_none_where_an_end_has_no_log_evidence(tmp_path: Path, missing: str) -> None:
    blind = Anchor(at=after(1), covers=after(1), waited=seconds(0), dead={"logs": "loki was stopped"})
    lines = [LogEntry(FIRST_NS + 5, "x")]
    if missing == "before":
        seen = observation(tmp_path, lines=lines, before=blind)
    else:
        seen = observation(tmp_path, lines=lines, after_=blind)
    assert seen.streams == ()
    assert seen.dead == {"logs": "loki was stopped"}


def test_dead_is_what_was_dead_at_either_end(tmp_path: Path) -> None:
    seen = observation(
        tmp_path,
        before=Anchor(at=after(0), covers=after(0), waited=seconds(0), dead={"metrics": "a"}),
        after_=Anchor(at=after(1), covers=after(1), waited=seconds(0), dead={"logs": "b"}),
    )
    assert seen.dead == {"metrics": "a", "logs": "b"}


def test_partial_answer_is_refused(tmp_path: Path) -> None:
    seen = observation(tmp_path, counted=[counter(0, 5)], up=[scraped()])
    assert isinstance(seen.prometheus, FakePrometheus)
    seen.prometheus.warnings = ("a store did not answer",)
    with pytest.raises(UnavailableError, match="expected a whole answer") as caught:
        _ = seen.request_counts
    assert "a store did not answer" in str(caught.value)
    with pytest.raises(UnavailableError):
        seen.samples("in_flight")


def test_counters_are_summed_over_instances(tmp_path: Path) -> None:
    seen = observation(
        tmp_path,
        counted=[counter(10, 15), counter(100, 107, OTHER), counter(0, 1, OTHER, status="500")],
        up=[scraped(), scraped(OTHER)],
    )
    assert seen.request_counts == {
        RequestKey("/", "GET", 200): Bounds(12, 12),
        RequestKey("/", "GET", 500): Bounds(1, 1),
    }


def test_series_born_in_the_stretch_counts_from_zero(tmp_path: Path) -> None:
    born = series({1: 4, 2: 6}, **(OWN | {"endpoint": "/", "method": "GET"}), status="200")
    seen = observation(tmp_path, counted=[born], up=[scraped()])
    assert seen.request_counts == {RequestKey("/", "GET", 200): Bounds(6, 6)}


def test_samples_after_the_second_anchor_are_left_out(tmp_path: Path) -> None:
    late = series({0: 1, 1: 1, 2: 3, 2.01: 50}, **(OWN | {"endpoint": "/", "method": "GET"}), status="200")
    seen = observation(tmp_path, counted=[late], up=[scraped()])
    assert seen.request_counts == {RequestKey("/", "GET", 200): Bounds(2, 2)}


def test_ledger_entries_are_those_of_the_stretch(tmp_path: Path) -> None:
    entries = [
        entry(-0.2, request_id="too-early"),
        entry(0.5, request_id="in"),
        entry(1.0, request_id=sentinel_id("run", 2)),
        entry(1.5, request_id="lost", failure="timeout", status=0),
        entry(1.95, request_id="too-late"),
    ]
    seen = observation(tmp_path, entries=entries)
    assert [one.request_id for one in seen.sent_entries] == ["in", "lost"]
    assert seen.sent_counts == {RequestKey("/", "GET", 200): 2}
    assert seen.tally.unknown == {("/", "GET"): 1}


def test_lines_are_counted_by_what_they_say(tmp_path: Path) -> None:
    texts = (
        "[INFO] GET / 200 0.010s - request_id=a",
        "[INFO] GET / 200 0.010s - request_id=b",
        "[ERROR] GET / 500 0.010s - request_id=c",
        "[INFO] started - request_id=-",
        "nonsense",
    )
    lines = [LogEntry(FIRST_NS + number + 1, text) for number, text in enumerate(texts)]
    seen = observation(tmp_path, lines=lines)
    assert seen.logged_counts == {RequestKey("/", "GET", 200): 2, RequestKey("/", "GET", 500): 1}
    assert [len(stream) for stream in seen.request_lines_by_stream] == [3]
    assert len(seen.lines) == len(texts)


def test_each_question_is_asked_once(tmp_path: Path) -> None:
    seen = observation(tmp_path, counted=[counter(0, 5)], up=[scraped()], lines=[LogEntry(LAST_NS, "x")])
    assert isinstance(seen.prometheus, FakePrometheus)
    assert isinstance(seen.loki, FakeLoki)
    for _ in range(2):
        _ = seen.request_counts, seen.streams
    assert seen.prometheus.asked == [COUNTER, UP]
    assert len(seen.loki.asked) == 1


def test_query_can_be_asked_again_by_hand(tmp_path: Path) -> None:
    query = observation(tmp_path).query_of(COUNTER)
    assert query.text == f"{COUNTER}[8s]"
    assert query.url


@pytest.mark.parametrize(("interval", "age"), [(None, 5), (0.2, 5), (30, 150)])
def test_age_of_a_sample_that_stands_for_an_anchor_follows_the_scrape(
    tmp_path: Path, interval: float | None, age: float
) -> None:
    seen = observation(tmp_path)
    seen.after = dataclasses.replace(seen.after, scrape_interval=seconds(interval) if interval else None)
    assert seen.max_age == seconds(age)
