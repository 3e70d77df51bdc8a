from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import requests

from sloproof.clients._http import Http
from sloproof.errors import QueryError, SettingsError, UnavailableError
from tests.clients.recorded import Answer, Asked, always, http, json_of
from tests.load.server import closed_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "s3cr3t-t0ken"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_http_calls_a_server_error_unavailable(status: int) -> None:
    with pytest.raises(UnavailableError) as caught:
        always(Answer("try later", status)).get("/x", dict)
    assert (caught.value.kind, caught.value.status) == ("status", status)
    assert caught.value.url == "http://server.test:9090/x"
    assert "try later" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"status":"error","errorType":"bad_data","error":"unexpected }"}', "unexpected }"),
        ('{"code":400,"message":"bad matcher"}', "bad matcher"),
        ('"bad filter"', "bad filter"),
        ("parse error at line 1\n", "parse error at line 1"),
    ],
)
def test_http_gives_a_refusal_in_the_servers_words(body: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        always(Answer(body, 400)).get("/x", dict)
    assert caught.value.details["answer"] == message
    assert caught.value.status == 400


@pytest.mark.parametrize("body", ["<html>", "", '{"a":', b"\xff\xfe", "[1]", '{"a": "\xff"}'.encode("latin-1")])
def test_http_calls_an_answer_that_is_not_its_json_unavailable(body: str | bytes) -> None:
    with pytest.raises(UnavailableError) as caught:
        always(Answer(body)).get("/x", dict[str, str])
    assert caught.value.kind == "protocol"
    assert "right server" in str(caught.value)


def test_http_follows_no_redirect_and_says_where_it_leads() -> None:
    server, transport = http(
        Answer("", 302, {"Location": f"http://elsewhere.test/?token={SECRET}"}), bearer_token=SECRET
    )
    with pytest.raises(QueryError, match="redirect") as caught:
        server.get("/x", dict)
    assert len(transport.asked) == 1
    assert caught.value.details["leads_to"].endswith("token=***")


def test_http_sends_credentials_tenant_and_headers() -> None:
    server, transport = http(Answer(), bearer_token=SECRET, tenant="team-a", headers={"X-Key": "k"})
    server.get("/x", dict)
    sent = transport.asked[0].headers
    assert sent["Authorization"] == f"Bearer {SECRET}"
    assert (sent["X-Scope-OrgID"], sent["X-Key"]) == ("team-a", "k")
    server, transport = http(Answer(), authorization="Custom abc")
    server.get("/x", dict)
    assert transport.asked[0].headers["Authorization"] == "Custom abc"


def test_http_with_another_token_keeps_the_rest_and_hides_both_secrets() -> None:
    server, transport = http(Answer(f"{SECRET} other-t0ken", 401), bearer_token=SECRET, tenant="team-a")
    with pytest.raises(QueryError) as caught:
        server.with_bearer_token("other-t0ken").get("/x", dict)
    sent = transport.asked[0].headers
    assert (sent["Authorization"], sent["X-Scope-OrgID"]) == ("Bearer other-t0ken", "team-a")
    assert caught.value.details["answer"] == "*** ***"


def test_http_turns_user_and_password_of_a_url_into_a_header_and_out_of_every_text() -> None:
    server, transport = http(Answer("", 500), url="http://joe:pa%40ss@server.test/prefix/")
    assert server.url("/x", {"q": "a b", "m": ["1", "2"]}) == "http://server.test/prefix/x?q=a+b&m=1&m=2"
    with pytest.raises(UnavailableError) as caught:
        server.get("/x", dict)
    assert transport.asked[0].headers["Authorization"] == "Basic am9lOnBhQHNz"
    assert transport.asked[0].url == "http://server.test/prefix/x"
    assert "joe" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(f'{{"error": "token {SECRET} is unknown, key hunter2-key too"}}', 401),
        Answer(f"no json but {SECRET} and hunter2-key"),
        Answer(f"{SECRET} hunter2-key", 503),
        requests.exceptions.InvalidHeader(f"bad Bearer {SECRET} hunter2-key"),
        requests.ConnectionError(f"proxy {SECRET} hunter2-key"),
    ],
    ids=["refusal", "no json", "server error", "header", "connection"],
)
def test_http_keeps_secrets_out_of_error_texts(answer: Answer | Exception) -> None:
    def give(_: Asked) -> Answer:
        if isinstance(answer, Exception):
            raise answer
        return answer

    server, _ = http(give, bearer_token=SECRET, headers={"X-Key": "hunter2-key"})
    with pytest.raises((QueryError, UnavailableError)) as caught:
        server.get("/x", dict)
    shown = f"{caught.value}{caught.value!r}{caught.value.__cause__}"
    assert SECRET not in shown
    assert "hunter2" not in shown


def test_http_refuses_a_token_that_no_header_can_hold_without_showing_it() -> None:
    with pytest.raises(SettingsError) as caught:
        Http("http://server.test", bearer_token=f"{SECRET}\nX-Evil: 1")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["", "server:9090", "ftp://server", "http://", "http://[::1", "http://a:99999", "/x"])
def test_http_refuses_what_is_no_base_url(url: str) -> None:
    with pytest.raises(SettingsError, match="base URL"):
        Http(url)


def test_http_keeps_no_cookie_between_questions() -> None:
    with _server(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", times=2
    ) as (url, seen):
        server = Http(url)
        server.get("/x", dict)
        server.get("/y", dict)
    assert len(seen) == 2
    assert b"ookie" not in seen[1]


def test_http_never_uses_a_connection_again_that_it_asked_to_close() -> None:
    """The server does not announce that it will close, nor has it closed yet: only the asking counts."""
    with _server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", times=2, hold=True) as (url, seen):
        server = Http(url, timeout=timedelta(seconds=60))
        for _ in range(2):
            assert server.request("GET", "/x", headers={"Connection": "close"}).body == b"{}"
    assert len(seen) == 2


def test_http_reads_an_answer_as_utf8_whatever_its_type_says() -> None:
    reply = always(Answer("größe", headers={"Content-Type": "text/plain"})).request("GET", "/")
    assert reply.text == "größe"


def test_http_is_ready_only_for_200() -> None:
    assert always(json_of({})).is_ready("/ready")
    assert not always(Answer("", 204)).is_ready("/ready")
    assert not always(Answer("", 503)).is_ready("/ready")
    assert not Http(f"http://127.0.0.1:{closed_port()}").is_ready("/ready")


def test_http_tells_refused_timeout_reset_and_no_route_apart() -> None:
    """Against real sockets: what the kernel does is what the words must mean."""
    assert _kind(f"http://127.0.0.1:{closed_port()}") == "refused"
    assert _kind("http://nowhere.invalid") == "connect"
    with _server(None) as (url, _):
        assert _kind(url, 0.15) == "timeout"
    with _server(b"") as (url, _):
        assert _kind(url) == "reset"
    with _server(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf") as (url, _):
        assert _kind(url) == "reset"
    with _server(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", hold=True) as (url, _):
        assert _kind(url, 0.15) == "timeout"
    with _server(b"not http at all\r\n\r\n") as (url, _):
        assert _kind(url) in {"protocol", "connect", "reset"}


def test_http_asks_once_whatever_comes() -> None:
    with _server(b"", times=3) as (url, seen):
        with pytest.raises(UnavailableError):
            Http(url).get("/x", dict)
        assert len(seen) == 1


def test_http_waits_as_long_as_a_single_request_says() -> None:
    server, transport = http(Answer(), timeout=timedelta(seconds=3))
    server.request("GET", "/")
    server.request("GET", "/", timeout=timedelta(seconds=0.5))
    assert [asked.options["timeout"] for asked in transport.asked] == [3.0, 0.5]


def _kind(url: str, seconds: float = 60) -> str:
    with pytest.raises(UnavailableError) as caught:
        Http(url, timeout=timedelta(seconds=seconds)).get("/x", dict)
    assert caught.value.url == f"{url}/x"
    return caught.value.kind


@contextmanager
def _server(answer: bytes | None, *, times: int = 1, hold: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Give these bytes to each of so many connections and close them; for None, give nothing and hold them open."""
    seen: list[bytes] = []
    kept: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        for _ in range(times):
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            seen.append(connection.recv(65536))
            kept.append(connection)
            if answer:
                connection.sendall(answer)
            if answer is not None and not hold:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()
