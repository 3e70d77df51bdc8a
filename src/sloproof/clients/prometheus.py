"""The HTTP API of Prometheus, and of what speaks like it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from sloproof.clients import _prometheus_json as wire
from sloproof.clients._http import Http, Parameters
from sloproof.errors import QueryError, UnavailableError
from sloproof.model import Alert, Labels, MetricMetadata, RuleGroup, Series, Target, Window
from sloproof.nearest import metric_name, nearest_hint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_QUERY = "/api/v1/query"
_RANGE = "/api/v1/query_range"
_Result = wire.Vector | wire.Matrix | wire.Scalar | wire.Text


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """What a query gave. A server that answers only in part says so in `warnings`; `infos` are remarks on the query."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


class PrometheusClient:
    """Asks one Prometheus. Instants are sent to the millisecond, the precision of a sample's timestamp.

    Every method raises `UnavailableError` where no answer comes and `QueryError` where the server refuses the question.

    Args:
        server: Its base URL, or an `Http` with credentials.
    """

    def __init__(self, server: str | Http) -> None:
        self._http = Http(server) if isinstance(server, str) else server

    def within(self, timeout: timedelta) -> PrometheusClient:
        """Return a client of the same server that waits so long for each answer."""
        return PrometheusClient(self._http.within(timeout))

    def query(self, expression: str, at: datetime | None) -> QueryAnswer:
        """Return what an expression is at an instant (the server's now for None), one sample a series.

        An expression with a range selector gives all samples of the range. An instant between two milliseconds is the
        earlier one: a sample of the future is never part of the answer.
        """
        form = {"query": expression} | ({"time": _text(_floor(at))} if at is not None else {})
        return self._ask(_QUERY, form)

    def samples(self, selector: str, window: Window) -> QueryAnswer:
        """Return the stored samples of a selector in a window, both ends included; nothing is interpolated.

        Args:
            selector: An instant vector selector, such as `up{job="api"}`, without range and modifiers.
            window: From when to when; only whole milliseconds within it count, as only these have samples.
        """
        first, last = _ceiling(window.start), _floor(window.end)
        if last < first:
            return QueryAnswer(())
        # Prometheus 3 leaves out a range's left end, so it reaches a millisecond further; older ones include it.
        form = {"query": f"{selector}[{last - first + 1}ms]", "time": _text(last)}
        found = self._ask(_QUERY, form)
        if all(series.samples[0].time >= window.start for series in found.series):
            return found
        kept = (
            Series(series.labels, tuple(sample for sample in series.samples if sample.time >= window.start))
            for series in found.series
        )
        return QueryAnswer(tuple(series for series in kept if series.samples), found.warnings, found.infos)

    def query_range(self, expression: str, window: Window, step: timedelta) -> QueryAnswer:
        """Return what an expression is at the begin of a window and each step after it, up to its end."""
        return self._ask(_RANGE, _range(expression, window, step))

    def query_url(self, expression: str, at: datetime) -> str:
        """Return an address that asks the same at the same instant."""
        return self._http.url(_QUERY, {"query": expression, "time": _text(_floor(at))})

    def query_range_url(self, expression: str, window: Window, step: timedelta) -> str:
        """Return an address that asks the same of the same window."""
        return self._http.url(_RANGE, _range(expression, window, step))

    def series(self, matchers: Sequence[str], window: Window) -> tuple[Labels, ...]:
        """Return the label sets, `__name__` included, that match any of the selectors in a window."""
        form: Parameters = {"match[]": list(matchers), **_ends(window)}
        found = self._whole(self._http.post("/api/v1/series", wire.Answer[list[dict[str, str]]], form))
        return tuple(found)

    def label_values(self, label: str, window: Window | None, matchers: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the values of a label in a window (in all that is stored for None), sorted.

        Prometheus answers by blocks of storage, so a value that is only a little outside may be among them.
        """
        parameters: Parameters = {"match[]": list(matchers), **(_ends(window) if window else {})}
        found = self._get(f"/api/v1/label/{label}/values", wire.Answer[list[str]], parameters)
        return tuple(found)

    def metric_names(self, window: Window | None) -> tuple[str, ...]:
        """Return the names of all metrics with a sample in a window (ever for None), sorted."""
        return self.label_values("__name__", window)

    def nearest(self, selector: str, window: Window) -> str:
        """Return a hint on what there is, for a selector that matches nothing: the nearest name, label or value.

        It never raises for want of an answer: a finding is not to be lost for its hint.
        """
        try:
            name = metric_name(selector)
            names = self.metric_names(None)
            known = self.series([f'{{__name__="{name}"}}'], window) if name in names else ()
        except (UnavailableError, QueryError) as error:
            return f"what there is instead could not be found out: {error.headline}"
        return nearest_hint(selector, names, known)

    def targets(self) -> tuple[Target, ...]:
        """Return what is scraped now, and how the last scrape of each went."""
        found = self._get("/api/v1/targets", wire.Answer[wire.TargetsJson], {"state": "active"})
        return tuple(target.value() for target in found.active_targets)

    def rule_groups(self) -> tuple[RuleGroup, ...]:
        """Return the rule groups that are loaded, and how each rule's last evaluation went."""
        return tuple(group.value() for group in self._get("/api/v1/rules", wire.Answer[wire.GroupsJson]).groups)

    def alerts(self) -> tuple[Alert, ...]:
        """Return the alerts that are pending or firing now."""
        return tuple(alert.meaning() for alert in self._get("/api/v1/alerts", wire.Answer[wire.AlertsJson]).alerts)

    def metadata(self, metric: str | None = None) -> tuple[MetricMetadata, ...]:
        """Return what targets say of one metric, or of all: type, help and unit; one entry a different answer."""
        parameters = {"metric": metric} if metric else None
        found = self._get("/api/v1/metadata", wire.Answer[dict[str, list[wire.MetadataJson]]], parameters)
        return wire.metadata_values(found)

    def config_yaml(self) -> str:
        """Return the configuration that the server runs, as YAML."""
        return self._get("/api/v1/status/config", wire.Answer[wire.ConfigJson]).yaml

    def flags(self) -> Mapping[str, str]:
        """Return the command-line flags that the server runs with, without leading dashes."""
        return self._get("/api/v1/status/flags", wire.Answer[dict[str, str]])

    def build_version(self) -> str:
        """Return the server's version."""
        return self._get("/api/v1/status/buildinfo", wire.Answer[wire.BuildJson]).version

    def is_ready(self) -> bool:
        """Return whether the server says that it is ready."""
        return self._http.is_ready("/-/ready")

    def _get(self, path: str, kind: type[wire.Answer[T]], parameters: Parameters | None = None) -> T:
        return self._whole(self._http.get(path, kind, parameters))

    def _whole(self, answer: wire.Answer[T]) -> T:
        """Return the data of an answer that has no place for a warning: it must be whole."""
        if answer.warnings:
            raise UnavailableError(
                "expected a whole answer, but the server gives only a part of it",
                kind="protocol",
                url=self._http.base_url,
                warnings="\n".join(answer.warnings),
            )
        return self._data(answer)

    def _data(self, answer: wire.Answer[T]) -> T:
        if answer.status != "success":
            raise QueryError("the server refused the question", url=self._http.base_url, answer=answer.error)
        if answer.data is None:
            raise UnavailableError(
                "expected data in the answer, but it has none", kind="protocol", url=self._http.base_url
            )
        return answer.data

    def _ask(self, path: str, form: dict[str, str]) -> QueryAnswer:
        answer = self._http.post(path, wire.Answer[_Result], form)
        data = self._data(answer)
        shapeless = 0
        if isinstance(data, wire.Scalar):
            series = [Series({}, (wire.sample(data.result),))]
        elif isinstance(data, wire.Vector):
            series = [Series(one.metric, (wire.sample(one.value),)) for one in data.result if one.value is not None]
            shapeless = len(data.result) - len(series)
        elif isinstance(data, wire.Matrix):
            series = wire.matrix_series(data.result)
            shapeless = sum(bool(one.histograms) for one in data.result)
        else:
            raise QueryError("expected numbers, but the expression gives a text", query=form["query"])
        left_out = (f"{shapeless} series hold native histograms, which are no single numbers",) if shapeless else ()
        return QueryAnswer(tuple(series), answer.warnings + left_out, answer.infos)


def _floor(instant: datetime) -> int:
    """Return the Unix time of an instant in whole milliseconds, not after it."""
    return (instant - _EPOCH) // _MILLISECOND


def _ceiling(instant: datetime) -> int:
    """Return the Unix time of an instant in whole milliseconds, not before it."""
    return -((_EPOCH - instant) // _MILLISECOND)


def _text(milliseconds: int) -> str:
    """Return an instant as RFC 3339: exact, and read by people who copy the address."""
    instant = _EPOCH + milliseconds * _MILLISECOND
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _range(expression: str, window: Window, step: timedelta) -> dict[str, str]:
    # VictoriaMetrics moves instants to multiples of the step, to keep answers; others do not know the word.
    return {"query": expression, "step": f"{step.total_seconds():.3f}", "nocache": "1", **_ends(window)}


def _ends(window: Window) -> dict[str, str]:
    return {"start": _text(_floor(window.start)), "end": _text(_floor(window.end))}
