from __future__ import annotations

import re

import msgspec
import pytest

from sloproof.report.html import page
from sloproof.report.latency_page import MOST_LOADS, latency_views, unseen, unseen_text
from sloproof.report.record import EndpointRecord, LoadRecord, QuantileRecord
from sloproof.report.wording import ABSENT
from tests.report.examples import AGREEING, BEYOND, LONGER, QUEUED, UNTOLD, endpoint, green_run


def load(*endpoints: EndpointRecord, name: str = "usual mix") -> LoadRecord:
    return msgspec.structs.replace(green_run(2, 5).loads[0], name=name, endpoints=endpoints)


def row(of: EndpointRecord, place: int = -1) -> QuantileRecord:
    return of.quantiles[place]


@pytest.mark.parametrize(
    ("of", "least", "most", "text"),
    [
        (AGREEING, -0.286, 0.114, "at most 114 ms"),
        (QUEUED, 0.66, 0.7, "660 ms to 700 ms"),
        (BEYOND, 0.0, 0.9, "at most 900 ms"),
        (LONGER, -0.786, -0.286, "the service tells at least 286 ms more than its clients waited"),
    ],
    ids=["within", "queued", "open above", "longer"],
)
def test_what_the_service_does_not_see_has_two_ends_as_its_bucket_has(
    of: EndpointRecord, least: float, most: float, text: str
) -> None:
    assert unseen(row(of)) == pytest.approx((least, most))
    assert unseen_text(row(of)) == text


def test_of_a_histogram_that_tells_nothing_nothing_is_said() -> None:
    (view,) = latency_views([load(UNTOLD)])

    assert (unseen(row(UNTOLD)), unseen_text(row(UNTOLD))) == (None, ABSENT)
    assert view.headline == "the service tells nothing of it"
    assert view.endpoints[0].counts == "4,033 requests timed by clients, none known of the service"
    assert 'class="band-told"' not in view.endpoints[0].rows[0].strip


def test_a_queue_that_the_service_cannot_see_is_said_first_with_all_three_numbers() -> None:
    first, second = latency_views([load(AGREEING, name="quiet"), load(QUEUED, name="queued")])

    assert (first.name, first.is_hidden, second.is_hidden) == ("queued", True, False)
    assert first.headline == (
        "p99 of /api/echo: clients waited 710 ms, the service tells of 10 to 50 ms, so 660 ms or more are hidden from it; "
        "2.10 s from the intended start, 710 ms from the send"
    )
    assert first.endpoints[0].counts == "4,033 requests timed by clients, 4,030 by the service"
    assert second.headline.startswith("p99 of /api/users: 300 ms from the intended start")


def test_a_service_that_tells_longer_than_its_clients_waited_is_pointed_out() -> None:
    (view,) = latency_views([load(LONGER)])

    assert view.is_hidden
    assert "clients waited" in view.headline
    assert "the service tells of 500 ms to 1 s" in view.headline


def test_what_the_wire_takes_is_no_queue() -> None:
    near = endpoint("/", 9.0, (0.99, 0.019, 0.019, 0.0, 0.0, 0.01))
    (view,) = latency_views([load(near)])

    assert (view.is_hidden, view.headline) == (False, "both sides agree, as far as bucket edges can tell")
    assert view.endpoints[0].rows[0].unseen == "9 ms to 19 ms"


def test_loads_between_the_same_anchors_are_one() -> None:
    (view,) = latency_views([load(QUEUED, name="one"), load(QUEUED, name="two"), load(name="unseen")])

    assert view.name == "one and two"


def test_the_page_never_gives_a_number_for_what_is_known_by_its_edges() -> None:
    text = page(msgspec.structs.replace(green_run(2, 5), loads=(load(QUEUED, AGREEING),)))
    told = re.findall(r'data-is="service">([^<]*)<', text)

    assert told == ["10 to 50 ms"] * 3 + ["100 to 500 ms"]


def test_many_loads_are_cut_off_and_said() -> None:
    loads = tuple(
        load(endpoint(f"/{number}", 9.0, (0.5, 0.1 + number, 0.1, 0.0, 0.05, 0.1))) for number in range(MOST_LOADS + 3)
    )
    text = page(msgspec.structs.replace(green_run(2, 5), loads=loads))

    assert text.count('<details class="view"') == MOST_LOADS
    assert "3 more loads" in text
