"""Every lie that is told to the checks, which of them must notice, and what they must say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.lies import service_lies


@dataclass(frozen=True, slots=True)
class Lie:
    """One lie.

    Attributes:
        name: The function that plants it, in `service_lies` or in `platform_lies`.
        red: Checks that must not pass, each with a text that its finding must hold. The first is the one the lie is
            meant for; the others rest on the same evidence and are right to object.
        unclear: Those of them that are right to say `inconclusive` instead of `fail`.
    """

    name: str
    red: Mapping[str, str]
    unclear: frozenset[str] = frozenset()

    @property
    def is_of_service(self) -> bool:
        """Return whether the service tells it, and not the platform."""
        return self.name in service_lies.LIES


@dataclass(frozen=True, slots=True)
class Company:
    """Lies that share one environment because no check hears two of them.

    Attributes:
        lies: The lies.
        env: Settings of the service beyond the usual.
        may: Checks that the lies may turn red or not, by chance.
    """

    lies: tuple[Lie, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    may: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Return the lies' names."""
        return "+".join(lie.name for lie in self.lies)


_RECYCLING = {"SERVICE_MAX_REQUESTS": "110"}
_COUNT = "restart_continuity"  # it rests on the sum of the request counter as well

COMPANIES = (
    Company((
        Lie("one_line_in_50_is_lost", {"log_delivery": " lost, 0 too many", "three_way_count": "logs miss some",
                                       "id_join": "0 lines with the id"}),
        Lie("latency_is_observed_twice_as_long", {"quantile_bracket": "longer than the client waited"}),
        Lie("liveness_asks_the_database", {"probe_truth": "liveness must not depend"}),
    )),
    Company((
        Lie("one_line_in_50_is_doubled", {"log_delivery": "0 lost, ", "three_way_count": "logs have too many",
                                          "id_join": "2 lines with the id"}),
        Lie("paths_are_labels", {"bounded_cardinality": "wp-login.php"}),
        Lie("readiness_is_always_green", {"probe_truth": "green while it cannot serve"}),
    )),
    Company((
        Lie("one_line_in_50_has_no_id", {"log_delivery": "the service loses the id", "id_join": "0 lines with the id"}),
        Lie("posts_are_counted_as_gets", {"three_way_count": "POST    /api/echo"}),
        Lie("unhandled_errors_are_not_counted", {"error_visibility": "only the error counter is wrong"}),
    )),
    Company((
        Lie("server_errors_are_logged_as_200", {"three_way_count": "the sums agree and the rows do not",
                                                "id_join": "says status 200, the client 500"}),
        Lie("one_early_line_is_written_late", {"log_delivery": "lines out of order"}),
        Lie("gauge_sticks_after_exceptions", {"gauge_at_rest": "counted down on some way out"}),
    )),
    Company((
        Lie("duration_is_logged_in_milliseconds", {"id_join": "in another unit"}),
        Lie("one_count_in_20_is_lost", {"three_way_count": "only the counter is short", _COUNT: "off by -"}),
        Lie("unhandled_errors_leave_no_traceback", {"error_visibility": "a traceback on its error line"}),
    )),
    Company((
        Lie("one_of_two_workers_counts", {"three_way_count": "a worker whose counts are not collected",
                                          "error_visibility": "request counter", _COUNT: "off by -"}),
        Lie("service_is_scraped_by_two_jobs", {"single_scrape": "two scrape jobs keep the same target"}),
    )),
    Company((
        # A label value that nobody has seen is one too many, whoever forgot to announce it.
        Lie("errors_are_born_with_their_first_event", {"exposition": "app_error_count_total",
                                                       "bounded_cardinality": "unhandled_exception"}),
    )),
    Company((
        Lie("error_counter_has_no_total", {"exposition": "app_error_count_total  it is a gauge",
                                           "error_visibility": "no answer from: error counter",
                                           "dashboard_panels": "app_error_count_total does not exist"},
            unclear=frozenset({"error_visibility"})),
    )),
    Company((
        Lie("recycled_workers_take_their_counts_along", {_COUNT: "took its counts with it",
                                                         "three_way_count": "only the counter is short"}),
    ), env=_RECYCLING, may=frozenset({"error_visibility", "quantile_bracket", "alert_lifecycle", "observers_alive"})),
    Company((
        Lie("recycled_workers_are_counted_twice", {_COUNT: "off by +", "three_way_count": "counter has too many"}),
    ), env=_RECYCLING, may=frozenset({"error_visibility", "quantile_bracket", "alert_lifecycle", "observers_alive"})),
    # An alert on targets that are down may well go off on the scrapes that fail.
    Company((Lie("some_scrapes_fail", {"observers_alive": "failed"}),), may=frozenset({"alert_lifecycle"})),
    Company((
        Lie("probes_count_as_traffic", {"three_way_count": "/health/liveness",
                                        "log_delivery": "lines of requests nobody sent",
                                        "error_visibility": "/health/readiness", _COUNT: "off by +",
                                        "bounded_cardinality": "'/health/readiness'"}),
    ), may=frozenset({"alert_lifecycle"})),
    Company((
        Lie("shipper_filters_lines", {"log_delivery": "POST    /api/echo", "three_way_count": "only the logs are short",
                                      "id_join": "0 lines with the id"}),
        Lie("rule_names_a_counter_without_total", {"rule_health": "app_request_count{"}),
    )),
    Company((
        Lie("shipper_limits_lines", {"observers_alive": "ratelimit_drop_stage", "log_delivery": " lost, 0 too many",
                                     "three_way_count": "only the logs are short", "id_join": "0 lines with the id"}),
    ), may=frozenset({"error_visibility"})),
    Company((
        Lie("store_refuses_long_lines", {"observers_alive": "loki_discarded_samples_total",
                                         "error_visibility": "not found in the logs"}),
        Lie("alert_fires_at_every_error", {"alert_lifecycle": "ErrorRatioHigh firing"}),
    )),
    Company((
        Lie("rule_joins_many_to_many", {"rule_health": "many-to-many",
                                        "observers_alive": "prometheus_rule_evaluation_failures_total"}),
    )),
)  # fmt: skip

# Panels that each lie about the dashboard empties, and what their findings say.
_OF_VARIABLE = ("Error ratio now", "Requests per second", "Error ratio", "Errors by type", "Latency quantiles",
                "Latency heat map")  # fmt: skip
DASHBOARD_LIES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "panel_asks_a_datasource_that_is_gone": (("Targets up",), "datasource uid 'PBFA97CFB590B2093' does not exist"),
    "panel_asks_a_counter_without_total": (("Requests per second",), "metric app_request_count does not exist"),
    "panel_asks_a_window_below_two_scrapes": (("Errors by type",), "a rate over less than two scrapes"),
    "variable_is_stale": (_OF_VARIABLE, "stale variable: $endpoint is /api/people"),
}
