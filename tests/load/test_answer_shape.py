"""Recognised answers: only what the full parser would read the same way is read by its shape."""

from __future__ import annotations

import pytest

from sloproof.load.answer_shape import AnswerShapes

HEAD = b"HTTP/1.1 200 OK\r\nDate: Mon\r\nConnection: keep-alive\r\nContent-Length: 3\r\nX-Id: 1\r\n\r\n"


def learned(answer: bytes = HEAD + b"abc", body_bytes: int = 3) -> AnswerShapes:
    shapes = AnswerShapes()
    shapes.learn(answer, 200, body_bytes)
    return shapes


def length(shapes: AnswerShapes, answer: bytes) -> int | None:
    found = shapes.find(answer)
    return None if found is None else int(found[0][1])


def test_values_that_decide_nothing_may_differ_and_the_length_is_read() -> None:
    other = HEAD.replace(b"Mon", b"Tue, 5 \xc3\xbc").replace(b": 3", b": 17").replace(b"X-Id: 1", b"X-Id:")
    assert length(learned(), other) == 17


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"keep-alive", b"close"),
        (b"X-Id: 1", b"Connection: close"),
        (b"X-Id: 1", b"X-Id: 1\r\nConnection: close"),
        (b"X-Id: 1", b"Transfer-Encoding: chunked"),
        (b"X-Id: 1", b"X-Id: 1\r\nContent-Length: 4"),
        (b"X-Id: 1", b"X-Id: \x00"),
        (b"X-Id: 1", b"X-Id: 1\r\n folded"),
        (b"X-Id: 1", b"X-Id: a\rb"),
        (b"X-Id: 1", b"X-Id: a\nb"),
        (b": 3", b": -3"),
        (b": 3", b": 3, 3"),
        (b": 3", b": 0x3"),
        (b"200 OK", b"204 OK"),
        (b"200 OK", b"500 OK"),
        (b"1.1", b"1.0"),
        (b"Date", b"D ate"),
        (b"\r\n\r\n", b"\r\n"),
    ],
)
def test_what_decides_something_must_be_the_same(old: bytes, new: bytes) -> None:
    assert length(learned(), HEAD.replace(old, new)) is None


@pytest.mark.parametrize(
    "answer",
    [
        HEAD.replace(b"X-Id: 1", b"Transfer-Encoding: chunked") + b"abc",
        HEAD.replace(b"Content-Length: 3\r\n", b"") + b"abc",
        HEAD.replace(b"X-Id: 1", b"Content-Length: 3") + b"abc",
        HEAD.replace(b"1.1", b"1.0") + b"abc",
        HEAD + b"abcd",
        HEAD + b"ab",
    ],
)
def test_only_answers_that_a_length_ends_are_learned(answer: bytes) -> None:
    assert learned(answer).latest is None


def test_shapes_are_bounded() -> None:
    shapes = AnswerShapes()
    for number in range(100):
        shapes.learn(HEAD.replace(b"X-Id", b"X-%d" % number) + b"abc", 200, 3)
    assert length(shapes, HEAD.replace(b"X-Id", b"X-99")) == 3
    assert length(shapes, HEAD.replace(b"X-Id", b"X-0")) is None
