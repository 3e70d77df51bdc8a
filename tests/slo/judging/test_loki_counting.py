from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from sloproof.clients.loki import LokiClient
from sloproof.finding import Verdict
from sloproof.model import LogEntry, Stream, ns_from_instant
from sloproof.polling import wait_until
from sloproof.slo.judging.judge import Sources, judge
from sloproof.slo.judging.loki_counting import LokiAsker
from sloproof.slo.model import Objective, Rolling, Source
from tests.loki_server import loki_server
from tests.slo.counted import numbers
from tests.slo.objectives import objective, ratio
from tests.slo.pitfalls import row

pytestmark = pytest.mark.slow
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
# Not on any step, and long enough ago to be settled.
AT = datetime.now(UTC).replace(microsecond=123_000) - timedelta(seconds=23)
STEP = timedelta(seconds=7)


@pytest.fixture(scope="module")
def loki(tool_path: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LokiClient]:
    with loki_server(tool_path("loki"), tmp_path_factory.mktemp("loki")) as address:
        client = LokiClient(address)
        for app, lines in LINES.items():
            client.push([Stream({"app": app}, tuple(lines))])
            last = lines[-1].time
            wait_until(
                lambda app=app, last=last: client.query(f'count_over_time({{app="{app}"}}[1s])', last),  # type: ignore[misc]
                bool, what="the last line is there", timeout=20 * SECOND, interval=SECOND / 20,
            )  # fmt: skip
        yield client


def lines_of(is_there: Callable[[datetime], bool]) -> list[LogEntry]:
    found, at = [], AT - 2.4 * HOUR
    for number in range(2000):
        if at > AT:
            break
        if is_there(at):
            found.append(LogEntry(ns_from_instant(at), f"GET /x {'500' if number % 50 == 0 else '200'}"))
        at += STEP
    return found


LINES = {
    "steady": lines_of(lambda _: True),
    "gone": lines_of(lambda at: at < AT - HOUR),
}


def asked(app: str) -> Objective:
    stream = f'{{app="{app}"}}'
    counted = ratio(
        f"sum(count_over_time({stream}[{{{{.window}}}}]))", bad=f"sum(count_over_time({stream} |= ` 500` [{{{{.window}}}}]))",
        source=Source.LOKI,
    )  # fmt: skip
    return objective(indicator=counted, period=Rolling(2 * HOUR), target=Fraction("0.95"), rows=(row(),))


def test_every_line_of_the_period_is_counted_once(loki: LokiClient) -> None:
    asker = LokiAsker(loki)
    found = judge(asked("steady"), Sources(loki=asker), AT)
    inside = [one for one in LINES["steady"] if ns_from_instant(AT - 2 * HOUR) < one.time_ns <= ns_from_instant(AT)]
    assert found.count.valid == len(inside)
    assert found.count.bad == sum(one.line.endswith("500") for one in inside)
    assert numbers(found.verdict, found.exact, found.count.coverage) == (Verdict.PASS, True, 1)
    assert asker.sent <= 6


def test_a_shipper_that_stopped_never_passes(loki: LokiClient) -> None:
    found = judge(asked("gone"), Sources(loki=LokiAsker(loki)), AT)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.count.coverage == pytest.approx(0.5, abs=0.01)


def test_streams_that_are_not_there_never_pass(loki: LokiClient) -> None:
    # Naive: `or vector(0)` makes 0 of nothing, and 1 - 0 a perfect ratio.
    found = judge(asked("nobody"), Sources(loki=LokiAsker(loki)), AT)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "there is no data at all")


def test_more_bad_lines_than_lines_are_an_error(loki: LokiClient) -> None:
    made = asked("steady")
    wrong = ratio(
        'sum(count_over_time({app="steady"} |= ` 500` [{{.window}}]))', bad='sum(count_over_time({app="steady"}[{{.window}}]))',
        source=Source.LOKI,
    )  # fmt: skip
    found = judge(replace(made, indicator=wrong), Sources(loki=LokiAsker(loki)), AT)
    assert found.verdict is Verdict.ERROR
    assert "` 500`" in found.reason
