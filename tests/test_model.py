from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.model import Alert, LogEntry, Window, instant_from_ns, ns_from_instant
from tests.fakes import T0, after, target


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - zone added below
def test_instant_survives_nanoseconds_exactly(moment: datetime) -> None:
    instant = moment.replace(tzinfo=UTC)
    assert instant_from_ns(ns_from_instant(instant)) == instant


@given(st.integers(min_value=-(10**18), max_value=4 * 10**18))
def test_nanoseconds_are_cut_to_the_microsecond_never_rounded_up(nanoseconds: int) -> None:
    assert ns_from_instant(instant_from_ns(nanoseconds)) == nanoseconds // 1000 * 1000


def test_window_holds_both_its_ends() -> None:
    window = Window(T0, after(1))
    assert T0 in window
    assert after(1) in window
    assert T0 - timedelta(microseconds=1) not in window
    assert after(1) + timedelta(microseconds=1) not in window
    assert window.duration == timedelta(seconds=1)


def test_entry_has_its_instant() -> None:
    assert LogEntry(ns_from_instant(T0) + 999, "x").time == T0


def test_labels_that_are_not_there_are_empty() -> None:
    assert (target().job, target().instance) == ("api", "127.0.0.1:8000")
    assert Alert({}, {}, "firing", None).name == ""


@pytest.mark.parametrize("change", ["start", "end"])
def test_values_are_frozen(change: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Window(T0, T0), change, T0)
