"""Someone's own locustfile, unchanged: the ledger is the server's own account, redirects and failures included."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sloproof.errors import FeatureError, LoadError
from sloproof.load.driver import Driver, LoadResult
from sloproof.load.profile import Locustfile, Profile, RequestSpec, Stage
from tests.load.server import Server, closed_port

pytestmark = pytest.mark.slow

Shared = tuple[Server, Driver, Path]


def drive(
    driver: Driver, folder: Path, body: str, *, base: str = "HttpUser", users: int = 2, seconds: float = 0.6,
    endpoints: tuple[tuple[str, str], ...] = (), timeout: float = 30, patience: float = 10,
) -> LoadResult:  # fmt: skip
    path = folder / "theirs.py"
    head = f"""
        import logging
        from locust import FastHttpUser, HttpUser, between, constant, events, task
        logging.disable()
        class Theirs({base}):
            wait_time = between(0.005, 0.02)
            network_timeout = connection_timeout = {patience}
            @task
            def go(self):
    """
    path.write_text(textwrap.dedent(head) + textwrap.indent(textwrap.dedent(body), " " * 8))
    own = Locustfile(path=str(path), endpoints=endpoints)
    return driver.run(Profile(locustfile=own, users=users, duration_seconds=seconds, timeout_seconds=timeout), base)


def kinds(result: LoadResult, users: int = 2) -> set[tuple[str, str]]:
    """Return what became of the requests; of each user one may be cut short, if it begins as the user is stopped."""
    found = Counter((one.path, one.failure or str(one.status)) for one in result.ledger.entries())
    return {kind for kind, count in found.items() if kind[1] != "timeout" or count > users}


@pytest.mark.parametrize("base", ["HttpUser", "FastHttpUser"])
@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/ok?a=1", {("/ok?a=1", "200")}),
        ("/500", {("/500", "500")}),
        ("/redirect", {("/redirect", "302"), ("/ok", "200")}),
        ("/chunks", {("/chunks", "200")}),
        ("/hang-up", {("/hang-up", "200")}),
        ("/nothing", {("/nothing", "reset")}),
        ("/silent", {("/silent", "timeout")}),
    ],
)
def test_ledger_is_what_the_server_saw(
    shared: Shared, tmp_path: Path, base: str, path: str, wanted: set[tuple[str, str]]
) -> None:
    """Geventhttpclient would send /nothing a dozen times, and Locust count one."""
    server, driver, _ = shared
    server.ids.clear()
    # Only where nothing answers: a busy machine stalls for longer than anyone would wait for that.
    patience, seconds = (0.3, 2.0) if path == "/silent" else (10, 0.6)
    timeout = f", timeout={patience}" if base == "HttpUser" else ""
    body = f"self.client.get({path!r}{timeout})"
    result = drive(driver, tmp_path, body, base=base, patience=patience, seconds=seconds)
    assert result.requests >= 2
    assert kinds(result) == wanted
    unknown = {one.request_id for one in result.ledger.entries() if one.failure == "timeout"}
    server.await_ids(result.requests - 2)  # what is cut short may never have been sent
    assert set(result.ledger.request_ids()) - unknown <= set(server.ids) <= set(result.ledger.request_ids())
    assert len(set(server.ids)) == len(server.ids)
    assert all(one.startswith("run-") for one in server.ids)


@pytest.mark.parametrize("base", ["HttpUser", "FastHttpUser"])
def test_methods_bodies_and_endpoints_are_theirs(shared: Shared, tmp_path: Path, base: str) -> None:
    server, driver, _ = shared
    server.requests.clear()
    body = 'self.client.post("/users/7/cart?x=1", json={"a": 1}, headers={"X-Own": "yes"})'
    result = drive(driver, tmp_path, body, base=base, endpoints=(("/users/[0-9]+/.*", "/users/<id>/cart"),))
    assert set(result.ledger.tally().certain) == {("/users/<id>/cart", "POST", 200)}
    head, sent = server.requests[0]
    assert "X-Own: yes" in head
    assert b'"a"' in sent


@pytest.mark.parametrize("base", ["HttpUser", "FastHttpUser"])
def test_refusals_and_other_peoples_servers(tmp_path: Path, server: Server, base: str) -> None:
    """What is sent elsewhere is none of the ledger's business."""
    with Driver(base_url=f"http://127.0.0.1:{closed_port()}", ledger_dir=tmp_path, run_id="r") as driver:
        body = f'self.client.get("/ok"); self.client.get("{server.url}/elsewhere")'
        result = drive(driver, tmp_path, body, base=base)
    assert kinds(result) == {("/ok", "refused")}
    assert server.ids
    assert set(server.ids) == {""}


def test_their_events_and_checks_go_on_working(shared: Shared, tmp_path: Path) -> None:
    _, driver, _ = shared
    out = tmp_path / "heard"
    body = f"""
        with self.client.get("/ok", catch_response=True, name="mine") as answer:
            answer.failure("not what I want")
        def heard(name, exception, **_):
            open({str(out)!r}, "a").write(f"{{name}} {{exception}}\\n")
        if not self.environment.events.request._handlers[1:]:
            self.environment.events.request.add_listener(heard)
    """
    result = drive(driver, tmp_path, body)
    lines = Counter(out.read_text().splitlines())
    assert set(lines) == {"mine not what I want"}
    assert result.requests - 2 <= lines["mine not what I want"] <= result.requests
    assert result.failures == {}, "expected the ledger to say what happened, not what they make of it"


def test_load_ends_when_it_is_stopped(shared: Shared, tmp_path: Path) -> None:
    _, driver, _ = shared
    path = tmp_path / "slow.py"
    path.write_text(
        "from locust import HttpUser, task\nclass A(HttpUser):\n @task\n def a(self): self.client.get('/slow?s=0.2')\n"
    )
    profile = Profile(locustfile=Locustfile(path=str(path)), users=3, duration_seconds=60, timeout_seconds=30)
    running = driver.begin(profile, "stopped")
    while running.progress().requests < 3:
        assert not running.is_over
    result = running.stop()
    assert kinds(result, users=3) == {("/slow?s=0.2", "200")}


@pytest.mark.parametrize(
    ("text", "message"),
    [("import nothing_like_it", "cannot be imported"), ("x = 1", "expected a locustfile with user classes")],
)
def test_locustfile_that_is_none_is_refused(shared: Shared, tmp_path: Path, text: str, message: str) -> None:
    _, driver, _ = shared
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(LoadError) as caught:
        driver.run(Profile(locustfile=Locustfile(path=str(path)), users=1, duration_seconds=1), "bad")
    assert message in str(caught.value)


def test_locustfile_takes_no_mix_and_no_number_of_requests() -> None:
    own = Locustfile(path="x.py")
    for profile in (
        Profile(locustfile=own, mix=(RequestSpec(path="/", endpoint="/"),), users=1, duration_seconds=1),
        Profile(locustfile=own, users=1, requests=5),
        Profile(locustfile=own, rate=5, requests=5),
    ):
        with pytest.raises(FeatureError, match="users or a rate, and a duration, for a locustfile"):
            profile.check()


def paced(driver: Driver, folder: Path, body: str, *, base: str = "HttpUser", connections: int = 8, timeout: float = 10,
          **shape: Any) -> LoadResult:  # fmt: skip
    """Let users of a locustfile send when the schedule says so; the waits that the file has would take minutes."""
    path = folder / "paced.py"
    head = f"""
        import logging
        from locust import FastHttpUser, HttpUser, constant, task
        logging.disable()
        class Theirs({base}):
            wait_time = constant(60)
            @task
            def go(self):
    """
    path.write_text(textwrap.dedent(head) + textwrap.indent(textwrap.dedent(body), " " * 8))
    own = Locustfile(path=str(path))
    profile = Profile(locustfile=own, connections=connections, timeout_seconds=timeout, **shape)
    return driver.run(profile, base)


def lateness(result: LoadResult) -> list[float]:
    return sorted((one.start_ns - one.intended_ns) / 1e9 for one in result.ledger.entries())


@pytest.mark.parametrize("base", ["HttpUser", "FastHttpUser"])
def test_a_schedule_says_when_and_the_file_says_what(shared: Shared, tmp_path: Path, base: str) -> None:
    server, driver, _ = shared
    server.ids.clear()
    result = paced(
        driver,
        tmp_path,
        "self.client.get('/ok'); self.client.get('/500')",
        base=base,
        connections=1,
        rate=50,
        duration_seconds=1,
    )

    entries = list(result.ledger.entries())
    assert Counter((one.path, one.status) for one in entries) == {("/ok", 200): 25, ("/500", 500): 25}
    assert [one.intended_ns - entries[0].intended_ns for one in entries] == [place * 20_000_000 for place in range(50)]
    assert lateness(result)[0] >= 0, "nothing is sent before its turn"
    assert sorted(server.ids) == sorted(result.ledger.request_ids())
    assert (result.asked_rate, result.unsent) == (50, 0)


def test_stages_pace_the_users_of_a_file_too(shared: Shared, tmp_path: Path) -> None:
    _, driver, _ = shared
    stages = (Stage(seconds=0.5, rate=20), Stage(seconds=0.1, rate=200), Stage(seconds=0.4, rate=0))
    result = paced(driver, tmp_path, "self.client.get('/ok')", stages=stages)

    assert result.requests == 10 + 20


def test_each_hop_of_a_redirect_is_a_request_with_a_turn_of_its_own(shared: Shared, tmp_path: Path) -> None:
    _, driver, _ = shared
    result = paced(driver, tmp_path, "self.client.get('/redirect')", connections=1, rate=40, duration_seconds=0.5)

    assert Counter(one.path for one in result.ledger.entries()) == {"/redirect": 10, "/ok": 10}


def test_what_no_user_was_free_to_send_is_unsent_and_what_is_late_says_so(shared: Shared, tmp_path: Path) -> None:
    """One user, 0.2 s a request, 20 a second for 0.5 s, and patience of 0.6 s: about five are sent, the rest is told."""
    server, driver, _ = shared
    server.ids.clear()
    result = paced(
        driver, tmp_path, "self.client.get('/slow?s=0.2')", connections=1, timeout=0.6, rate=20, duration_seconds=0.5
    )

    assert result.unsent + result.requests == 10
    assert 1 <= result.unsent <= 9
    assert result.requests == len(server.ids)
    assert lateness(result)[-1] > 0.2
    unsent = [one for one in result.ledger.entries() if one.failure == "unsent"]
    assert {(one.method, one.path, one.status) for one in unsent} == {("", "", 0)}


def test_a_file_that_catches_everything_ends_with_the_schedule_all_the_same(shared: Shared, tmp_path: Path) -> None:
    _, driver, _ = shared
    body = """
        while True:
            try:
                self.client.get('/ok')
            except Exception:
                pass
    """
    result = paced(driver, tmp_path, body, rate=30, duration_seconds=0.5)

    assert result.requests == 15


def test_what_is_sent_elsewhere_takes_no_turn(shared: Shared, tmp_path: Path, server: Server) -> None:
    _, driver, _ = shared
    body = f"self.client.get('{server.url}/elsewhere'); self.client.get('/ok')"
    result = paced(driver, tmp_path, body, rate=20, duration_seconds=0.5)

    assert Counter(one.path for one in result.ledger.entries()) == {"/ok": 10}
    assert len(server.ids) >= 10


def test_a_turn_that_no_request_came_of_is_not_lost(shared: Shared, tmp_path: Path) -> None:
    _, driver, _ = shared
    body = """
        try:
            self.client.get('/ok', cookies=7)
        except Exception:
            pass
        self.client.get('/ok')
    """
    result = paced(driver, tmp_path, body, rate=20, duration_seconds=0.5)

    assert (result.requests, result.unsent) == (10, 0)


def test_several_processes_share_the_schedule_of_a_file(tmp_path: Path, server: Server) -> None:
    with Driver(base_url=server.url, ledger_dir=tmp_path / "ledger", run_id="run") as driver:
        result = paced(driver, tmp_path, "self.client.get('/ok')", rate=50, duration_seconds=1, processes=2)

    assert result.requests == 50
    assert sorted(server.ids) == sorted(result.ledger.request_ids())
    assert len(set(server.ids)) == 50
