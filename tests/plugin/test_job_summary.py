"""The job's page shows the report, and a page that cannot be written costs no verdict."""

from __future__ import annotations

from pathlib import Path

from sloproof.plugin.job_summary import append_job_summary


def test_job_summary_gets_the_report_after_what_is_there(tmp_path: Path) -> None:
    report, summary = tmp_path / "report.md", tmp_path / "summary"
    report.write_text("# a verdict")
    summary.write_text("before\n")
    append_job_summary(report, {"GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text() == "before\n# a verdict\n"


def test_job_summary_that_cannot_be_written_is_let_be(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    append_job_summary(report, {})
    append_job_summary(report, {"GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "summary")})
    report.write_text("x")
    append_job_summary(report, {"GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "summary")})
    assert not (tmp_path / "none").exists()
