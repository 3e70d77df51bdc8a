from __future__ import annotations

import json
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import psutil
import pytest

from sloproof.environment import components, local
from sloproof.environment.components import NAMES, TOOLS, free_ports
from sloproof.environment.local import LocalEnvironment
from sloproof.errors import ComponentExitedError, EnvironmentStartError, SettingsError, UnavailableError
from tests.environment.local_world import World
from tests.environment.supervised import until

pytestmark = pytest.mark.slow  # real processes and real time


@pytest.fixture
def world(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, tool_path: Callable[[str], Path]
) -> Iterator[World]:
    one = World(tmp_path, tmp_path_factory.mktemp("l"), {name: tool_path(name) for name in TOOLS})
    yield one
    one.close()
    assert one.left() == []


@pytest.fixture
def bare(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose tools are programs that answer every path, for what is about starting alone."""
    tool = tmp_path / "tool"
    tool.write_text(
        f"#!{sys.executable} -I\n"
        "import http.server, re, sys\n"
        "text = ' '.join(sys.argv) + ' ' + ' '.join(open(one.split('=')[1]).read() for one in sys.argv"
        " if 'config' in one)\n"
        "port = re.search(r'(?:listen-address=127.0.0.1:|http_listen_port: )(\\d+)', text).group(1)\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "    def log_message(self, *_): pass\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', int(port)), Handler).serve_forever()\n"
    )
    tool.chmod(0o755)
    one = World(tmp_path, tmp_path_factory.mktemp("b"), dict.fromkeys(TOOLS, tool))
    yield one
    one.close()
    assert one.left() == []


def get(url: str) -> bytes:
    """Return what a URL answers."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body


def watch(environment: LocalEnvironment) -> None:
    """Ask whether all is well until it is not."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        environment.check_alive()


def start_and_wait(environment: LocalEnvironment) -> None:
    """Start it, and be interrupted even if it comes up in time."""
    environment.start()
    until(lambda: False, "interrupted")


def holds_sample(environment: LocalEnvironment, value: int) -> bool:
    """Return whether Prometheus has scraped a value of the counter."""
    text = get(f"{environment.addresses['prometheus']}/api/v1/query?query=asked_total")
    return any(row["value"][1] == str(value) for row in json.loads(text)["data"]["result"])


def lines_in_loki(environment: LocalEnvironment) -> list[str]:
    """Return the service's lines that Loki has."""
    text = get(f"{environment.addresses['loki']}/loki/api/v1/query_range?query=%7Bapp%3D%22tiny%22%7D")
    return [entry[1] for stream in json.loads(text)["data"]["result"] for entry in stream["values"]]


def test_everything_comes_up_and_carries_metrics_and_lines_and_goes(world: World) -> None:
    """The whole life of an environment with the real programs."""
    environment = world.make()
    environment.start()
    environment.start()

    assert set(environment.addresses) == set(NAMES)
    assert {one.name: one.state for one in environment.status()} == dict.fromkeys(NAMES, "running")
    assert all(timedelta() < environment.timings[name] < timedelta(seconds=60) for name in NAMES)
    get(environment.addresses["service"] + "/")
    until(lambda: holds_sample(environment, 1), "the sample is in Prometheus")
    until(lambda: "line 1" in lines_in_loki(environment), "the line is in Loki")
    log = environment.file("service.log")
    assert log is not None
    assert log.read_text().endswith(" stdout F line 1\n")
    assert environment.file("other") is None
    assert environment.last_lines("service") == ("line 1",)
    assert environment.last_lines("nobody") == ()

    begin = time.monotonic()
    environment.stop()
    environment.stop()

    assert time.monotonic() - begin < 20
    assert world.left() == []
    for address in environment.addresses.values():
        with pytest.raises(urllib.error.URLError):
            get(address)
    with pytest.raises(ComponentExitedError):
        environment.status()


def test_a_line_that_is_cut_into_parts_is_whole_in_loki(world: World) -> None:
    """A container's runtime cuts lines at 16 KiB; whoever ships them must put them together again, and no others."""
    environment = world.make()
    environment.start()
    part = 16 * 1024
    lengths = (part - 1, part, part + 1, 3 * part, 100_000)

    for length in lengths:
        get(f"{environment.addresses['service']}/long/{length}")
        get(environment.addresses["service"] + "/")
    last = f"line {len(lengths)}"
    until(lambda: last in lines_in_loki(environment), "the last line is in Loki")

    log = environment.file("service.log")
    assert log is not None
    assert log.read_text().count(" stdout P ") == 1 + 2 + 6
    long = ["".join(f"{number:08}" for number in range(length // 8 + 1))[:length] for length in lengths]
    found = lines_in_loki(environment)
    assert (
        sorted(found, key=lambda line: (len(line), line))
        == [f"line {number}" for number in range(1, len(lengths) + 1)] + long
    )


def test_a_component_restarts_on_its_old_port(bare: World) -> None:
    environment = bare.make()
    environment.start()
    address = environment.addresses["service"]
    get(address + "/")

    environment.stop_component("service", signal.SIGKILL)
    environment.check_alive()
    with pytest.raises(urllib.error.URLError):
        get(address)
    environment.start_component("service")

    assert b"asked_total 0" in get(address + "/metrics")
    assert environment.addresses["service"] == address
    assert next(one for one in environment.status() if one.name == "service").restarts == 1


def test_a_component_that_dies_is_told_at_once_by_name(bare: World) -> None:
    environment = bare.make()
    environment.start()
    pid = next(one.pid for one in environment.status() if one.name == "alertmanager")

    psutil.Process(pid).kill()
    begin = time.monotonic()
    with pytest.raises(ComponentExitedError, match=r"alertmanager.*killed by signal 9"):
        watch(environment)

    assert time.monotonic() - begin < 5


def test_a_supervisor_that_dies_is_told_and_leaves_nothing_after_stop(bare: World) -> None:
    environment = bare.make()
    environment.start()
    assert environment._process is not None

    environment._process.kill()

    with pytest.raises(ComponentExitedError, match="supervisor"):
        watch(environment)
    environment.stop()
    assert bare.left() == []


def test_a_service_that_ends_while_it_starts_is_told_with_its_last_lines(bare: World) -> None:
    environment = bare.make(command=["{python}", "-c", "import sys; print('no database'); sys.exit(4)"])

    with pytest.raises(ComponentExitedError, match="service") as caught:
        environment.start()

    assert caught.value.exit_status == 4
    assert caught.value.last_lines == ("no database",)
    assert bare.left() == []


def test_a_service_that_never_gets_ready_is_told_with_what_was_asked(bare: World) -> None:
    environment = bare.make(command=["sleep", "60"], start_seconds=5.0)

    with pytest.raises(EnvironmentStartError, match="expected service to be ready within 5 s") as caught:
        environment.start()

    assert "/ready" in str(caught.value)
    assert "Connection" in str(caught.value)
    assert bare.left() == []


def test_a_program_that_is_not_there_is_told_by_name(bare: World) -> None:
    environment = bare.make(command=["/no/such/service"])

    with pytest.raises(ComponentExitedError, match="service") as caught:
        environment.start()

    assert "/no/such/service" in str(caught.value)


def test_a_placeholder_that_is_not_known_is_refused(bare: World) -> None:
    with pytest.raises(SettingsError, match="placeholder"):
        bare.make(command=["{prot}"]).start()
    assert bare.left() == []


def test_a_port_that_was_taken_meanwhile_is_tried_again_with_others(
    bare: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        given: list[dict[str, int]] = []

        def ports() -> dict[str, int]:
            taken = {} if given else {"service": int(thief.getsockname()[1])}
            given.append({**free_ports(), **taken})
            return given[-1]

        monkeypatch.setattr(local, "free_ports", ports)
        environment = bare.make(readiness="/ready")
        environment.start()

    assert len(given) == 2
    assert environment.addresses["service"] == f"http://127.0.0.1:{given[1]['service']}"
    assert len(list(bare.base_dir.iterdir())) == 1


def test_a_port_that_is_always_taken_is_given_up_after_three_tries(
    bare: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        monkeypatch.setattr(local, "free_ports", lambda: {**free_ports(), "service": int(thief.getsockname()[1])})

        with pytest.raises(ComponentExitedError, match="service") as caught:
            bare.make().start()

    assert "address already in use" in str(caught.value).lower()
    assert bare.left() == []


def test_two_environments_at_once_have_nothing_in_common(bare: World) -> None:
    first, second = bare.make(), bare.make()
    first.start()
    second.start()

    assert set(first.addresses.values()).isdisjoint(second.addresses.values())
    assert len(list(bare.base_dir.iterdir())) == 2
    first.stop()
    second.check_alive()
    get(second.addresses["service"])


@pytest.mark.parametrize("moment", [0.0, 0.03, 0.08, 0.15, 0.3])
@pytest.mark.parametrize("how", ["launch", "ready"])
def test_an_interrupt_during_the_start_leaves_nothing(
    bare: World, monkeypatch: pytest.MonkeyPatch, moment: float, how: str
) -> None:
    environment = bare.make(command=["sleep", "60"] if how == "ready" else ["{python}", "service.py", "{port}"])
    signal.setitimer(signal.ITIMER_REAL, max(moment, 0.001))
    monkeypatch.setattr(local, "sweep", lambda _: [])

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            start_and_wait(environment)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        environment.stop()

    assert bare.left() == []


def test_an_interrupted_stop_can_be_taken_up_again(bare: World, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = bare.make()
    environment.start()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LocalEnvironment, "_end_process", interrupt)
        with pytest.raises(KeyboardInterrupt):
            environment.stop()
    environment.stop()

    assert bare.left() == []


def test_another_object_attaches_and_may_end_it(bare: World, tmp_path: Path) -> None:
    environment = bare.make()
    environment.start()
    noted = tmp_path / "state.json"
    noted.write_bytes(msgspec.json.encode(environment.state()))

    other = LocalEnvironment.attach(noted, bare.settings())

    assert other.addresses == environment.addresses
    assert other.run_id == environment.run_id
    other.start()
    other.check_alive()
    other.stop_component("receiver")
    other.start_component("receiver")
    other.stop()
    assert bare.left() == []
    with pytest.raises(EnvironmentStartError, match="gone"):
        LocalEnvironment.attach(noted, bare.settings())


def test_what_is_detached_lives_on_and_can_be_attached_to(bare: World, tmp_path: Path) -> None:
    environment = bare.make()
    environment.start()
    noted = tmp_path / "state.json"
    noted.write_bytes(msgspec.json.encode(environment.state()))

    environment.detach()
    environment.stop()
    other = LocalEnvironment.attach(noted, bare.settings())

    other.check_alive()
    other.detach()
    other = LocalEnvironment.attach(noted, bare.settings())
    other.stop()
    assert bare.left() == []


@pytest.mark.parametrize("content", [None, "", "{}", "rubbish"])
def test_attaching_to_nothing_tells_the_way_out(bare: World, tmp_path: Path, content: str | None) -> None:
    noted = tmp_path / "state.json"
    if content is not None:
        noted.write_text(content)

    with pytest.raises(EnvironmentStartError, match="found none") as caught:
        LocalEnvironment.attach(noted, bare.settings())

    assert "sloproof up" in str(caught.value)


def test_free_ports_differ() -> None:
    ports = free_ports()

    assert len(set(ports.values())) == len(ports) == len(components._PORTS)


def test_what_was_never_started_can_be_stopped_but_not_asked(bare: World) -> None:
    environment = bare.make()

    environment.stop()

    assert environment.last_lines("service") == ()
    with pytest.raises(ComponentExitedError):
        environment.check_alive()
    with pytest.raises(UnavailableError):
        environment.stop_component("service")
