from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sloproof.clients.prometheus import PrometheusClient
from sloproof.errors import QueryError, UnavailableError
from sloproof.model import MetricMetadata, Sample, Window
from tests.clients.recorded import Answer, Asked, always, data, http, json_of

AT = datetime(2026, 3, 1, 12, 0, 0, 123000, UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
UNIX_AT = 1772366400.123


def vector(*items: dict[str, Any], **more: Any) -> Answer:
    return data({"resultType": "vector", "result": list(items)}, **more)


def matrix(*items: dict[str, Any]) -> Answer:
    return data({"resultType": "matrix", "result": list(items)})


def test_query_gives_labels_value_and_instant() -> None:
    server, transport = http(vector({"metric": {"__name__": "up", "job": "api"}, "value": [UNIX_AT, "1"]}))
    (series,) = PrometheusClient(server).query("up", AT).series
    assert series.labels == {"__name__": "up", "job": "api"}
    assert series.samples == (Sample(AT, 1.0),)
    assert transport.asked[0].one("time") == "2026-03-01T12:00:00.123Z"


@pytest.mark.parametrize(("text", "value"), [("+Inf", math.inf), ("-Inf", -math.inf), ("1e+06", 1e6), ("0.1", 0.1)])
def test_query_reads_every_way_a_number_is_written(text: str, value: float) -> None:
    client = PrometheusClient(always(data({"resultType": "scalar", "result": [UNIX_AT, text]})))
    assert client.query("x", AT).series[0].samples == (Sample(AT, value),)


def test_query_reads_nan_as_nan_not_as_absent() -> None:
    client = PrometheusClient(always(vector({"metric": {}, "value": [UNIX_AT, "NaN"]})))
    assert math.isnan(client.query("0/0", AT).series[0].samples[0].value)


def test_query_keeps_warnings_and_infos() -> None:
    answer = PrometheusClient(always(vector(warnings=["only a part"], infos=["no counter"]))).query("x", AT)
    assert (answer.series, answer.warnings, answer.infos) == ((), ("only a part",), ("no counter",))


def test_query_says_that_native_histograms_are_left_out() -> None:
    histogram = {"count": "3", "sum": "1", "buckets": []}
    answer = PrometheusClient(always(vector({"metric": {}, "histogram": [UNIX_AT, histogram]}))).query("h", AT)
    assert answer.series == ()
    assert "1 series hold native histograms" in answer.warnings[0]
    client = PrometheusClient(always(matrix({"metric": {}, "histograms": [[UNIX_AT, histogram]]})))
    assert "native" in client.samples("h", Window(AT - MS, AT)).warnings[0]


def test_query_refuses_a_text_and_an_error_in_a_good_answer() -> None:
    with pytest.raises(QueryError, match="text"):
        PrometheusClient(always(data({"resultType": "string", "result": [UNIX_AT, "a"]}))).query('"a"', AT)
    with pytest.raises(QueryError) as caught:
        PrometheusClient(always(json_of({"status": "error", "error": "too many samples"}))).query("x", AT)
    assert "too many samples" in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [{"resultType": "matrix"}, {"resultType": "new"}, [], {"resultType": "vector", "result": [{"metric": 1}]}, None],
    ids=["no result", "unknown", "list", "wrong", "nothing"],
)
def test_query_calls_an_answer_of_another_shape_unavailable(document: Any) -> None:
    with pytest.raises(UnavailableError):
        PrometheusClient(always(data(document))).query("x", AT)


@given(st.integers(0, 4_294_967_295_999))
def test_sample_times_are_exact_to_the_millisecond(milliseconds: int) -> None:
    """Every timestamp until 2106, as Prometheus writes it, gives its own millisecond and no neighbour."""
    wire = f"{milliseconds // 1000}.{milliseconds % 1000:03}"
    body = f'{{"status":"success","data":{{"resultType":"scalar","result":[{wire},"1"]}}}}'
    (series,) = PrometheusClient(always(Answer(body))).query("x", AT).series
    assert series.samples[0].time == EPOCH + milliseconds * MS


@given(
    st.integers(1_000_000_000_000_000, 4_000_000_000_000_000).map(
        lambda microseconds: EPOCH + microseconds * MS / 1000
    ),
    st.timedeltas(timedelta(0), timedelta(days=3)),
)
@example(EPOCH, timedelta(0))
def test_samples_ask_for_exactly_the_milliseconds_of_the_window(start: datetime, length: timedelta) -> None:
    """Whatever microseconds the ends fall on: the range, open at its left, holds what the window holds."""
    window = Window(start, start + length)
    server, transport = http(matrix())
    PrometheusClient(server).samples("up", window)
    if not transport.asked:
        assert start + (EPOCH - start) % MS > window.end, "a whole millisecond lies within"
        return
    end = datetime.fromisoformat(transport.asked[0].one("time"))
    reach = int(transport.asked[0].one("query").removeprefix("up[").removesuffix("ms]")) * MS
    assert end in window
    assert end + MS not in window
    assert end - reach not in window
    assert end - reach + MS in window


def test_samples_leave_out_what_an_older_server_gives_beyond_the_left_end() -> None:
    early, first = UNIX_AT - 1.001, UNIX_AT - 1
    client = PrometheusClient(
        always(
            matrix(
                {"metric": {"a": "1"}, "values": [[early, "1"], [first, "2"], [UNIX_AT, "3"]]},
                {"metric": {"a": "2"}, "values": [[early, "1"]]},
            )
        )
    )
    (series,) = client.samples("x", Window(AT - 1000 * MS, AT)).series
    assert [sample.value for sample in series.samples] == [2, 3]


def test_samples_of_100_000_cost_less_than_half_a_second() -> None:
    values = ",".join(f'[{UNIX_AT + number / 1000:.3f},"{number}"]' for number in range(1000))
    items = ",".join(f'{{"metric":{{"n":"{number}"}},"values":[{values}]}}' for number in range(100))
    client = PrometheusClient(
        always(Answer(f'{{"status":"success","data":{{"resultType":"matrix","result":[{items}]}}}}'))
    )

    def spent() -> float:
        begin = process_time()
        found = client.samples("x", Window(AT, AT + timedelta(seconds=1))).series
        took = process_time() - begin
        assert sum(len(series.samples) for series in found) == 100_000
        return took

    assert any(spent() < 0.5 for _ in range(5))


def test_query_url_asks_the_same_without_credentials() -> None:
    server, _ = http(Answer(), url="http://joe:secret@server.test", bearer_token="hidden")
    assert (
        PrometheusClient(server).query_url('up{a="b"}', AT + timedelta(microseconds=999))
        == "http://server.test/api/v1/query?query=up%7Ba%3D%22b%22%7D&time=2026-03-01T12%3A00%3A00.123Z"
    )


def test_query_range_series_and_values_send_their_window() -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path.endswith("query_range"):
            return matrix({"metric": {}, "values": [[UNIX_AT, "1"]]})
        return data([{"__name__": "up"}] if asked.path.endswith("series") else ["a", "b"])

    server, transport = http(answer)
    client, window = PrometheusClient(server), Window(AT - timedelta(seconds=1), AT)
    assert client.query_range("up", window, timedelta(milliseconds=250)).series[0].samples == (Sample(AT, 1),)
    assert client.series(["up", "down"], window) == ({"__name__": "up"},)
    assert client.label_values("job", window, ["up"]) == ("a", "b")
    assert transport.asked[0].one("step") == "0.250"
    assert transport.asked[1].parameters["match[]"] == ["up", "down"]
    assert transport.asked[2].path == "/api/v1/label/job/values"
    for asked in transport.asked:
        assert (asked.one("start"), asked.one("end")) == ("2026-03-01T11:59:59.123Z", "2026-03-01T12:00:00.123Z")


def test_metadata_answers_that_are_only_a_part_are_not_passed_off_as_whole() -> None:
    with pytest.raises(UnavailableError, match="part") as caught:
        PrometheusClient(always(data(["a"], warnings=["results truncated"]))).metric_names(None)
    assert "results truncated" in str(caught.value)


def test_targets_are_read_with_their_times() -> None:
    target = {
        "labels": {"job": "api", "instance": "a:1"}, "scrapePool": "api", "scrapeUrl": "http://a:1/metrics",
        "globalUrl": "x", "lastError": "", "lastScrape": "2026-03-01T12:00:00.123456789+02:00",
        "lastScrapeDuration": 0.0125, "health": "up", "scrapeInterval": "250ms", "scrapeTimeout": "1m30s",
        "discoveredLabels": {},
    }  # fmt: skip
    never = {**target, "lastScrape": "0001-01-01T00:00:00Z", "health": "unknown", "lastError": "refused"}
    first, second = PrometheusClient(always(data({"activeTargets": [target, never]}))).targets()
    assert first.last_scrape is not None
    assert first.last_scrape.replace(microsecond=0) == datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
    assert first.last_scrape.utcoffset() == timedelta(0)
    assert first.last_scrape_duration == timedelta(milliseconds=12.5)
    assert (first.scrape_interval, first.scrape_timeout) == (timedelta(milliseconds=250), timedelta(seconds=90))
    assert (first.job, first.instance, first.last_error) == ("api", "a:1", None)
    assert (second.last_scrape, second.last_error) == (None, "refused")


def test_rule_groups_and_alerts_are_read() -> None:
    alert = {
        "labels": {"alertname": "Burn"}, "annotations": {"summary": "s"}, "state": "firing",
        "activeAt": "2026-03-01T12:00:00.5Z", "value": "1e+00",
    }  # fmt: skip
    rules = [
        {"name": "r", "query": "up", "health": "ok", "type": "recording", "lastEvaluation": "0001-01-01T00:00:00Z"},
        {
            "name": "Burn", "query": "up == 0", "health": "err", "lastError": "boom", "type": "alerting",
            "duration": 1.5,
            "keepFiringFor": 60, "labels": {"severity": "page"}, "annotations": {}, "state": "firing",
            "alerts": [alert],
            "lastEvaluation": "2026-03-01T12:00:00Z", "evaluationTime": 0.001,
        },
    ]  # fmt: skip
    group = {"name": "g", "file": "f.yml", "interval": 0.25, "rules": rules, "evaluationTime": 0.002, "limit": 0,
             "lastEvaluation": "2026-03-01T12:00:00Z"}  # fmt: skip
    (found,) = PrometheusClient(always(data({"groups": [group]}))).rule_groups()
    assert (found.interval, found.evaluation_duration) == (timedelta(milliseconds=250), timedelta(milliseconds=2))
    recording, alerting = found.rules
    assert (recording.kind, recording.last_evaluation, recording.hold) == ("recording", None, timedelta(0))
    assert (alerting.hold, alerting.keep_firing) == (timedelta(seconds=1.5), timedelta(minutes=1))
    assert (alerting.health, alerting.last_error) == ("err", "boom")
    (own,) = alerting.alerts
    assert (own.name, own.state, own.value) == ("Burn", "firing", 1.0)
    assert own.active_at == datetime(2026, 3, 1, 12, 0, 0, 500000, UTC)
    assert PrometheusClient(always(data({"alerts": [alert]}))).alerts() == (own,)


def test_metadata_gives_one_entry_a_differing_answer() -> None:
    found = {"up": [{"type": "gauge", "help": "a", "unit": ""}, {"type": "counter", "help": "b"}]}
    server, transport = http(data(found))
    assert PrometheusClient(server).metadata("up") == (
        MetricMetadata("up", "gauge", "a"),
        MetricMetadata("up", "counter", "b"),
    )
    assert transport.asked[0].one("metric") == "up"


def test_status_pages_are_read() -> None:
    answers = {"config": {"yaml": "global: {}"}, "flags": {"web.port": "1"}, "buildinfo": {"version": "3.15.0"}}
    client = PrometheusClient(http(lambda asked: data(answers[asked.path.rpartition("/")[2]]))[0])
    assert client.config_yaml() == "global: {}"
    assert client.flags() == {"web.port": "1"}
    assert client.build_version() == "3.15.0"


def test_nearest_names_what_is_there_and_never_costs_a_finding() -> None:
    window = Window(AT - timedelta(seconds=1), AT)
    client = PrometheusClient(
        http(lambda asked: data([{"__name__": "up", "job": "api"}] if "series" in asked.path else ["up"]))[0]
    )
    assert 'there is: "api"' in client.nearest('up{job="apo"}', window)
    assert "could not be found out" in PrometheusClient(always(Answer("", 503))).nearest("up", window)


def test_query_range_asks_for_nothing_but_the_instants_it_names() -> None:
    server, transport = http(matrix())
    client = PrometheusClient(server)
    window, step = Window(AT - timedelta(hours=2), AT), timedelta(minutes=5)
    client.query_range("up", window, step)
    asked = transport.asked[0]
    assert (asked.one("step"), asked.one("end")) == ("300.000", "2026-03-01T12:00:00.123Z")
    # Without it VictoriaMetrics answers for multiples of the step.
    assert asked.one("nocache") == "1"
    url = client.query_range_url("up", window, step)
    assert "/api/v1/query_range?query=up&step=300.000" in url
    assert "end=2026-03-01T12%3A00%3A00.123Z" in url
