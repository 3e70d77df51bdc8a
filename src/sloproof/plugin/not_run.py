"""Scenarios that were collected and did not come to run, because the run ended before: they are missing evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from sloproof.finding import Verdict
from sloproof.plugin.recorder import Recorder, new_state, scenario_record
from sloproof.report.record import ScenarioRecord


def not_run(items: Iterable[pytest.Item], recorder: Recorder, why: str, root: Path) -> Iterator[ScenarioRecord]:
    """Yield a record for each scenario that has none, in the order in which they would have run.

    Args:
        items: All that were to run.
        recorder: Knows those that did.
        why: Why the run ended.
        root: What shown paths are relative to.
    """
    ended = {record.node_id for record in recorder.records}
    for item in items:
        if item.nodeid in ended or (state := new_state(item)) is None:
            continue
        if recorder.broken_off is not None and recorder.broken_off.node_id == item.nodeid:
            yield _blocked(recorder.broken_off, f"broken off in the middle: {why}")
        else:
            yield _blocked(scenario_record(state, root), f"not run: {why}")


def never_run(
    handed: Iterable[ScenarioRecord], records: Sequence[ScenarioRecord], why: str
) -> Iterator[ScenarioRecord]:
    """Yield those of the scenarios that workers have not run which no other worker has run either, each once.

    Args:
        handed: What the workers say they have not run.
        records: Those that ended on some worker.
        why: Why the run ended.
    """
    seen = {record.node_id for record in records}
    for one in handed:
        if one.node_id not in seen:
            seen.add(one.node_id)
            yield _blocked(one, f"not run: {why}")


def _blocked(record: ScenarioRecord, reason: str) -> ScenarioRecord:
    # What was found before it was broken off stands.
    verdict = Verdict.BLOCKED.value if record.verdict in {"pass", "skipped"} else record.verdict
    return msgspec.structs.replace(record, verdict=verdict, reason=reason)
