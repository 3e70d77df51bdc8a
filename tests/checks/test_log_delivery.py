from __future__ import annotations

from typing import TYPE_CHECKING

from sloproof.checks.log_delivery import DeliveryEvidence, judge
from sloproof.finding import Finding, Verdict
from tests.checks.facts import BASIS, Request, fails, line_of, passes, request, seconds, unclear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloproof.log_lines import RequestLine


def judged(sent: Sequence[Request], *streams: Sequence[RequestLine]) -> tuple[Finding, Finding, Finding]:
    ordered = [sorted(stream, key=lambda line: line.time_ns) for stream in streams]
    return judge(DeliveryEvidence(sent, ordered), BASIS, max_lag=seconds(2))


SENT = [request(number) for number in range(200)]


def test_log_delivery_passes_when_each_line_comes_once_in_order_in_time() -> None:
    lines = [line_of(one) for one in SENT]

    assert [found.verdict for found in judged(SENT, lines[::2], lines[1::2])] == [Verdict.PASS] * 3


def test_log_delivery_says_so_when_one_line_in_fifty_is_lost() -> None:
    lines = [line_of(one) for number, one in enumerate(SENT) if number % 50]

    once, _, _ = judged(SENT, lines)

    assert fails(once)
    assert "4 lost" in once.measured
    assert "run-150" in dict(once.evidence)["lost"]


def test_log_delivery_says_so_when_a_line_comes_twice() -> None:
    lines = [line_of(one) for one in SENT]

    once, _, _ = judged(SENT, [*lines, lines[7]])

    assert fails(once)
    assert "1 too many" in once.measured
    assert "run-7" in dict(once.evidence)["too many"]


def test_log_delivery_says_so_when_a_loss_and_a_double_leave_the_sum_right() -> None:
    lines = [line_of(one) for one in SENT]

    once, _, _ = judged(SENT, [*lines[1:], lines[7]])

    assert fails(once)
    assert "1 lost, 1 too many" in once.measured


def test_log_delivery_says_so_when_a_line_has_no_request_id() -> None:
    lines = [line_of(one) for one in SENT[:-1]]
    nameless = line_of(request(199, request_id=""))

    once, _, _ = judged(SENT, [*lines, nameless])

    assert fails(once)
    assert "1 lost" in once.measured
    assert "1 without a request id" in once.measured


def test_log_delivery_says_so_when_a_line_tells_of_a_request_nobody_sent() -> None:
    once, _, _ = judged(SENT, [*(line_of(one) for one in SENT), line_of(request(999))])

    assert fails(once)
    assert "1 of requests nobody sent" in once.measured


def test_log_delivery_says_so_when_nothing_is_delivered_at_all() -> None:
    once, order, in_time = judged(SENT)

    assert fails(once)
    assert unclear(order)
    assert unclear(in_time)


def test_log_delivery_lets_an_unknown_outcome_have_one_line_or_none_but_not_two() -> None:
    timed_out = request(500, status=0, failure="timeout")
    sent = [SENT[0], timed_out]
    first, unknown = line_of(SENT[0]), line_of(timed_out, status=200)

    assert passes(judged(sent, [first])[0])
    assert passes(judged(sent, [first, unknown])[0])
    assert fails(judged(sent, [first, unknown, unknown])[0])


def test_log_delivery_says_so_when_a_refused_request_has_a_line() -> None:
    refused = request(500, status=0, failure="refused")

    assert fails(judged([SENT[0], refused], [line_of(SENT[0]), line_of(refused, status=200)])[0])


def test_log_delivery_says_so_when_an_old_line_is_sent_again_behind_newer_ones() -> None:
    lines = [line_of(one) for one in SENT if one is not SENT[3]]
    late = line_of(SENT[3], lag=1.9)

    once, order, in_time = judged(SENT, [*lines, late])

    assert passes(once)
    assert fails(order)
    assert "run-3" in dict(order.evidence)["out of order"]
    assert passes(in_time)


def test_log_delivery_lets_lines_of_requests_that_ran_together_change_places() -> None:
    """A slow request's line stands behind those of quick ones that were sent after it; workers interleave."""
    slow, quick = request(0, took=1.5), request(1, took=0.01)

    assert passes(judged([slow, quick], [line_of(slow), line_of(quick, lag=0.3)])[1])


def test_log_delivery_does_not_compare_the_order_of_two_streams() -> None:
    sent = [request(0, at=0), request(1, at=3)]

    assert passes(judged(sent, [line_of(sent[0], lag=1.9)], [line_of(sent[1])])[1])


def test_log_delivery_says_so_when_the_shipper_was_paused() -> None:
    _, _, in_time = judged(SENT, [line_of(one, lag=2.5 if number == 9 else 0) for number, one in enumerate(SENT)])

    assert fails(in_time)
    assert "run-9" in dict(in_time.evidence)["outside"]
    assert "worst 2.500 s" in in_time.measured


def test_log_delivery_says_so_when_a_line_is_older_than_its_request() -> None:
    """A line that was there before the request is another request's: ids repeat, or clocks disagree."""
    _, _, in_time = judged(SENT[:1], [line_of(SENT[0], lag=-0.2)])

    assert fails(in_time)
    assert "before the request was sent" in dict(in_time.evidence)["outside"]


def test_log_delivery_is_inconclusive_when_nothing_was_sent() -> None:
    assert all(unclear(found) for found in judged([], [line_of(SENT[0])]))


def test_log_delivery_counts_lines_of_an_id_that_was_used_twice() -> None:
    sent = [request(1, request_id="same"), request(2, request_id="same")]
    lines = [line_of(one) for one in sent]

    assert passes(judged(sent, lines)[0])
    short = judged(sent, lines[:1])[0]
    assert fails(short)
    assert "1 lost" in short.measured
    assert "1 too many" in judged(sent, [*lines, lines[0]])[0].measured


def test_log_delivery_names_nothing_when_nothing_is_wrong() -> None:
    once, _, _ = judged(SENT, [line_of(one) for one in SENT])

    assert {name for name, _ in once.evidence} == {"events"}


def test_log_delivery_takes_each_bound_to_the_end() -> None:
    """At exactly the bound a line is in time and in order; a microsecond beyond it is not."""
    for lag, verdict in ((2.0, passes), (2.000001, fails), (-0.08, passes), (-0.080001, fails)):
        assert verdict(judged(SENT[:1], [line_of(SENT[0], lag=lag)])[2])
    for start, verdict in ((0.53, passes), (0.530001, fails)):
        early, late = request(0, at=0), request(1, at=start)
        assert verdict(judged([early, late], [line_of(early, lag=1.9), line_of(late)])[1])


def test_log_delivery_says_how_far_behind_a_line_stands() -> None:
    early, late = request(0, at=0), request(1, at=1.03)

    _, order, _ = judged([early, late], [line_of(early, lag=1.9), line_of(late)])

    assert "1.000 s" in dict(order.evidence)["out of order"]


def test_log_delivery_points_at_what_is_wrong() -> None:
    lines = [line_of(one) for one in SENT]

    assert "no request line at all" in judged(SENT)[0].hint
    assert "dropped entries" in judged(SENT, lines[1:])[0].hint
    assert "shipped twice" in judged(SENT, [*lines, lines[0]])[0].hint
    assert "two shippers" in judged(SENT, [*lines[1:], lines[1]])[0].hint
    assert "loses the id" in judged(SENT, [*lines[1:], line_of(request(0, request_id=""))])[0].hint
