"""Writes the folder of a run: every document whole or not at all, then `latest` pointing at it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from sloproof.report.document import encode
from sloproof.report.history import remembered
from sloproof.report.markdown import comment

if TYPE_CHECKING:
    from pathlib import Path

    from sloproof.report.record import RunRecord


def write_report(record: RunRecord, folder: Path, *, latest: Path, history: Path | None = None) -> RunRecord:
    """Write `index.html`, `report.md` and `report.json` into a folder, then point `latest` at it.

    `report.json` comes last, so that whoever finds it finds the rest too. `latest` is a relative symbolic link, so that
    the reports can be moved together; where links are refused it is a copy.

    Args:
        record: The run.
        folder: The run's own folder; made if it is not there. What else lies in it is left alone.
        latest: The place that always holds the last report; whatever was there is replaced.
        history: The file that former runs are kept in, to which this one is added; None for none. One that cannot be
            used is told of in the report, and stops nothing.

    Returns:
        The run as it was written: with its history.

    Raises:
        OSError: The folder cannot be written; what was there before is whole.
    """
    # Templates and charts take a quarter of a second to import, which only the end of a run should pay.
    from sloproof.report.html import page  # noqa: PLC0415 - see above

    if history is not None:
        record = remembered(history, record)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "index.html", page(record).encode())
    write_whole(folder / "report.md", comment(record).encode())
    write_whole(folder / "report.json", encode(record))
    point(latest, folder)
    return record


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or all of the new, even after a crash."""
    beside = _beside(path)
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def point(latest: Path, folder: Path) -> None:
    """Make `latest` lead to a folder: a symbolic link put in place at once, or a copy where links are refused."""
    latest.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(latest)
    try:
        try:
            beside.symlink_to(os.path.relpath(folder.resolve(), latest.parent.resolve()), target_is_directory=True)
        except OSError:
            shutil.copytree(folder, beside)
        _put(beside, latest)
    finally:
        _remove(beside)


def _put(beside: Path, latest: Path) -> None:
    """Rename onto `latest`. A folder cannot be renamed onto, so one that stands there steps aside first."""
    if beside.is_symlink() and (latest.is_symlink() or not latest.is_dir()):
        beside.replace(latest)
        return
    aside = latest.with_name(f"{beside.name}.old")
    if latest.is_symlink() or latest.exists():
        latest.replace(aside)
    beside.replace(latest)
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def _beside(path: Path) -> Path:
    """Return a name for the next content: in the same folder, so that the rename is one act, and this process's own."""
    return path.with_name(f".{path.name}.{os.getpid()}")
