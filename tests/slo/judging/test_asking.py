from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sloproof.clients.prometheus import PrometheusClient
from sloproof.errors import QueryError
from sloproof.finding import Verdict
from sloproof.model import Labels
from sloproof.slo.judging.asking import Asker, Trail
from sloproof.slo.judging.judge import Sources, judge
from sloproof.slo.judging.rises import Counter, key_of
from sloproof.slo.judging.series_steps import MARK, Selected, part_of
from sloproof.slo.judging.steps import Run
from tests.clients.recorded import Answer, data, http
from tests.slo.counted import AT
from tests.slo.objectives import objective

HOUR = timedelta(hours=1)
RUN = Run(AT - 2 * HOUR, HOUR, 2)


def matrix(*offsets: float, **more: Any) -> Answer:
    values = [[AT.timestamp() + offset, "1"] for offset in offsets]
    return data(
        {"resultType": "matrix", "result": [{"metric": {"job": "shop", MARK: "last"}, "values": values}]}, **more
    )


def test_the_same_question_is_sent_once() -> None:
    server, transport = http(matrix(-3600, 0))
    asker = Asker(PrometheusClient(server))
    one, other = Trail(asker), Trail(asker)
    assert one.at_steps("x", RUN) == other.at_steps("x", RUN)
    assert asker.sent == len(transport.asked) == 1
    assert list(one.queries) == list(other.queries)
    asked = transport.asked[0]
    assert (asked.one("start"), asked.one("end")) == ("2026-03-10T11:00:00.000Z", "2026-03-10T12:00:00.000Z")


def test_answers_for_other_instants_are_refused() -> None:
    server, _ = http(matrix(-3000, 600))
    with pytest.raises(QueryError, match="other instants"):
        Trail(Asker(PrometheusClient(server))).at_steps("x", RUN)


def test_long_runs_are_asked_in_parts() -> None:
    server, transport = http(matrix(0))
    asker = Asker(PrometheusClient(server))
    Trail(asker).at_steps("x", Run(AT - 25_000 * HOUR, HOUR, 25_000))
    assert asker.sent == len(transport.asked) == 3
    ends = [one.one("end") for one in transport.asked]
    assert ends[-1] == "2026-03-10T12:00:00.000Z"
    assert transport.asked[1].one("start") > ends[0]


def test_a_partial_answer_of_the_server_never_passes() -> None:
    server, _ = http(matrix(0, warnings=["store 2 did not answer"]))
    found = judge(objective(), Sources(Asker(PrometheusClient(server))), AT)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "store 2 did not answer" in found.reason


def selected(*series: Labels) -> Selected:
    return Selected({key_of(one): Counter(one) for one in series})


@pytest.mark.parametrize(
    ("narrow", "wide", "codes"),
    [
        ('x{job="a",code="500"}', 'x{job="a"}', ["500"]),
        ('x{job="a",code=~"5.."}', 'x{job="a"}', ["500", "503"]),
        ('x{code!~"5..",job="a"}', 'x{job="a"}', ["200"]),
        ('x{job="b",code="500"}', 'x{job="a"}', None),  # another job's
        ('y{job="a",code="500"}', 'x{job="a"}', None),  # another metric
        ('x{job="a"}', 'x{job="a",code="500"}', None),  # wider
        ('x{job="a",code=~"(?i)5.."}', 'x{job="a"}', None),  # not the same in every regular expression
    ],
)
def test_a_part_of_what_was_read_is_not_asked_for(narrow: str, wide: str, codes: list[str] | None) -> None:
    read = selected(*({"job": "a", "code": code} for code in ("200", "500", "503")))
    found = part_of(narrow, wide, read)
    assert (found and [one.labels["code"] for one in found.counters.values()]) == codes
