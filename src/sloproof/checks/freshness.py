"""One rule for all checks: no data is never success, and an old sample proves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from sloproof.checks.evidence import Basis
    from sloproof.model import Sample, Series


def last_sample(series: Series, at: datetime | None = None) -> Sample | None:
    """Return the newest sample of a series, at or before an instant if one is given."""
    for sample in reversed(series.samples):
        if at is None or sample.time <= at:
            return sample
    return None


def youngest_age(found: Iterable[Series], at: datetime) -> timedelta | None:
    """Return the age at an instant of the youngest sample of all series; None where there is no sample."""
    samples = (last_sample(series, at) for series in found)
    times = [sample.time for sample in samples if sample is not None]
    return at - max(times) if times else None


def oldest_age(found: Iterable[Series], at: datetime) -> timedelta | None:
    """Return the age at an instant of the series whose newest sample is oldest; None where there is no sample."""
    samples = (last_sample(series, at) for series in found)
    times = [sample.time for sample in samples if sample is not None]
    return at - min(times) if times else None


def resting_on(basis: Basis, found: Sequence[Series], at: datetime, max_age: timedelta) -> Basis:
    """Return the basis with the age of the samples it rests on: that of the series that was read longest ago."""
    return replace(basis, at=at, sample_age=oldest_age(found, at), max_sample_age=max_age)
