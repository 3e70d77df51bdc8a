"""Scrapes that come again in the same bytes: the same answer as the usual way gives, and never an old one."""

from __future__ import annotations

import http.client
import signal
import socket
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import EnvironBuilder

from service.application import build
from service.observers import FAILURE_KEY
from service.repeated_scrapes import RepeatedScrapes
from tests.service.observed import Observed, fast, samples_of, total
from tests.service.running import LIMIT_SECONDS, Running, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain;version=0.0.4\r\n\r\n"
PLAIN = {"PATH_INFO": "/metrics", "REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "QUERY_STRING": ""}
COUNT = "app_request_count_total"


@pytest.fixture
def scrapes() -> RepeatedScrapes:
    service = build(fast())
    service.lifecycle.begin()
    return RepeatedScrapes(service)


def test_known_head_is_answered_with_the_numbers_of_now(scrapes: RepeatedScrapes) -> None:
    assert scrapes.answer_to(HEAD) is None, "nobody has parsed it yet"
    scrapes.note(HEAD, {**PLAIN, "HTTP_ACCEPT": "text/plain;version=0.0.4"})
    for number in range(3):
        answer = scrapes.answer_to(HEAD)
        assert answer is not None
        head, _, body = answer.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
        assert total(samples_of(body.decode()), COUNT) == number
        scrapes._service.metrics.count_request("/", "GET", 200, 0.1)


@pytest.mark.parametrize(
    "unlike",
    [
        {"PATH_INFO": "/"}, {"REQUEST_METHOD": "HEAD"}, {"SERVER_PROTOCOL": "HTTP/1.0"}, {"CONTENT_LENGTH": "1"},
        {"HTTP_TRANSFER_ENCODING": "chunked"}, {"HTTP_CONNECTION": "close"}, {"HTTP_EXPECT": "100-continue"},
        {"HTTP_UPGRADE": "h2c"}, {"QUERY_STRING": "a=b"},
    ],
)  # fmt: skip
def test_head_that_is_more_than_a_plain_scrape_is_not_kept(scrapes: RepeatedScrapes, unlike: dict[str, str]) -> None:
    scrapes.note(HEAD, {**PLAIN, **unlike})
    assert scrapes.answer_to(HEAD) is None


@pytest.mark.parametrize("head", [HEAD + b"G", HEAD + HEAD, HEAD[:-2], b""])
def test_head_that_came_with_more_or_not_whole_is_not_kept(scrapes: RepeatedScrapes, head: bytes) -> None:
    scrapes.note(head, PLAIN)
    assert scrapes.answer_to(head) is None


def test_heads_that_clients_think_up_do_not_pile_up(scrapes: RepeatedScrapes) -> None:
    for number in range(1000):
        scrapes.note(HEAD[:-2] + b"X: %d\r\n\r\n" % number, PLAIN)
    assert len(scrapes._known) <= 16


def test_scrape_is_told_of_where_probes_are() -> None:
    """The usual way writes its line."""
    service = build(fast(log_level="DEBUG"))
    service.lifecycle.begin()
    telling = RepeatedScrapes(service)
    telling.note(HEAD, PLAIN)
    assert telling.answer_to(HEAD) is None


def test_scrape_that_failed_is_told_of_and_not_tried_again(observed: Observed) -> None:
    asked: list[str] = []
    environ = EnvironBuilder("/metrics", environ_overrides={FAILURE_KEY: TimeoutError("the lock")}).get_environ()

    def respond(status: str, *_: object) -> Any:
        asked.append(status)

    answer: Any = observed.app(environ, respond)
    with closing(answer):
        body = b"".join(answer)

    assert asked == ["500 INTERNAL SERVER ERROR"]
    assert b"app_request_count" not in body
    assert any("TimeoutError" in line for line in observed.lines)
    assert observed.send("GET", "/metrics").status_code == 200


def _headers(answer: http.client.HTTPResponse) -> Mapping[str, Any]:
    return {name: value for name, value in answer.getheaders() if name not in {"Date", "X-Request-ID"}}


@pytest.mark.slow  # a real process
def test_answers_are_those_of_the_usual_way_and_count_what_came_between(start: Running) -> None:
    service = start(SERVICE_WORKERS="1")
    accept = "application/openmetrics-text;version=1.0.0"
    answers: list[tuple[Mapping[str, Any], dict[Any, float]]] = []
    ids = set()
    with service.connection() as kept:

        def is_counted(number: int) -> bool:
            kept.request("GET", "/metrics", headers={"Accept": accept})
            answer = kept.getresponse()
            ids.add(answer.getheader("X-Request-ID"))
            answers.append((_headers(answer), samples_of(answer.read().decode().replace("# EOF\n", ""))))
            return total(answers[-1][1], COUNT, endpoint="/") == number

        for number in range(5):
            # A request is counted once its answer has been sent.
            wait_for(partial(is_counted, number), "the count of what came between")
            assert service.get("/")[0] == 200
    headers, samples = answers[0]
    for other in answers:
        assert {**other[0], "Content-Length": ""} == {**headers, "Content-Length": ""}
        assert other[1].keys() == samples.keys()
    assert len(ids) == len(answers) >= 5
    assert service.errors == ""


@pytest.mark.slow  # a real process
def test_client_that_does_not_read_gets_all_later_and_holds_nobody_up(start: Running) -> None:
    """More than the system keeps for it: the loop hands the rest to a thread, and goes on."""
    service = start(SERVICE_WORKERS="1")
    number = 400
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(LIMIT_SECONDS)
        sock.connect(("127.0.0.1", service.port))
        for _ in range(number):
            sock.sendall(HEAD)
            # Seen by the loop before the next comes, so that it is not taken for two at once.
            assert service.get("/health/liveness")[0] == 200
        sock.shutdown(socket.SHUT_WR)
        parts = []
        while part := sock.recv(1 << 20):
            parts.append(part)
    heads = b"".join(parts).split(b"HTTP/1.1 200 OK\r\n")
    assert heads[0] == b""
    bodies = [one.partition(b"\r\n\r\n") for one in heads[1:]]
    assert len(bodies) == number
    for head, _, body in bodies:
        assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    assert service.total("app_active_requests") == 0


@pytest.mark.slow  # a real process
def test_scraper_is_asked_to_go_when_the_service_goes(start: Running) -> None:
    service = start(SERVICE_WORKERS="1", SERVICE_DRAIN_SECONDS="5")
    with service.connection() as kept:

        def scrape() -> str | None:
            kept.request("GET", "/metrics")
            answer = kept.getresponse()
            answer.read()
            return answer.getheader("Connection")

        assert [scrape() for _ in range(3)] == ["keep-alive"] * 3
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        wait_for(lambda: service.get("/health/readiness")[0] == 503, "the drain")
        assert scrape() == "close"
    assert service.process.wait(LIMIT_SECONDS) == 0


@pytest.mark.slow  # a real process
def test_worker_that_has_answered_enough_scrapes_is_replaced(start: Running) -> None:
    service = start(SERVICE_WORKERS="1", SERVICE_MAX_REQUESTS="30")
    (worker,) = service.workers
    answered = 0
    with service.connection() as kept:
        says = None
        while says != "close":
            kept.request("GET", "/metrics")
            answer = kept.getresponse()
            answer.read()
            says = answer.getheader("Connection")
            answered += 1
            assert answered < 40
    wait_for(lambda: worker.pid not in {one.pid for one in service.workers}, "another worker")
