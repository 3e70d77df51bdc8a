"""What is shown while tools are obtained."""

from __future__ import annotations

import io

from rich.console import Console

from sloproof.environment.progress_display import LiveProgress, PlainProgress, showing


def test_plain_lines_come_at_the_start_every_30_s_and_at_the_end() -> None:
    now = [0.0]
    output = io.StringIO()
    shown = PlainProgress(Console(file=output, width=40), clock=lambda: now[0])
    shown.start("loki", "building loki 3.7.8 from its Go module, about 6 min")
    for second in range(1, 66):
        now[0] = second
        shown.tick("loki", f"{second} packages compiled")
    shown.advance("loki", 1_000_000, 3_000_000)
    shown.finish("loki", "built loki 3.7.8 in 66 s")
    assert output.getvalue().splitlines() == [
        "building loki 3.7.8 from its Go module, about 6 min",
        "loki: 30 s, 30 packages compiled",
        "loki: 60 s, 60 packages compiled",
        "built loki 3.7.8 in 66 s",
    ]


def test_live_lines_end_with_one_line_a_tool_and_the_notes_above() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=100, color_system=None)
    with showing(console) as shown:
        assert isinstance(shown, LiveProgress)
        shown.start("loki", "downloading loki")
        shown.advance("loki", 5_000_000, None)
        shown.finish("loki", "downloading loki failed")
        shown.note("loki", "no release of [loki]: out of reach")
        shown.start("loki", "building loki")
        shown.tick("loki", "7 packages compiled")
        shown.finish("loki", "built loki")
    last = output.getvalue().split("no release of [loki]: out of reach")[-1]
    assert "built loki" in last
    assert "downloading loki failed" not in last.splitlines()[-2:][0]


def test_not_a_terminal_gets_plain_lines() -> None:
    with showing(Console(file=io.StringIO())) as shown:
        assert isinstance(shown, PlainProgress)
