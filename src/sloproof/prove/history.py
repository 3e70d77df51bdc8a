"""Tier 2 of the proof: whole months, written into a real Prometheus, judged there, and compared with exact arithmetic.

Every request of these months is known, because it was made up. What the judge reads back from the server must be the
same number, and the verdict the one that the month deserves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from sloproof.finding import Verdict
from sloproof.model import Window
from sloproof.prove.made_history import Service, Traffic, during, in_hours
from sloproof.prove.scratch_server import Programs, scratch_prometheus
from sloproof.slo.judging.asking import Asker
from sloproof.slo.judging.judge import Sources, judge
from sloproof.slo.model import Budgeting, Calendar, Metric, NoData, Objective, Place, Ratio, Rolling, Source
from sloproof.slo.rows import default_rows
from sloproof.slo.verdicts import Judgement

TOLERANCE = Fraction(1, 10**9)
_AT = datetime(2026, 4, 12, 9, 41, 17, tzinfo=UTC)
_STEP = timedelta(minutes=4)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_BEGIN = _AT - 33 * _DAY
_PLACE = Place(Path("history"), 1)


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """One month that was judged.

    Attributes:
        scenario: Its name.
        expected: Part of the budget that was spent, by exact arithmetic; None where the verdict alone counts.
        measured: The same by the judge.
        difference: Between the two; None where either is none.
        verdicts: Those that the month deserves.
        judgement: What the judge said.
        passed: Whether both are as they should be.
    """

    scenario: str
    expected: Fraction | None
    measured: Fraction | None
    difference: Fraction | None
    verdicts: tuple[Verdict, ...]
    judgement: Judgement
    passed: bool


@dataclass(frozen=True, slots=True)
class Scenario:
    """One made-up month: a service, the objective it is judged by, and the verdicts it deserves.

    Attributes:
        spent: Part of the budget that is spent, exactly; None where only the verdict counts.
    """

    name: str
    services: tuple[Service, ...]
    objective: Objective
    verdicts: tuple[Verdict, ...]
    spent: Fraction | None = None
    at: datetime = _AT


def prove_history(programs: Programs) -> tuple[HistoryResult, ...]:
    """Return how each scenario was judged by a real server that was started for it, and is ended again.

    Raises:
        ToolError: A program is missing, or refuses what it is given.
        ComponentExitedError: The server ended by itself.
        DeadlineError: It was not ready in time.
    """
    made = scenarios()
    points = [one for scenario in made for service in scenario.services for one in service.points()]
    points.sort(key=lambda one: one.series.partition("{")[0])
    with scratch_prometheus(programs, points) as client:
        sources = Sources(prometheus=Asker(client))
        return tuple(compared(one, judge(one.objective, sources, one.at)) for one in made)


def compared(scenario: Scenario, found: Judgement) -> HistoryResult:
    """Return what the judge said of a scenario beside what is so."""
    expected, measured = scenario.spent, found.consumed
    difference = abs(expected - measured) if expected is not None and measured is not None else None
    is_close = expected is None or (difference is not None and difference <= TOLERANCE)
    passed = is_close and found.verdict in scenario.verdicts
    return HistoryResult(scenario.name, expected, measured, difference, scenario.verdicts, found, passed)


def scenarios() -> tuple[Scenario, ...]:
    """Return the months that are judged."""
    return (
        _plain("steady", _steady, Verdict.PASS),
        _plain("errors in busy hours", _busy_errors, Verdict.FAIL),
        _plain("errors in quiet hours, 1000:1", _quiet_errors, Verdict.PASS),
        _plain("idle gaps", _with_gaps, Verdict.PASS),
        _plain("the first error ever", _late_error, Verdict.PASS),
        _changed("counter resets", restarts=lambda at: at.hour in {3, 15} and at.minute % 30 in range(20, 24)),
        _changed("a restart that outgrows the old count", restarts=lambda at: _is_near(at, _BEGIN + 4 * _HOUR)),
        _changed("restarts under new names", instance=lambda at: f"pod-{at.date()}:80"),
        _changed("two missing hours", unwatched=during(_AT - 9 * _DAY, 2 * _HOUR)),
        _changed("a label that changes", labels=lambda at: {"team": "a" if at < _AT - 11 * _DAY else "b"}),
        _changed("three missing days", Verdict.INCONCLUSIVE, unwatched=during(_AT - 9 * _DAY, 3 * _DAY)),
        _changed("dead since two hours", Verdict.INCONCLUSIVE, dead=during(_AT - 2 * _HOUR, 3 * _HOUR)),
        _changed("Prometheus gone since two hours", Verdict.INCONCLUSIVE, unwatched=during(_AT - 2 * _HOUR, 3 * _HOUR)),
        _half_a_month(),
        _scraped_twice(),
        _month("a month of 743 hours", datetime(2026, 3, 31, 21, 30, tzinfo=UTC)),
        _month("the first half hour of a month", datetime(2026, 3, 31, 22, 30, tzinfo=UTC), Verdict.INCONCLUSIVE),
        _sliced("slices, idle ones unknown", NoData.UNKNOWN),
        _sliced("slices, idle ones bad", NoData.BAD),
    )


def _steady(at: datetime) -> tuple[int, int]:
    return 100, int(at.minute in {0, 1} and at.hour % 4 == 0)


def _busy_errors(at: datetime) -> tuple[int, int]:
    return (1000, 3) if 8 <= at.hour < 20 else (1, 0)  # noqa: PLR2004 - office hours


def _quiet_errors(at: datetime) -> tuple[int, int]:
    return (1000, 0) if 8 <= at.hour < 20 else (0, 1 if at.minute % 8 < 2 else 0)  # noqa: PLR2004


def _with_gaps(at: datetime) -> tuple[int, int]:
    return (0, 0) if in_hours(1, 5)(at) else _steady(at)


def _late_error(at: datetime) -> tuple[int, int]:
    return 100, 50 if _is_near(at, _AT - 5 * _DAY) else 0


def _is_near(at: datetime, instant: datetime) -> bool:
    return instant <= at < instant + _STEP


def _service(name: str, traffic: Traffic) -> Service:
    # Scrapes keep to no clock: here they are 13.7 s off.
    begin = _BEGIN + timedelta(seconds=13.7)
    return Service(name.replace(" ", "-").replace(",", "").replace(":", "-"), Window(begin, _AT), _STEP, traffic)


def _objective(service: Service, period: timedelta = 30 * _DAY) -> Objective:
    target = Fraction("0.999")
    bad, total = (
        Metric(Source.PROMETHEUS, f"sum({selector})", _PLACE)
        for selector in (
            f'requests_total{{job="{service.job}",code=~"5.."}}',
            f'requests_total{{job="{service.job}"}}',
        )
    )
    return Objective(
        service="history",
        slo=service.job,
        target=target,
        indicator=Ratio(total=total, bad=bad),
        period=Rolling(period),
        budgeting=Budgeting.OCCURRENCES,
        place=_PLACE,
        rows=default_rows(Rolling(period), 1 - target, _STEP),
    )


def _spent(services: Sequence[Service], window: Window, budget: Fraction) -> Fraction:
    counts = [one.truth(window) for one in services]
    return Fraction(sum(bad for bad, _ in counts), sum(valid for _, valid in counts)) / budget


def _scenario(name: str, service: Service, verdict: Verdict) -> Scenario:
    objective = _objective(service)
    spent = _spent([service], Window(_AT - 30 * _DAY, _AT), objective.budget)
    return Scenario(name, (service,), objective, (verdict,), spent)


def _plain(name: str, traffic: Traffic, verdict: Verdict) -> Scenario:
    return _scenario(name, _service(name, traffic), verdict)


def _changed(name: str, verdict: Verdict = Verdict.PASS, **changes: object) -> Scenario:
    return _scenario(name, replace(_service(name, _steady), **changes), verdict)  # type: ignore[arg-type]


def _half_a_month() -> Scenario:
    name = "half a month"
    service = replace(_service(name, _steady), window=Window(_AT - 15 * _DAY, _AT))
    # Its first sample is of a target that nobody saw before, and counts for nothing.
    bad, valid = service.truth(Window(service.window.start, _AT))
    objective = _objective(service)
    return Scenario(name, (service,), objective, (Verdict.INCONCLUSIVE,), Fraction(bad, valid) / objective.budget)


def _scraped_twice() -> Scenario:
    service = replace(_service("scraped by two jobs", _steady), jobs=("scraped-by-two-jobs-again",))
    objective = _objective(service)
    ratio = objective.indicator
    assert isinstance(ratio, Ratio)
    both = Ratio(
        total=replace(ratio.total, query='sum(requests_total{job=~"scraped-by-two-jobs.*"})'),
        bad=replace(ratio.total, query='sum(requests_total{job=~"scraped-by-two-jobs.*",code=~"5.."})'),
    )
    return Scenario("scraped by two jobs", (service,), replace(objective, indicator=both), (Verdict.ERROR,))


def _month(name: str, at: datetime, verdict: Verdict = Verdict.PASS) -> Scenario:
    zone = ZoneInfo("Europe/Berlin")
    service = _service(name, _steady)
    service = replace(service, window=Window(service.window.start - 14 * _DAY, _AT))
    period = Calendar(1, "M", datetime(2026, 1, 1), zone)  # noqa: DTZ001 - by the clock on the wall
    objective = replace(_objective(service), period=period)
    local = at.astimezone(zone)
    begin = local.replace(day=1, hour=0, minute=0, second=0).astimezone(UTC)
    return Scenario(name, (service,), objective, (verdict,), _spent([service], Window(begin, at), objective.budget), at)


def _sliced(name: str, policy: NoData) -> Scenario:
    length = timedelta(minutes=10)
    service = _service(name, _sliced_traffic)
    objective = replace(
        _objective(service), budgeting=Budgeting.TIMESLICES, slice_length=length, slice_target=Fraction("0.95"),
        target=Fraction("0.99"), no_data=policy, rows=(),
    )  # fmt: skip
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    end = epoch + (_AT - epoch) // length * length
    start = epoch - (epoch - (_AT - 30 * _DAY)) // length * length
    bad = valid = 0
    for bad_events, events in service.truth_of_slices(start, length, (end - start) // length):
        if events or policy is NoData.BAD:
            valid += 1
            bad += 20 * bad_events > events or not events
    verdict = Verdict.FAIL if policy is NoData.BAD else Verdict.PASS
    return Scenario(name, (service,), objective, (verdict,), Fraction(bad, valid) / objective.budget)


def _sliced_traffic(at: datetime) -> tuple[int, int]:
    if in_hours(2, 4)(at):
        return 0, 0
    return (90, 10) if at.hour == 12 and at.minute < 10 and at.day % 4 == 0 else (100, 0)  # noqa: PLR2004
