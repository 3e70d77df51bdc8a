"""The HTTP API of Loki."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec

from sloproof.clients._http import Http, Parameters
from sloproof.errors import QueryError, UnavailableError
from sloproof.model import Labels, LogEntry, Sample, Series, Stream, Window, ns_from_instant

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
    """One line with its label set, ordered by time."""

    time_ns: int
    key: _Key
    text: str


class _Answer(msgspec.Struct, Generic[T]):
    status: Literal["success", "error"] = "success"
    data: T | None = None
    warnings: tuple[str, ...] = ()


class _Categories(msgspec.Struct):
    parsed: dict[str, str] = {}


class _StreamJson(msgspec.Struct):
    stream: dict[str, str]
    values: list[tuple[str, str] | list[str | _Categories]]


class _SeriesJson(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] = []


class _Streams(msgspec.Struct, tag_field="resultType", tag="streams"):
    result: list[_StreamJson]


class _Vector(msgspec.Struct, tag_field="resultType", tag="vector"):
    result: list[_SeriesJson]


class _Matrix(msgspec.Struct, tag_field="resultType", tag="matrix"):
    result: list[_SeriesJson]


class _Scalar(msgspec.Struct, tag_field="resultType", tag="scalar"):
    result: tuple[float, str]
