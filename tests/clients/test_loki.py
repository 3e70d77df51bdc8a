from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.clients.loki import LokiClient
from sloproof.errors import QueryError, UnavailableError
from sloproof.model import LogEntry, Sample, Stream, Window, ns_from_instant
from tests.clients.recorded import Answer, Asked, always, data, http

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(seconds=1))
BEGIN = ns_from_instant(START)

Line = tuple[int, str, str]


class Store:
    """Answers as Loki does: from start to before end, oldest first, so many at most, ties in any order."""

    def __init__(self, lines: list[Line], *, limit: int = 5000, shuffle: int = 0) -> None:
        self.lines = lines
        self.limit = limit
        self.shuffle = shuffle

    def __call__(self, asked: Asked) -> Answer:
        start, end, limit = (int(asked.one(name)) for name in ("start", "end", "limit"))
        assert asked.one("direction") == "forward"
        if limit > self.limit:
            text = f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {self.limit})"
            return Answer(text, 400)
        self.shuffle = self.shuffle * 31 % 101
        found = sorted(
            (line for line in self.lines if start <= line[0] < end), key=lambda one: (one[0], hash((one, self.shuffle)))
        )
        streams: dict[str, list[list[Any]]] = {}
        for time_ns, app, text in found[:limit]:
            streams.setdefault(app, []).append([str(time_ns), text])
        result = [{"stream": {"app": app}, "values": values} for app, values in streams.items()]
        return data({"resultType": "streams", "result": result})


def read(store: Store, page: int, limit: int | None = None) -> list[Line]:
    client = LokiClient(http(store)[0], page=page)
    streams = client.query_range('{app=~".+"}', WINDOW, limit=limit)
    assert all(list(one.entries) == sorted(one.entries, key=lambda entry: entry.time_ns) for one in streams)
    assert len({one.labels["app"] for one in streams}) == len(streams)
    return [(entry.time_ns, one.labels["app"], entry.line) for one in streams for entry in one.entries]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from("ab"), st.sampled_from("xyz")), max_size=60),
    st.integers(1, 70),
    st.integers(0, 100),
)
def test_query_range_loses_and_doubles_no_line_at_a_page_border(
    lines: list[tuple[int, str, str]], page: int, shuffle: int
) -> None:
    """Lines that share a nanosecond, equal ones included, over any page size: all of them, or a clear error."""
    there = [(BEGIN + offset, app, text) for offset, app, text in lines]
    most = max(Counter(time_ns for time_ns, _, _ in there).values(), default=0)
    try:
        found = read(Store(there, shuffle=shuffle), page)
    except QueryError:
        assert most >= page, "refused without need"
    else:
        assert Counter(found) == Counter(there)


def test_query_range_keeps_equal_lines_on_both_sides_of_a_page_border() -> None:
    """Five lines that nothing tells apart, the border between them: each is there as often as it was written."""
    there = [(BEGIN, "a", "x"), *[(BEGIN + 1, "a", "same")] * 5, (BEGIN + 2, "a", "z")]
    assert [text for _, _, text in read(Store(there), 6)] == ["x", *["same"] * 5, "z"]


def test_query_range_includes_both_ends_to_the_nanosecond() -> None:
    end = ns_from_instant(WINDOW.end)
    there = [(BEGIN - 1, "a", "before"), (BEGIN, "a", "first"), (end, "a", "last"), (end + 1, "a", "after")]
    assert [text for _, _, text in read(Store(there), 10)] == ["first", "last"]


def test_query_range_stops_at_the_limit_with_the_oldest() -> None:
    there = [(BEGIN + number // 3, "ab"[number % 2], str(number)) for number in range(40)]
    for limit, shuffle in product((1, 7, 10, 11, 39, 40, 41), range(6)):
        found = read(Store(there, shuffle=shuffle), 10, limit)
        assert len(found) == min(limit, 40)
        assert max(found)[0] <= BEGIN + (limit - 1) // 3


def test_query_range_asks_for_less_where_the_servers_limit_is_lower() -> None:
    there = [(BEGIN + number, "a", str(number)) for number in range(95)]
    server, transport = http(Store(there, limit=20))
    client = LokiClient(server)
    (stream,) = client.query_range("{}", WINDOW)
    assert len(stream.entries) == 95
    asked = len(transport.asked)
    client.query_range("{}", WINDOW)
    assert len(transport.asked) == 2 * asked - 1, "the limit was not remembered"


def test_query_range_keeps_nanoseconds_and_leaves_structured_metadata_out_of_the_labels() -> None:
    values = [
        [str(BEGIN + 1), "a", {"structuredMetadata": {"trace": "1"}}],
        [str(BEGIN + 2), "b", {"structuredMetadata": {"trace": "2"}, "parsed": {"level": "error"}}],
        [str(BEGIN + 3), "c", {}],
        [str(BEGIN + 4), "d"],
    ]
    server, transport = http(data({"resultType": "streams", "result": [{"stream": {"app": "x"}, "values": values}]}))
    plain, parsed = LokiClient(server).query_range("{}", WINDOW)
    assert transport.asked[0].headers["X-Loki-Response-Encoding-Flags"] == "categorize-labels"
    assert plain == Stream({"app": "x"}, (LogEntry(BEGIN + 1, "a"), LogEntry(BEGIN + 3, "c"), LogEntry(BEGIN + 4, "d")))
    assert parsed == Stream({"app": "x", "level": "error"}, (LogEntry(BEGIN + 2, "b"),))


def test_query_range_refuses_a_metric_query_and_a_part() -> None:
    with pytest.raises(QueryError, match="log query"):
        LokiClient(always(data({"resultType": "matrix", "result": []}))).query_range("rate()", WINDOW)
    whole = {"resultType": "streams", "result": []}
    with pytest.raises(UnavailableError, match="part"):
        LokiClient(always(data(whole, warnings=["a querier failed"]))).query_range("{}", WINDOW)
    with pytest.raises(QueryError, match="400"):
        LokiClient(always(Answer("parse error (2 > 1)", 400))).query_range("{", WINDOW)


def test_query_gives_numbers_and_refuses_lines() -> None:
    vector = {"resultType": "vector", "result": [{"metric": {"app": "x"}, "value": [1772366400.5, "3"]}]}
    server, transport = http(data(vector))
    (series,) = LokiClient(server).query("count", START)
    assert (series.labels, series.samples) == ({"app": "x"}, (Sample(START + timedelta(seconds=0.5), 3),))
    assert transport.asked[0].one("time") == str(BEGIN)
    scalar = {"resultType": "scalar", "result": [6073092685173, "2"]}
    assert LokiClient(always(data(scalar))).query("1+1", START)[0].samples == (Sample(START, 2),)
    with pytest.raises(QueryError, match="metric query"):
        LokiClient(always(data({"resultType": "streams", "result": []}))).query("{}", START)


def test_labels_values_and_series_are_empty_where_loki_answers_without_data() -> None:
    client = LokiClient(always(Answer('{"status":"success"}')))
    assert (client.labels(WINDOW), client.label_values("a", WINDOW), client.series(["{}"], WINDOW)) == ((), (), ())
    server, transport = http(data([{"app": "x"}]))
    assert LokiClient(server).series(['{app="x"}', '{app="y"}'], WINDOW) == ({"app": "x"},)
    assert transport.asked[0].parameters["match[]"] == ['{app="x"}', '{app="y"}']


def test_push_writes_nanoseconds_and_tells_a_refusal_from_an_overload() -> None:
    server, transport = http(Answer("", 204), tenant="a")
    LokiClient(server).push([Stream({"app": "x"}, (LogEntry(BEGIN + 1, "line"),))])
    assert json.loads(transport.asked[0].body or "") == {
        "streams": [{"stream": {"app": "x"}, "values": [[str(BEGIN + 1), "line"]]}]
    }
    assert transport.asked[0].headers["X-Scope-OrgID"] == "a"
    with pytest.raises(QueryError, match="400"):
        LokiClient(always(Answer("entry too far behind", 400))).push([])
    with pytest.raises(UnavailableError, match="429"):
        LokiClient(always(Answer("ingestion rate limit exceeded", 429))).push([])


def test_query_url_covers_the_hour_up_to_and_with_the_instant() -> None:
    url = LokiClient(always(Answer())).query_url("{}", START)
    assert f"end={BEGIN + 1}" in url
    assert f"start={BEGIN - 3600 * 10**9}" in url


def test_query_steps_gives_numbers_and_refuses_lines() -> None:
    matrix = {
        "resultType": "matrix",
        "result": [{"metric": {"app": "x"}, "values": [[1772366400, "3"], [1772366460, "4"]]}],
    }
    server, transport = http(data(matrix))
    (series,) = LokiClient(server).query_steps("count", WINDOW, timedelta(minutes=1))
    assert (series.labels, [one.value for one in series.samples]) == ({"app": "x"}, [3, 4])
    assert transport.asked[0].one("step") == "60.000"
    with pytest.raises(QueryError, match="metric query"):
        LokiClient(always(data({"resultType": "streams", "result": []}))).query_steps(
            "{}", WINDOW, timedelta(minutes=1)
        )
