from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sloproof.checks.evidence import Bounds, RequestKey
from sloproof.checks.three_way_count import CountEvidence, judge
from tests.checks.facts import BASIS, exactly, fails, passes, unclear

USERS = RequestKey("/api/users", "GET", 200)
FAILED = RequestKey("/api/users", "GET", 500)
ECHO = RequestKey("/api/echo", "POST", 200)


def evidence(
    sent: dict[RequestKey, int],
    *,
    counted: dict[RequestKey, int] | None = None,
    logged: dict[RequestKey, int] | None = None,
    unknown: dict[tuple[str, str], int] | None = None,
) -> CountEvidence:
    counted = sent if counted is None else counted
    return CountEvidence(
        sent=sent,
        unknown=unknown or {},
        counted={key: exactly(count) for key, count in counted.items()},
        logged=sent if logged is None else logged,
    )


def test_three_way_count_passes_when_all_three_agree_to_the_last_request() -> None:
    found = judge(evidence({USERS: 98, FAILED: 2, ECHO: 11}), BASIS)

    assert passes(found)
    assert "ledger 111, counter 111, logs 111" in found.measured


def test_three_way_count_takes_keys_that_are_plain_tuples() -> None:
    plain = CountEvidence(
        {("/", "GET", 200): 3}, {}, {RequestKey("/", "GET", 200): exactly(3)}, {RequestKey("/", "GET", 200): 3}
    )

    assert passes(judge(plain, BASIS))


def test_three_way_count_says_so_when_one_log_line_in_fifty_is_dropped() -> None:
    found = judge(evidence({USERS: 1000, ECHO: 50}, logged={USERS: 980, ECHO: 49}), BASIS)

    assert fails(found)
    rows = dict(found.evidence)["rows that disagree"]
    assert "-20" in rows
    assert "logs miss some" in rows
    assert "only the logs are short" in found.hint


def test_three_way_count_says_so_when_one_worker_of_two_is_not_counted() -> None:
    found = judge(evidence({USERS: 1000}, counted={USERS: 507}), BASIS)

    assert fails(found)
    assert "-493" in dict(found.evidence)["rows that disagree"]
    assert "only the counter is short" in found.hint


def test_three_way_count_says_so_when_every_request_is_counted_twice() -> None:
    found = judge(evidence({USERS: 10}, counted={USERS: 20}), BASIS)

    assert fails(found)
    assert "two jobs" in found.hint


def test_three_way_count_says_so_when_sums_agree_and_statuses_are_swapped() -> None:
    found = judge(evidence({USERS: 9, FAILED: 1}, counted={USERS: 10}, logged={USERS: 9, FAILED: 1}), BASIS)

    assert fails(found)
    assert "the sums agree" in found.hint


def test_three_way_count_says_so_when_the_raw_path_is_the_endpoint() -> None:
    raw = RequestKey("/api/users/17", "GET", 200)

    assert fails(judge(evidence({USERS: 5}, counted={USERS: 4, raw: 1}), BASIS))


def test_three_way_count_says_so_when_log_silence_leaves_no_line() -> None:
    found = judge(evidence({USERS: 5}, logged={}), BASIS)

    assert fails(found)
    assert "no line at all" in found.hint


def test_three_way_count_lets_an_unknown_outcome_be_counted_once_or_not_at_all() -> None:
    unknown = {("/api/users", "GET"): 2}

    for extra in ({}, {FAILED: 1}, {FAILED: 2}):
        records = {USERS: 10, **extra}
        assert passes(judge(evidence({USERS: 10}, counted=records, logged=records, unknown=unknown), BASIS))


def test_three_way_count_says_so_when_unknown_outcomes_hide_more_than_there_were() -> None:
    records = {USERS: 12, FAILED: 1}

    found = judge(evidence({USERS: 10}, counted=records, logged=records, unknown={("/api/users", "GET"): 2}), BASIS)

    assert fails(found)
    assert "(+2 unknown)" in found.measured


def test_three_way_count_does_not_lend_unknown_outcomes_to_another_endpoint() -> None:
    records = {USERS: 10, ECHO: 6}

    assert fails(
        judge(
            evidence({USERS: 10, ECHO: 5}, counted=records, logged=records, unknown={("/api/users", "GET"): 2}), BASIS
        )
    )


def test_three_way_count_says_so_when_counter_and_logs_differ_within_the_unknown() -> None:
    found = judge(
        evidence({USERS: 10}, counted={USERS: 11}, logged={USERS: 10}, unknown={("/api/users", "GET"): 2}), BASIS
    )

    assert fails(found)
    assert "counter and logs differ" in dict(found.evidence)["rows that disagree"]


def test_three_way_count_accepts_the_truth_within_the_counters_bounds_and_nothing_outside() -> None:
    def judged(low: float, high: float) -> bool:
        return passes(judge(CountEvidence({USERS: 10}, {}, {USERS: Bounds(low, high)}, {USERS: 10}), BASIS))

    assert judged(8, 12)
    assert not judged(10.0000001, 12)
    assert not judged(8, 9.9999999)


def test_three_way_count_is_inconclusive_without_data() -> None:
    nothing_sent = judge(evidence({}), BASIS)
    no_series = judge(CountEvidence({USERS: 5}, {}, None, {USERS: 5}), BASIS)
    empty_series = judge(CountEvidence({USERS: 5}, {}, {}, {USERS: 5}), BASIS)
    no_logs = judge(CountEvidence({USERS: 5}, {}, {USERS: exactly(5)}, None), BASIS)

    assert all(unclear(found) for found in (nothing_sent, no_series, empty_series, no_logs))


def test_three_way_count_lists_twenty_rows_and_says_how_many_more() -> None:
    sent = {RequestKey(f"/{number:02}", "GET", 200): 1 for number in range(30)}

    found = judge(evidence(sent, counted={USERS: 1}), BASIS)

    assert "and 11 more" in dict(found.evidence)["rows that disagree"]


KEYS = st.builds(
    RequestKey, st.sampled_from(["/a", "/b", "/c"]), st.sampled_from(["GET", "POST"]), st.sampled_from([200, 400, 500])
)
RECORDS = st.dictionaries(KEYS, st.integers(1, 10**9), min_size=1)


@settings(max_examples=150, deadline=None)
@given(sent=RECORDS, where=st.sampled_from(["counted", "logged"]), key=KEYS, change=st.integers(-(10**9), 10**9))
def test_three_way_count_turns_red_on_any_single_change(
    sent: dict[RequestKey, int], where: str, key: RequestKey, change: int
) -> None:
    changed = {**sent, key: max(0, sent.get(key, 0) + change)}
    if changed.get(key, 0) == sent.get(key, 0):
        return

    found = judge(evidence(sent, **{where: changed}), BASIS)  # type: ignore[arg-type]

    assert fails(found)


@settings(max_examples=100, deadline=None)
@given(sent=RECORDS, where=st.sampled_from(["counted", "logged"]), data=st.data())
def test_three_way_count_turns_red_on_any_single_change_even_with_unknown_outcomes(
    sent: dict[RequestKey, int], where: str, data: st.DataObject
) -> None:
    """Counter and logs saw the same requests, so an unknown outcome is no room for one of them to be alone."""
    key = data.draw(st.sampled_from(sorted(sent)))
    change = data.draw(st.integers(1, 50))
    unknown = {(one.endpoint, one.method): 100 for one in sent}

    found = judge(evidence(sent, unknown=unknown, **{where: {**sent, key: sent[key] + change}}), BASIS)

    assert fails(found)


@settings(max_examples=50, deadline=None)
@given(sent=RECORDS)
def test_three_way_count_passes_on_any_agreement(sent: dict[RequestKey, int]) -> None:
    assert passes(judge(evidence(sent), BASIS))


def test_three_way_count_lists_only_the_rows_that_disagree_and_by_how_much() -> None:
    found = judge(
        evidence({USERS: 10, FAILED: 3}, counted={USERS: 10, FAILED: 7}, logged={USERS: 10, FAILED: 3}), BASIS
    )

    rows = dict(found.evidence)["rows that disagree"].splitlines()
    assert len(rows) == 2
    assert rows[1].split()[:8] == ["GET", "/api/users", "500", "3", "7", "3", "+4", "0"]
    assert dict(found.evidence)["sums"] == "counter - ledger +4, logs - ledger 0"


def test_three_way_count_shows_a_difference_of_bounds_as_bounds() -> None:
    found = judge(CountEvidence({USERS: 10}, {}, {USERS: Bounds(4, 7)}, {USERS: 10}), BASIS)

    assert fails(found)
    assert "-6..-3" in dict(found.evidence)["rows that disagree"]


def test_three_way_count_is_judged_when_every_outcome_is_unknown() -> None:
    """A load that only timed out is no load of nothing."""
    unknown = {("/api/users", "GET"): 2}

    assert passes(judge(evidence({}, counted={USERS: 2}, logged={USERS: 2}, unknown=unknown), BASIS))
    assert fails(judge(evidence({}, counted={USERS: 3}, logged={USERS: 3}, unknown=unknown), BASIS))
