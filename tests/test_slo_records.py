from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient
from sloproof.finding import Query
from sloproof.model import Window
from sloproof.slo.judging.budget import Counted
from sloproof.slo.judging.steps import Plan
from sloproof.slo.model import Place, Rolling, Source
from sloproof.slo.verdicts import AlertEvent, Count, Judgement
from sloproof.slo_records import Links, server_links, slo_record, worst_minutes, worst_moments
from tests.slo.counted import AT, judged, steps_of
from tests.slo.objectives import objective, ratio, sliced

_OUTAGE = Window(AT - timedelta(days=2, minutes=17), AT - timedelta(days=2, minutes=12))
_MINUTE = timedelta(minutes=1)


def events(window: Window) -> tuple[int, int]:
    """Return 60 requests a minute, of which a tenth fail in an outage of five minutes."""
    valid = round(window.duration / timedelta(seconds=1))
    shared = min(window.end, _OUTAGE.end) - max(window.start, _OUTAGE.start)
    return round(max(shared, timedelta(0)) / timedelta(seconds=10)), valid


def judgement() -> Judgement:
    one = objective()
    return judged(one, steps_of(one, events))


def by_minute(plan: Plan) -> Counted:
    found = [(one, *events(one)) for one in plan.windows()]
    return Counted(tuple(Count(one, Fraction(bad), Fraction(valid), one.duration) for one, bad, valid in found))


def test_a_record_has_all_of_a_judgement() -> None:
    told = replace(
        judgement(), queries=(Query("prometheus", "q", "http://x"),),
        alerts=(AlertEvent("page-1h", "page", pending=AT, bound=AT + _MINUTE),),
    )  # fmt: skip
    found = slo_record(told)

    assert (found.id, found.service, found.name, found.verdict) == (
        "shop-availability",
        "shop",
        "availability",
        told.verdict,
    )
    assert found.reason == told.reason
    assert found.target == 0.999
    assert (found.bad, found.events) == (float(told.count.bad), float(told.count.valid))
    assert told.sli is not None
    assert told.remaining is not None
    assert told.interval is not None
    assert (found.sli, found.remaining) == (float(told.sli), float(told.remaining))
    assert found.interval is not None
    assert (found.interval.low, found.interval.method) == (told.interval.low, told.interval.method)
    assert (found.coverage, found.known_seconds) == (1.0, 30 * 86_400.0)
    assert (found.at, found.period_end) == (AT.isoformat(), AT.isoformat())
    assert found.place == "slo/checkout.yaml:7"
    assert (found.source, found.budgeting, found.exact, found.enough) == (
        "prometheus",
        "Occurrences",
        True,
        told.enough,
    )
    assert [(one.row, one.factor, one.is_burning) for one in found.burn_rates] == [
        (one.row.name, float(one.row.factor), one.is_burning) for one in told.burn_rates
    ]
    assert len(found.moments) == len(told.moments)
    assert found.moments[-1].budget_left == found.remaining
    assert (found.alerts[0].pending, found.alerts[0].firing) == (AT.isoformat(), None)
    assert found.queries[0].url == "http://x"


def test_a_row_that_burns_by_less_than_a_number_can_show_still_burns() -> None:
    told = judgement()
    row = told.burn_rates[0].row
    just = row.factor + Fraction(1, 10**30)
    found = slo_record(replace(told, burn_rates=(replace(told.burn_rates[0], long=just, short=just),)))

    assert found.burn_rates[0].long == found.burn_rates[0].factor
    assert found.burn_rates[0].is_burning


def test_nothing_known_is_null_and_never_0() -> None:
    one = objective()
    found = slo_record(judged(one, steps_of(one, lambda _: (0, 0), covered=lambda _: False)))

    assert (found.sli, found.consumed, found.remaining, found.interval) == (None, None, None, None)
    assert {(moment.bad, moment.valid) for moment in found.moments} == {(None, None)}
    assert found.worst == ()
    assert found.verdict == "inconclusive"


def test_the_worst_moments_hold_the_bad_events_and_their_part_of_the_budget() -> None:
    told = judgement()
    worst = worst_moments(told)

    assert sum(one.bad for one in worst) == told.count.bad
    assert sum((one.spent for one in worst), Fraction(0)) == told.consumed
    assert all(one.window.start < _OUTAGE.end and one.window.end > _OUTAGE.start for one in worst)


def test_the_worst_minutes_are_found_within_the_worst_hours() -> None:
    told = judgement()
    worst = worst_minutes(told, by_minute)

    assert [one.window.start for one in worst] == [_OUTAGE.start + number * _MINUTE for number in range(5)]
    assert {one.window.duration for one in worst} == {_MINUTE}
    assert {one.bad for one in worst} == {6}
    assert sum((one.spent for one in worst), Fraction(0)) == told.consumed


def test_a_period_of_minutes_is_not_asked_again() -> None:
    one = objective(period=Rolling(timedelta(minutes=30)))
    told = judged(one, steps_of(one, lambda window: (1, round(window.duration / timedelta(seconds=1)))))

    def never(_: Plan) -> Counted:
        pytest.fail("asked")

    assert len(worst_minutes(told, never)) == 5


def test_slices_are_not_cut_up() -> None:
    one = sliced()
    told = judged(one, steps_of(one, lambda _: (1, 10)))

    assert worst_minutes(told, by_minute) == worst_moments(told)


def test_the_place_is_shown_from_the_projects_root() -> None:
    told = judgement()
    deep = replace(told, objective=replace(told.objective, place=Place(Path("/srv/shop/slo/a.yaml"), 3)))

    assert slo_record(deep, root=Path("/srv/shop")).place == "slo/a.yaml:3"
    assert slo_record(deep, root=Path("/elsewhere")).place == "/srv/shop/slo/a.yaml:3"


def test_a_worst_stretch_leads_to_its_log_lines_and_its_query() -> None:
    links = server_links(
        PrometheusClient("http://prometheus:9090"), LokiClient("http://loki:3100"), log_lines='{app="shop"} |= "ERROR"'
    )
    (one, *_) = slo_record(judgement(), links=links).worst

    assert one.logs is not None
    asked = parse_qs(urlsplit(one.logs.url).query)
    assert asked["query"] == ['{app="shop"} |= "ERROR"']
    assert int(asked["end"][0]) - int(asked["start"][0]) == one.seconds * 10**9 + 1
    assert 'code=~"5.."' in one.queries[0].text
    assert one.queries[0].url.startswith("http://prometheus:9090/api/v1/query?")


def test_an_slo_of_logs_leads_to_its_own_lines() -> None:
    bad = 'sum(count_over_time({app="shop"} |~ "[45]xx" [{{.window}}]))'
    of_logs = objective(indicator=ratio('sum(count_over_time({app="shop"}[{{.window}}]))', bad=bad, source=Source.LOKI))
    told = replace(judgement(), objective=of_logs)
    links = server_links(None, LokiClient("http://loki:3100"), log_lines='{other="x"}')
    (one, *_) = slo_record(told, links=links).worst

    assert one.logs is not None
    assert one.logs.text == '{app="shop"} |~ "[45]xx"'
    assert one.queries == ()


def test_without_servers_nothing_is_offered() -> None:
    for links in (None, Links(), server_links(None, None, log_lines='{a="b"}')):
        (one, *_) = slo_record(judgement(), links=links).worst
        assert one.logs is None
        assert one.queries == ()
