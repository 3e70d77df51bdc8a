"""An observation: what really happened between two anchors, and what the monitoring says of it.

The truth is the ledger. Prometheus and Loki are asked at the second anchor's instant only, each question once, and the
answers are kept, so that every check of a scenario judges the same evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property

from sloproof.barrier import Anchor, is_sentinel
from sloproof.checks.evidence import Bounds, RequestKey
from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient
from sloproof.counters import CounterDelta, increase_between
from sloproof.errors import UnavailableError
from sloproof.finding import Query
from sloproof.load.ledger import Entry, Ledger, Tally
from sloproof.log_lines import Line, LineParser, RequestLine
from sloproof.model import LogEntry, Series, Stream, Window, instant_from_ns
from sloproof.settings import Settings

# How old a sample may be that stands for an anchor: so many scrapes may be missed, and on a busy machine for so long.
_MISSED_SCRAPES = 5
_SHORTEST_AGE = timedelta(seconds=5)


class Observation:
    """Evidence about one stretch of time.

    Args:
        settings: The project's settings.
        prometheus: Where the service's metrics are.
        loki: Where its log lines are.
        ledger: The driver's record; entries outside the stretch are left out here.
        before: Everything up to here is in the baseline.
        after: Everything up to here is judged.
        own: The record of one's own requests alone, where others send at the same time.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        prometheus: PrometheusClient,
        loki: LokiClient,
        ledger: Ledger,
        before: Anchor,
        after: Anchor,
        own: Ledger | None = None,
    ) -> None:
        self.settings = settings
        self.prometheus = prometheus
        self.loki = loki
        self.ledger = ledger
        self.before = before
        self.after = after
        self._own = own

    @property
    def at(self) -> datetime:
        """Return the instant everything is judged at."""
        return self.after.at

    @property
    def dead(self) -> Mapping[str, str]:
        """Return the pipelines that gave no evidence at either end, and why."""
        return {**self.before.dead, **self.after.dead}

    @property
    def window(self) -> Window:
        """Return the stretch from anchor to anchor, in the clock of the samples."""
        return Window(self.before.at, self.after.at)

    @property
    def happened(self) -> Window:
        """Return the stretch in which what is judged took place."""
        return Window(self.before.covers, self.after.covers)

    @property
    def max_age(self) -> timedelta:
        """Return how old a sample may be that stands for one of the anchors."""
        interval = self.after.scrape_interval or self.before.scrape_interval or timedelta(0)
        return max(_MISSED_SCRAPES * interval, _SHORTEST_AGE)

    @property
    def job_selector(self) -> str:
        """Return the matcher that selects the service's own series."""
        return f'job="{self.settings.service.name}"'

    @property
    def log_selector(self) -> str:
        """Return the selector of the service's log streams."""
        return f'{{app="{self.settings.service.name}"}}'

    @cached_property
    def tally(self) -> Tally:
        """Return the ledger's counts for the stretch."""
        return self.ledger.tally(self.happened)

    @cached_property
    def sent_counts(self) -> Mapping[RequestKey, int]:
        """Return how many requests were answered, per endpoint, method and status."""
        return {RequestKey(*key): count for key, count in self.tally.certain.items()}

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Return the ledger's entries of the stretch, by start."""
        return tuple(self.ledger.entries(self.happened))

    @property
    def sent_entries(self) -> tuple[Entry, ...]:
        """Return one's own entries of the stretch, without the barrier's sentinels."""
        entries = self.entries if self._own is None else self._own.entries(self.happened)
        return tuple(entry for entry in entries if not is_sentinel(entry.request_id))

    def samples(self, selector: str) -> tuple[Series, ...]:
        """Return the stored samples of a selector, from a little before the first anchor to the second."""
        return self._samples(selector)

    @cached_property
    def _up(self) -> tuple[Series, ...]:
        return self._samples(f"up{{{self.job_selector}}}")

    def _samples(self, selector: str) -> tuple[Series, ...]:
        stretch = Window(self.before.at - self.max_age, self.after.at)
        answer = self.prometheus.samples(selector, stretch)
        if answer.warnings:
            raise UnavailableError(
                "expected a whole answer, got a part of one", query=selector, warnings="\n".join(answer.warnings)
            )
        return answer.series

    def increase(self, selector: str) -> tuple[CounterDelta, ...]:
        """Return by how much each series of a counter really rose between the anchors.

        A difference of stored samples, one a series; resets are followed, nothing is extrapolated.
        """
        found = self._samples(selector)
        return increase_between(found, self.before.at, self.after.at, targets_up=self._up, max_age=self.max_age)

    def query_of(self, selector: str) -> Query:
        """Return the question behind `increase` as someone can ask it again by hand."""
        reach = int((self.window.duration + self.max_age).total_seconds()) + 1
        expr = f"{selector}[{reach}s]"
        return Query("prometheus", expr, self.prometheus.query_url(expr, self.at))

    @cached_property
    def request_counts(self) -> Mapping[RequestKey, Bounds]:
        """Return by how much the service's request counter rose, per endpoint, method and status, over instances."""
        names = self.settings.metrics.requests
        counts: dict[RequestKey, Bounds] = {}
        for delta in self.increase(self.request_selector):
            labels = delta.labels
            key = RequestKey(
                labels.get(names.endpoint, ""), labels.get(names.method, ""), int(labels.get(names.status, "0") or 0)
            )
            known = counts.get(key, Bounds(0, 0))
            counts[key] = Bounds(known.low + delta.low, known.high + delta.high)
        return counts

    @property
    def request_selector(self) -> str:
        """Return the selector of the service's request counter."""
        return f"{self.settings.metrics.requests.name}{{{self.job_selector}}}"

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """Return the service's log lines of the stretch, by stream; none where either end has no log evidence."""
        first, last = self.before.log_at_ns, self.after.log_at_ns
        if first is None or last is None:
            return ()
        # Anchors are exact to the nanosecond, a query's ends are not: ask for a little more, keep what belongs.
        margin = timedelta(milliseconds=1)
        asked = Window(instant_from_ns(first) - margin, instant_from_ns(last) + margin)
        found = self.loki.query_range(self.log_selector, asked)
        return tuple(
            Stream(stream.labels, tuple(entry for entry in stream.entries if first < entry.time_ns <= last))
            for stream in found
        )

    @cached_property
    def log_entries(self) -> tuple[LogEntry, ...]:
        """Return the service's log lines of the stretch, oldest first."""
        return tuple(sorted((entry for stream in self.streams for entry in stream.entries), key=lambda e: e.time_ns))

    @cached_property
    def parser(self) -> LineParser:
        """Return the reader of the service's log lines."""
        return LineParser(self.settings.logs)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Return what each line says, oldest first."""
        return tuple(self.parser.parse_all(self.log_entries))

    @cached_property
    def request_lines(self) -> tuple[RequestLine, ...]:
        """Return the lines that tell of a request, oldest first."""
        return tuple(line for line in self.lines if isinstance(line, RequestLine))

    @cached_property
    def request_lines_by_stream(self) -> tuple[tuple[RequestLine, ...], ...]:
        """Return the lines that tell of a request, per stream, oldest first."""
        return tuple(
            tuple(line for line in self.parser.parse_all(stream.entries) if isinstance(line, RequestLine))
            for stream in self.streams
        )

    @cached_property
    def logged_counts(self) -> Mapping[RequestKey, int]:
        """Return how many request lines there are per endpoint, method and status."""
        return Counter(RequestKey(line.endpoint, line.method, line.status) for line in self.request_lines)

    @property
    def log_query(self) -> Query:
        """Return the question behind `streams` as someone can ask it again by hand."""
        return Query("loki", self.log_selector, self.loki.query_url(self.log_selector, self.at))
