"""What a rule test puts in: series that the objective's own rules read, and what they hold at each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor, lcm

from sloproof.duration import format_duration
from sloproof.slo.model import Metric, Objective, Ratio
from sloproof.slo.rules.expressions import TickCounts, counts_of
from sloproof.slo.rules.feed_series import EventSeries, event_series
from sloproof.slo.rules.row_story import Stage
from sloproof.slo.rules.series import Names
from sloproof.slo.rules.values import Timing

_FEW, _MANY = 1000, 10**9
STAND_IN_BAD, _STAND_IN_VALID = "sloproof_bad_total", "sloproof_valid_total"


@dataclass(frozen=True, slots=True)
class Feed:
    """Input of a rule test.

    Attributes:
        objective: What the rules are made from: the document's, or with stand-in counters for queries that are more
            than a sum of one counter.
        timing: What they are made for.
        events: Counters; None where ticks are put in, which Loki or Prometheus itself would have recorded.
    """

    objective: Objective
    timing: Timing
    events: EventSeries | None

    @property
    def counts_increases(self) -> bool:
        """Return whether windows hold increases of counters, of which there is one less than there are samples."""
        return self.events is not None

    @property
    def series(self) -> tuple[str, str]:
        """Return the two series that are put in."""
        if self.events is not None:
            return self.events.first, self.events.second
        text = format_duration(self.timing.interval)
        names = Names.of(self.objective)
        labels = names.ids[:-1] + f', sloth_window="{text}"}}'
        return f"slo:tick_bad:count{text}{labels}", f"slo:tick_valid:count{text}{labels}"

    def values(self, stages: Sequence[Stage]) -> list[tuple[str, str]]:
        """Return each series and its values, in the notation of promtool's tests.

        Counts are whole: sums of fractions would be rounded, and a counter that falls by a rounding is a reset.

        Args:
            stages: What happens, in order, after a first sample at which nothing had.
        """
        events = _events(stages, self.objective.min_events)
        texts: tuple[list[str], list[str]] = ([], [])
        totals = [0, 0]
        for column in texts:
            column.append("0")
        for stage in stages:
            valid = 0 if stage.traffic == "idle" else events
            bad = floor(stage.bad_ratio * valid)
            steps = self.events.steps(bad, valid) if self.events is not None else (bad, valid)
            for index, step in enumerate(steps):
                if not stage.steps:
                    continue
                if stage.traffic == "gone":
                    texts[index].append(f"stale _x{stage.steps - 1}")
                elif self.events is None:
                    texts[index].append(f"{step}x{stage.steps - 1}")
                else:
                    texts[index].append(f"{totals[index] + step}+{step}x{stage.steps - 1}")
                    totals[index] += step * stage.steps
        return [(series, " ".join(column)) for series, column in zip(self.series, texts, strict=True)]


def feed_of(objective: Objective, timing: Timing) -> Feed:
    """Return what an objective's rules are fed with in a test.

    Raises:
        SettingsError: One of its queries cannot be used.
    """
    counts = counts_of(objective, timing.interval, timing.log_delay)
    if isinstance(counts, TickCounts):
        return Feed(objective, timing, None)
    if not counts.samples:
        at = [text.replace("{{.window}}", "5m") for text in (counts.good or counts.bad, counts.valid)]
        events = event_series(at[0], at[1], is_good=bool(counts.good))
        if events is not None:
            return Feed(objective, timing, events)
    return Feed(
        _standing_in(objective), timing, EventSeries(STAND_IN_BAD, _STAND_IN_VALID, is_good=False, is_total=True)
    )


def _events(stages: Sequence[Stage], floor_of_events: int) -> int:
    """Return of how many events an interval each stage's part is whole, or nearly so where that would be very many.

    Enough, too, that a minimum of events is never what silences a row.
    """
    whole = lcm(*(stage.bad_ratio.denominator for stage in stages))
    few = max(_FEW, floor_of_events)
    return whole * -(-few // whole) if whole <= _MANY else max(_MANY, few)


def _standing_in(objective: Objective) -> Objective:
    total, bad = (Metric(objective.source, f"sum({name})", objective.place) for name in (_STAND_IN_VALID, STAND_IN_BAD))
    return replace(objective, indicator=Ratio(total, bad=bad))
