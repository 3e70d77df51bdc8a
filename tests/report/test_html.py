from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser

import msgspec
import pytest

from sloproof.report.html import MAX_BYTES, page
from sloproof.report.record import QueryRecord, RunRecord
from tests.report.examples import HOSTILE, failing_run, finding, green_run, scenario, step
from tests.report.sample_slos import hostile, nights, slos_alone, some

_VOID = {"meta", "link", "br", "input", "use", "path", "rect", "circle", "img", "hr"}
_HEADING = re.compile(r"h[1-6]")


class Page(HTMLParser):
    """A page as a reader's program sees it: elements with their attributes, text by element, and what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        return [text.strip() for name, text in self.texts if name == tag and text.strip()]


@pytest.fixture(scope="module")
def failing() -> str:
    return page(failing_run())


@pytest.fixture(scope="module")
def failing_page(failing: str) -> Page:
    return Page(failing)


@pytest.fixture(scope="module", params=["green", "failing", "empty", "slos", "nights"])
def any_page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Page:
    empty = RunRecord(verdict="inconclusive", run_id="r", started="", duration_seconds=0, service="s", scenarios=())
    if request.param == "failing":
        shared: Page = request.getfixturevalue("failing_page")
        return shared
    made: dict[str, Callable[[], RunRecord]] = {
        "green": green_run,
        "empty": lambda: empty,
        "slos": lambda: slos_alone(hostile(), *some()),
        "nights": lambda: nights(tmp_path_factory.mktemp("nights"), 6),
    }
    record = made[request.param]()
    return Page(page(record))


def test_every_element_is_closed(any_page: Page) -> None:
    assert any_page.open == []


def test_ids_are_unique_and_every_reference_leads_somewhere(any_page: Page) -> None:
    ids = Counter(attributes["id"] for _, attributes in any_page.elements if "id" in attributes)
    wanted = [a["href"][1:] for _, a in any_page.elements if a.get("href", "").startswith("#")]
    wanted += [a["aria-labelledby"] for _, a in any_page.elements if "aria-labelledby" in a]

    assert [name for name, amount in ids.items() if amount > 1] == []
    assert [name for name in wanted if name not in ids] == []


def test_the_page_loads_nothing_and_styles_nothing_in_place(any_page: Page) -> None:
    for tag, attributes in any_page.elements:
        assert not {"src", "srcset", "action", "style", "data", "poster", "background"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    assert [a["href"] for a in any_page.all("link")] == ["data:,"]
    assert all(a["href"].startswith("#v-") for a in any_page.all("use"))


def test_links_lead_to_the_web_to_the_page_or_into_the_folder(any_page: Page) -> None:
    for attributes in any_page.all("a"):
        href = attributes["href"]
        assert re.match(r"https?://|#|[\w./-]+$", href), href
        assert ".." not in href
        assert not href.startswith("http") or "noopener" in attributes["rel"]


def test_the_policy_admits_exactly_this_style_and_this_script(failing: str, failing_page: Page) -> None:
    policy = next(a["content"] for a in failing_page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")

    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", failing, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_hostile_texts_are_shown_as_text(failing: str, failing_page: Page) -> None:
    seen = failing_page
    logs = "\n".join(seen.text("pre"))

    assert len(seen.all("script")) == 1
    assert seen.all("img") == []
    assert '<script>alert("owned")</script><img src=x onerror=alert(1)> red \\x00 \\u202egnp.exe {{ 7*7 }}' in logs
    assert "\x1b" not in failing
    assert "javascript:" not in failing


def test_hostile_texts_are_shown_as_text_wherever_a_record_holds_one() -> None:
    told = finding("fail", 5, **dict.fromkeys(("check", "claim", "expected", "measured", "hint"), HOSTILE),
                   queries=(QueryRecord(source=HOSTILE, text=HOSTILE, url='http://x/"><script>1</script>'),),
                   evidence=((HOSTILE, HOSTILE), ("window", HOSTILE)))  # fmt: skip
    bad = scenario("users", HOSTILE, 1, 4, [step(HOSTILE, HOSTILE, 2, "failed", told, error=HOSTILE)], HOSTILE,
                   reason=HOSTILE, tags=(HOSTILE,), feature=HOSTILE, feature_file=HOSTILE, started=HOSTILE,
                   components=((HOSTILE, HOSTILE),), last_lines=((HOSTILE, HOSTILE),))  # fmt: skip
    record = msgspec.structs.replace(
        green_run(2, 5), scenarios=(bad,), verdict=HOSTILE, service=HOSTILE, run_id=HOSTILE, started=HOSTILE,
        problems=(HOSTILE,), timings={HOSTILE: 1.0}, evidence_files=(HOSTILE,),
    )  # fmt: skip

    seen = Page(page(record))

    assert seen.open == []
    assert len(seen.all("script")) == 1
    assert seen.all("img") == []


def test_a_lie_is_told_with_its_place_its_numbers_and_since_when(failing: str) -> None:
    start = failing.index('id="c1"')
    bare = re.sub(r"<[^>]+>", " ", failing[start : failing.index("</article>", start)])
    card = " ".join(bare.split())

    for told in (
        "every request is counted once and logged once", "features/log_delivery.feature:26",
        "Then requests sent, counted", "samples up to 214 ms old",
        "400 requests by each of ledger, counter and logs", "ledger 400, counter 400, logs 373",
        "False since 04:04:47.450 UTC , 2 min 36 s into the run", "Last held 04:04:43.850 UTC",
        "04:04:42.250 to 04:04:47.150 (4.900 s)", "27 lines are missing", "app_request_count_total{",
        "poll history", "promtail exited with status -9", "final error",
    ):  # fmt: skip
        assert told in card


def test_what_lied_stands_before_everything_else(failing: str) -> None:
    names = ("failures", "c1", "charts", "scenarios", "loads", "environment", "timings")
    order = [failing.index(f'id="{name}"') for name in names]

    assert order == sorted(order)


def test_a_green_run_has_no_such_section() -> None:
    text = page(green_run())

    assert 'id="failures"' not in text
    assert "69 scenarios judged, every claim holds" in text


def test_a_verdict_is_a_shape_and_a_word_and_never_a_colour_alone(any_page: Page) -> None:
    marks = [a for a in any_page.all("span") if "mark" in a.get("class", "").split()]

    assert len(marks) == len([a for a in any_page.all("svg") if a.get("class") == "shape"])
    assert len(marks) == len([a for a in any_page.all("span") if a.get("class") == "word"])


def test_a_scenario_that_is_run_twice_has_two_places_on_the_page() -> None:
    twice = [scenario("users", "S", 1, second, [step("Then", "x", 2, "failed", finding("fail", second))], "fail")
             for second in (3, 9)]  # fmt: skip
    seen = Page(page(msgspec.structs.replace(green_run(2, 5), verdict="fail", scenarios=tuple(twice))))

    ids = [attributes["id"] for tag, attributes in seen.elements if "scenario" in attributes.get("class", "").split()]
    assert ids == ["s1", "s2"]
    assert {"#s1", "#s2"} <= {attributes["href"] for attributes in seen.all("a")}


def test_a_load_leads_to_the_scenario_that_drove_it() -> None:
    record = green_run(3, 5)
    load = msgspec.structs.replace(record.loads[0], scenario=record.scenarios[1].node_id)

    text = page(msgspec.structs.replace(record, loads=(load,)))

    assert f'<small><a href="#s2">{record.scenarios[1].name}</a></small>' in text


def test_headings_landmarks_and_captions_let_a_screen_reader_find_its_way(any_page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in any_page.elements if _HEADING.fullmatch(tag)]

    assert any_page.all("html")[0]["lang"] == "en"
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert [len(any_page.all(tag)) for tag in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    assert len(any_page.all("table")) == len(any_page.all("caption"))
    assert all("scope" in attributes or "aria-hidden" in attributes for attributes in any_page.all("th"))


def test_without_its_script_the_page_reads_whole(failing_page: Page) -> None:
    hidden = [tag for tag, attributes in failing_page.elements if "hidden" in attributes]
    assert set(hidden) == {"form", "button"}


def test_every_chart_can_be_read_as_a_table(failing: str, failing_page: Page) -> None:
    seen = failing_page
    data = failing[failing.index('id="chart-rate"') : failing.index('id="chart-errors"')]

    assert len([a for a in seen.all("svg") if a.get("class") == "chart"]) == 5
    assert seen.text("figcaption") == [
        "Requests per second", "Errors per second", "Latency, p99", "Latency, p50",
        "Log lag: from written to found in Loki",
    ]  # fmt: skip
    assert data.count("<tr>") == 301
    assert "counted (Prometheus)" in data


def test_a_hundred_scenarios_and_an_hour_of_traffic_fit_the_page() -> None:
    assert len(page(failing_run(100, 3600)).encode()) < 700_000


def test_monstrous_texts_are_cut_with_a_note_and_the_page_stays_below_its_limit() -> None:
    monster = "<&>\x00" * 10_000
    told = [finding("fail", second, claim=f"claim {second}", measured=monster, hint=monster,
                    evidence=tuple((f"e{number}", monster) for number in range(5))) for second in range(3)]  # fmt: skip
    bad = [
        scenario("users", f"S{number}", number, number, [step("Then", "x", 2, "failed", *told, error=monster)], "fail",
                 reason=monster, last_lines=(("service", monster),))
        for number in range(12)
    ]  # fmt: skip
    record = msgspec.structs.replace(failing_run(), scenarios=tuple(bad), problems=(monster,))

    text = page(record)

    assert len(text.encode()) < MAX_BYTES
    assert "characters left out; report.json has them all" in text


def _luminance(colour: str) -> float:
    wide = "".join(2 * digit for digit in colour) if len(colour) == 3 else colour
    parts = [int(wide[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_from_its_ground_in_light_and_in_dark(failing: str) -> None:
    light, dark = re.findall(r":root \{(.*?)\}", failing, flags=re.DOTALL)[:2]
    for sheet in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6}|[0-9a-f]{3});", sheet))
        verdicts = ("pass", "fail", "error", "blocked", "inconclusive", "skipped")
        for ink in ("ink", "quiet", "link", *verdicts):
            for ground in ("ground", "paper", "sunk"):
                assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        assert _contrast(colours["fail"], colours["fail-wash"]) >= 4.5
        for ground in verdicts:
            assert _contrast(colours["on-mark"], colours[ground]) >= 4.5, ground
        for line in ("ledger", "told", "line-strong"):
            assert _contrast(colours[line], colours["paper"]) >= 3, line
        assert _contrast(colours["ledger"], colours["told"]) >= 2.5
