"""How the events of an objective come to be recorded counts of its windows, and of its period.

Three ways, by what the indicator lets one ask. Counters are asked for every window itself. What only says how it is
now, and log lines, are counted once an evaluation into ticks, which do not overlap, and windows are sums of them. Time
slices are events themselves: each is looked at once, at its end, so windows step through them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from sloproof.slo.calendar import nominal_length
from sloproof.slo.model import Budgeting, NoData, Objective, Source
from sloproof.slo.rules.expressions import TickCounts, WindowCounts, counts_of, number
from sloproof.slo.rules.series import Names, window_text
from sloproof.slo.rules.values import Recording, Timing

_MILLISECOND = timedelta(milliseconds=1)
_LOOKBACK = timedelta(minutes=5)  # Prometheus' own: how old a sample may be that an instant still sees
# Steps of the period where no row says a window.
_PERIOD_PARTS = 8640


@dataclass(frozen=True, slots=True)
class Counting:
    """What is recorded of an objective's events.

    Attributes:
        recordings: Counts and ratio of each window, in an order in which each finds what it is made from.
        logs: What Loki's ruler records for it.
        base: The shortest window.
        step: How long the stretches are that the period is put together from.
        present: Selector of the series that has a sample of each evaluation with data, idle or not.
        missing: Expression of the series that is gone when the data is, or while a count is no number.
        missing_window: How long after the last sample it goes.
        surplus: Expression that has a series while counts contradict each other; empty where they cannot.
        stretch: Expressions of the bad and valid events of one step, to be summed at steps.
    """

    recordings: tuple[Recording, ...]
    logs: tuple[Recording, ...]
    base: timedelta
    step: timedelta
    present: str
    missing: str
    missing_window: timedelta
    surplus: str
    stretch: tuple[str, str]

    def over_period(self, period: timedelta) -> tuple[str, str]:
        """Return the sums of bad and of valid events over a period, from stretches that do not overlap."""
        span = f"[{window_text(period)}:{window_text(self.step)}]"
        bad, valid = self.stretch
        return f"sum_over_time({bad}{span})", f"sum_over_time({valid}{span})"

    def coverage_of(self, period: timedelta) -> str:
        """Return which part of a period there are stretches for."""
        span = f"[{window_text(period)}:{window_text(self.step)}]"
        steps = number(Fraction(period // _MILLISECOND, self.step // _MILLISECOND))
        return f"clamp_max(count_over_time({self.stretch[1]}{span}) / {steps}, 1)"


def lookback() -> timedelta:
    """Return how old a sample may be that an instant still sees, unless Prometheus is told otherwise."""
    return _LOOKBACK


def counting_of(
    objective: Objective, timing: Timing, names: Names, counts: WindowCounts | TickCounts | None = None
) -> Counting:
    """Return what is recorded of an objective's events.

    Args:
        objective: Of Prometheus or Loki.
        timing: What the rules are made for.
        names: Of its series.
        counts: How its events are counted, where that is known already.

    Raises:
        SettingsError: One of its queries cannot be used.
    """
    windows = sorted({window for row in objective.rows for window in (row.long, row.short)})
    if not windows:
        windows = [max(_whole(nominal_length(objective.period) / _PERIOD_PARTS), 4 * timing.interval)]
    if counts is None:
        counts = counts_of(objective, timing.interval, timing.log_delay)
    events = _Events(counts, names, timing.interval)
    if objective.budgeting is not Budgeting.OCCURRENCES and objective.slice_length:
        return _sliced(objective, objective.slice_length, windows, events)
    base, ids = windows[0], names.ids
    recordings = [*events.ticks(objective.source)]
    for window in windows:
        recordings += [*events.of(window, "sli"), _ratio(window, names)]
    text = window_text(base)
    valid = f"slo:sli_valid:increase{text}{ids}"
    return Counting(
        tuple(recordings),
        tuple(events.logs(objective.source)),
        base,
        base,
        valid if isinstance(counts, WindowCounts) else events.tick("valid"),
        _known(f"slo:sli_bad:increase{text}{ids}", valid),
        base,
        _surplus(counts, base, timing.interval, valid),
        (
            at_steps(f"slo:sli_bad:increase{text}{ids}", base, timing.interval),
            at_steps(valid, base, timing.interval),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Events:
    """Counts of any window, from counters or from ticks."""

    counts: WindowCounts | TickCounts
    names: Names
    interval: timedelta

    def tick(self, which: str) -> str:
        return f"slo:tick_{which}:count{window_text(self.interval)}{self.names.ids}"

    def ticks(self, source: Source) -> Iterator[Recording]:
        """Yield what Prometheus records once an evaluation; for Loki its ruler does."""
        if isinstance(self.counts, TickCounts) and source is not Source.LOKI:
            yield from self._ticks(self.counts)

    def logs(self, source: Source) -> Iterator[Recording]:
        if isinstance(self.counts, TickCounts) and source is Source.LOKI:
            yield from self._ticks(self.counts)

    def _ticks(self, counts: TickCounts) -> Iterator[Recording]:
        text = window_text(self.interval)
        labels = self.names.labels(text)
        yield Recording(f"slo:tick_valid:count{text}", counts.valid, labels)
        yield Recording(f"slo:tick_bad:count{text}", counts.bad, labels)

    def of(self, window: timedelta, sort: str) -> Iterator[Recording]:
        """Yield the valid and the bad count of a window."""
        text = window_text(window)
        labels = self.names.labels(text)
        if isinstance(self.counts, TickCounts):
            valid, bad = (f"sum_over_time({self.tick(which)}[{text}])" for which in ("valid", "bad"))
        else:
            recorded = f"slo:{sort}_valid:increase{text}{self.names.ids}"
            valid = self.counts.valid_at(window, self.interval)
            bad = self.counts.bad_at(window, self.interval, recorded)
        yield Recording(f"slo:{sort}_valid:increase{text}", valid, labels)
        yield Recording(f"slo:{sort}_bad:increase{text}", bad, labels)


def _sliced(objective: Objective, length: timedelta, windows: list[timedelta], events: _Events) -> Counting:
    names, ids, text = events.names, events.names.ids, window_text(length)
    error = f"slo:slice_error:ratio{text}{ids}"
    ratio = f"slo:event_bad:increase{text}{ids} / (slo:event_valid:increase{text}{ids} > 0)"
    filled = {NoData.UNKNOWN: "", NoData.GOOD: " or on () vector(0)", NoData.BAD: " or on () vector(1)"}
    recordings = [
        *events.ticks(objective.source),
        *events.of(length, "event"),
        Recording(f"slo:slice_error:ratio{text}", ratio + filled[objective.no_data], names.labels(text)),
    ]
    seen = at_steps(error, length, events.interval)
    bad = seen if objective.slice_target is None else f"({seen} > bool {number(1 - objective.slice_target)})"
    valid = f"(0 * {seen} + 1)"
    for window in windows:
        own, labels = window_text(window), names.labels(window_text(window))
        # As many whole slices as the window begins.
        span = f"[{window_text(-(-window // length) * length)}:{text}]"
        recordings += [
            Recording(f"slo:sli_valid:increase{own}", f"sum_over_time({valid}{span})", labels),
            Recording(f"slo:sli_bad:increase{own}", f"sum_over_time({bad}{span})", labels),
            _ratio(window, names),
        ]
    event_valid = f"slo:event_valid:increase{text}{ids}"
    return Counting(
        tuple(recordings),
        tuple(events.logs(objective.source)),
        windows[0],
        length,
        event_valid if objective.no_data is NoData.UNKNOWN else error,
        _known(f"slo:event_bad:increase{text}{ids}", event_valid),
        length,
        _surplus(events.counts, length, events.interval, event_valid),
        (bad, valid),
    )


def _ratio(window: timedelta, names: Names) -> Recording:
    """Return the error ratio of a window: none while it is idle, rather than one that is no number."""
    text = window_text(window)
    expr = f"slo:sli_bad:increase{text}{names.ids} / (slo:sli_valid:increase{text}{names.ids} > 0)"
    return Recording(f"slo:sli_error:ratio_rate{text}", expr, names.labels(text))


def at_steps(series: str, step: timedelta, interval: timedelta) -> str:
    """Return a recorded series as it is at steps: a sample that an earlier step saw already is not seen again."""
    return series if step >= _LOOKBACK else f"last_over_time({series}[{window_text(2 * interval)}])"


def _known(bad: str, valid: str) -> str:
    """Return a series that is there while both counts are numbers: what is none is above no threshold of any alert."""
    return f"{valid} + 0 * {bad} >= 0"


def _surplus(counts: WindowCounts | TickCounts, window: timedelta, interval: timedelta, valid: str) -> str:
    if isinstance(counts, TickCounts) or counts.samples:
        return ""
    return counts.surplus_at(window, interval, valid)


def _whole(duration: timedelta) -> timedelta:
    """Return a duration to the millisecond."""
    return timedelta(milliseconds=max(1, round(duration / timedelta(milliseconds=1))))
