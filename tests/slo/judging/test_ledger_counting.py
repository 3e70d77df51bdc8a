from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

import pytest

from sloproof.errors import SettingsError
from sloproof.finding import Verdict
from sloproof.model import Window, ns_from_instant
from sloproof.slo.judging.agreement import disagreement
from sloproof.slo.judging.judge import Sources, judge
from sloproof.slo.judging.ledger_counting import count_in_ledger
from sloproof.slo.judging.steps import plan_of
from sloproof.slo.model import Rolling, Source, Truth
from tests.slo.counted import AT
from tests.slo.objectives import objective, ratio

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Sent:
    """A request."""

    end_ns: int
    status: int = 200
    failure: str = ""
    endpoint: str = "/x"
    method: str = "GET"
    duration_ns: int = 10**6


@dataclass(frozen=True)
class Driver:
    requests: tuple[Sent, ...]

    def entries(self, window: Window | None = None) -> tuple[Sent, ...]:
        return self.requests


def sent(count: int, start: timedelta = HOUR, **more: object) -> tuple[Sent, ...]:
    """Return so many requests, evenly until the instant."""
    begin, end = ns_from_instant(AT - start), ns_from_instant(AT)
    return tuple(Sent(begin + (end - begin) * n // count, **more) for n in range(1, count + 1))  # type: ignore[arg-type]


ASKED = objective(
    indicator=ratio("requests", bad='requests{outcome=~"5..|refused|timeout"}', source=Source.LEDGER),
    period=Rolling(HOUR), target=Fraction("0.9"), rows=(),
)  # fmt: skip


def test_refused_and_timed_out_requests_count() -> None:
    driver = Driver(
        (*sent(900), *sent(50, status=0, failure="refused"), *sent(50, status=503), *sent(3, failure="unsent"))
    )
    counted = count_in_ledger(ASKED, plan_of(ASKED, AT), driver)
    assert sum(one.valid for one in counted.steps) == 1000
    assert sum(one.bad for one in counted.steps) == 100
    found = judge(ASKED, Sources(ledger=driver), AT)
    assert (found.verdict, found.consumed) == (Verdict.PASS, Fraction(1))


def test_good_requests_may_be_asked_for_instead() -> None:
    made = replace(ASKED, indicator=ratio("requests", good='requests{outcome="200"}', source=Source.LEDGER))
    counted = count_in_ledger(made, plan_of(made, AT), Driver((*sent(90), *sent(10, status=500))))
    assert sum(one.bad for one in counted.steps) == 10


def test_only_what_the_driver_saw_is_covered() -> None:
    found = judge(ASKED, Sources(ledger=Driver(sent(1000, start=30 * MINUTE))), AT)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert float(found.count.coverage) == pytest.approx(0.5, abs=0.01)
    assert judge(ASKED, Sources(ledger=Driver(())), AT).verdict is Verdict.INCONCLUSIVE


def test_an_objective_without_a_truth_is_refused() -> None:
    with pytest.raises(SettingsError, match="truth-bad") as raised:
        count_in_ledger(objective(), plan_of(objective(), AT), Driver(()))
    assert raised.value.details["where"]


def test_pitfall_27_counts_are_compared_not_ratios() -> None:
    made = objective(period=Rolling(HOUR), rows=(), truth=Truth('requests{outcome="500"}', "requests"))
    plan = plan_of(made, AT)
    truth = count_in_ledger(made, plan, Driver((*sent(900), *sent(100, status=500)))).steps
    half = tuple(replace(one, bad=one.bad / 2, valid=one.valid / 2) for one in truth)
    naive = [sum(one.bad for one in of) / sum(one.valid for one in of) for of in (half, truth)]
    assert naive[0] == naive[1]
    assert disagreement(truth, truth, teller="loki") == ""
    assert disagreement(half, truth, teller="loki") == (
        "50 bad events by loki, but 100 by the ledger; 500 valid events by loki, but 1000 by the ledger"
    )
    late = (*truth[:-1], replace(truth[-1], valid=truth[-1].valid - 10))
    assert disagreement(late, truth, teller="prometheus") == ""
