"""The HTTP API of Loki."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

import msgspec

from sloproof.clients._http import Http, Parameters
from sloproof.errors import QueryError, UnavailableError
from sloproof.model import Labels, LogEntry, Sample, Series, Stream, Window, ns_from_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

# The limit that a Loki has unless it is told otherwise.
PAGE = 5000
_RANGE = "/loki/api/v1/query_range"
# How Loki refuses a page beyond its limit: it names both numbers.
_OVER_LIMIT = re.compile(r"limit.*\(\s*\d+\s*>\s*(\d+)\s*\)")
# Without it, Loki makes structured metadata part of the label set, and so several streams of one.
_APART = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}

_Key = tuple[tuple[str, str], ...]


class _Line(NamedTuple):
    """One line, when it was written, and its label set."""

    time_ns: int
    key: _Key
    text: str


class _Answer(msgspec.Struct, Generic[T]):
    status: Literal["success", "error"] = "success"
    data: T | None = None
    warnings: tuple[str, ...] = ()


class _Categories(msgspec.Struct):
    parsed: dict[str, str] = {}


class _Entry(msgspec.Struct, array_like=True):
    time_ns: str
    text: str
    categories: _Categories | None = None


class _StreamJson(msgspec.Struct):
    stream: dict[str, str]
    values: list[_Entry]


class _SeriesJson(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Streams(msgspec.Struct, tag_field="resultType", tag="streams"):
    result: list[_StreamJson]


class _Matrix(msgspec.Struct, tag_field="resultType", tag="matrix"):
    result: list[msgspec.Raw]


class _NumbersJson(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Numbers(msgspec.Struct, tag_field="resultType", tag="matrix"):
    result: list[_NumbersJson]


class _Vector(msgspec.Struct, tag_field="resultType", tag="vector"):
    result: list[_SeriesJson]


class _Scalar(msgspec.Struct, tag_field="resultType", tag="scalar"):
    result: tuple[float, str]


class _Build(msgspec.Struct):
    version: str


class LokiClient:
    """Asks one Loki.

    Every method raises `UnavailableError` where no answer comes and `QueryError` where the server refuses the question.

    Args:
        server: Its base URL, or an `Http` with credentials and tenant.
        page: How many lines to ask for at once; less is asked for where the server's limit is lower.
    """

    def __init__(self, server: str | Http, *, page: int = PAGE) -> None:
        self._http = Http(server) if isinstance(server, str) else server
        self._page = page

    def within(self, timeout: timedelta) -> LokiClient:
        """Return a client of the same server that waits so long for each answer."""
        return LokiClient(self._http.within(timeout), page=self._page)

    def query_range(self, expression: str, window: Window, *, limit: int | None = None) -> tuple[Stream, ...]:
        """Return the lines of a window, both ends included, by stream, oldest first.

        More lines than one page are asked for page by page: each page begins at the last one's newest nanosecond, and
        the lines of it that are there already are left out, each as often as it is there. A label set is the stream's
        own and what the query's parsers add; structured metadata is no part of it.

        Args:
            expression: A log query, not a metric query.
            window: From when to when.
            limit: Return at most so many lines, the oldest; None for all.

        Raises:
            QueryError: The expression is wrong, or more lines than a page bear one and the same nanosecond.
            UnavailableError: No answer, or only a part of one.
        """
        start, end = ns_from_instant(window.start), ns_from_instant(window.end) + 1
        lines: list[_Line] = []
        known: Counter[_Line] = Counter()
        while True:
            missing = None if limit is None else limit - len(lines) + known.total()
            page, is_last = self._read(expression, start, end, missing)
            newest = page[-1].time_ns if page else start
            again = Counter(line for line in page if line.time_ns == newest)
            for line in page:
                if known[line] > 0:
                    known[line] -= 1
                else:
                    lines.append(line)
            if is_last or (limit is not None and len(lines) >= limit):
                return _streams(lines[:limit])
            if again.total() == len(page):
                raise QueryError(
                    f"{len(page)} lines or more bear one and the same nanosecond, as many as a page holds, so that "
                    "they cannot be read page by page",
                    query=expression,
                    nanosecond=newest,
                    hint="ask for fewer streams at once, or raise Loki's max_entries_limit_per_query",
                )
            known, start = again, newest

    def _read(self, expression: str, start: int, end: int, missing: int | None) -> tuple[list[_Line], bool]:
        """Return one page of lines, oldest first, and whether there are no more than these."""
        while True:
            asked = self._page if missing is None else min(self._page, missing)
            parameters = {
                "query": expression,
                "start": str(start),
                "end": str(end),
                "limit": str(asked),
                "direction": "forward",
            }
            try:
                answer = self._http.get(_RANGE, _Answer[_Streams | _Matrix], parameters, headers=_APART)
            except QueryError as error:
                allowed = _OVER_LIMIT.search(error.details.get("answer", ""))
                if allowed is None or not 0 < int(allowed[1]) < asked:
                    raise
                self._page = int(allowed[1])
                continue
            data = self._whole(answer)
            if not isinstance(data, _Streams):
                raise QueryError("expected a log query, got a metric query", query=expression)
            page = [line for one in data.result for line in _lines(one)]
            page.sort(key=lambda line: line.time_ns)
            return page, len(page) < asked

    def query(self, expression: str, at: datetime) -> tuple[Series, ...]:
        """Return what a metric query is at an instant, one sample a series."""
        parameters = {"query": expression, "time": str(ns_from_instant(at))}
        kind = _Answer[_Streams | _Matrix | _Vector | _Scalar]
        data = self._whole(self._http.get("/loki/api/v1/query", kind, parameters))
        if isinstance(data, _Scalar):
            # Its timestamp is not to be believed: Loki counts it in another unit.
            return (Series({}, (Sample(at, float(data.result[1])),)),)
        if not isinstance(data, _Vector):
            raise QueryError("expected a metric query that gives one number a series", query=expression)
        return tuple(
            Series(one.metric, (Sample(datetime.fromtimestamp(one.value[0], UTC), float(one.value[1])),))
            for one in data.result
        )

    def query_steps(self, expression: str, window: Window, step: timedelta) -> tuple[Series, ...]:
        """Return what a metric query is at the begin of a window and each step after it, up to its end.

        Loki moves instants to multiples of the step, so only such are worth asking for.
        """
        parameters = {
            "query": expression,
            "start": str(ns_from_instant(window.start)),
            "end": str(ns_from_instant(window.end)),
            "step": f"{step.total_seconds():.3f}",
        }
        data = self._whole(self._http.get(_RANGE, _Answer[_Streams | _Numbers], parameters))
        if not isinstance(data, _Numbers):
            raise QueryError("expected a metric query, got a log query", query=expression)
        return tuple(
            Series(
                one.metric,
                tuple(Sample(datetime.fromtimestamp(time, UTC), float(value)) for time, value in one.values),
            )
            for one in data.result
        )

    def query_url(self, expression: str, at: datetime) -> str:
        """Return an address that asks for the lines of the hour before an instant."""
        return self._http.url(
            _RANGE,
            {
                "query": expression,
                "start": str(ns_from_instant(at - timedelta(hours=1))),
                "end": str(ns_from_instant(at) + 1),
                "limit": str(self._page),
            },
        )

    def query_range_url(self, expression: str, window: Window) -> str:
        """Return an address that asks for the lines of a window, the newest first."""
        return self._http.url(_RANGE, {"query": expression, **_ends(window), "limit": str(self._page)})

    def series(self, matchers: Sequence[str], window: Window) -> tuple[Labels, ...]:
        """Return the label sets of the streams that match any of the selectors in a window."""
        parameters: Parameters = {"match[]": list(matchers), **_ends(window)}
        answer = self._http.get("/loki/api/v1/series", _Answer[list[dict[str, str]]], parameters)
        found = self._whole(answer)
        return tuple(found or ())

    def labels(self, window: Window) -> tuple[str, ...]:
        """Return the label names of a window."""
        found = self._whole(self._http.get("/loki/api/v1/labels", _Answer[list[str]], _ends(window)))
        return tuple(found or ())

    def label_values(self, label: str, window: Window) -> tuple[str, ...]:
        """Return the values of a label in a window."""
        answer = self._http.get(f"/loki/api/v1/label/{label}/values", _Answer[list[str]], _ends(window))
        found = self._whole(answer)
        return tuple(found or ())

    def push(self, streams: Sequence[Stream]) -> None:
        """Write lines, as a shipper does; for histories that are made up.

        Raises:
            QueryError: Loki rejects them: too old, too long, without a label.
            UnavailableError: No answer, or more lines than it takes in now.
        """
        body = msgspec.json.encode(
            {
                "streams": [
                    {"stream": one.labels, "values": [[str(entry.time_ns), entry.line] for entry in one.entries]}
                    for one in streams
                ]
            }
        )
        headers = {"Content-Type": "application/json"}
        self._http.checked(self._http.request("POST", "/loki/api/v1/push", body=body, headers=headers))

    def build_version(self) -> str:
        """Return the server's version; empty where it was built without one."""
        return self._http.get("/loki/api/v1/status/buildinfo", _Build).version

    def is_ready(self) -> bool:
        """Return whether the server says that it is ready."""
        return self._http.is_ready("/ready")

    def _whole(self, answer: _Answer[T]) -> T | None:
        """Return the data of an answer; None where it holds nothing, as Loki answers for a label that is not there."""
        if answer.status != "success" or answer.warnings:
            raise UnavailableError(
                "expected a whole answer, but the server gives only a part of it",
                kind="protocol",
                url=self._http.base_url,
                warnings="\n".join(answer.warnings),
            )
        return answer.data


def _lines(one: _StreamJson) -> Iterator[_Line]:
    own = tuple(sorted(one.stream.items()))
    for entry in one.values:
        parsed = entry.categories.parsed if entry.categories is not None else None
        key = tuple(sorted({**one.stream, **parsed}.items())) if parsed else own
        yield _Line(int(entry.time_ns), key, entry.text)


def _streams(lines: Sequence[_Line]) -> tuple[Stream, ...]:
    """Return lines by stream, each stream's in the order given; streams in the order of their labels."""
    found: dict[_Key, list[LogEntry]] = {}
    for line in lines:
        found.setdefault(line.key, []).append(LogEntry(line.time_ns, line.text))
    return tuple(Stream(dict(key), tuple(found[key])) for key in sorted(found))


def _ends(window: Window) -> dict[str, str]:
    return {"start": str(ns_from_instant(window.start)), "end": str(ns_from_instant(window.end) + 1)}
