"""The report of a run where a CI service shows it: GitHub's page of the job."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

_FILE = "GITHUB_STEP_SUMMARY"


def append_job_summary(report: Path, environ: Mapping[str, str]) -> None:
    """Append a report to the job's summary, where there is one; a summary that cannot be written costs no verdict."""
    place = environ.get(_FILE)
    if not place:
        return
    with contextlib.suppress(OSError):
        text = report.read_text(encoding="utf-8")
        with Path(place).open("a", encoding="utf-8") as summary:
            summary.write(f"{text}\n")
