"""The service's dashboard, as code: `python -m service.dashboards platform/dashboards` writes its JSON.

Needs the `dashboards` dependency group; the running service never imports this.
"""

from __future__ import annotations

import sys
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, heatmap, logs, loki, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef, VariableOption
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI = DataSourceRef(type_val="loki", uid="loki")
METRICS = 'job="users-api", endpoint=~"$endpoint"'
LOGS = 'app="users-api"'
WIDE, HALF, THIRD = 24, 12, 8
HEIGHT = 8


def _query(expr: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).range().datasource(PROMETHEUS)


def _lines(title: str, description: str, unit: str, *queries: prometheus.Dataquery) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(PROMETHEUS)
        .min(0)
        .span(HALF)
        .height(HEIGHT)
        .fill_opacity(8)
        .line_width(2)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
            .show_legend(show_legend=True)
        )
    )
    for query in queries:
        panel.with_target(query)
    return panel


def _quantile(quantile: float, ref: str) -> prometheus.Dataquery:
    rate = f"sum by (le) (rate(app_request_latency_seconds_bucket{{{METRICS}}}[$__rate_interval]))"
    return _query(f"histogram_quantile({quantile}, {rate})", f"p{quantile * 100:g}", ref)


def users_api() -> dashboard.Dashboard:
    """Return the dashboard of the users API: traffic, errors, latency, in flight, probes, logs."""
    rate = f"rate(app_request_count_total{{{METRICS}}}[$__rate_interval])"
    failed = f'rate(app_request_count_total{{{METRICS}, http_status=~"5.."}}[$__rate_interval])'
    line_rate = f"sum by (level) (count_over_time({{{LOGS}}} | regexp `\\[(?P<level>[A-Z]+)\\]` [$__auto]))"
    return (
        dashboard.Dashboard("Users API")
        .uid("users-api")
        .tags(["users-api", "sloproof"])
        .description("What users-api does, and how well.")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-15m", "now")
        .refresh("10s")
        .timezone("utc")
        .readonly()
        .with_variable(
            dashboard.QueryVariable("endpoint")
            .label("Endpoint")
            .datasource(PROMETHEUS)
            .query('label_values(app_request_count_total{job="users-api"}, endpoint)')
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
            .current(VariableOption(selected=True, text="All", value="$__all"))
        )
        .with_panel(
            stat.Panel()
            .title("Targets up")
            .description("Instances that answered the last scrape.")
            .unit("short")
            .datasource(PROMETHEUS)
            .span(THIRD)
            .height(4)
            .with_target(_query('sum(up{job="users-api"})', "up"))
        )
        .with_panel(
            stat.Panel()
            .title("In flight now")
            .description("Requests that have begun and not ended.")
            .unit("short")
            .datasource(PROMETHEUS)
            .span(THIRD)
            .height(4)
            .with_target(_query('sum(app_active_requests{job="users-api"})', "in flight"))
        )
        .with_panel(
            stat.Panel()
            .title("Error ratio now")
            .description("Requests answered with 5xx, of all requests.")
            .unit("percentunit")
            .datasource(PROMETHEUS)
            .span(THIRD)
            .height(4)
            .with_target(_query(f"sum({failed}) / (sum({rate}) > 0)", "5xx"))
        )
        .with_panel(
            _lines(
                "Requests per second",
                "Requests answered, by endpoint.",
                "reqps",
                _query(f"sum by (endpoint) ({rate})", "{{endpoint}}"),
            )
        )
        .with_panel(
            _lines(
                "Error ratio",
                "Requests answered with 5xx, of all requests.",
                "percentunit",
                _query(f"sum({failed}) / (sum({rate}) > 0)", "5xx"),
            )
        )
        .with_panel(
            _lines(
                "Errors by type",
                "Errors per second, by type and endpoint.",
                "ops",
                _query(
                    f"sum by (error_type, endpoint) (rate(app_error_count_total{{{METRICS}}}[$__rate_interval]))",
                    "{{error_type}} {{endpoint}}",
                ),
            )
        )
        .with_panel(
            _lines(
                "Latency quantiles",
                "As the service sees it: queueing before it is not in here.",
                "s",
                _quantile(0.5, "A"),
                _quantile(0.9, "B"),
                _quantile(0.99, "C"),
            )
        )
        .with_panel(
            heatmap.Panel()
            .title("Latency heat map")
            .description("Requests per second in each latency bucket.")
            .datasource(PROMETHEUS)
            .span(HALF)
            .height(HEIGHT)
            .calculate(calculate=False)
            .with_target(
                _query(
                    f"sum by (le) (rate(app_request_latency_seconds_bucket{{{METRICS}}}[$__rate_interval]))", "{{le}}"
                ).format(PromQueryFormat.HEATMAP)
            )
        )
        .with_panel(
            _lines(
                "Requests in flight",
                "Requests that have begun and not ended, by instance.",
                "short",
                _query('sum by (instance) (app_active_requests{job="users-api"})', "{{instance}}"),
            )
        )
        .with_panel(
            _lines(
                "Probes",
                "Probes answered per second, by probe and answer.",
                "ops",
                _query(
                    'sum by (probe, http_status) (rate(app_probe_count_total{job="users-api"}[$__rate_interval]))',
                    "{{probe}} {{http_status}}",
                ),
            )
        )
        .with_panel(
            timeseries.Panel()
            .title("Log volume")
            .description("Lines by level.")
            .unit("short")
            .datasource(LOKI)
            .span(HALF)
            .height(HEIGHT)
            .with_target(
                loki.Dataquery()
                .expr(line_rate)
                .legend_format("{{level}}")
                .ref_id("A")
                .query_type("range")
                .datasource(LOKI)
            )
        )
        .with_panel(
            logs.Panel()
            .title("Error lines")
            .description("Lines of level ERROR, whatever their text says.")
            .datasource(LOKI)
            .span(WIDE)
            .height(HEIGHT)
            .with_target(
                loki.Dataquery()
                .expr(f"{{{LOGS}}} |= `[ERROR]`")
                .ref_id("A")
                .query_type("range")
                .max_lines(100)
                .datasource(LOKI)
            )
        )
    )


def main(folder: Path) -> None:
    """Write every dashboard into a folder, one file each."""
    text = JSONEncoder(sort_keys=True, indent=2).encode(users_api().build())
    (folder / "users-api.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
