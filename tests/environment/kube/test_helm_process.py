"""A program that is run to its end: what it is given, and how it is told of."""

from __future__ import annotations

import os
from datetime import timedelta

from sloproof.environment.kube.helm_process import run


def test_program_that_is_slow_to_read_is_given_all_of_it() -> None:
    """Helm on a busy machine: its values are larger than a pipe, and it begins to read after several turns of waiting."""
    data = os.urandom(512 * 1024)
    turns: list[timedelta] = []
    ended = run(
        ["sh", "-c", "sleep 0.7; wc -c"], environ=dict(os.environ), seconds=10, data=data, on_progress=turns.append
    )
    assert (ended.status, ended.output.strip(), ended.is_late) == (0, str(len(data)), False)
    assert turns, "it was waited for in one turn: this shows nothing"


def test_program_that_is_given_nothing_reads_nothing() -> None:
    ended = run(["sh", "-c", "cat; echo end >&2; exit 3"], environ=dict(os.environ), seconds=10)
    assert (ended.status, ended.output, ended.errors) == (3, "", "end\n")
