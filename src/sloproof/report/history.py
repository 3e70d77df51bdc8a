"""What former runs found: a SQLite file that is kept between runs, so that a report can say since when.

Each run is one short transaction, so two runs at once wait for each other and a run that is killed leaves either all of
itself or nothing. The rollback journal is used, for its files need no shared memory: the folder may lie on a network
drive or be restored from a cache.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from sloproof.errors import SloproofError
from sloproof.report.record import (
    HistoryRecord,
    PastClaimRecord,
    PastRunRecord,
    PastVerdictRecord,
    RunRecord,
    SloRecord,
)
from sloproof.report.wording import instant, plain, rank

FILE: Final = "history.sqlite"
SHOWN: Final = 30
"""Runs that a report shows, this one included."""

UNSTEADY_FROM: Final = 3
"""Changes from which on a claim is called unsteady: once is a break, twice a break and its mending."""

APPLICATION_ID: Final = 0x51095701  # stands in the file's head, so that no other program's file is written to
_PATIENCE = 30.0  # seconds to wait for another run's transaction, which takes milliseconds
_SKIPPED = "skipped"
_PASS = "pass"  # noqa: S105 - a verdict, not a password

# What makes a file of version n - 1 one of version n. Released steps are never changed; new ones are added.
STEPS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, started TEXT NOT NULL, verdict TEXT NOT NULL,
        duration_seconds REAL NOT NULL, service TEXT NOT NULL
    );
    CREATE INDEX runs_started ON runs (started, id);
    CREATE TABLE claims (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, key)
    );
    CREATE TABLE verdicts (
        claim INTEGER NOT NULL REFERENCES claims (id), run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        verdict TEXT NOT NULL, remaining REAL, PRIMARY KEY (claim, run)
    ) WITHOUT ROWID;
    CREATE INDEX verdicts_run ON verdicts (run);
    """,
)


_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF  # of an error code; what is above tells more


class HistoryError(SloproofError):
    """The file of former runs cannot be used: of a newer version, locked for long, or not writable."""


class UselessHistoryError(HistoryError):
    """The file of former runs is none: damaged, or another program's."""


def append(path: Path, record: RunRecord) -> None:
    """Add a run to a history, which is made if it is not there; a run that is in it already is replaced.

    Args:
        path: Of the SQLite file.
        record: The run.

    Raises:
        HistoryError: The file cannot be used. What it held, it holds.
    """
    with _transaction(path) as connection:
        connection.execute("DELETE FROM runs WHERE run_id = ?", (record.run_id,))
        run = connection.execute(
            "INSERT INTO runs (run_id, started, verdict, duration_seconds, service) VALUES (?, ?, ?, ?, ?)",
            (record.run_id, _instant(record.started), record.verdict, record.duration_seconds, plain(record.service)),
        ).lastrowid
        for (kind, key), (name, verdict, remaining) in _claims(record).items():
            connection.execute(
                "INSERT INTO claims (kind, key, name) VALUES (?, ?, ?) "
                "ON CONFLICT (kind, key) DO UPDATE SET name = excluded.name",
                (kind, key, name),
            )
            found = connection.execute("SELECT id FROM claims WHERE kind = ? AND key = ?", (kind, key))
            (claim,) = found.fetchone()
            connection.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?)", (claim, run, verdict, remaining))


def history(path: Path, limit: int = SHOWN, *, until: str = "") -> HistoryRecord:
    """Return the newest runs of a history, oldest first, and each claim that was judged in any of them.

    Args:
        path: Of the SQLite file.
        limit: How many runs at most.
        until: Id of the run to end at: runs that began after it are left out. Empty for the newest.

    Raises:
        HistoryError: The file cannot be used.
    """
    with _transaction(path) as connection:
        last = connection.execute("SELECT started, id FROM runs WHERE run_id = ?", (until,)).fetchone()
        runs = connection.execute(
            "SELECT id, run_id, started, verdict, duration_seconds FROM runs "
            "WHERE ? IS NULL OR (started, id) <= (?, ?) ORDER BY started DESC, id DESC LIMIT ?",
            (last and last[0], *(last or (None, None)), limit),
        ).fetchall()[::-1]
        if not runs:
            return HistoryRecord()
        return HistoryRecord(
            runs=tuple(
                PastRunRecord(run_id=name, started=started, verdict=verdict, duration_seconds=duration)
                for _, name, started, verdict, duration in runs
            ),
            claims=tuple(_past_claims(connection, first=runs[0], last=runs[-1])),
        )


def remembered(path: Path, record: RunRecord) -> RunRecord:
    """Return a run with the history that it is now a part of; where there is none to be had, with the reason.

    A file that is none is kept under another name beside it, and a new one is begun.
    """
    node = _node(path)
    try:
        return msgspec.structs.replace(record, history=_added(path, record))
    except UselessHistoryError as error:
        problem = f"{error.headline}, at {path}"
        try:
            if _node(path) == node:  # else another run has done so already
                problem += f"; it is kept as {_set_aside(path).name}"
            found = msgspec.structs.replace(_added(path, record), problem=problem)
        except (HistoryError, OSError) as again:
            found = HistoryRecord(problem=f"{problem}; {again}")
    except HistoryError as error:
        found = HistoryRecord(problem=str(error))
    return msgspec.structs.replace(record, history=found)


def _added(path: Path, record: RunRecord) -> HistoryRecord:
    append(path, record)
    return history(path, until=record.run_id)


def _node(path: Path) -> int:
    """Return what tells a file from another one of its name; 0 where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _set_aside(path: Path) -> Path:
    """Give a file another name, of which nothing else is called, and return that."""
    number = 1
    while (kept := path.with_name(f"{path.name}.{number}.aside")).exists():
        number += 1
    path.rename(kept)
    journal = path.with_name(f"{path.name}-journal")
    if journal.exists():
        journal.rename(kept.with_name(f"{kept.name}-journal"))
    return kept


def claim_key(slo: SloRecord) -> str:
    """Return what an SLO is known by over the runs: over a scenario's load is another claim than over its period."""
    return plain(f"{slo.id} in {slo.scenario}" if slo.scenario else slo.id)


def is_unsteady(claim: PastClaimRecord) -> bool:
    """Return whether a claim goes to and fro in the runs shown."""
    return claim.changes >= UNSTEADY_FROM


@contextmanager
def _transaction(path: Path, steps: Sequence[str] = STEPS) -> Iterator[sqlite3.Connection]:
    """Yield a connection in a transaction that shuts out others, the file brought to the newest version.

    Raises:
        HistoryError: The file cannot be used; nothing was changed.
    """
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        _bring_up(connection, path, steps)
        yield connection
        connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorcode", 0) or 0
        kind = UselessHistoryError if code & _PRIMARY in _DAMAGED else HistoryError
        raise kind(
            f"expected a history of runs, but {error}",
            file=path,
            hint="move the file away, and the next run begins a new one; this run's own findings are whole",
        ) from error
    finally:
        # What is not committed is rolled back by this.
        if connection is not None:
            connection.close()


def _bring_up(connection: sqlite3.Connection, path: Path, steps: Sequence[str]) -> None:
    """Make an empty file a history, or an older one of the newest version.

    Raises:
        HistoryError: It is another program's, or newer.
    """
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != APPLICATION_ID and (owner or version or tables):
        raise UselessHistoryError(
            "expected a history of runs, found another program's database",
            file=path,
            hint="move it away, or keep the reports in another folder",
        )
    if version > len(steps):
        raise HistoryError(
            f"expected a history of version {len(steps)} or older, found version {version}",
            file=path,
            hint="a newer sloproof wrote it: use that one, or move the file away",
        )
    for step in steps[version:]:
        for statement in filter(str.strip, step.split(";")):
            connection.execute(statement)
    if owner != APPLICATION_ID or version != len(steps):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")


def _claims(record: RunRecord) -> dict[tuple[str, str], tuple[str, str, float | None]]:
    """Return what a run judged: kind and key, to name, verdict and the budget left.

    A scenario that ran more than once has the worst of its verdicts; one that was skipped was not judged.
    """
    found: dict[tuple[str, str], tuple[str, str, float | None]] = {}
    for scenario in record.scenarios:
        key = ("scenario", plain(scenario.node_id))
        if scenario.verdict == _SKIPPED or (key in found and rank(found[key][1]) <= rank(scenario.verdict)):
            continue
        found[key] = (plain(scenario.name), scenario.verdict, None)
    for slo in record.slos:
        # A drill's claims are those of its scenario, and its budget was spent on purpose.
        if not slo.drill:
            found["slo", claim_key(slo)] = (plain(slo.title or slo.name), slo.verdict, slo.remaining)
    return found


def _past_claims(
    connection: sqlite3.Connection, *, first: Sequence[object], last: Sequence[object]
) -> Iterator[PastClaimRecord]:
    """Yield the claims judged in any of the runs from the first to the last, with since when each fails."""
    ends = (first[2], first[0], last[2], last[0])
    verdicts: dict[int, list[PastVerdictRecord]] = {}
    for claim, run_id, verdict, remaining in connection.execute(
        "SELECT v.claim, r.run_id, v.verdict, v.remaining FROM runs r JOIN verdicts v ON v.run = r.id "
        "WHERE (r.started, r.id) BETWEEN (?, ?) AND (?, ?) ORDER BY r.started, r.id",
        ends,
    ):
        verdicts.setdefault(claim, []).append(PastVerdictRecord(run_id=run_id, verdict=verdict, remaining=remaining))
    end = (last[2], last[0])
    told = connection.execute(
        "WITH ever AS (SELECT v.claim, max(CASE WHEN v.verdict = 'pass' THEN r.started END) AS held, "
        "min(CASE WHEN v.verdict <> 'pass' THEN r.started END) AS failed "
        "FROM runs r JOIN verdicts v ON v.run = r.id WHERE (r.started, r.id) <= (?, ?) GROUP BY v.claim) "
        "SELECT c.id, c.kind, c.key, c.name, ever.failed, (SELECT min(r.started) FROM verdicts v "
        "JOIN runs r ON r.id = v.run WHERE v.claim = c.id AND v.verdict <> 'pass' "
        "AND r.started > ifnull(ever.held, '') AND (r.started, r.id) <= (?, ?)) "
        "FROM claims c JOIN ever ON ever.claim = c.id ORDER BY c.id",
        (*end, *end),
    )
    for claim, kind, key, name, ever, since in told:
        if claim in verdicts:
            own = tuple(verdicts[claim])
            yield PastClaimRecord(
                key=key,
                kind=kind,
                name=name,
                verdicts=own,
                failing_since=None if own[-1].verdict == _PASS else since,
                first_failed=ever,
                changes=sum((one.verdict == _PASS) != (other.verdict == _PASS) for one, other in pairwise(own)),
            )


def _instant(text: str) -> str:
    """Return an instant in the one form that sorts by time."""
    when = instant(text) or datetime.fromtimestamp(0, UTC)
    return when.isoformat(timespec="microseconds")
