from __future__ import annotations

import msgspec

from sloproof.report.markdown import MAX_BYTES, comment
from tests.report.examples import HOSTILE, failing_run, finding, green_run, scenario, step


def test_a_comment_begins_with_the_verdict_and_what_lied() -> None:
    text = comment(failing_run())
    order = [text.index(told) for told in (
        "## ✕ FAIL: users-api", "2 claims are false", "### What lied", "`features/log_delivery.feature:26`",
        "### What could not be judged", "### Features",
    )]  # fmt: skip

    assert order == sorted(order)


def test_a_lie_is_told_with_expected_measured_since_and_hint() -> None:
    text = comment(failing_run())

    assert "   - expected: 400 requests by each of ledger, counter and logs\n" in text
    assert "   - measured: **ledger 400, counter 400, logs 373; 1 of 3 rows disagree**\n" in text
    assert "   - since: 04:04:47.450 UTC, 2 min 36 s into the run; last held 04:04:43.850 UTC" in text
    assert "   - hint: 27 lines are missing" in text


def test_each_feature_has_one_line_with_its_counts() -> None:
    text = comment(failing_run())

    assert "| ✕ | Log delivery `features/log_delivery.feature` | 1 fail, 5 pass | 17.4 s |\n" in text
    assert len([line for line in text.splitlines() if line.startswith("| ") and ".feature" in line]) == 14


def test_a_green_comment_is_short() -> None:
    text = comment(green_run())

    assert "What lied" not in text
    assert len(text) < 3000


def test_hostile_texts_cannot_leave_their_place() -> None:
    mention = "@everyone see #12 | ``` </details> **bold** [x](http://evil) <b>"
    told = finding("fail", 5, claim=mention, measured=mention, expected=HOSTILE, hint=mention,
                   evidence=(("log", "```\n````\n" + mention),))  # fmt: skip
    bad = scenario("users", mention, 1, 4, [step("Then", mention, 2, "failed", told)], "fail", feature=mention,
                   feature_file="a|`b.feature")  # fmt: skip

    text = comment(msgspec.structs.replace(green_run(2, 3), verdict="fail", scenarios=(bad,), service=mention))

    outside = "".join(part for place, part in enumerate(text.split("`````")) if place % 2 == 0)
    for dangerous in ("@everyone", "#12", "<b>", "[x](", "<script"):
        assert dangerous not in outside
    assert outside.count("</details>") == 1
    row = next(line for line in text.splitlines() if line.startswith("| ✕"))
    assert row.replace("\\|", "").count("|") == 5


def test_a_comment_is_never_too_long_for_one_and_says_what_it_leaves_out() -> None:
    long = "ä" * 1000
    told = [
        finding("fail", second, claim=f"{second} {long}", measured=long, evidence=(("e", long * 20),))
        for second in range(3)
    ]
    bad = [
        scenario(f"file{number}", long, 1, number, [step("Then", long, 2, "failed", *told)], "fail")
        for number in range(300)
    ]
    record = msgspec.structs.replace(failing_run(), scenarios=tuple(bad), problems=(long,) * 50)

    text = comment(record)

    assert len(text.encode()) < MAX_BYTES
    assert "more claims not shown here" in text
    assert "more features not shown here" in text
    assert text.endswith("`report.json`.\n")
