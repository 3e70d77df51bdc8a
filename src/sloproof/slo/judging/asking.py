"""Asks a Prometheus for judgements: counts what it asks, asks nothing twice, and keeps what was asked as evidence."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sloproof.clients.prometheus import PrometheusClient, QueryAnswer
from sloproof.duration import format_duration
from sloproof.errors import QueryError
from sloproof.finding import Query
from sloproof.model import Series, Window
from sloproof.slo.judging.steps import Run

# Objectives of one service ask some of the same; answers of a month are large.
_KEPT = 24
# Prometheus refuses more than 11,000 points a series.
_MOST_POINTS = 10_000
_HALF_MS = timedelta(microseconds=500)


@dataclass(slots=True)
class Asker:
    """One server, asked on behalf of many objectives.

    Attributes:
        client: Of the server.
        sent: How many queries went out.
        seconds: How long their answers took, all together.
    """

    client: PrometheusClient
    sent: int = 0
    seconds: float = 0.0
    _known: OrderedDict[tuple[object, ...], QueryAnswer] = field(default_factory=OrderedDict)

    def recall(self, key: tuple[object, ...]) -> QueryAnswer | None:
        """Return an answer that is still known."""
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def keep(self, key: tuple[object, ...], answer: QueryAnswer, seconds: float, sent: int) -> None:
        """Keep an answer, and forget the one that was of no use for longest."""
        self.sent += sent
        self.seconds += seconds
        self._known[key] = answer
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)


@dataclass(slots=True)
class Trail:
    """What was asked for one objective.

    Attributes:
        queries: Each once, as asked, with the address that asks again.
        warnings: Of the server: an answer is only a part of what there is.
    """

    asker: Asker
    queries: dict[str, Query] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)

    def at_steps(self, expression: str, run: Run, *, begin: bool = False) -> list[Series]:
        """Return what an expression is at the end of each step of a run, and at its begin, too, if asked.

        Raises:
            UnavailableError: The server does not answer.
            QueryError: It refuses, or answers for other instants.
        """
        first = run.start if begin else run.start + run.step
        points = run.count + begin
        url = self.asker.client.query_range_url(expression, Window(first, run.window.end), run.step)
        answer = self._ask(("range", expression, first, run.step, points), expression, url)
        for series in answer.series:
            for sample in series.samples:
                if abs((sample.time - first + run.step / 2) % run.step - run.step / 2) > _HALF_MS:
                    raise QueryError(
                        "the server answers for other instants than it was asked for",
                        query=expression,
                        seen=sample.time.isoformat(),
                        hint="is there a front end that aligns queries with their step? turn that off",
                    )
        return list(answer.series)

    def at(self, expression: str, instant: datetime) -> list[Series]:
        """Return what an expression is at an instant. Raises as `at_steps`."""
        url = self.asker.client.query_url(expression, instant)
        return list(self._ask(("instant", expression, instant), expression, url).series)

    def samples(self, selector: str, window: Window) -> list[Series]:
        """Return the raw samples after a window's start, up to its end. Raises as `at_steps`."""
        after = Window(window.start + timedelta(milliseconds=1), window.end)
        text = f"{selector}[{format_duration(window.duration)}]"
        url = self.asker.client.query_url(text, window.end)
        return list(self._ask(("samples", selector, after.start, after.end), text, url).series)

    def _ask(self, key: tuple[object, ...], text: str, url: str) -> QueryAnswer:
        self.queries.setdefault(url, Query("prometheus", text, url))
        answer = self.asker.recall(key)
        if answer is None:
            begin = time.monotonic()
            answer, sent = self._send(key)
            self.asker.keep(key, answer, time.monotonic() - begin, sent)
        self.warnings |= dict.fromkeys(answer.warnings)
        return answer

    def _send(self, key: tuple[object, ...]) -> tuple[QueryAnswer, int]:
        client = self.asker.client
        match key:
            case ("instant", str(text), datetime() as instant):
                return client.query(text, instant), 1
            case ("samples", str(text), datetime() as start, datetime() as end):
                return client.samples(text, Window(start, end)), 1
            case ("range", str(text), datetime() as first, timedelta() as step, int(points)):
                parts = [
                    client.query_range(
                        text, Window(first + low * step, first + (min(low + _MOST_POINTS, points) - 1) * step), step
                    )
                    for low in range(0, points, _MOST_POINTS)
                ]
                return _joined(parts), len(parts)
        raise AssertionError(key)


def _joined(parts: list[QueryAnswer]) -> QueryAnswer:
    if len(parts) == 1:
        return parts[0]
    series = tuple(one for part in parts for one in part.series)  # of one series several, as its readers expect
    warnings = tuple(dict.fromkeys(text for part in parts for text in part.warnings))
    return QueryAnswer(series, warnings)
