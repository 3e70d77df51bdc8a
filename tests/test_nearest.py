from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.nearest import Matcher, nearest_hint, parse_selector

NAMES = ("app_request_count_total", "app_error_count_total", "up", "node:cpu:rate5m")
KNOWN = (
    {"__name__": "app_request_count_total", "method": "GET", "endpoint": "/api/users", "http_status": "200"},
    {"__name__": "app_request_count_total", "method": "POST", "endpoint": "/api/echo", "http_status": "415"},
)


@pytest.mark.parametrize(
    ("selector", "name", "matchers"),
    [
        ("up", "up", ()),
        (" node:cpu:rate5m {}", "node:cpu:rate5m", ()),
        ('up{a="b",c!="d" , e=~"f.*",g!~"h",}', "up", ("a=b", "c!=d", "e=~f.*", "g!~h")),
        ('{__name__="up", a="b"}', "up", ("a=b",)),
        ('{"my.metric", "a.b"="c"}', "my.metric", ("a.b=c",)),
        ("up{a='b}',c=`d\\`}", "up", ("a=b}", "c=d\\")),
        ('up{a="x,\\"y\\"\\\\n"}[5m] offset 1m', "up", ('a=x,"y"\\n',)),
        ('{a="b"}', "", ("a=b",)),
        ("up{a=", "up", ()),
        ("", "", ()),
    ],
)
def test_selector_is_taken_apart(selector: str, name: str, matchers: tuple[str, ...]) -> None:
    found_name, found = parse_selector(selector)
    assert found_name == name
    assert tuple(f"{one.label}{one.operator}{one.value}" for one in found) == matchers


@given(
    st.dictionaries(st.text("ab_", min_size=1, max_size=5), st.text("a,{}[]=!~\"'`\\ \n\té", max_size=12), max_size=4)
)
def test_selector_parsing_undoes_writing(labels: dict[str, str]) -> None:
    matchers = tuple(Matcher(label, "=", value) for label, value in labels.items())
    assert parse_selector(f"up{{{', '.join(map(str, matchers))}}}") == ("up", matchers)


@given(st.text(alphabet="abu{}[]=!~\",'`\\ \n", max_size=30))
def test_selector_parsing_takes_anything(text: str) -> None:
    parse_selector(text)


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("app_request_count", "never been a metric app_request_count; nearest: app_request_count_total"),
        ("app_requst_count_total", "nearest: app_request_count_total"),
        ("app", "nearest: app_error_count_total, app_request_count_total"),
        ("zzz", "there has never been a metric zzz"),
        ('app_request_count_total{status="200"}', "has no label status; it has: http_status"),
        ('app_request_count_total{zone="a"}', "has no label zone; it has: endpoint, http_status, method"),
        ('app_request_count_total{http_status="500"}', 'has http_status="500"; there is: "200"'),
        ('app_request_count_total{endpoint="/api/user"}', 'there is: "/api/users"'),
        ('app_request_count_total{http_status=~"5.."}', 'has http_status=~"5.."; there is: "200", "415"'),
        ('app_request_count_total{http_status=~"20"}', 'has http_status=~"20"'),
        ('app_request_count_total{method!~"GET|POST"}', 'has method!~"GET|POST"; there is: "GET", "POST"'),
        (
            'app_request_count_total{method="GET",endpoint="/api/users",http_status="415"}',
            'not all for one; nearest: the one with http_status="200"',
        ),
        ('{method="GET"}', "names no metric"),
    ],
)
def test_hint_goes_from_the_metric_to_the_value(selector: str, hint: str) -> None:
    assert hint in nearest_hint(selector, NAMES, KNOWN)


def test_hint_tells_gone_and_nothing_at_all_from_never() -> None:
    assert nearest_hint("up", NAMES, ()) == "up was there, but has no sample at this time"
    assert "is anything scraped" in nearest_hint("up", (), ())


def test_hint_is_short_however_much_there_is() -> None:
    known = [{"path": f"/{number}" * 60} for number in range(1000)]
    hint = nearest_hint('up{path="/x"}', NAMES, known)
    assert len(hint) < 400
    assert "997 more" in hint
