"""What comes of an API that answers, refuses, breaks off or says nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Semaphore
from typing import Any

import msgspec
import pytest

from sloproof.environment.components import free_ports
from sloproof.environment.kube import api as api_module
from sloproof.environment.kube.api import GoneError, KubeApi
from sloproof.environment.kube.objects import Namespace, Pod, PodList
from sloproof.errors import QueryError, SettingsError, SloproofError, UnavailableError
from tests.environment.kube.fake_api import (
    CONTEXT,
    PODS,
    TOKEN,
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
    write_kubeconfig,
)

NAMESPACE = "/api/v1/namespaces/ns"


def names(events: Any) -> list[str]:
    """Return the names of the pods that a watch tells of."""
    return [msgspec.json.decode(event.object, type=Pod).name for event in events]


# Who is asked, and as whom


def test_context_that_is_named_is_asked_with_its_own_token(fake: FakeApi) -> None:
    fake.says("GET", PODS, list_of(pod("a"), version=7))

    found = fake.api().get(PODS, PodList)

    assert [one.name for one in found.items] == ["a"]
    assert found.metadata.resource_version == "7"
    assert fake.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert fake.api().server == f"http://127.0.0.1:{fake.port}"


@pytest.mark.parametrize("context", ["other", ""])
def test_context_that_is_not_there_is_refused_and_the_current_one_not_taken(fake: FakeApi, context: str) -> None:
    with pytest.raises(SettingsError, match="expected a kubeconfig with the context") as caught:
        KubeApi(fake.kubeconfig, context)
    assert caught.value.details["where"] == str(fake.kubeconfig)
    assert "get-contexts" in caught.value.details["hint"]


@pytest.mark.parametrize(
    "text",
    ["", "[1, 2", "- a\n- b\n", "just words", "contexts: 3\n", "contexts: [{name: named}]\n",
     "clusters: [{cluster: {}}]\ncontexts: [{name: named, context: {cluster: c, user: u}}]\n"],
)  # fmt: skip
def test_kubeconfig_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        KubeApi(path, CONTEXT)
    assert "\n" not in caught.value.headline


@pytest.mark.parametrize("make", [lambda _: None, Path.mkdir], ids=["missing", "folder"])
def test_kubeconfig_that_cannot_be_read_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "kubeconfig")
    with pytest.raises(SettingsError):
        KubeApi(tmp_path / "kubeconfig", CONTEXT)


# What is asked


def test_create_sends_the_object_as_json(fake: FakeApi) -> None:
    fake.says("POST", PODS, json_of({}, 201))
    fake.api().create(PODS, {"metadata": {"name": "ü"}})
    assert fake.asked[0].json == {"metadata": {"name": "ü"}}
    assert fake.asked[0].headers["Content-Type"] == "application/json"


def test_apply_is_server_side_apply_under_one_name(fake: FakeApi) -> None:
    fake.says("PATCH", NAMESPACE, json_of({}))
    fake.api().apply(NAMESPACE, {"kind": "Namespace"})
    (asked,) = fake.asked
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
    assert asked.query == {"fieldManager": "sloproof", "force": "true"}


def test_patch_changes_part(fake: FakeApi) -> None:
    fake.says("PATCH", NAMESPACE, json_of({}))
    fake.api().patch(NAMESPACE, {"metadata": {"labels": {"a": None}}})
    (asked,) = fake.asked
    assert asked.headers["Content-Type"] == "application/merge-patch+json"
    assert asked.json == {"metadata": {"labels": {"a": None}}}


def test_delete_says_whether_there_was_one(fake: FakeApi) -> None:
    fake.says("DELETE", f"{PODS}/a", json_of({}))
    assert fake.api().delete(f"{PODS}/a", gracePeriodSeconds="0")
    assert fake.asked[0].query == {"gracePeriodSeconds": "0"}
    assert not fake.api().delete(f"{PODS}/b")


def test_query_arrives_as_it_was_meant(fake: FakeApi) -> None:
    fake.says("GET", PODS, list_of())
    fake.api().get(PODS, PodList, labelSelector="a/b=c,d in (e, f)&g")
    assert fake.asked[0].query == {"labelSelector": "a/b=c,d in (e, f)&g"}


# What is refused


def test_find_gives_none_only_where_there_is_none(fake: FakeApi) -> None:
    assert fake.api().find(NAMESPACE, Namespace) is None
    fake.says("GET", NAMESPACE, refusal(403, "namespaces is forbidden"))
    with pytest.raises(QueryError):
        fake.api().find(NAMESPACE, Namespace)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_refusal_is_told_in_the_words_of_the_api(fake: FakeApi, status: int) -> None:
    fake.says("POST", PODS, refusal(status, 'pods "a" cannot\nbe made'))
    with pytest.raises(QueryError, match=r'refused: pods "a" cannot be made\n') as caught:
        fake.api().create(PODS, {})
    assert caught.value.status == status
    assert caught.value.details == {"asked": f"POST {PODS}", "context": CONTEXT}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_overload_and_server_errors_are_worth_asking_again(fake: FakeApi, status: int) -> None:
    fake.says("GET", PODS, refusal(status, "etcdserver: leader changed"))
    with pytest.raises(UnavailableError, match=str(status)) as caught:
        fake.api().get(PODS, PodList)
    assert (caught.value.kind, caught.value.status) == ("status", status)
    assert caught.value.details["said"] == "etcdserver: leader changed"
    assert len(fake.asked) == 1  # whoever asks decides whether to ask again


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"404 page not\nfound\n", "404 page not found"),
        (b"", "with no reason"),
        (b"\xff", "\ufffd"),
        (b"{}", "{}"),
        (b"[]", r"\[\]"),
    ],
)
def test_refusal_without_a_status_object_is_told_as_it_came(fake: FakeApi, body: bytes, told: str) -> None:
    fake.says("GET", PODS, Answer(404, body))
    with pytest.raises(QueryError, match=f"refused: {told}\n"):
        fake.api().get(PODS, PodList)


def test_redirect_is_no_success_and_not_followed(fake: FakeApi) -> None:
    fake.says("POST", PODS, Answer(302, b"", headers={"Location": f"http://127.0.0.1:{fake.port}/login"}))
    with pytest.raises(QueryError) as caught:
        fake.api().create(PODS, {})
    assert caught.value.status == 302
    assert [one.path for one in fake.asked] == [PODS]


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"", b'{"items": 3}', b"null", b"\xff\xfe"])
def test_answer_of_another_kind_is_no_answer(fake: FakeApi, body: bytes) -> None:
    fake.says("GET", PODS, Answer(200, body))
    with pytest.raises(UnavailableError) as caught:
        fake.api().get(PODS, PodList)
    assert caught.value.kind == "protocol"
    assert caught.value.details["asked"] == PODS


# What does not come


def test_nobody_listening_is_told_with_context_and_server(tmp_path: Path) -> None:
    port = free_ports(("api",))["api"]
    api = KubeApi(write_kubeconfig(tmp_path / "kubeconfig", port), CONTEXT)
    with pytest.raises(UnavailableError) as caught:
        api.get(PODS, PodList)
    assert caught.value.kind == "refused"
    assert caught.value.details["server"] == f"http://127.0.0.1:{port}"
    assert caught.value.details["context"] == CONTEXT
    assert caught.value.details["asked"] == f"GET {PODS}"


def test_api_that_hangs_before_the_answer_times_out(fake: FakeApi) -> None:
    def hang(_: object) -> Answer:
        fake.hang()
        return Answer()

    fake.says("GET", PODS, hang)
    begin = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        fake.api().request("GET", PODS, timeout=(1.0, 0.2))
    assert caught.value.kind == "timeout"
    assert time.monotonic() - begin < 2


def test_api_that_hangs_within_the_answer_times_out(fake: FakeApi) -> None:
    fake.says("GET", PODS, Answer(pieces=[b'{"items":', fake.hang]))
    with pytest.raises(UnavailableError) as caught:
        fake.api().request("GET", PODS, timeout=(1.0, 0.2))
    assert caught.value.kind == "timeout"


def test_slow_answer_is_read_whole_however_long_it_takes(fake: FakeApi) -> None:
    pause = lambda: time.sleep(0.15)  # noqa: E731 - a piece of an answer
    fake.says("GET", PODS, Answer(pieces=[b"a", pause, b"b", pause, b"c", pause, b"d"]))
    assert fake.api().request("GET", PODS, timeout=(1.0, 0.3)) == b"abcd"


@pytest.mark.parametrize("answer", [Answer(body=b'{"items"', cut=True), Answer(pieces=[b'{"items"'], cut=True)])
def test_answer_that_breaks_off_is_no_answer(fake: FakeApi, answer: Answer) -> None:
    fake.says("GET", f"{PODS}/a/log", answer)
    with pytest.raises(UnavailableError) as caught:
        fake.api().request("GET", f"{PODS}/a/log")
    assert caught.value.kind == "reset"


# Watches


def test_watch_asks_from_a_version_for_some_seconds_with_bookmarks(fake: FakeApi) -> None:
    fake.says("WATCH", PODS, watch_of())
    assert list(fake.api().watch(PODS, version="7", seconds=3, labelSelector="a=b")) == []
    assert fake.asked[0].query == {
        "watch": "true", "resourceVersion": "7", "timeoutSeconds": "3", "allowWatchBookmarks": "true", "labelSelector": "a=b",
    }  # fmt: skip


def test_watch_ends_without_an_error_when_the_server_ends_it(fake: FakeApi) -> None:
    fake.says("WATCH", PODS, watch_of(line("ADDED", pod("a")), line("DELETED", pod("a"))))
    events = list(fake.api().watch(PODS, version="1", seconds=1))
    assert [event.type for event in events] == ["ADDED", "DELETED"]


def test_watch_gives_an_event_as_soon_as_it_is_there(fake: FakeApi) -> None:
    fake.says("WATCH", PODS, watch_of(line("ADDED", pod("a")), fake.hang))
    begin = time.monotonic()
    stream = fake.api().watch(PODS, version="1", seconds=10)
    assert names([next(stream)]) == ["a"]
    assert time.monotonic() - begin < 2
    stream.close()  # type: ignore[attr-defined]


def test_watch_puts_events_together_that_come_in_pieces(fake: FakeApi) -> None:
    whole = line("ADDED", pod("ä")) + b"\n" + line("ADDED", pod("b")) + line("ADDED", pod("c"))
    fake.says("WATCH", PODS, watch_of(*(whole[at : at + 7] for at in range(0, len(whole), 7))))
    assert names(fake.api().watch(PODS, version="1", seconds=1)) == ["ä", "b", "c"]


def test_watch_passes_bookmarks_on(fake: FakeApi) -> None:
    fake.says("WATCH", PODS, watch_of(bookmark(9)))
    (event,) = fake.api().watch(PODS, version="1", seconds=1)
    assert event.type == "BOOKMARK"


@pytest.mark.parametrize("answer", [refusal(410, "too old"), watch_of(expired())])
def test_watch_from_too_far_back_says_so(fake: FakeApi, answer: Answer) -> None:
    fake.says("WATCH", PODS, answer)
    with pytest.raises(GoneError):
        list(fake.api().watch(PODS, version="1", seconds=1))


def test_watch_that_the_api_gives_up_is_no_polite_end(fake: FakeApi) -> None:
    event = line("ERROR", {"kind": "Status", "message": "etcd\nis away", "code": 500})
    fake.says("WATCH", PODS, watch_of(event))
    with pytest.raises(UnavailableError, match="etcd is away\n") as caught:
        list(fake.api().watch(PODS, version="1", seconds=1))
    assert caught.value.status == 500


@pytest.mark.parametrize(
    ("status", "kind"), [(403, QueryError), (404, QueryError), (302, QueryError), (503, UnavailableError)]
)
def test_watch_that_is_refused_says_why(fake: FakeApi, status: int, kind: type[SloproofError]) -> None:
    fake.says("WATCH", PODS, refusal(status, "no"))
    with pytest.raises(kind):
        list(fake.api().watch(PODS, version="1", seconds=1))


@pytest.mark.parametrize("rest", [b"", b'{"type": "ADD'])
def test_watch_that_breaks_off_is_no_polite_end(fake: FakeApi, rest: bytes) -> None:
    fake.says("WATCH", PODS, watch_of(line("ADDED", pod("a")) + rest, cut=True))
    stream = fake.api().watch(PODS, version="1", seconds=5)
    assert names([next(stream)]) == ["a"]
    with pytest.raises(UnavailableError) as caught:
        next(stream)
    assert caught.value.kind == "reset"


def test_watch_on_a_dead_connection_ends_with_an_error(fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "_WATCH_LATE", -0.7)
    fake.says("WATCH", PODS, watch_of(line("ADDED", pod("a")), fake.hang))
    stream = fake.api().watch(PODS, version="1", seconds=1)
    next(stream)
    with pytest.raises(UnavailableError) as caught:
        next(stream)
    assert caught.value.kind == "timeout"


def test_watch_that_says_what_no_api_says_is_an_error(fake: FakeApi) -> None:
    fake.says("WATCH", PODS, watch_of(b"<html>sign in</html>\n"))
    with pytest.raises(UnavailableError) as caught:
        list(fake.api().watch(PODS, version="1", seconds=1))
    assert caught.value.kind == "protocol"


def test_watch_that_is_left_early_is_ended_at_the_server_too(fake: FakeApi) -> None:
    ends = Semaphore(0)

    def for_ever() -> Iterator[bytes]:
        try:
            while not fake.over.wait(0.01):
                yield bookmark(1)
        finally:
            ends.release()

    fake.says("WATCH", PODS, lambda _: Answer(pieces=for_ever()))
    api = fake.api()
    for _ in range(3):
        assert next(api.watch(PODS, version="1", seconds=10)).type == "BOOKMARK"
    assert all(ends.acquire(timeout=5) for _ in range(3))
    fake.says("GET", PODS, list_of())
    assert api.get(PODS, PodList).items == []
