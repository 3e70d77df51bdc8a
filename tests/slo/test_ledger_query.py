from __future__ import annotations

from dataclasses import dataclass

import pytest

from sloproof.errors import SettingsError
from sloproof.slo.ledger_query import parse_ledger_query


@dataclass(frozen=True)
class Sent:
    endpoint: str = "/api/users"
    method: str = "GET"
    status: int = 200
    failure: str = ""
    duration_ns: int = 100_000_000


@pytest.mark.parametrize(
    ("query", "request_", "expected"),
    [
        ("requests", Sent(), True),
        ("requests", Sent(failure="unsent", status=0), False),
        ('requests{endpoint="/api/users"}', Sent(), True),
        ('requests{endpoint="/api/user."}', Sent(), False),
        ('requests{endpoint=~"/api/.*"}', Sent(), True),
        ('requests{endpoint=~"/api"}', Sent(), False),
        ('requests{method!="GET"}', Sent(), False),
        ('requests{outcome=~"5..|timeout"}', Sent(status=503), True),
        ('requests{outcome=~"5..|timeout"}', Sent(status=0, failure="timeout"), True),
        ('requests{outcome=~"5..|timeout"}', Sent(), False),
        ('requests{outcome!~"5.."}', Sent(status=500), False),
        ('requests{within="100ms"}', Sent(), True),
        ('requests{within="99ms"}', Sent(), False),
        ('requests{within="1s"}', Sent(status=0, failure="reset"), False),
        ('requests{slower="99ms"}', Sent(), True),
        ('requests{slower="100ms"}', Sent(), False),
        ('requests{slower="100ms"}', Sent(status=0, failure="reset"), True),
    ],
)
def test_query_means(query: str, request_: Sent, expected: bool) -> None:
    assert parse_ledger_query(query).matches(request_) is expected


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("requests{", ""),
        ("sum(requests)", "no selector"),
        ("request", "no selector of 'requests'"),
        ("requests offset 5m", "no offset"),
        ('requests{status="500"}', "no label 'status'"),
        ('requests{within=~"1s"}', "within takes one duration"),
        ('requests{outcome=~"("}', ""),
        ("requests[5m]", "no selector"),
    ],
)
def test_query_is_refused_for(query: str, why: str) -> None:
    with pytest.raises(SettingsError, match="expected a question to the ledger") as raised:
        parse_ledger_query(query)
    assert why in str(raised.value)
    assert query in str(raised.value)
