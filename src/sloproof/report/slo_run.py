"""A judgement of SLOs alone as a run, so that it has the same documents as one with scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sloproof.report.junit import junit
from sloproof.report.record import RunRecord, SloRecord
from sloproof.report.run_verdict import run_verdict
from sloproof.report.write import write_report, write_whole


def slo_run(
    slos: Sequence[SloRecord],
    *,
    run_id: str,
    started: datetime,
    duration: timedelta,
    service: str = "",
    problems: Sequence[str] = (),
) -> RunRecord:
    """Return the record of a judgement of SLOs without any scenario.

    Args:
        slos: All that were judged; of none, the verdict is `inconclusive`.
        run_id: Names the run in its report and in the history.
        started: When the judging began, aware.
        duration: How long it took.
        service: What stands at the top; empty for the services of the SLOs.
        problems: What went wrong beside; it makes an error of a pass.
    """
    services = sorted({one.service for one in slos})
    return RunRecord(
        verdict=run_verdict((), slos, problems),
        run_id=run_id,
        started=started.isoformat(),
        duration_seconds=duration / timedelta(seconds=1),
        service=service or (services[0] if len(services) == 1 else f"{len(services)} services"),
        scenarios=(),
        problems=tuple(problems),
        slos=tuple(slos),
    )


def write_slo_report(record: RunRecord, folder: Path, *, history: Path | None = None) -> RunRecord:
    """Write all documents of a judgement of SLOs and return it as it was written, with its history.

    Args:
        record: As `slo_run` makes it.
        folder: Of this judgement; `latest` beside it leads there afterwards.
        history: File of the runs before; None for none.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "junit.xml", junit(record))
    return write_report(record, folder, latest=folder.parent / "latest", history=history)
