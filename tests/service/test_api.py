"""What the endpoints answer."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.database import UsersDatabase
from service.faults import Faults, FaultSwitch
from service.shared import SharedMemory
from service.strict_json import MalformedJsonError, parse
from tests.service.observed import Observed, fast

JSON = "application/json"
LIMIT = 1024 * 1024


def test_index_names_the_endpoints(observed: Observed) -> None:
    answer = observed.send("GET", "/")
    assert answer.status_code == 200
    assert "/api/users" in answer.get_json()["endpoints"]


def test_users_are_the_two_known_ones(observed: Observed) -> None:
    assert observed.send("GET", "/api/users").data == (
        b'[{"id":1,"name":"Alice","email":"alice@example.com"},{"id":2,"name":"Bob","email":"bob@example.com"}]'
    )


def test_a_failed_query_is_a_database_error_with_its_line(observed: Observed) -> None:
    observed.faults(error_ratio=1)
    answer = observed.send("GET", "/api/users", headers={"X-Request-ID": "q1"})
    assert (answer.status_code, answer.get_json()["error"]) == (500, "database_error")
    assert ("ERROR", "Database error occurred: Failed to retrieve users", "q1") in observed.events
    assert observed.total("app_error_count_total", error_type="database_error", endpoint="/api/users") == 1


def database(**given: object) -> tuple[UsersDatabase, FaultSwitch, list[float]]:
    switch, slept = FaultSwitch(SharedMemory()), list[float]()
    return UsersDatabase(fast(**given), switch, slept.append), switch, slept


def test_query_times_are_log_normal_capped_and_repeatable() -> None:
    made, _, slept = database(seed=7, users_latency_median_seconds=0.03, users_latency_sigma=2.0)
    for _ in range(2000):
        made.all_users()
    ordered = sorted(slept)
    assert 0.024 < ordered[1000] < 0.037
    assert ordered[-1] == 2.0
    again, _, repeated = database(seed=7, users_latency_median_seconds=0.03, users_latency_sigma=2.0)
    for _ in range(2000):
        again.all_users()
    assert repeated == slept


def test_each_worker_draws_its_own_stream_with_and_without_a_seed() -> None:
    for seed in (7, None):
        made, _, slept = database(seed=seed, users_latency_median_seconds=0.03)
        for stream in (1, 2):
            made.draw_from_stream(stream)
            made.all_users()
        assert slept[0] != slept[1]


def test_a_fault_does_not_shift_what_is_drawn_after_it() -> None:
    plain, _, expected = database(seed=3, users_latency_median_seconds=0.03)
    broken, switch, slept = database(seed=3, users_latency_median_seconds=0.03)
    for turn in range(6):
        plain.all_users()
        switch.set(Faults(added_latency_seconds=1.0 if turn < 3 else 0.0))
        broken.all_users()
    assert slept[3:] == expected[3:]
    assert slept[:3] == [seconds + 1 for seconds in expected[:3]]


@pytest.mark.parametrize(
    "body",
    [
        b'{"n": 123456789012345678901234567890}', b'{"n": 1.0, "m": 1, "e": 1e400, "z": -0}', b'{"a":1,"a":2}',
        b'{"z":1,"a":2}', '{"t":"naïve 東京 🚦","e":"\\u00e9"}'.encode(), b'"\\ud800"', b" [ ] \n", b"null",
        b"1" * 10_000, b"[" * 200 + b"]" * 200,
    ],
)  # fmt: skip
def test_echo_returns_the_very_bytes(observed: Observed, body: bytes) -> None:
    answer = observed.send("POST", "/api/echo", data=body, content_type=JSON)
    assert (answer.status_code, answer.data, answer.mimetype) == (200, body, JSON)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b'{"a":NaN}', b"Infinity", b"-Infinity", b'"\xff"', b"\xef\xbb\xbf{}", b'{"a":1}}', b"'a'", b"01",
        b'"a\nb"', "[1]".encode("utf-16"), b"[" * 200_000, b'{"a":' * 100_000, "\u0661".encode(), b"\x00",
    ],
)  # fmt: skip
def test_echo_refuses_what_is_no_json(observed: Observed, body: bytes) -> None:
    answer = observed.send("POST", "/api/echo", data=body, content_type=JSON)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "client_error")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200), ("application/json; charset=utf-8", 200), ("APPLICATION/JSON", 200),
        ("application/problem+json", 200), ("application/vnd.a-b+json;v=1", 200), ("text/plain", 415), ("", 415),
        ("application/jsonp", 415), ("application/+json", 415), ("text/json", 415), ("application/json/x", 415),
        ("application/x json+json", 415),
    ],
)  # fmt: skip
def test_echo_wants_a_json_type(observed: Observed, content_type: str, status: int) -> None:
    assert observed.send("POST", "/api/echo", data=b"{}", content_type=content_type).status_code == status


def test_echo_takes_exactly_the_limit_and_not_a_byte_more(observed: Observed) -> None:
    body = b'"' + b"a" * (LIMIT - 2) + b'"'
    assert observed.send("POST", "/api/echo", data=body, content_type=JSON).data == body
    answer = observed.send("POST", "/api/echo", data=body + b" ", content_type=JSON)
    assert (answer.status_code, answer.get_json()["error"]) == (413, "client_error")


class Chunks:
    """A chunked body, as gunicorn hands it over: no length, an end, and perhaps trouble."""

    def __init__(self, size: int, error: Exception | None = None) -> None:
        self.left, self.error = size, error

    def read(self, size: int) -> bytes:
        if self.left == 0 and self.error:
            raise self.error
        taken = min(size, self.left)
        self.left -= taken
        return b" " * taken


@pytest.mark.parametrize(
    ("size", "error", "status"),
    [
        (LIMIT + 1, None, 413), (50 * LIMIT, None, 413), (5, OSError("garbled chunk"), 400),
        (5, BlockingIOError(), 408), (LIMIT + 5, OSError("garbled"), 413), (5, None, 400),
    ],
)  # fmt: skip
def test_bodies_without_a_length_are_bounded_too(
    observed: Observed, size: int, error: Exception | None, status: int
) -> None:
    environ = {"PATH_INFO": "/api/echo", "REQUEST_METHOD": "POST", "CONTENT_TYPE": JSON, "wsgi.input_terminated": True,
               "wsgi.input": Chunks(size, error)}  # fmt: skip
    assert observed.call(environ)[0].startswith(str(status))
    assert observed.total("app_error_count_total", error_type="client_error", endpoint="/api/echo") == 1


def test_a_body_cut_short_is_refused_even_if_it_is_json(observed: Observed) -> None:
    environ = {"PATH_INFO": "/api/echo", "REQUEST_METHOD": "POST", "CONTENT_TYPE": JSON, "CONTENT_LENGTH": "9",
               "wsgi.input": Chunks(0)}  # fmt: skip
    status, body, _ = observed.call(environ)
    assert status.startswith("400")
    assert b"ended after 0 of 9 bytes" in body


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=30, deadline=None)
@given(value=VALUES, ascii_only=st.booleans())
def test_every_json_text_is_json(*, value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        text.decode()
    except UnicodeDecodeError:
        with pytest.raises(MalformedJsonError):
            parse(text)
    else:
        parse(text)


def test_mangled_json_is_told_apart_as_the_standard_parser_does() -> None:
    """Strictness aside, the verdict is that of the standard library's parser."""
    chance = random.Random(5)

    def refuse(name: str) -> None:
        raise ValueError(name)

    for _ in range(3000):
        body = bytearray(b'{"a":[1,2.5e-3,"x\\n"],"b":{"c":null,"d":true}}')
        for _ in range(chance.randrange(3)):
            body[chance.randrange(len(body))] = chance.choice(b'{}[]",:0123-+.eE\\nutrlfasNI \x00\xff')
        try:
            json.loads(body.decode(), parse_constant=refuse)
            is_json = True
        except ValueError:
            is_json = False
        try:
            parse(bytes(body))
            assert is_json, body
        except MalformedJsonError:
            assert not is_json, body


@pytest.mark.parametrize(
    ("query", "status", "error_type"),
    [
        ("", 500, "server_error"), ("?type=server", 500, "server_error"), ("?type=client", 400, "client_error"),
        ("?type=cosmic", 400, "client_error"), ("?type=", 400, "client_error"),
        ("?type=exception", 500, "unhandled_exception"),
    ],
)  # fmt: skip
def test_error_endpoint_answers_as_asked(observed: Observed, query: str, status: int, error_type: str) -> None:
    answer = observed.send("GET", f"/api/error{query}", headers={"X-Request-ID": "e1"})
    assert (answer.status_code, answer.get_json()["error"], answer.get_json()["request_id"]) == (
        status, error_type, "e1",
    )  # fmt: skip
    assert answer.headers["X-Request-ID"] == "e1"
    assert observed.total("app_error_count_total", error_type=error_type, endpoint="/api/error") == 1


def test_an_unknown_error_type_is_answered_with_the_known_ones(observed: Observed) -> None:
    message = observed.send("GET", "/api/error?type=cosmic").get_json()["message"]
    assert all(name in message for name in ("'cosmic'", "client", "server", "exception"))
