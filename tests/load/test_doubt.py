"""When the load source says that its numbers are worthless: on readings, then on a source that is really starved."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sloproof.load.child_process import CHILD_COMMAND
from sloproof.load.doubt import Doubt, DoubtKind, doubts_of
from sloproof.load.driver import Driver, LoadResult
from sloproof.load.profile import Profile, RequestSpec
from sloproof.load.strain import Strain
from tests.load.server import Server

SECOND = 10**9
QUIET = {"wall_ns": 2 * SECOND, "cpu_ns": SECOND // 10, "paced": 200}
MIX = (RequestSpec(path="/ok", endpoint="/ok"),)


def kinds(requests: int = 200, unsent: int = 0, **readings: object) -> list[DoubtKind]:
    strains = [Strain(**one) for one in (QUIET, {**QUIET, **readings})]
    return [one.kind for one in doubts_of(strains, requests=requests, unsent=unsent)]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"cpu_ns": 1_390_000_000}, {"cpu_ns": 1_410_000_000}),
        ({"wait_ns": 1_290_000_000}, {"wait_ns": 1_310_000_000}),
        ({"late": 2}, {"late": 3}),
        ({"pause_ns": SECOND // 5}, {"pause_ns": SECOND // 3}),
        ({"stolen": 0.19}, {"stolen": 0.21}),
    ],
)
def test_each_reading_is_a_doubt_on_time_beyond_its_limit(good: dict[str, object], bad: dict[str, object]) -> None:
    assert kinds(**good) == []  # type: ignore[arg-type]
    assert kinds(**bad) == [DoubtKind.TIME]  # type: ignore[arg-type]


def test_arrivals_that_could_not_be_sent_are_a_shortfall() -> None:
    assert kinds(unsent=2) == []
    assert kinds(unsent=3) == [DoubtKind.SHORTFALL]


@pytest.mark.parametrize("step", [SECOND, -SECOND // 50])
def test_step_of_the_clock_is_a_doubt_on_every_instant(step: int) -> None:
    assert kinds(stepped_ns=step) == [DoubtKind.CLOCK]
    assert kinds(stepped_ns=SECOND // 200) == []


def test_shares_of_a_moment_mean_nothing() -> None:
    assert kinds(wall_ns=SECOND // 4, cpu_ns=SECOND // 4, stolen=0.5) == []


def paced(seconds: float = 4.0) -> Profile:
    return Profile(mix=MIX, rate=100, duration_seconds=seconds, timeout_seconds=30)


def texts(result: LoadResult, kind: DoubtKind = DoubtKind.TIME) -> str:
    return "\n".join(one.text for one in result.doubts if one.kind is kind)


@pytest.mark.slow
def test_source_that_is_stopped_for_a_while_is_doubted(server: Server, tmp_path: Path) -> None:
    with Driver(
        base_url=server.url,
        ledger_dir=tmp_path,
        run_id="r",
        command=wrapped(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"),
    ) as driver:
        running = driver.begin(paced(), "stopped")
        seen: list[tuple[Doubt, ...]] = []
        while running.progress().requests < 20:
            time.sleep(0.02)
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.6)
        os.kill(pid, signal.SIGCONT)
        result = running.wait(on_progress=lambda _: seen.append(running.doubts()))
    (stood,) = re.findall(r"stood still for ([0-9.]+[0-9])", texts(result))
    assert float(stood) >= 0.5
    assert "arrivals were sent more than 50 ms late" in texts(result)
    assert any(seen), "expected the doubt to be known while the load still runs"
    assert result.requests + result.unsent == 400, "expected nothing to be lost for all that"


@pytest.mark.slow
def test_source_that_shares_its_core_is_doubted(server: Server, tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    pin = f"os.sched_setaffinity(0, {{{core}}})"
    with (
        spinning(pin, 8),  # else the server is what is slow, on a machine where others spin too
        Driver(base_url=server.url, ledger_dir=tmp_path, run_id="r", command=wrapped(pin)) as driver,
    ):
        result = driver.run(Profile(mix=MIX, users=4, duration_seconds=1.5, timeout_seconds=30), "shared core")
    assert "of its core and waited for it" in texts(result)


@pytest.mark.slow
def test_clock_that_is_stepped_and_set_right_again_is_doubted(server: Server, tmp_path: Path) -> None:
    """At the end the clock is right: only who looks meanwhile can tell."""
    fake = (
        "import time; real, begin = time.time_ns, time.monotonic(); "
        "time.time_ns = lambda: real() + 3 * 10**9 * os.path.exists(os.environ['STEP'])"
    )
    step = tmp_path / "step"
    command = wrapped(f"os.environ['STEP'] = {str(step)!r}; {fake}")
    with Driver(base_url=server.url, ledger_dir=tmp_path, run_id="r", command=command) as driver:
        running = driver.begin(paced(), "stepped")
        wait_for(lambda: running.progress().requests > 20)
        step.touch()
        wait_for(lambda: any(one.kind is DoubtKind.CLOCK for one in running.doubts()))
        step.unlink()
        result = running.wait()
    assert texts(result, DoubtKind.CLOCK) == "the wall clock was stepped by +3.000 s during the load"
    assert len(list(result.ledger.entries(result.window))) == 400, "expected the ledger's own clock to stay"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wrapped(code: str) -> list[str]:
    """Return the child program's command, with code that runs in it before; its pid is in a file then."""
    run = "import runpy; sys.argv[:] = sys.argv[:1]; runpy.run_module('sloproof.load.child', run_name='__main__')"
    return [*CHILD_COMMAND[:-2], "-c", f"import os, sys; {code}; {run}"]


@contextmanager
def spinning(pin: str, count: int) -> Iterator[None]:
    code = f"import os; {pin}\nwhile True: pass"
    spinners = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
    try:
        yield
    finally:
        for one in spinners:
            one.kill()
            one.wait()
