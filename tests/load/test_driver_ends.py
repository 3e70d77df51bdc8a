"""How a driver ends: processes, deaths, and what is left behind."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sloproof.errors import LoadError
from sloproof.load.child_process import CHILD_COMMAND
from sloproof.load.driver import Driver
from sloproof.load.ledger import Ledger
from sloproof.load.profile import Profile, RequestSpec
from tests.load.server import Server

pytestmark = pytest.mark.slow  # real processes and real time

OK = RequestSpec(path="/ok", endpoint="/ok")
Shared = tuple[Server, Driver, Path]
LONG = Profile(mix=(OK,), rate=100, duration_seconds=60)


def child_pids(driver: Driver) -> list[int]:
    return [child.pid for child in driver._children]


def gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
            return True
        time.sleep(0.02)
    return False


def test_processes_are_one_load_with_one_ledger(shared: Shared) -> None:
    server, driver, _ = shared
    server.ids.clear()
    burst = driver.run(Profile(mix=(OK,), users=5, requests=101, processes=2), "burst")
    assert burst.requests == 101
    assert sorted(server.ids) == sorted(burst.ledger.request_ids())
    paced = driver.run(Profile(mix=(OK,), rate=200, duration_seconds=0.5, processes=2), "paced")
    entries = list(paced.ledger.entries())
    assert len(entries) == paced.requests == 100
    intended = sorted(one.intended_ns for one in entries)
    assert {b - a for a, b in itertools.pairwise(intended)} == {5_000_000}
    assert len({one.request_id.rsplit("-", 1)[0] for one in entries}) == 2
    assert [one.start_ns for one in entries] == sorted(one.start_ns for one in entries)
    assert paced.achieved_rate == pytest.approx(200, rel=0.2)


def test_killed_child_is_told_with_its_status_and_the_ledger_survives(server: Server, tmp_path: Path) -> None:
    with Driver(base_url=server.url, ledger_dir=tmp_path, run_id="run") as driver:
        running = driver.begin(LONG, "doomed")
        server.await_ids(100)
        begin = time.monotonic()
        os.kill(child_pids(driver)[0], signal.SIGKILL)
        with pytest.raises(LoadError, match="killed by signal 9"):
            running.wait()
        assert time.monotonic() - begin < 10
        with pytest.raises(LoadError, match="killed by signal 9"):
            running.stop()
        survived = set(running.ledger.request_ids())
        assert survived <= set(server.ids)
        assert len(survived) >= len(server.ids) - 50, "expected at most 100 ms to be lost"
        # The next load gets a new child.
        assert driver.run(Profile(mix=(OK,), users=1, requests=3), "next").requests == 3


def test_child_that_cannot_start_shows_its_last_words(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import sys; sys.exit('no such module: locust')")
    with (
        Driver(base_url="http://127.0.0.1:1", ledger_dir=tmp_path, run_id="run", command=command) as driver,
        pytest.raises(LoadError, match="ended with status 1") as caught,
    ):
        driver.begin(LONG, "never")
    assert "no such module: locust" in caught.value.details["last_lines"]


def test_child_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    driver = Driver(base_url="http://127.0.0.1:1", ledger_dir=tmp_path, run_id="run", command=("/no/such/program",))
    with pytest.raises(LoadError, match="to start"):
        driver.start()


def test_load_that_cannot_be_driven_is_an_error_of_that_load_alone(shared: Shared) -> None:
    server, driver, folder = shared
    server.ids.clear()
    number = next(driver._numbers) + 1
    (folder / f"load-{number:05}-0.jsonl").touch()
    driver._numbers = itertools.count(number)
    with pytest.raises(LoadError, match="could not be driven") as caught:
        driver.run(Profile(mix=(OK,), users=1, requests=1), "blocked")
    assert "exists" in caught.value.details["reason"]
    assert driver.run(Profile(mix=(OK,), users=1, requests=1), "fine").requests == 1


def test_close_leaves_no_process_even_while_a_load_runs(server: Server, tmp_path: Path) -> None:
    driver = Driver(base_url=server.url, ledger_dir=tmp_path, run_id="run")
    running = driver.begin(LONG, "running")
    server.await_ids(10)
    pids = child_pids(driver)
    begin = time.monotonic()
    driver.close()
    driver.close()
    assert time.monotonic() - begin < 10
    assert gone(pids, 10)
    with pytest.raises(LoadError, match="status 0"):
        running.wait()
    with pytest.raises(LoadError, match="closed"):
        driver.begin(LONG, "late")


def test_interrupt_does_not_reach_the_child(shared: Shared) -> None:
    """A terminal's Ctrl-C is for the driver: the child is in a group of its own, and ignores one sent to it alone."""
    server, driver, _ = shared
    server.ids.clear()
    running = driver.begin(Profile(mix=(OK,), rate=100, duration_seconds=0.4), "interrupted")
    pid = child_pids(driver)[0]
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGINT)
    assert running.wait().requests == 40


_PARENT = """
import sys, time
from pathlib import Path
from sloproof.load.driver import Driver
from sloproof.load.profile import Profile, RequestSpec
driver = Driver(base_url=sys.argv[1], ledger_dir=Path(sys.argv[2]), run_id="run")
profile = Profile(mix=(RequestSpec(path="/ok", endpoint="/ok"),), rate=100, duration_seconds=60)
driver.begin(profile, "orphan")
print(driver._children[0].pid, flush=True)
time.sleep(60)
"""


def test_killed_parent_takes_the_child_with_it(server: Server, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT, server.url, tmp_path], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        server.await_ids(100)
        parent.kill()
        assert gone([pid], 60)
    assert set(Ledger.open(tmp_path).request_ids()) >= set(server.ids[:-50]), "expected the child to flush as it leaves"


def test_child_imports_no_pytest_and_ignores_warnings_as_errors() -> None:
    code = "import sys; import sloproof.load.child; sys.exit('pytest' in sys.modules)"
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [*CHILD_COMMAND[:-2], "-c", code]
    assert subprocess.run(command, env=environment, check=False, timeout=120).returncode == 0


def test_driver_imports_no_locust() -> None:
    """Imported here, Locust would patch the sockets and threads of the test run itself."""
    code = "import sys; import sloproof.load.driver; sys.exit(bool({'locust', 'gevent'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
