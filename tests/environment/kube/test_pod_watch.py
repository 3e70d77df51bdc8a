"""The pods of a namespace, known at all times: also after what a watch has missed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Event

import pytest

from sloproof.environment.kube import pod_watch
from sloproof.environment.kube.pod_watch import PodWatch
from sloproof.errors import QueryError, UnavailableError
from tests.environment.kube.fake_api import (
    PODS,
    Answer,
    FakeApi,
    bookmark,
    expired,
    json_of,
    line,
    list_of,
    pod,
    refusal,
    watch_of,
)


@pytest.fixture
def watch(fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodWatch]:
    monkeypatch.setattr(pod_watch, "_PAUSE_SECONDS", 0.02)
    made = PodWatch(fake.api(), "ns")
    yield made
    made.stop()
    fake.over.set()
    if made._thread.ident:
        made._thread.join(5)
        assert not made._thread.is_alive()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_pods_are_known_as_soon_as_it_has_started(fake: FakeApi, watch: PodWatch) -> None:
    fake.says("GET", PODS, list_of(pod("a"), pod("b")))
    fake.says("WATCH", PODS, watch_of(fake.hang))
    watch.start()
    assert sorted(watch.pods) == ["a", "b"]


@pytest.mark.parametrize(("answer", "kind"), [(refusal(403, "no"), QueryError), (refusal(503, "no"), UnavailableError)])
def test_pods_that_cannot_be_listed_are_told_at_the_start(
    fake: FakeApi, watch: PodWatch, answer: Answer, kind: type[Exception]
) -> None:
    fake.says("GET", PODS, answer)
    with pytest.raises(kind):
        watch.start()


def test_changes_are_followed(fake: FakeApi, watch: PodWatch) -> None:
    goes = Event()
    fake.says("GET", PODS, list_of(pod("a")))
    changes = line("ADDED", pod("b", version=2)), line("MODIFIED", pod("a", version=3, ready=True))
    fake.says("WATCH", PODS, watch_of(*changes, lambda: goes.wait(5), line("DELETED", pod("a", version=4)), fake.hang))
    watch.start()
    until(lambda: sorted(watch.pods) == ["a", "b"] and watch.pods["a"].is_ready)
    goes.set()
    until(lambda: sorted(watch.pods) == ["b"])
    assert watch.error is None


def test_watch_that_ends_politely_goes_on_where_it_was(fake: FakeApi, watch: PodWatch) -> None:
    fake.says("GET", PODS, list_of(pod("a"), version=4))
    first = watch_of(line("ADDED", pod("b", version=6)), bookmark(9))
    fake.says("WATCH", PODS, first, watch_of(), watch_of(line("ADDED", pod("c", version=11)), fake.hang))
    watch.start()
    until(lambda: sorted(watch.pods) == ["a", "b", "c"])
    assert [one.query["resourceVersion"] for one in fake.asked_for("WATCH", PODS)] == ["4", "9", "9"]
    assert len(fake.asked_for("GET", PODS)) == 2  # at the start, and by the thread


@pytest.mark.parametrize(
    "end",
    [
        watch_of(expired()), refusal(410, "too old"), watch_of(cut=True), watch_of(b'{"type": "DELE', cut=True),
        refusal(500, "etcd"), watch_of(b'{"type": "MODIFIED", "object": {"metadata": 3}}\n'), watch_of(b"<html>\n"),
    ],
    ids=["expired", "gone", "cut", "cut in mid-line", "error", "no pod", "no event"],
)  # fmt: skip
def test_deletion_that_a_watch_has_missed_is_found_by_listing_again(
    fake: FakeApi, watch: PodWatch, end: Answer
) -> None:
    fake.says("GET", PODS, list_of(pod("a"), pod("b")), list_of(pod("a"), pod("b")), list_of(pod("b")))
    fake.says("WATCH", PODS, end, watch_of(fake.hang))
    watch.start()
    until(lambda: sorted(watch.pods) == ["b"])
    assert watch.error is None


def test_watch_that_breaks_off_is_no_error_while_pods_can_be_listed(fake: FakeApi, watch: PodWatch) -> None:
    seen: set[object] = set()

    def listed_four_times() -> bool:
        seen.add(watch.error)
        return len(fake.asked_for("GET", PODS)) >= 4

    fake.says("GET", PODS, list_of(pod("a")))
    fake.says("WATCH", PODS, refusal(403, "watching is forbidden"))
    watch.start()
    until(listed_four_times)
    assert seen == {None}


def test_silence_of_the_api_surfaces_and_clears(fake: FakeApi, watch: PodWatch) -> None:
    fake.says("GET", PODS, list_of(pod("a")))
    fake.says("WATCH", PODS, watch_of(cut=True))
    watch.start()
    fake.says("GET", PODS, refusal(503, "starting"))
    until(lambda: watch.error is not None)
    assert isinstance(watch.error, UnavailableError)
    fake.says("GET", PODS, list_of(pod("b")))
    until(lambda: watch.error is None)
    assert sorted(watch.pods) == ["b"]


def test_list_that_is_none_surfaces(fake: FakeApi, watch: PodWatch) -> None:
    fake.says("GET", PODS, list_of(pod("a")), json_of({"items": [3], "metadata": {}}))
    watch.start()
    until(lambda: watch.error is not None)
    assert sorted(watch.pods) == ["a"]


def test_pods_given_out_are_a_copy(fake: FakeApi, watch: PodWatch) -> None:
    goes = Event()
    fake.says("GET", PODS, list_of(pod("a")))
    fake.says("WATCH", PODS, watch_of(lambda: goes.wait(5), line("DELETED", pod("a")), fake.hang))
    watch.start()
    before = watch.pods
    goes.set()
    until(lambda: not watch.pods)
    assert sorted(before) == ["a"]


def test_stop_is_safe_before_the_start(watch: PodWatch) -> None:
    watch.stop()
    watch.stop()
