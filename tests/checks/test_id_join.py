from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from sloproof.checks.id_join import JoinEvidence, judge
from tests.checks.facts import BASIS, Request, fails, line_of, passes, request, unclear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.finding import Finding
    from sloproof.log_lines import RequestLine

SENT = [request(number) for number in range(50)]
LINES = [line_of(one) for one in SENT]


def judged(sent: Sequence[Request] = SENT, lines: Sequence[RequestLine] = LINES) -> Finding:
    return judge(JoinEvidence(sent, lines), BASIS)


def test_id_join_passes_when_each_id_leads_to_one_line_with_the_same_facts() -> None:
    found = judged(lines=[*LINES, line_of(request(999))])

    assert passes(found)
    assert "50 timed by both" in dict(found.evidence)["events"]


def test_id_join_says_so_when_ids_are_random_four_digit_numbers_that_repeat() -> None:
    sent = [*SENT[:2], dataclasses.replace(SENT[2], request_id=SENT[1].request_id)]

    found = judged(sent)

    assert fails(found)
    assert "2 requests share the id" in dict(found.evidence)["not joined"]


@pytest.mark.parametrize("lines", [LINES[1:], [LINES[0], *LINES]], ids=["no line", "two lines"])
def test_id_join_says_so_when_an_id_is_not_found_exactly_once(lines: list[RequestLine]) -> None:
    found = judged(lines=lines)

    assert fails(found)
    assert found.measured.startswith("1 of 50")


@pytest.mark.parametrize(
    "changed",
    [{"status": 500}, {"method": "POST"}, {"endpoint": "/"}, {"duration_seconds": 0.3},
     {"duration_seconds": -0.001}, {"duration_seconds": math.nan}],
    ids=["status", "method", "endpoint", "took longer", "below 0", "no number"],
)  # fmt: skip
def test_id_join_says_so_when_the_line_tells_another_story(changed: dict[str, object]) -> None:
    lines = [msgspec.structs.replace(LINES[0], **changed), *LINES[1:]]

    found = judged(lines=lines)

    assert fails(found)
    assert "the line says" in dict(found.evidence)["not joined"]


def test_id_join_says_so_when_two_requests_swap_their_ids() -> None:
    """An id kept per thread and not per request goes to the other request's line."""
    other = request(50, endpoint="/api/echo", method="POST")
    lines = [
        msgspec.structs.replace(LINES[0], request_id=other.request_id),
        msgspec.structs.replace(line_of(other), request_id=SENT[0].request_id),
    ]

    assert fails(judged([SENT[0], other], lines))


def test_id_join_says_so_when_a_request_has_no_id() -> None:
    assert fails(judged([request(1, request_id="")], []))


def test_id_join_says_when_the_lines_have_no_duration_to_compare() -> None:
    found = judged(lines=[msgspec.structs.replace(line, duration_seconds=None) for line in LINES])

    assert passes(found)
    assert "say no duration" in found.measured


def test_id_join_is_inconclusive_without_data() -> None:
    assert unclear(judged([]))
    assert unclear(judged([request(1, status=0, failure="timeout")]))


def test_id_join_lets_the_services_timer_end_a_little_after_the_last_byte_and_no_more() -> None:
    for took, verdict in ((0.28, passes), (0.2801, fails)):
        assert verdict(judged(SENT[:1], [msgspec.structs.replace(LINES[0], duration_seconds=took)]))


def test_id_join_points_at_what_is_wrong() -> None:
    assert "log delivery" in judged(lines=LINES[1:]).hint
    assert "another unit" in judged(lines=[msgspec.structs.replace(LINES[0], duration_seconds=30), *LINES[1:]]).hint
    assert "per thread" in judged(lines=[msgspec.structs.replace(LINES[0], status=500), *LINES[1:]]).hint
