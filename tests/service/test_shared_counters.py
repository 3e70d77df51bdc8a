"""Counters of several processes, read as one. Each test counts in processes of its own, as workers do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.service.observed import samples_of, total
from tests.service.running import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # real processes

SCRIPT = """
import os, pathlib, sys, threading
from service.metrics import Metrics
from service.shared_counters import SharedCounters

metrics = Metrics(SharedCounters(pathlib.Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])))

def worker(count, leaves=0):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return pid
    metrics.enter_process()
    for _ in range(count):
        metrics.request_began()
        metrics.count_error("client_error", "/")
        metrics.count_request("/", "GET", 400, 0.2)
        metrics.request_ended()
    for _ in range(leaves):
        metrics.request_began()
    os._exit(0)

def show():
    sys.stdout.write(metrics.expose("").body.decode() + "#END\\n")
"""


def run(folder: Path, body: str) -> list[str]:
    """Return the expositions that a script shows."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + body], check=True, capture_output=True, text=True,
        env={"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.stdout.split("#END\n")[:-1]


def test_ended_workers_keep_their_counts_and_lose_what_was_in_flight(tmp_path: Path) -> None:
    shown = run(tmp_path, "pids = [worker(3, leaves=2), worker(4)]; show()\nfor p in pids: metrics.retire(p); show()")
    for text, active in zip(shown, (2, 0, 0), strict=True):
        samples = samples_of(text)
        assert total(samples, "app_request_count_total") == 7
        assert total(samples, "app_error_count_total") == 7
        assert total(samples, "app_request_latency_seconds_count") == 7
        assert total(samples, "app_request_latency_seconds_bucket", le="0.5", endpoint="/") == 7
        assert total(samples, "app_request_latency_seconds_bucket", le="0.1", endpoint="/") == 0
        assert abs(total(samples, "app_request_latency_seconds_sum") - 1.4) < 1e-9
        assert total(samples, "app_active_requests") == active


def test_files_do_not_pile_up_with_recycled_workers(tmp_path: Path) -> None:
    text = run(tmp_path, "for _ in range(30): metrics.retire(worker(1))\nshow()")[0]
    assert total(samples_of(text), "app_request_count_total") == 30
    assert len(list(tmp_path.glob("*.db"))) <= 5


def test_a_scrape_during_a_retirement_sees_each_count_once(tmp_path: Path) -> None:
    """Never the ended worker's counts twice, never not at all."""
    shown = run(
        tmp_path,
        """
over = threading.Event()
def retire():
    for _ in range(25): metrics.retire(worker_pids.pop())
    over.set()
worker_pids = [worker(2) for _ in range(25)]
thread = threading.Thread(target=retire); thread.start()
while not over.is_set(): show()
thread.join(); show()
""",
    )
    assert {total(samples_of(text), "app_request_count_total") for text in shown} == {50.0}


def test_a_file_that_has_no_size_yet_does_not_fail_the_scrape(tmp_path: Path) -> None:
    text = run(
        tmp_path,
        "open(os.environ['PROMETHEUS_MULTIPROC_DIR'] + '/counter_999999.db', 'w').close()\n"
        "show(); metrics.retire(999999)",
    )[0]
    assert total(samples_of(text), "app_request_count_total") == 0
    assert not (tmp_path / "counter_999999.db").exists()


def test_both_ways_of_counting_expose_the_same_series(tmp_path: Path) -> None:
    """What tests see in one process is what several expose together."""
    text = run(tmp_path, "metrics.retire(worker(0)); show()")[0]
    plain = subprocess.run(
        [sys.executable, "-c", "from service.metrics import Metrics; print(Metrics().expose('').body.decode())"],
        check=True, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)},
    ).stdout  # fmt: skip
    assert samples_of(text).keys() == samples_of(plain).keys()


def test_forked_process_has_a_lock_of_its_own(tmp_path: Path) -> None:
    """With one in common, the first to be done would unlock for both."""
    shown = run(
        tmp_path,
        """
metrics.expose("")
if not os.fork():
    metrics.expose("")
    show = lambda lock=metrics._shared._lock: sys.stdout.write(f"{lock[0] == os.getpid()} {lock[1]}#END\\n")
    show(); sys.stdout.flush(); os._exit(0)
os.wait(); sys.stdout.write(f"True {metrics._shared._lock[1]}#END\\n")
""",
    )
    (is_own, child), (_, parent) = (text.split() for text in shown)
    assert is_own == "True"
    assert child != parent
