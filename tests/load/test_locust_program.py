"""Locust's own program: alone, as a master with workers, and with its web interface. Our users send, the ledger is exact."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from sloproof.load.ledger import Ledger
from tests.load.server import Server, serving

pytestmark = pytest.mark.slow

FILE = """
from sloproof.load.locust_program import ScheduledUser, keep_ledger
from sloproof.load.profile import Profile, RequestSpec

mix = (
    RequestSpec(path="/ok", endpoint="/ok", weight=3),
    RequestSpec(path="/500", endpoint="/500"),
    RequestSpec(path="/nothing", endpoint="/nothing"),
)
keep_ledger(Profile(mix=mix, {shape}), {folder!r}, run_id="night")
"""
PATIENCE_SECONDS = 60


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


@contextmanager
def locust(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "locust", "-f", str(folder / "file.py"), *arguments]
    with subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def write(folder: Path, shape: str) -> Path:
    (folder / "file.py").write_text(FILE.format(shape=shape, folder=str(folder / "ledger")))
    return folder / "ledger"


def endpoints(ledger: Path) -> Counter[str]:
    return Counter(one.endpoint for one in Ledger.open(ledger).entries() if one.failure != "unsent")


def told(stats: Sequence[Any]) -> Counter[str]:
    return Counter({one["name"]: one["num_requests"] for one in stats if one["name"] != "Aggregated"})


@contextmanager
def cluster(
    folder: Path, server: Server, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], list[subprocess.Popen[str]]]]:
    """Run a master and two workers, all on loopback alone."""
    (port,) = free_ports(1)
    with ExitStack() as stack:
        master = stack.enter_context(
            locust(folder, "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(port),
                   "--expect-workers", "2", "--host", server.url, "--users", "6", "--spawn-rate", "6", *arguments)
        )  # fmt: skip
        workers = [
            stack.enter_context(
                locust(
                    folder, "--worker", "--master-host", "127.0.0.1", "--master-port", str(port), "--host", server.url
                )
            )
            for _ in range(2)
        ]
        yield master, workers


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    return process.communicate(timeout=PATIENCE_SECONDS)


def test_master_and_two_workers_share_one_schedule_and_their_ledger_is_exact(tmp_path: Path) -> None:
    ledger = write(tmp_path, "rate=100, duration_seconds=2, processes=2, seed=5")
    with (
        serving() as server,
        cluster(tmp_path, server, "--headless", "--run-time", "4s", "--json") as (master, workers),
    ):
        out, err = end(master)
        told_by_workers = [end(worker)[1] for worker in workers]

    assert "Traceback" not in err + "".join(told_by_workers)
    assert [path.name for path in sorted(ledger.iterdir())] == ["load-00001-0.jsonl", "load-00001-1.jsonl"]
    merged = Ledger.open(ledger)
    entries = list(merged.entries())
    assert len(entries) == 200, "a rate of 100 for 2 s is 200 arrivals, whoever sends them"
    assert sorted(server.ids) == sorted(one.request_id for one in entries)
    assert endpoints(ledger) == told(json.loads(out)), "expected the master to say what the ledger holds"
    assert {one.failure or one.status for one in entries} == {200, 500, "reset"}
    for process in range(2):
        own = sorted(one.intended_ns for one in Ledger.open(ledger / f"load-00001-{process}.jsonl").entries())
        gaps = {later - earlier for earlier, later in itertools.pairwise(own)}
        assert (len(own), gaps) == (100, {20_000_000}), "expected every second arrival, evenly"


def test_web_interface_answers_with_the_numbers_of_the_ledger(tmp_path: Path) -> None:
    ledger = write(tmp_path, "users=6, duration_seconds=1.5, processes=2")
    (port,) = free_ports(1)
    arguments = ("--web-host", "127.0.0.1", "--web-port", str(port), "--autostart", "--run-time", "3s")
    with serving() as server, cluster(tmp_path, server, *arguments) as (master, workers):
        url = f"http://127.0.0.1:{port}"
        state = watch(f"{url}/stats/requests", "stopped")
        page = requests.get(url, timeout=5)
        master.send_signal(signal.SIGINT)
        _, err = end(master)
        told_by_workers = [end(worker)[1] for worker in workers]

    assert "Traceback" not in err + "".join(told_by_workers)
    assert (page.status_code, "Locust" in page.text) == (200, True)
    assert endpoints(ledger) == told(state["stats"])
    assert sorted(server.ids) == sorted(Ledger.open(ledger).request_ids())
    assert len(state["workers"]) == 2


def watch(url: str, wanted: str) -> Any:
    """Return what the web interface says once the test is in a state."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    state: Any = None
    while time.monotonic() < deadline:
        try:
            state = requests.get(url, timeout=5).json()
        except requests.ConnectionError:  # not up yet
            state = None
        if state is not None and state["state"] == wanted:
            return state
        time.sleep(0.05)
    raise AssertionError(f"expected the test to be {wanted}, last seen: {state}")


def test_alone_it_keeps_a_ledger_for_each_test(tmp_path: Path) -> None:
    ledger = write(tmp_path, "rate=50, duration_seconds=1")
    with serving() as server:
        for _ in range(2):
            arguments = ("--headless", "--run-time", "2s", "--users", "4", "--spawn-rate", "4", "--host", server.url)
            with locust(tmp_path, *arguments, "--json") as process:
                out, err = end(process)
            assert "Traceback" not in err
            assert told(json.loads(out)).total() == 50
        ids = sorted(server.ids)

    assert [path.name for path in sorted(ledger.iterdir())] == ["load-00001-0.jsonl", "load-00002-0.jsonl"]
    assert sorted(Ledger.open(ledger).request_ids()) == ids
    assert len(set(ids)) == 100


def test_a_worker_too_many_says_so_and_sends_nothing(tmp_path: Path) -> None:
    ledger = write(tmp_path, "rate=100, duration_seconds=1, processes=1")
    with serving() as server, cluster(tmp_path, server, "--headless", "--run-time", "2s") as (master, workers):
        end(master)
        told_by_workers = "".join(end(worker)[1] for worker in workers)

    assert "expected at most 1 workers, as the profile says, got one with number 1" in told_by_workers
    assert sorted(server.ids) == sorted(Ledger.open(ledger).request_ids())
