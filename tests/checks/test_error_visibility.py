from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sloproof.checks.error_visibility import ErrorEvidence, judge
from sloproof.checks.evidence import Bounds, RequestKey
from sloproof.log_lines import Line, OtherLine, Unparsable
from tests.checks.facts import BASIS, Request, exactly, fails, line_of, passes, request, unclear

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sloproof.finding import Finding

TRACE = "ERROR ... Traceback (most recent call last): ..."
GOOD = [request(number) for number in range(10)]
FAILED = [request(100 + number, status=500) for number in range(3)]
RAISED = [request(200 + number, status=500, endpoint="/api/error") for number in range(2)]
CLIENT = [request(300 + number, status=400, endpoint="/api/error") for number in range(4)]
SENT = [*GOOD, *FAILED, *RAISED, *CLIENT]


def error_line(one: Request, text: str = "ERROR Database error", level: str = "ERROR") -> OtherLine:
    return OtherLine(one.start_ns, level, text, one.request_id, text)


LINES: list[Line] = [
    *(line_of(one) for one in SENT),
    *(error_line(one) for one in FAILED),
    *(error_line(one, TRACE) for one in RAISED),
    *(error_line(one, "bad request", "WARNING") for one in CLIENT),
]


@dataclass
class Story:
    counted: dict[RequestKey, Bounds] = field(
        default_factory=lambda: {
            RequestKey("/api/users", "GET", 200): exactly(10),
            RequestKey("/api/users", "GET", 500): exactly(3),
            RequestKey("/api/error", "GET", 500): exactly(2),
            RequestKey("/api/error", "GET", 400): exactly(4),
        }
    )
    errors: dict[str, Bounds] = field(default_factory=lambda: {"/api/users": exactly(3), "/api/error": exactly(6)})
    lines: Sequence[Line] = tuple(LINES)
    sent: Sequence[Request] = tuple(SENT)
    unhandled: Collection[str] = tuple(one.request_id for one in RAISED)

    def judged(self) -> Finding:
        evidence = ErrorEvidence(self.sent, self.counted, self.errors, self.lines, self.unhandled)
        return judge(evidence, BASIS, client_statuses={400}, logged_client_levels=("warning",))


def test_error_visibility_passes_when_every_error_shows_in_all_three_places() -> None:
    assert passes(Story().judged())


def test_error_visibility_says_so_when_the_error_counter_sits_only_in_named_handlers() -> None:
    found = Story(errors={"/api/users": exactly(3), "/api/error": exactly(4)}).judged()

    assert fails(found)
    assert "named handlers" in found.hint
    assert "error counter" in dict(found.evidence)["wrong counts"]


def test_error_visibility_says_so_when_an_unhandled_exception_is_missing_from_the_request_counter() -> None:
    story = Story()
    del story.counted[RequestKey("/api/error", "GET", 500)]

    found = story.judged()

    assert fails(found)
    assert "request counter" in found.hint


def test_error_visibility_says_so_when_good_requests_are_counted_as_errors() -> None:
    assert fails(Story(errors={"/api/users": exactly(3), "/api/error": exactly(6), "/": exactly(1)}).judged())


def test_error_visibility_says_so_when_the_error_line_lacks_the_request_id() -> None:
    nameless = OtherLine(0, "ERROR", "Database error", "", "Database error")
    lines = [line for line in LINES if not (isinstance(line, OtherLine) and line.request_id == "run-101")]

    found = Story(lines=[*lines, nameless]).judged()

    assert fails(found)
    assert "run-101" in dict(found.evidence)["not in the logs"]
    assert "lacks the request id" in found.hint


def test_error_visibility_says_so_when_formatting_failed_and_left_unparsable_lines() -> None:
    lines = [line for line in LINES if not (isinstance(line, OtherLine) and line.line == TRACE)]
    noise = [
        Unparsable(0, "--- Logging error ---", "no fit"),
        Unparsable(0, "Traceback (most recent call last):", "no fit"),
    ]

    assert fails(Story(lines=[*lines, *noise]).judged())


def test_error_visibility_says_so_when_an_unhandled_exception_leaves_no_traceback() -> None:
    lines = [
        error_line(RAISED[0]) if isinstance(line, OtherLine) and line.request_id == "run-200" else line
        for line in LINES
    ]

    found = Story(lines=lines).judged()

    assert fails(found)
    assert "a traceback" in dict(found.evidence)["not in the logs"]


def test_error_visibility_says_so_when_an_error_is_logged_at_info() -> None:
    lines = [
        error_line(FAILED[0], level="INFO") if isinstance(line, OtherLine) and line.request_id == "run-100" else line
        for line in LINES
    ]

    assert fails(Story(lines=lines).judged())


def test_error_visibility_says_so_when_a_client_error_has_no_line_of_its_level() -> None:
    lines = [line for line in LINES if not (isinstance(line, OtherLine) and line.request_id == "run-300")]

    assert fails(Story(lines=lines).judged())


def test_error_visibility_takes_a_request_line_of_error_level_as_the_error_line() -> None:
    lines = [line for line in LINES if not (isinstance(line, OtherLine) and line.request_id == "run-100")]

    assert passes(Story(lines=[*lines, line_of(FAILED[0], level="error")]).judged())


def test_error_visibility_leaves_room_for_requests_of_unknown_outcome_and_no_more() -> None:
    sent = [*SENT, request(400, status=0, failure="timeout")]

    for count, verdict in ((3, passes), (4, passes), (5, fails)):
        story = Story(sent=sent, errors={"/api/users": exactly(count), "/api/error": exactly(6)})
        assert verdict(story.judged())


def test_error_visibility_is_inconclusive_without_data() -> None:
    assert unclear(Story(sent=GOOD).judged())
    assert unclear(judge(ErrorEvidence(SENT, None, {}, []), BASIS))
    assert unclear(judge(ErrorEvidence(SENT, {}, None, []), BASIS))
    assert unclear(judge(ErrorEvidence(SENT, {}, {}, None), BASIS))
