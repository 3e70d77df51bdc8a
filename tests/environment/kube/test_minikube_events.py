"""What minikube tells while it works; the lines are of a real start."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloproof.environment.kube.minikube_events import Download, Fatal, Said, Step, Told, parse_event
from sloproof.environment.obtaining import Silence
from tests.environment.kube.minikube_world import Heard


def line(kind: str, **data: object) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": "d76dcbb4-e244-422f-bd1c-a62de9d11c58",
            "source": "https://minikube.sigs.k8s.io/",
            "type": f"io.k8s.sigs.minikube.{kind}",
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def test_a_step_has_its_number_and_name() -> None:
    event = parse_event(
        line("step", currentstep="8", totalsteps="19", name="Creating Container", message="Creating ...")
    )
    assert event == Step(8, 19, "Creating Container", "Creating ...")


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "²"])
def test_a_step_without_a_number_is_still_a_step(number: str) -> None:
    assert parse_event(line("step", currentstep=number, totalsteps=number, name="", message="")) == Step(
        None, None, "", ""
    )


@pytest.mark.parametrize(
    ("progress", "fraction"), [("0.25", 0.25), ("", None), ("soon", None), ("7", 1.0), ("nan", None), ("-1", 0.0)]
)
def test_a_download_has_its_share(progress: str, fraction: float | None) -> None:
    event = parse_event(line("download.progress", artifact="kicbase", progress=progress))
    assert event == Download("kicbase", fraction)


def test_only_an_error_with_an_exit_code_is_fatal() -> None:
    assert parse_event(line("error", message="To pull new images ...")) == Said("error", "To pull new images ...")
    event = parse_event(
        line(
            "error",
            exitcode="63",
            name="PROVIDER_DOCKER_NOT_RUNNING",
            message="no docker",
            advice="start it",
            url="u",
            issues="",
        )
    )
    assert event == Fatal(63, "PROVIDER_DOCKER_NOT_RUNNING", "no docker", "start it", "u")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "E1123 09:51:17 status.go:458] kubeconfig",
        "[]",
        "7",
        '{"type": 7}',
        '{"data": {}}',
        '{"type": "x", "data": []}',
        line("other"),
    ],
)
def test_a_line_that_is_no_event_is_none(text: str) -> None:
    assert parse_event(text) is None


def test_values_that_are_no_text_are_tolerated() -> None:
    assert parse_event(line("step", currentstep=3, totalsteps=None, name="x", message=["y"])) == Step(
        3, None, "x", "['y']"
    )


def test_terminal_colours_are_left_out() -> None:
    assert parse_event(line("warning", message="\x1b[1mmind\x1b[0m this")) == Said("warning", "mind this")


def test_told_never_goes_back() -> None:
    heard = Heard()
    told = Told("p", heard)
    for number, name in [
        ("1", "Selecting Driver"),
        ("18", "Enabling Addons"),
        ("17", "Verifying Kubernetes"),
        ("", "Stopping"),
    ]:
        told.hear(line("step", currentstep=number, totalsteps="19" if number else "", name=name, message=""))
    assert [text.partition(" ")[2] for text in heard.lines] == [
        "1 of 19, selecting driver",
        "18 of 19, enabling addons",
        "18 of 19, verifying kubernetes",
        "18 of 19, stopping",
    ]


def test_told_shows_a_download_within_its_stage() -> None:
    heard = Heard()
    told = Told("p", heard)
    told.hear(line("step", currentstep="5", totalsteps="19", name="Pulling Base Image", message=""))
    told.hear(line("download.progress", artifact="kicbase", progress="0.5"))
    assert heard.lines[-1].endswith("5 of 19, pulling base image, fetching kicbase 50%")


def test_told_keeps_each_trouble_once_and_the_fatal_one_last() -> None:
    told = Told("p", Silence())
    told.hear(line("error", exitcode="80", name="GUEST_PROVISION", message="no node"))
    told.hear(line("warning", message="slow"))
    told.hear(line("warning", message="slow"))
    told.hear(line("info", message="nothing to see"))
    assert told.troubles() == "slow\nGUEST_PROVISION: no node"


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=30))
def test_told_stands_at_the_furthest_step_and_its_bar_has_one_length(steps: list[tuple[int, int]]) -> None:
    heard = Heard()
    told = Told("p", heard)
    for number, total in steps:
        told.hear(line("step", currentstep=str(number), totalsteps=str(total), name="stage", message=""))
    assert told.step == max(number for number, _ in steps)
    assert {len(text.split(" ")[0]) for text in heard.lines if " of " in text} <= {20}
