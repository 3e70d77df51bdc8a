"""Reads Grafana dashboards: panels, their queries, their variables; and fills the variables in.

Only what a query needs is read. Nothing is guessed: a variable without a value is named, not replaced.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from sloproof.duration import format_duration
from sloproof.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Panels that show something without asking a datasource.
_STATIC_PANELS = frozenset({"text", "row", "news", "dashlist", "alertlist", "annolist", "welcome", "gettingstarted"})
_ALL = "$__all"
# Names start with a letter: `$1` belongs to label_replace.
_REFERENCE = re.compile(
    r"\$\{(?P<braced>[a-zA-Z_]\w*)(?:\.[\w.]+)?(?::(?P<format>\w+(?::[^}]*)?))?\}"
    r"|\[\[(?P<bracketed>[a-zA-Z_]\w*)(?::(?P<old_format>\w+))?\]\]"
    r"|\$(?P<bare>[a-zA-Z_]\w*)"
)
# Characters Grafana escapes in a value that goes into a regular expression, twice over: once for it, once for PromQL.
_REGEX_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|/]")


@dataclass(frozen=True, slots=True)
class Variable:
    """A template variable.

    Attributes:
        name: Its name, without the dollar.
        kind: `query`, `custom`, `interval`, `datasource`, `constant`, `textbox`, `adhoc`.
        current: The values stored with the dashboard; what a reader sees first.
        options: The values to choose from, where they are stored.
        all_value: What "All" stands for; empty for every option.
        is_many: Whether it may hold several values, which makes each go into a regular expression.
    """

    name: str
    kind: str
    current: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    all_value: str = ""
    is_many: bool = False


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of one panel, as it is written.

    Attributes:
        panel: The panel's title.
        panel_id: Its number in the dashboard.
        kind: Panel type, such as `timeseries`.
        ref_id: The query's letter.
        expression: PromQL or LogQL with variables; empty for a panel that should ask something and does not.
        datasource: Uid as written, variables included; empty for the default.
        datasource_kind: `prometheus`, `loki`, or empty where it is not said.
        is_instant: Whether it is asked at one instant only.
    """

    panel: str
    panel_id: int
    kind: str
    ref_id: str
    expression: str
    datasource: str
    datasource_kind: str
    is_instant: bool


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard: its queries in the order a reader sees them, hidden ones left out."""

    title: str
    uid: str
    variables: tuple[Variable, ...]
    queries: tuple[PanelQuery, ...]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """What the built-in variables stand for.

    Attributes:
        span: How much time the dashboard shows.
        step: The distance of two points.
        scrape_interval: The datasource's; a rate needs four of them.
    """

    span: timedelta
    step: timedelta
    scrape_interval: timedelta

    def builtins(self) -> dict[str, str]:
        """Return the built-in variables and what they stand for, as Grafana works them out."""
        rate = max(self.step + self.scrape_interval, 4 * self.scrape_interval)
        milliseconds = timedelta(milliseconds=1)
        return {
            "__interval": format_duration(self.step),
            "__interval_ms": str(self.step // milliseconds),
            "__rate_interval": format_duration(rate),
            "__rate_interval_ms": str(rate // milliseconds),
            "__range": format_duration(self.span),
            "__range_s": str(round(self.span.total_seconds())),
            "__range_ms": str(self.span // milliseconds),
            "__auto": format_duration(self.step),
        }


@dataclass(frozen=True, slots=True)
class ResolvedQuery:
    """A query with its variables filled in.

    Attributes:
        query: As it is written.
        expression: With values; where one is missing, the reference stands as it was.
        datasource: Uid with values.
        used: The variables it uses and the values they have, built-ins left out.
        unresolved: Names of the variables that have no value.
    """

    query: PanelQuery
    expression: str
    datasource: str
    used: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unresolved: tuple[str, ...] = ()


def read_dashboard(text: str | bytes) -> Dashboard:
    """Return a dashboard from its JSON, as exported, provisioned or answered by Grafana's API.

    Raises:
        SettingsError: It is no JSON, no object, or of the newer schema that keeps panels as elements.
    """
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SettingsError(f"expected the JSON of a dashboard, but {error}") from error
    if isinstance(document, dict) and isinstance(document.get("dashboard"), dict):
        document = document["dashboard"]
    if not isinstance(document, dict) or not ({"panels", "rows"} & document.keys()):
        raise SettingsError(
            "expected a dashboard with panels, found none",
            hint="export it in the classic schema: a JSON object with a list under panels",
        )
    queries = [query for panel in _panels(document) for query in _queries(panel)]
    variables = [_variable(one) for one in _dicts(_dict(document.get("templating")).get("list"))]
    return Dashboard(
        title=str(document.get("title", "")),
        uid=str(document.get("uid") or ""),
        variables=tuple(variables),
        queries=tuple(queries),
    )


def resolve(
    query: PanelQuery,
    dashboard: Dashboard,
    time_range: TimeRange,
    values: Mapping[str, str | Sequence[str]] | None = None,
) -> ResolvedQuery:
    """Return a query with all variables filled in.

    Args:
        query: One of the dashboard's.
        dashboard: Where its variables are.
        time_range: What the built-in variables stand for.
        values: Values by variable, in place of the stored ones; inputs of an exported dashboard too.
    """
    filling = _Filling(dashboard, time_range, values or {})
    expression = filling.fill(query.expression)
    datasource = filling.fill(query.datasource, as_text=True)
    return ResolvedQuery(query, expression, datasource, filling.used, tuple(dict.fromkeys(filling.unresolved)))


class _Filling:
    """Fills variables in and keeps note of which were used, and which have no value."""

    def __init__(self, dashboard: Dashboard, time_range: TimeRange, values: Mapping[str, str | Sequence[str]]) -> None:
        self._variables = {variable.name: variable for variable in dashboard.variables}
        self._builtins = time_range.builtins()
        self._given = {name: (one,) if isinstance(one, str) else tuple(one) for name, one in values.items()}
        self.used: dict[str, tuple[str, ...]] = {}
        self.unresolved: list[str] = []

    def fill(self, text: str, *, as_text: bool = False) -> str:
        def replacement(found: re.Match[str]) -> str:
            name = found["braced"] or found["bracketed"] or found["bare"]
            style = (found["format"] or found["old_format"] or "").partition(":")[0]
            if name in self._builtins and name not in self._given:
                return self._builtins[name]
            return self._value(name, "raw" if as_text else style, found[0])

        return _REFERENCE.sub(replacement, text)

    def _value(self, name: str, style: str, reference: str) -> str:
        variable = self._variables.get(name, Variable(name, ""))
        chosen = self._given.get(name, variable.current)
        if _ALL in chosen:
            if variable.all_value:
                self.used[name] = ()
                return variable.all_value
            chosen = tuple(one for one in variable.options if one != _ALL)
        if variable.kind == "interval" and any(one.startswith("$__auto") for one in chosen):
            return self._builtins["__interval"]
        if not any(chosen) and not (variable.kind in ("textbox", "constant") and chosen):
            self.unresolved.append(name)
            return reference
        self.used[name] = chosen
        return _formatted(chosen, style, is_many=variable.is_many)


def _formatted(values: Sequence[str], style: str, *, is_many: bool) -> str:
    """Return values as Grafana's format of that name writes them; without one, as it writes them for PromQL."""
    joined = {
        "pipe": "|".join(values),
        "csv": ",".join(values),
        "raw": ",".join(values),
        "text": " + ".join(values),
        "doublequote": ",".join(json.dumps(value) for value in values),
        "singlequote": ",".join("'" + value.replace("'", "\\'") + "'" for value in values),
        "json": json.dumps(list(values)),
        "glob": values[0] if len(values) == 1 else "{" + ",".join(values) + "}",
        "regex": _alternatives([_regex_escaped(value) for value in values]),
    }
    if style in joined:
        return joined[style]
    if not is_many and len(values) == 1:
        return _quotable(values[0])
    # In a quoted PromQL matcher each backslash of the regular expression is written twice.
    return _alternatives([_quotable(_regex_escaped(value)) for value in values])


def _alternatives(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"({'|'.join(values)})"


def _quotable(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _regex_escaped(value: str) -> str:
    return _REGEX_SPECIAL.sub(lambda found: "\\" + found[0], value)


def _panels(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give every panel, those inside collapsed rows and inside the rows of old dashboards too."""
    for row in _dicts(document.get("rows")):
        yield from _panels(row)
    for panel in _dicts(document.get("panels")):
        yield panel
        yield from _panels(panel)


def _queries(panel: Mapping[str, Any]) -> Iterator[PanelQuery]:
    kind = str(panel.get("type", ""))
    if kind in _STATIC_PANELS:
        return
    uid, datasource_kind = _datasource(panel.get("datasource"))
    # With mixed datasources each query says its own.
    if uid == "-- Mixed --":
        uid, datasource_kind = "", ""
    targets = _dicts(panel.get("targets"))
    for target in targets or [{}]:
        if target.get("hide"):
            continue
        own_uid, own_kind = _datasource(target.get("datasource"))
        yield PanelQuery(
            panel=str(panel.get("title") or ""),
            panel_id=int(panel.get("id") or 0),
            kind=kind,
            ref_id=str(target.get("refId") or ""),
            expression=str(target.get("expr") or ""),
            datasource=own_uid or uid,
            datasource_kind=own_kind or datasource_kind,
            is_instant=bool(target.get("instant")) or target.get("queryType") == "instant",
        )


def _datasource(value: Any) -> tuple[str, str]:
    """Return uid and kind of a datasource, which old dashboards give by its name alone."""
    if isinstance(value, dict):
        return str(value.get("uid") or ""), str(value.get("type") or "")
    return ("" if value in (None, "default") else str(value)), ""


def _variable(one: Mapping[str, Any]) -> Variable:
    current = _dict(one.get("current")).get("value")
    options = [str(option.get("value", "")) for option in _dicts(one.get("options"))]
    kind = str(one.get("type", ""))
    if kind in ("constant", "textbox", "interval") and current in (None, "", []):
        current = str(one.get("query") or "").split(",")[0]
    return Variable(
        name=str(one.get("name", "")),
        kind=kind,
        current=_texts(current),
        options=tuple(options),
        all_value=str(one.get("allValue") or ""),
        is_many=bool(one.get("multi") or one.get("includeAll")),
    )


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
