from __future__ import annotations

from typing import TYPE_CHECKING

from sloproof.checks.probe_truth import ProbeAnswer, ProbeEvidence, TruthSpan, judge
from tests.checks.facts import BASIS, after, fails, passes, seconds, unclear, window

if TYPE_CHECKING:
    from collections.abc import Callable

    from sloproof.finding import Finding

OUTAGE = (
    TruthSpan(window(0, 10), is_green=True, because="the database is up"),
    TruthSpan(window(10, 20), is_green=False, because="the database is down"),
    TruthSpan(window(20, 30), is_green=True, because="the database is up again"),
)
ALIVE = (TruthSpan(window(0, 30), is_green=True, because="the process runs"),)


def answers(status: Callable[[float], int | None], *, took: float = 0.01, every: float = 0.1) -> list[ProbeAnswer]:
    moments = [number * every for number in range(round(30 / every))]
    return [ProbeAnswer(after(moment), seconds(took), status(moment)) for moment in moments]


def judged(
    found: list[ProbeAnswer], truth: tuple[TruthSpan, ...] = OUTAGE, probe: str = "readiness"
) -> tuple[Finding, Finding]:
    return judge(ProbeEvidence(probe, found, truth), BASIS, tolerance=seconds(2), max_answer=seconds(0.5))


def red_between(start: float, end: float) -> Callable[[float], int]:
    return lambda moment: 503 if start <= moment < end else 200


def test_probe_truth_passes_when_the_probe_follows_within_the_tolerance() -> None:
    truth, in_time = judged(answers(red_between(11.5, 20.4)))

    assert passes(truth)
    assert passes(in_time)
    assert "1.510 s after" in dict(truth.evidence)["borders"]


def test_probe_truth_says_so_when_liveness_checks_the_dependency() -> None:
    truth, _ = judged(answers(red_between(10, 20)), ALIVE, "liveness")

    assert fails(truth)
    assert "100 of 300 answers wrong" in truth.measured
    assert "liveness must not depend" in truth.hint


def test_probe_truth_says_so_when_readiness_stays_green_while_the_database_is_down() -> None:
    truth, _ = judged(answers(lambda _: 200))

    assert fails(truth)
    assert "never" in dict(truth.evidence)["borders"]


def test_probe_truth_says_so_when_readiness_follows_too_late() -> None:
    assert fails(judged(answers(red_between(12.5, 20)))[0])


def test_probe_truth_says_so_when_readiness_stays_red_after_the_repair() -> None:
    assert fails(judged(answers(red_between(10, 25)))[0])


def test_probe_truth_says_so_when_one_answer_flaps() -> None:
    truth, _ = judged(answers(lambda moment: 503 if 10 <= moment < 20 or abs(moment - 5) < 0.01 else 200))

    assert fails(truth)
    assert truth.measured.startswith("1 of")


def test_probe_truth_does_not_forgive_a_wrong_answer_where_watching_began() -> None:
    """The tolerance is for changes of the truth; the first span is no change."""
    assert fails(judged(answers(red_between(0, 0.3)), ALIVE)[0])


def test_probe_truth_says_so_when_two_slow_requests_take_both_threads() -> None:
    found = [
        ProbeAnswer(one.asked, seconds(3), None) if 14 <= (one.asked - after(0)).total_seconds() < 15 else one
        for one in answers(lambda _: 200)
    ]

    truth, in_time = judged(found, ALIVE, "liveness")

    assert fails(truth)
    assert fails(in_time)
    assert "10 of 300 answers late or missing" in in_time.measured


def test_probe_truth_says_so_when_the_right_answer_comes_late() -> None:
    truth, in_time = judged(answers(lambda _: 200, took=0.7, every=1), ALIVE)

    assert passes(truth)
    assert fails(in_time)


def test_probe_truth_does_not_pass_over_a_stretch_nobody_watched() -> None:
    watched = [one for one in answers(red_between(10, 20)) if not after(14) < one.asked < after(16)]

    truth, _ = judged(watched)

    assert unclear(truth)
    assert "without an answer while the database is down" in truth.measured


def test_probe_truth_does_not_pass_when_watching_ends_early() -> None:
    assert unclear(judged([one for one in answers(red_between(10, 20)) if one.asked < after(25)])[0])


def test_probe_truth_counts_no_answer_that_spans_a_change() -> None:
    found = answers(red_between(10.2, 20))
    found.append(ProbeAnswer(after(19.9), seconds(0.3), 200))

    assert passes(judged(found)[0])


def test_probe_truth_is_inconclusive_without_data() -> None:
    assert all(unclear(found) for found in judged([]))
    assert unclear(judged(answers(lambda _: 200), ())[0])


def test_probe_truth_takes_each_bound_to_the_end() -> None:
    for took, verdict in ((0.5, passes), (0.501, fails)):
        assert verdict(judged(answers(lambda _: 200, took=took, every=1), ALIVE)[1])
    # The last answer ends 0.99 s (then 1.01 s) before the stretch does.
    for last, verdict in ((29, passes), (28.9, unclear)):
        kept = [one for one in answers(lambda _: 200) if one.asked <= after(last)]
        assert verdict(judged(kept, ALIVE)[0])


def test_probe_truth_points_at_what_is_wrong() -> None:
    assert "does not look at what it should" in judged(answers(lambda _: 200))[0].hint
    assert "red while it can serve" in judged(answers(lambda _: 503), ALIVE)[0].hint
    assert "counts as red" in judged(answers(lambda _: None), ALIVE)[0].hint


def test_probe_truth_accepts_nothing_but_200_as_green() -> None:
    for status in (204, 302, 404, 503):
        assert fails(judged(answers(lambda _, status=status: status), ALIVE)[0])  # type: ignore[misc]


def test_probe_truth_gives_no_tolerance_where_the_truth_stays_the_same() -> None:
    truth = (
        TruthSpan(window(0, 10), is_green=True, because="all is well"),
        TruthSpan(window(10, 30), is_green=True, because="the database is down, which is no reason"),
    )

    assert fails(judged(answers(red_between(10, 11)), truth, "liveness")[0])
