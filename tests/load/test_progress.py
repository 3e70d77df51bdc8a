"""What a person sees of a load."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from sloproof.load.ledger import Ledger
from sloproof.load.profile import Profile, RequestSpec
from sloproof.load.progress import ProgressLine, describe, summarise
from sloproof.load.running import LoadResult, Progress
from sloproof.model import Window

PROFILE = Profile(mix=(RequestSpec(path="/", endpoint="/"),), rate=50, duration_seconds=10)
PROGRESS = Progress(
    requests=120, failures=3, p95=timedelta(milliseconds=41), in_flight=2, elapsed=timedelta(seconds=4),
    remaining=timedelta(seconds=6),
)  # fmt: skip
START = datetime(2024, 1, 1, tzinfo=UTC)


def result(folder: Path) -> LoadResult:
    return LoadResult(
        name="mix", window=Window(START, START + timedelta(seconds=10)), ledger=Ledger.open(folder), requests=498,
        failures={"timeout": 2, "http_5xx": 7, "reset": 0}, asked_rate=50, achieved_rate=49.8, unsent=2, cpu_share=0.2,
        warnings=("the source [70 %] is slow",),
    )  # fmt: skip


def test_progress_tells_requests_failures_p95_and_time_left() -> None:
    assert describe(PROGRESS) == "120 requests, 3 failed, p95 41ms, 6 s left"


def test_summary_tells_achieved_beside_asked(tmp_path: Path) -> None:
    assert summarise(result(tmp_path)) == (
        "498 requests in 10s, 49.8 a second of 50 asked, 7 http_5xx, 2 timeout, 2 unsent"
    )


def test_progress_is_quiet_off_a_terminal(tmp_path: Path) -> None:
    out = io.StringIO()
    with ProgressLine(Console(file=out, width=200), "mix", PROFILE) as line:
        line.update(PROGRESS)
        assert out.getvalue() == ""
        line.end(result(tmp_path))
    first, second = out.getvalue().splitlines()
    assert first.startswith("mix: 498 requests")
    assert second == "mix: warning: the source [70 %] is slow"


def test_progress_moves_on_a_terminal_and_goes_away(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, color_system=None)
    with ProgressLine(console, "mix [GET]", PROFILE) as line:
        line.update(PROGRESS)
        line._line.refresh()  # type: ignore[union-attr]
        assert "120 requests, 3 failed, p95 41ms, 6 s left" in out.getvalue()
        assert "mix [GET]" in out.getvalue()
    line.end(result(tmp_path))
    assert out.getvalue().splitlines()[-2].endswith("2 unsent")
