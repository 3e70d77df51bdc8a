"""Against a real Loki with the configuration of the local environment."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sloproof.clients.loki import LokiClient
from sloproof.errors import QueryError
from sloproof.model import LogEntry, Stream, Window, instant_from_ns
from tests.loki_server import loki_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow  # real processes and real time


@pytest.fixture(scope="module")
def address(tool_path: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with loki_server(tool_path("loki"), tmp_path_factory.mktemp("loki")) as address:
        yield address


def _push(address: str, app: str, offsets: list[int]) -> tuple[Window, int]:
    """Write one line an offset, over two streams, and return the window from the first to the last, and its begin."""
    begin = time.time_ns() // 1000 * 1000 - 2_000_000_000
    entries = [LogEntry(begin + offset, f"line {number}") for number, offset in enumerate(sorted(offsets))]
    LokiClient(address).push(
        [Stream({"app": app, "part": str(part)}, tuple(entries[part::2])) for part in range(2) if entries[part::2]]
    )
    return Window(instant_from_ns(begin), instant_from_ns(begin + max(offsets))), begin


@pytest.mark.parametrize("page", [23, 64, 1999, 2000, 5000, 9999])
def test_pages_of_any_size_give_every_line_once(address: str, page: int) -> None:
    """Six lines share each microsecond, so that every page border falls into the middle of some."""
    window, _ = _push(address, f"pages-{page}", [number // 6 * 1000 for number in range(2000)])
    streams = LokiClient(address, page=page).query_range(f'{{app="pages-{page}"}}', window)
    assert [one.labels["part"] for one in streams] == ["0", "1"]
    found = Counter(entry.line for one in streams for entry in one.entries)
    assert found == Counter(f"line {number}" for number in range(2000))


def test_both_ends_of_the_window_are_in_it_to_the_nanosecond(address: str) -> None:
    _, begin = _push(address, "ends", [0, 1000, 1001, 3000, 3001])
    window = Window(instant_from_ns(begin + 1000), instant_from_ns(begin + 3000))
    streams = LokiClient(address).query_range('{app="ends"}', window)
    assert sorted(entry.time_ns - begin for one in streams for entry in one.entries) == [1000, 1001, 3000]


def test_more_lines_in_a_nanosecond_than_a_page_holds_are_refused(address: str) -> None:
    window, _ = _push(address, "same", [0] * 30)
    with pytest.raises(QueryError, match="nanosecond"):
        LokiClient(address, page=29).query_range('{app="same"}', window)
    streams = LokiClient(address, page=31).query_range('{app="same"}', window)
    assert sum(len(one.entries) for one in streams) == 30


def test_everything_else_that_is_asked_is_read(address: str) -> None:
    window, _ = _push(address, "rest", [0, 1000, 2000])
    client = LokiClient(address)
    (total,) = client.query('sum(count_over_time({app="rest"}[1m]))', datetime.now(UTC))
    assert total.samples[0].value == 3
    assert client.query("1+1", window.end)[0].samples[0].value == 2
    assert {"app", "part"} <= set(client.labels(window))
    assert client.label_values("nothing", window) == ()
    assert {"app": "rest", "part": "1"} in client.series(['{app="rest"}'], window)
    parsed = client.query_range('{app="rest"} | pattern "<word> <number>"', window)
    assert sorted(one.labels["number"] for one in parsed) == ["0", "1", "2"]
    for refused in (
        lambda: client.query_range("{", window),
        lambda: client.query_range('sum(rate({app="rest"}[1m]))', window),
        lambda: client.query('{app="rest"}', window.end),
        lambda: client.push([Stream({}, (LogEntry(1, "x"),))]),
    ):
        with pytest.raises(QueryError):
            refused()
