"""Someone's own locustfile, unchanged: the ledger is the server's own account, redirects and failures included."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path

import pytest

from sloproof.errors import FeatureError, LoadError
from sloproof.load.driver import Driver, LoadResult
from sloproof.load.profile import Locustfile, Profile, RequestSpec
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


def test_locustfile_takes_no_mix_and_no_rate() -> None:
    own = Locustfile(path="x.py")
    for profile in (
        Profile(locustfile=own, mix=(RequestSpec(path="/", endpoint="/"),), users=1, duration_seconds=1),
        Profile(locustfile=own, rate=1, duration_seconds=1),
        Profile(locustfile=own, users=1, requests=5),
    ):
        with pytest.raises(FeatureError, match="users and a duration for a locustfile"):
            profile.check()
