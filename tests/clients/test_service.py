from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import requests

from sloproof.clients.service import ExposedSample, ServiceClient
from sloproof.errors import CapabilityError, QueryError, UnavailableError
from sloproof.settings import ServiceSettings
from tests.clients.recorded import Answer, Asked, Transport, http, json_of

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = ServiceSettings(name="api", command=["x"], faults="/faults")
EXPOSITION = """\
# HELP app_requests_total Requests, by "kind".
# TYPE app_requests_total counter
app_requests_total{path="/a\\"b",code="200"} 3
# HELP app_active Active.
# TYPE app_active gauge
app_active{worker="1"} 2
app_active{worker="2"} 1
# TYPE app_seconds histogram
app_seconds_bucket{le="0.1"} 1
app_seconds_bucket{le="+Inf"} 2
app_seconds_count 2
app_seconds_sum 0.3
# TYPE app_größe gauge
"""


def service(
    answer: Answer | Callable[[Asked], Answer], settings: ServiceSettings = SETTINGS
) -> tuple[ServiceClient, Transport]:
    server, transport = http(answer)
    return ServiceClient("unused", settings, faults_token="s3cret", http=server), transport


def fail(error: Exception) -> Callable[[Asked], Answer]:
    def answer(_: Asked) -> Answer:
        raise error

    return answer


def test_send_gives_any_status_with_its_times_and_request_id() -> None:
    client, transport = service(Answer("gone", 302, {"Location": "/x", "X-Request-ID": "r1"}))
    before = datetime.now(UTC)
    response = client.send("POST", "/a?b=c", headers={"x-request-id": "r1"}, body="größe")
    assert (response.status, response.body, response.request_id) == (302, b"gone", "r1")
    assert response.headers["location"] == "/x"
    assert before <= response.started <= datetime.now(UTC)
    assert timedelta(0) < response.duration < timedelta(seconds=5)
    (asked,) = transport.asked
    assert (asked.method, asked.url, asked.body) == ("POST", "http://server.test:9090/a?b=c", "größe".encode())
    assert asked.headers["X-Request-ID"] == "r1"
    assert asked.headers["Connection"] == "close"


def test_send_gives_each_request_an_id_of_its_own_and_the_faults_token_to_none() -> None:
    client, transport = service(Answer())
    ids = {client.send("GET", "/").request_id for _ in range(10)}
    assert len(ids) == 10
    assert {asked.headers["X-Request-ID"] for asked in transport.asked} == ids
    assert not any("Authorization" in asked.headers for asked in transport.asked)


def test_send_says_how_no_answer_came() -> None:
    for error, kind in (
        (requests.ConnectionError(ConnectionRefusedError(111, "refused")), "refused"),
        (requests.ReadTimeout("slow"), "timeout"),
        (requests.ConnectionError(TimeoutError(110, "the kernel gave up")), "timeout"),
        (requests.ConnectionError(ConnectionResetError(104, "reset")), "reset"),
    ):
        with pytest.raises(UnavailableError) as caught:
            service(fail(error))[0].send("GET", "/")
        assert caught.value.kind == kind


@pytest.mark.parametrize(
    "error",
    [requests.ReadTimeout("x"), requests.ConnectionError("y"), requests.exceptions.InvalidURL("z"), UnicodeError("u")],
    ids=["timeout", "connection", "address", "unicode"],
)
def test_probe_makes_an_answer_of_no_answer(error: Exception) -> None:
    sample = service(fail(error))[0].probe("readiness")
    assert sample.status is None
    assert sample.failure
    assert sample.duration >= timedelta(0)


def test_probe_asks_the_path_of_its_kind() -> None:
    settings = ServiceSettings(name="api", command=["x"], readiness="/r", liveness="/l")
    client, transport = service(Answer('{"status":"down"}', 503), settings)
    samples = [client.probe("readiness"), client.probe("liveness")]
    assert [asked.path for asked in transport.asked] == ["/r", "/l"]
    assert [(sample.status, sample.failure, sample.body) for sample in samples] == [(503, "", b'{"status":"down"}')] * 2


def test_exposition_gives_each_metric_with_its_samples() -> None:
    found = service(Answer(EXPOSITION.replace("größe", "size"), headers={"Content-Type": "text/plain"}))[0].exposition()
    counter = found["app_requests"]
    assert (counter.kind, counter.help) == ("counter", 'Requests, by "kind".')
    assert counter.samples == (ExposedSample("app_requests_total", {"path": '/a"b', "code": "200"}, 3),)
    assert found["app_seconds"].kind == "histogram"
    assert len(found["app_seconds"].samples) == 4


def test_exposition_keeps_every_sample_of_a_metric_that_is_exposed_twice() -> None:
    twice = '# TYPE a gauge\na{x="1"} 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na{x="2"} 2\n'
    client, _ = service(Answer(twice))
    assert len(client.exposition()["a"].samples) == 2
    assert client.gauge_value("a") == 3


def test_exposition_that_cannot_be_read_is_unavailable() -> None:
    for answer in (Answer("app_active{ 1"), Answer("app_active one"), Answer("", 503)):
        with pytest.raises(UnavailableError):
            service(answer)[0].exposition()
    with pytest.raises(QueryError):
        service(Answer("", 404))[0].exposition()


def test_gauge_value_is_the_sum_of_its_series_and_never_zero_for_none() -> None:
    client, _ = service(Answer(EXPOSITION.replace("größe", "size")))
    assert client.gauge_value("app_active") == 3
    with pytest.raises(UnavailableError, match="app_nothing"):
        client.gauge_value("app_nothing")
    with pytest.raises(UnavailableError, match="app_size"):
        client.gauge_value("app_size")


def test_faults_are_set_read_and_cleared_with_the_token() -> None:
    client, transport = service(lambda asked: json_of({"hang": True}) if asked.method == "GET" else Answer("", 204))
    client.set_faults({"hang": True})
    assert client.faults() == {"hang": True}
    client.clear_faults()
    assert [asked.method for asked in transport.asked] == ["PUT", "GET", "DELETE"]
    assert json.loads(transport.asked[0].body or "") == {"hang": True}
    assert {asked.headers["Authorization"] for asked in transport.asked} == {"Bearer s3cret"}


def test_faults_that_are_refused_or_missing_say_so() -> None:
    with pytest.raises(QueryError, match="403") as caught:
        service(Answer('{"error": "wrong token s3cret"}', 403))[0].set_faults({})
    assert "s3cret" not in str(caught.value)
    with pytest.raises(UnavailableError, match="500"):
        service(Answer("", 500))[0].clear_faults()
    with pytest.raises(CapabilityError, match="has no fault switch"):
        service(Answer(), ServiceSettings(name="api", command=["x"]))[0].faults()
