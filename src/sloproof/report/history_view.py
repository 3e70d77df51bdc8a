"""The runs before as a page shows them: trends, and since when each failure is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sloproof.report.charts import Chart
from sloproof.report.drawing import Line, draw
from sloproof.report.history import UNSTEADY_FROM, is_unsteady
from sloproof.report.record import HistoryRecord, PastClaimRecord, PastRunRecord, RunRecord
from sloproof.report.series import Point
from sloproof.report.slo_wording import budget_text
from sloproof.report.wording import ABSENT, count_text, instant, number_text, one_line, seconds_text, tick_text

_MOST_ROWS = 40
_MOST_LINES = 6
_LABELS = 5
_HELD = "pass"


@dataclass(frozen=True, slots=True)
class PastRow:
    """A claim that did not hold in at least one run.

    Attributes:
        now: Its verdict in this run; None where it was not judged.
        cells: Its verdict in each run, oldest first; None where it was not judged.
        words: The same for who cannot see it.
    """

    name: str
    kind: str
    key: str
    now: str | None
    failing_since: str
    first_failed: str
    changes: int
    is_unsteady: bool
    is_new: bool
    cells: tuple[str | None, ...]
    words: str


@dataclass(frozen=True, slots=True)
class PastView:
    """All that is shown of the runs before."""

    problem: str
    runs: tuple[PastRunRecord, ...]
    charts: tuple[Chart, ...]
    rows: tuple[PastRow, ...]
    left_out: int
    unsteady_from: int = UNSTEADY_FROM


def past_view(record: RunRecord) -> PastView | None:
    """Return the history of a run; None where it has none and misses none."""
    past = record.history
    if past is None or (not past.problem and not past.runs):
        return None
    rows = [_row(claim, past.runs) for claim in past.claims if any(one.verdict != _HELD for one in claim.verdicts)]
    rows.sort(key=_urgency)
    charts = _charts(past) if len(past.runs) > 1 else ()
    return PastView(past.problem, past.runs, charts, tuple(rows[:_MOST_ROWS]), max(len(rows) - _MOST_ROWS, 0))


def past_of(record: RunRecord) -> Mapping[tuple[str, str], PastClaimRecord]:
    """Return the claims of a run's history by kind and key."""
    return {} if record.history is None else {(claim.kind, claim.key): claim for claim in record.history.claims}


def _urgency(row: PastRow) -> tuple[bool, bool, int, str]:
    fails = row.now is not None and row.now != _HELD
    return not fails, not row.is_new, -row.changes, row.key


def _row(claim: PastClaimRecord, runs: Sequence[PastRunRecord]) -> PastRow:
    verdicts = {one.run_id: one.verdict for one in claim.verdicts}
    cells = tuple(verdicts.get(run.run_id) for run in runs)
    since = instant(claim.failing_since)
    fails = cells[-1] is not None and cells[-1] != _HELD
    return PastRow(
        name=claim.name or claim.key,
        kind=claim.kind,
        key=claim.key,
        now=cells[-1],
        failing_since=_day(claim.failing_since),
        first_failed=_day(claim.first_failed),
        changes=claim.changes,
        is_unsteady=is_unsteady(claim),
        is_new=fails and len(runs) > 1 and since is not None and since == instant(runs[-1].started),
        cells=cells,
        words=", ".join(one or "not judged" for one in cells),
    )


def _day(text: str | None) -> str:
    when = instant(text)
    return ABSENT if when is None else f"{when:%Y-%m-%d %H:%M}"


def _charts(past: HistoryRecord) -> tuple[Chart, ...]:
    """Return the trends; runs stand at equal distances, so that a busy afternoon does not squeeze the nights."""
    found = [_broken_chart(past)]
    budgets = _budget_chart(past)
    if budgets is not None:
        found.insert(0, budgets)
    durations = Line(
        "duration", "trend-1", tuple((float(place), run.duration_seconds) for place, run in enumerate(past.runs))
    )
    found.append(_chart(past, "past-duration", "Duration of a run", [durations], seconds_text, tick_text))
    return tuple(found)


def _broken_chart(past: HistoryRecord) -> Chart:
    lines = []
    for kind, name, stroke in (("scenario", "scenarios", "trend-1"), ("slo", "SLOs", "trend-2")):
        claims = [claim for claim in past.claims if claim.kind == kind]
        if not claims:
            continue
        judged: dict[str, int] = {}
        for claim in claims:
            for one in claim.verdicts:
                judged[one.run_id] = judged.get(one.run_id, 0) + (one.verdict != _HELD)
        points: list[Point] = [(float(place), judged.get(run.run_id)) for place, run in enumerate(past.runs)]
        lines.append(Line(name, stroke, tuple(points)))
    return _chart(past, "past-broken", "Not passed", lines, number_text, number_text)


def _budget_chart(past: HistoryRecord) -> Chart | None:
    slos = [claim for claim in past.claims if claim.kind == "slo" and _lefts(claim)]
    slos.sort(key=lambda claim: min(_lefts(claim).values(), default=1.0))
    shown = slos[:_MOST_LINES]
    if not shown:
        return None
    lines = [Line("nothing left", "limit", ((0.0, 0.0), (float(len(past.runs) - 1), 0.0)))]
    for place, claim in enumerate(shown, start=1):
        lefts = _lefts(claim)
        points: list[Point] = [(float(at), lefts.get(run.run_id)) for at, run in enumerate(past.runs)]
        lines.append(Line(one_line(claim.name or claim.key, 40), f"trend-{place}", tuple(points)))
    more = len(slos) - len(shown)
    note = f"The {count_text(_MOST_LINES, 'SLO')} with the least left; {more} more in report.json." if more else ""
    return _chart(past, "past-budget", "Error budget left at the end of each run", lines, budget_text, _tick, note)


def _lefts(claim: PastClaimRecord) -> dict[str, float]:
    return {one.run_id: one.remaining for one in claim.verdicts if one.remaining is not None}


def _tick(part: float) -> str:
    return f"{part * 100:,.4g} %"


def _chart(
    past: HistoryRecord,
    slug: str,
    title: str,
    lines: Sequence[Line],
    text: Callable[[float | None], str],
    tick: Callable[[float], str],
    note: str = "",
) -> Chart:
    runs = past.runs
    told = [line for line in lines if line.stroke != "limit"]
    step = -(-len(runs) // _LABELS)
    days = [instant(run.started) for run in runs]
    is_one_day = len({day.date() for day in days if day is not None}) <= 1
    labels = [
        (float(place), f"{day:%H:%M}" if is_one_day else f"{day:%d %b}")
        for place, day in enumerate(days)
        if day is not None and (len(runs) - 1 - place) % step == 0
    ]
    drawing = draw(title, lines, text=tick, x_labels=labels)
    rows = [
        (_day(run.started), one_line(run.run_id, 40), *(text(line.points[place][1]) for line in told))
        for place, run in enumerate(runs)
    ]
    return Chart(
        slug=slug,
        title=title,
        lines=tuple((line.name, line.stroke) for line in lines),
        has_gaps=False,
        svg=drawing.svg,
        note=note,
        header=("started (UTC)", "run", *(line.name for line in told)),
        rows=tuple(rows),
    )
