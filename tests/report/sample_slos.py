"""Judged SLOs as they come: breaching, burning, not judgeable, idle, safe; and nights of runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from sloproof.report.history import append, remembered
from sloproof.report.record import (
    AlertRecord,
    BurnRecord,
    IntervalRecord,
    MomentRecord,
    QueryRecord,
    RunRecord,
    SloRecord,
    WorstRecord,
)
from sloproof.report.slo_run import slo_run
from sloproof.report.write import write_report
from tests.report.examples import HOSTILE, failing_run, green_run

NOW = datetime(2026, 3, 14, 4, 0, tzinfo=UTC)
MONTH = timedelta(days=30)
_ROWS = (("page-1h", "page", 1, 14.4), ("page-6h", "page", 6, 6.0), ("ticket-1d", "ticket", 24, 3.0),
         ("ticket-3d", "ticket", 72, 1.0))  # fmt: skip


def text(when: datetime) -> str:
    return when.isoformat()


def slo(
    name: str = "availability",
    *,
    target: float = 0.999,
    bad_ratio: Callable[[float], float | None] = lambda _: 0.0002,
    verdict: str = "pass",
    reason: str = "",
    period: timedelta = MONTH,
    slices: int = 720,
    rate: float = 12.0,
    burns: tuple[float | None, ...] = (0.2, 0.2, 0.2, 0.2),
    **changes: Any,
) -> SloRecord:
    """Return an SLO whose events were bad as `bad_ratio` says of each part (0 to 1) of its period; None is no data."""
    begin, width = NOW - period, period / slices
    chance = random.Random(name)
    counted: list[tuple[float, float] | None] = []
    for place in range(slices):
        ratio = bad_ratio(place / slices)
        valid = round(rate * width.total_seconds() * chance.uniform(0.8, 1.2))
        counted.append(None if ratio is None else (round(valid * ratio * chance.uniform(0.6, 1.4)), valid))
    events = sum(valid for _, valid in filter(None, counted))
    bad = sum(each for each, _ in filter(None, counted))
    budget = (1 - target) * events
    moments, spent = [], 0.0
    for place, each in enumerate(counted):
        spent += each[0] if each else 0
        moments.append(
            MomentRecord(
                start=text(begin + place * width),
                bad=each[0] if each else None,
                valid=each[1] if each else None,
                budget_left=1 - spent / budget if budget else None,
            )
        )
    worst = sorted((place for place, each in enumerate(counted) if each and each[0]),
                   key=lambda place: -(counted[place] or (0, 0))[0])[:5]  # fmt: skip
    told: dict[str, Any] = {
        "id": f"users-{name}", "service": "users", "name": name, "title": name.replace("-", " ").capitalize(),
        "description": f"The {name} that users see.", "target": target, "verdict": verdict,
        "reason": reason or (_reason(bad, events, target) if events else "no event in the last 30d"),
        "at": text(NOW), "period_begin": text(begin), "period_end": text(NOW), "events": float(events), "bad": float(bad),
        "sli": 1 - bad / events if events else None, "consumed": bad / budget if budget else None,
        "remaining": 1 - bad / budget if budget else None,
        "coverage": sum(each is not None for each in counted) / slices,
        "known_seconds": sum(each is not None for each in counted) * width.total_seconds(),
        "interval": IntervalRecord(low=1 - bad / events - 2e-5, high=1 - bad / events + 2e-5, confidence=0.95,
                                   method="wilson") if events else None,
        "enough": 3838, "exact": True, "budgeting": "Occurrences", "source": "prometheus", "place": f"slo/{name}.yaml:7",
        "burn_rates": tuple(
            BurnRecord(row=row, severity=severity, long_seconds=hours * 3600.0, short_seconds=hours * 300.0,
                       factor=factor, long=burn, short=None if burn is None else burn * 1.1,
                       is_burning=burn is not None and burn > factor)
            for (row, severity, hours, factor), burn in zip(_ROWS, burns, strict=True)
        ),
        "moments": tuple(moments),
        "queries": (
            QueryRecord(source="prometheus", text='last_over_time(http_requests_total{job="users"}[1h])',
                        url="http://127.0.0.1:9090/api/v1/query?query=x&time=1"),
        ),
        "worst": tuple(
            WorstRecord(
                start=text(begin + place * width), seconds=width.total_seconds(), bad=float((counted[place] or (0, 0))[0]),
                valid=float((counted[place] or (0, 0))[1]), spent=(counted[place] or (0, 0))[0] / budget,
                logs=QueryRecord(source="loki", text='{app="users-api"} |= "ERROR"',
                                 url="http://127.0.0.1:3100/loki/api/v1/query_range?query=x&start=1&end=2"),
                queries=(QueryRecord(source="prometheus", text='sum by (endpoint) (increase(http_requests_total{code=~"5.."}[1h]))',
                                     url="http://127.0.0.1:9090/graph?g0.expr=x"),),
            )
            for place in worst
        ),
    }  # fmt: skip
    return SloRecord(**{**told, **changes})


def _reason(bad: float, events: float, target: float) -> str:
    good, spent = 1 - bad / events, bad / events / (1 - target)
    if good < target:
        return f"{good * 100:.6g} % good of {events:,} is below {target * 100:g} %"
    return f"{good * 100:.6g} % good of {events:,}, {spent * 100:.3g} % of the budget spent"


def breached(**changes: Any) -> SloRecord:
    """Return an SLO whose budget was spent by an outage ten days ago."""
    return slo(
        "availability", verdict="fail",
        bad_ratio=lambda at: 0.22 if 0.62 <= at < 0.6275 else 0.0002, **changes,
    )  # fmt: skip


def burning(**changes: Any) -> SloRecord:
    """Return an SLO that is met and burns: its page was told in time and has not cleared."""
    begun = NOW - timedelta(minutes=41)
    alerts = (
        AlertRecord(row="page-1h", severity="page", pending=text(begun), firing=text(begun + timedelta(minutes=2)),
                    delivered=text(begun + timedelta(minutes=2, seconds=31)), bound=text(begun + timedelta(minutes=4))),
        AlertRecord(row="page-6h", severity="page", pending=text(begun + timedelta(minutes=9)),
                    firing=text(begun + timedelta(minutes=15)), bound=text(begun + timedelta(minutes=20))),
    )  # fmt: skip
    told = {
        "bad_ratio": lambda at: 0.03 if at >= 0.9986 else 0.00015, "burns": (30.1, 8.2, 2.2, 0.9), "alerts": alerts,
    }  # fmt: skip
    return slo("latency", **{**told, **changes})


def live(**changes: Any) -> SloRecord:
    """Return an SLO judged with compressed time: one alert told in time and cleared too late, one that never came."""
    begun = NOW - timedelta(seconds=95)
    alerts = (
        AlertRecord(row="page-1h", severity="page", pending=text(begun + timedelta(seconds=6)),
                    firing=text(begun + timedelta(seconds=8)), delivered=text(begun + timedelta(seconds=9)),
                    cleared=text(begun + timedelta(seconds=61)), bound=text(begun + timedelta(seconds=12)),
                    clear_bound=text(begun + timedelta(seconds=58))),
        AlertRecord(row="ticket-1d", severity="ticket", bound=text(begun + timedelta(seconds=40))),
    )  # fmt: skip
    told = {
        "bad_ratio": lambda at: 0.2 if 0.3 < at < 0.5 else 0.0, "period": timedelta(minutes=3), "slices": 180,
        "alerts": alerts, "rate": 60.0, "verdict": "fail", "target": 0.99,
        "burns": (4.0, 4.0, None, None),
    }  # fmt: skip
    return slo("signups", **{**told, **changes})


def unknown(**changes: Any) -> SloRecord:
    """Return an SLO with too little data: nothing has been heard for three days."""
    return slo(
        "log-errors", verdict="inconclusive", reason="only 90 % of the last 30d is covered by data; there is no data of "
        "the last 3d", bad_ratio=lambda at: None if at >= 0.9 or 0.3 <= at < 0.32 else 0.0001, source="loki",
        burns=(None, None, None, 0.1), **changes,
    )  # fmt: skip


def empty(**changes: Any) -> SloRecord:
    """Return an SLO of which nothing at all is known."""
    return slo(
        "probe", verdict="blocked", reason="prometheus cannot be asked: expected an answer, but the connection was refused",
        bad_ratio=lambda _: None, burns=(None, None, None, None), moments=(), queries=(), burn_rates=(), **changes,
    )  # fmt: skip


def hostile() -> SloRecord:
    """Return an SLO each text of which would like to be more than text."""
    told = burning()
    bad = QueryRecord(source=HOSTILE, text=HOSTILE, url="javascript:alert(1)")
    names = dict.fromkeys(
        ("id", "service", "name", "title", "description", "reason", "budgeting", "source", "place"), HOSTILE
    )
    return msgspec.structs.replace(
        told,
        **names,
        burn_rates=tuple(msgspec.structs.replace(one, row=HOSTILE, severity=HOSTILE) for one in told.burn_rates),
        alerts=tuple(msgspec.structs.replace(one, row=HOSTILE, severity=HOSTILE) for one in told.alerts),
        queries=(bad,),
        worst=tuple(msgspec.structs.replace(one, logs=bad, queries=(bad,)) for one in told.worst),
    )


def _always(ratio: float) -> Callable[[float], float | None]:
    return lambda _: ratio


def some() -> tuple[SloRecord, ...]:
    """Return SLOs of every kind, in no order."""
    safe = [slo(f"endpoint-{number}", bad_ratio=_always(0.0001 * number)) for number in range(1, 6)]
    return (*safe, burning(), unknown(), breached(), empty(), live())


def many(amount: int) -> tuple[SloRecord, ...]:
    """Return SLOs of a large house, a tenth of them in trouble."""
    troubled, safe = (breached(), burning(), unknown()), slo()
    made = []
    for number in range(amount):
        one = troubled[number % 10] if number % 10 < len(troubled) else safe
        made.append(
            msgspec.structs.replace(one, id=f"shop-{number}", name=f"slo-{number}", title=f"SLO {number} of the shop")
        )
    return tuple(made)


def slos_alone(*slos: SloRecord) -> RunRecord:
    """Return what `sloproof report` makes of SLOs."""
    return slo_run(slos, run_id="20260314-040000-slos", started=NOW, duration=timedelta(seconds=4.2))


def nights(folder: Path, amount: int = 24, last: RunRecord | None = None) -> RunRecord:
    """Return a run with a history of nights behind it, written to a folder."""
    path = folder / "history.sqlite"
    last = last or msgspec.structs.replace(failing_run(30, 120), slos=some())
    chance = random.Random(5)
    for night in range(amount, 0, -1):
        green = green_run(30, 5)
        broken = {0} if night in {3, 4} else set()
        broken |= {1} if night % 5 == 2 else set()
        scenarios = tuple(
            msgspec.structs.replace(one, verdict="fail" if place in broken else one.verdict)
            for place, one in enumerate(green.scenarios)
        )
        slos = [msgspec.structs.replace(one, moments=()) for one in last.slos]
        for place, one in enumerate(slos):
            left = (
                None if one.remaining is None else one.remaining + night * chance.uniform(0.01, 0.03) * (place + 1) / 3
            )
            verdict = "inconclusive" if left is None else "fail" if left < 0 else "pass"
            slos[place] = msgspec.structs.replace(one, remaining=left, verdict=verdict)
        when = NOW - timedelta(days=night)
        append(
            path,
            msgspec.structs.replace(
                green, run_id=f"night-{night:02d}", started=text(when), scenarios=scenarios, slos=tuple(slos),
                duration_seconds=300 + 40 * chance.random() + (120 if night < 6 else 0),
            ),
        )  # fmt: skip
    return remembered(path, last)


def main(folder: Path) -> None:
    """Write pages to look at."""
    for name, record in (
        ("nights", nights(folder)),
        ("slos", slos_alone(*some())),
        ("safe", slos_alone(slo("availability"), slo("latency", target=0.99))),
        ("hostile", slos_alone(hostile(), unknown())),
        ("many", slos_alone(*many(200))),
    ):
        write_report(record, folder / name, latest=folder / "latest")


if __name__ == "__main__":
    import sys

    main(Path(sys.argv[1]))
