from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from sloproof.dashboards import Dashboard, TimeRange, read_dashboard, resolve
from sloproof.errors import SettingsError

RANGE = TimeRange(timedelta(hours=1), timedelta(seconds=15), timedelta(seconds=10))


def panel(title: str, expr: str = "up", **extra: Any) -> dict[str, Any]:
    return {"id": 1, "title": title, "type": "timeseries", "datasource": {"type": "prometheus", "uid": "prom"},
            "targets": [{"refId": "A", "expr": expr}], **extra}  # fmt: skip


def dashboard(*panels: dict[str, Any], variables: tuple[dict[str, Any], ...] = ()) -> Dashboard:
    document = {"title": "T", "uid": "u", "panels": list(panels), "templating": {"list": list(variables)}}
    return read_dashboard(json.dumps(document))


def variable(name: str, value: Any, **extra: Any) -> dict[str, Any]:
    return {"name": name, "type": "query", "current": {"value": value}, **extra}


def filled(expr: str, *variables: dict[str, Any], **values: Any) -> str:
    made = dashboard(panel("P", expr), variables=variables)
    return resolve(made.queries[0], made, RANGE, values).expression


def test_dashboards_reads_panels_inside_collapsed_rows_and_old_rows() -> None:
    row = {"type": "row", "title": "R", "collapsed": True, "panels": [panel("inside")]}
    old = read_dashboard(json.dumps({"rows": [{"panels": [panel("old")]}]}))

    assert [one.panel for one in dashboard(panel("first"), row, panel("last")).queries] == ["first", "inside", "last"]
    assert [one.panel for one in old.queries] == ["old"]


def test_dashboards_reads_what_the_api_answers() -> None:
    made = read_dashboard(json.dumps({"meta": {}, "dashboard": {"title": "T", "panels": [panel("P")]}}))

    assert (made.title, len(made.queries)) == ("T", 1)


def test_dashboards_leaves_out_hidden_queries_and_static_panels() -> None:
    hidden = panel("P", targets=[{"expr": "a", "hide": True}, {"expr": "b"}])

    assert [one.expression for one in dashboard(hidden, {"type": "text", "title": "words"}).queries] == ["b"]


def test_dashboards_keeps_a_panel_that_asks_nothing() -> None:
    """It would show nothing for ever, so it must not get lost here."""
    assert [one.expression for one in dashboard(panel("P", targets=[])).queries] == [""]


def test_dashboards_takes_the_querys_own_datasource_before_the_panels() -> None:
    mixed = panel("P", datasource={"uid": "-- Mixed --", "type": "mixed"},
                  targets=[{"expr": "a", "datasource": {"uid": "loki-1", "type": "loki"}}])  # fmt: skip
    by_name = panel("P", datasource="Prometheus")
    default = panel("P", datasource=None)

    found = dashboard(mixed, by_name, default).queries

    assert [(one.datasource, one.datasource_kind) for one in found] == [
        ("loki-1", "loki"),
        ("Prometheus", ""),
        ("", ""),
    ]


def test_dashboards_fills_a_datasource_variable_in() -> None:
    made = dashboard(panel("P", datasource={"uid": "${datasource}", "type": "prometheus"}),
                     variables=(variable("datasource", "prom-2", type="datasource"),))  # fmt: skip

    assert resolve(made.queries[0], made, RANGE).datasource == "prom-2"
    assert resolve(made.queries[0], made, RANGE, {"datasource": "prom-3"}).datasource == "prom-3"


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("rate(a[$__rate_interval])", "rate(a[40s])"),
        ("a[$__interval] $__interval_ms", "a[15s] 15000"),
        ("a[${__range}] $__range_s", "a[1h] 3600"),
        ('label_replace(a, "d", "$1", "s", "(.*)")', 'label_replace(a, "d", "$1", "s", "(.*)")'),
        ('a{x=~"foo$"}', 'a{x=~"foo$"}'),
    ],
)
def test_dashboards_fills_built_ins_in_and_leaves_the_rest(expr: str, expected: str) -> None:
    assert filled(expr) == expected


@pytest.mark.parametrize("reference", ["$job", "${job}", "[[job]]", "${job:raw}"])
def test_dashboards_knows_every_way_to_name_a_variable(reference: str) -> None:
    assert filled(f'up{{job="{reference}"}}', variable("job", "a.b")) == 'up{job="a.b"}'


@pytest.mark.parametrize(
    ("style", "expected"),
    [("", r"(a\\.b|c)"), (":regex", r"(a\.b|c)"), (":pipe", "a.b|c"), (":csv", "a.b,c"), (":json", '["a.b", "c"]'),
     (":doublequote", '"a.b","c"'), (":singlequote", "'a.b','c'"), (":glob", "{a.b,c}")],
)  # fmt: skip
def test_dashboards_formats_many_values_as_asked(style: str, expected: str) -> None:
    assert filled(f"${{job{style}}}", variable("job", ["a.b", "c"], multi=True)) == expected


def test_dashboards_stands_all_for_its_value_or_for_every_option() -> None:
    options = [{"value": "$__all"}, {"value": "a"}, {"value": "b"}]

    assert filled("$job", variable("job", "$__all", includeAll=True, allValue=".+", options=options)) == ".+"
    assert filled("$job", variable("job", ["$__all"], includeAll=True, options=options)) == "(a|b)"


@pytest.mark.parametrize("value", [None, "", []])
def test_dashboards_names_a_variable_without_a_value(value: Any) -> None:
    made = dashboard(panel("P", 'up{job="$job", x="$gone"}'), variables=(variable("job", value),))

    found = resolve(made.queries[0], made, RANGE)

    assert found.unresolved == ("job", "gone")
    assert found.expression == 'up{job="$job", x="$gone"}'


def test_dashboards_names_all_without_options_as_unresolved() -> None:
    made = dashboard(panel("P", "$job"), variables=(variable("job", "$__all", includeAll=True),))

    assert resolve(made.queries[0], made, RANGE).unresolved == ("job",)


def test_dashboards_tells_which_variables_a_query_uses() -> None:
    made = dashboard(panel("P", "up{job='$job'}"), variables=(variable("job", "a"), variable("pod", "b")))

    assert resolve(made.queries[0], made, RANGE).used == {"job": ("a",)}


def test_dashboards_takes_the_query_of_a_constant() -> None:
    assert filled("$limit", {"name": "limit", "type": "constant", "query": "5"}) == "5"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"elements": {}}', "{"])
def test_dashboards_refuses_what_is_no_dashboard(text: str) -> None:
    with pytest.raises(SettingsError):
        read_dashboard(text)
