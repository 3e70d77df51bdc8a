from __future__ import annotations

from pathlib import Path

import msgspec

from sloproof.report.terminal import closing_lines
from tests.report.examples import HOSTILE, failing_run, finding, green_run, scenario, step


def test_a_failing_run_ends_with_what_lied_where_and_since_when() -> None:
    lines = [line.text for line in closing_lines(failing_run(), Path("reports/latest"), width=160)]

    assert lines[0].startswith("✕ FAIL  2 claims are false, 4 could not be judged")
    assert lines[1] == "2 fail, 2 error, 1 blocked, 1 inconclusive, 64 pass in 5 min 4 s; run 20260314-040211-9f3c"
    assert lines[2].startswith("  ! component promtail was expected to run, but it ended killed by signal 9")
    assert lines[3].startswith("  ✕ features/log_delivery.feature:26 since 04:04:47.450 UTC: every request is counted")
    assert lines[4] == (
        "      measured ledger 400, counter 400, logs 373; 1 of 3 rows disagree"
        "; expected 400 requests by each of ledger, counter and logs"
    )
    assert lines[-2] == "  and 1 more claim"
    assert lines[-1] == "report: reports/latest/index.html"


def test_a_green_run_ends_in_three_lines() -> None:
    lines = closing_lines(green_run(), Path("reports/x"))

    assert [line.text for line in lines] == [
        "✓ PASS  69 scenarios judged, every claim holds",
        "69 pass, 1 skipped in 5 min 4 s; run 20260314-040211-9f3c",
        "report: reports/x/index.html",
    ]
    assert lines[0].verdict == "pass"


def test_no_line_is_wider_than_asked_or_obeyed_by_the_terminal() -> None:
    told = [finding("fail", second, claim=f"{second}{HOSTILE}" * 9, measured=HOSTILE * 9) for second in range(9)]
    bad = scenario("users", HOSTILE, 1, 4, [step("Then", HOSTILE, 2, "failed", *told)], "fail")
    record = msgspec.structs.replace(failing_run(), scenarios=(bad,), problems=(HOSTILE * 9,) * 9)

    lines = closing_lines(record, None, width=100)

    assert len(lines) <= 16
    assert all(len(line.text) <= 100 for line in lines)
    assert not [line for line in lines if "\x1b" in line.text or "\n" in line.text]
