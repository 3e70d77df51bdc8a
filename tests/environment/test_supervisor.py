from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psutil
import pytest

from sloproof.environment.leftovers import sweep
from sloproof.errors import EnvironmentStartError
from tests.environment.supervised import LIMIT_SECONDS, Supervised, until

PART = 16 * 1024
OWNER = """
import subprocess, sys, time
supervisor = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)
print(supervisor.pid, flush=True)
time.sleep(60)
"""
STAY = "exec sleep 60"
needs_guard = pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv of util-linux is not installed")


@pytest.fixture
def base_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path leaves room for a socket's."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def supervised(base_dir: Path) -> Iterator[Supervised]:
    one = Supervised(base_dir)
    yield one
    one.end()


def cri(path: Path, stream: str = "stdout") -> list[tuple[bytes, bytes]]:
    """Return flag and content of each line of a pod log that comes from one stream."""
    found = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        stamp, name, flag, content = line.split(b" ", 3)
        assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp), stamp
        if name == stream.encode():
            found.append((flag, content))
    return found


def is_empty(supervised: Supervised) -> bool:
    """Return whether no program of the run lives."""
    return not supervised.left()


def logged(supervised: Supervised, program: str) -> Path:
    """Return the pod log of a Python program that has ended."""
    pod_log = supervised.run_dir / "0.log"
    supervised.add("talker", [sys.executable, "-c", textwrap.dedent(program)], pod_log=str(pod_log))
    supervised.up()
    until(lambda: supervised.status("talker").state == "exited", "the program has ended")
    return pod_log


def test_output_is_written_as_a_container_runtime_writes_it(supervised: Supervised) -> None:
    before = datetime.now(UTC)

    pod_log = logged(supervised, "import sys; print('out'); print(); print('err', file=sys.stderr)")

    assert cri(pod_log) == [(b"F", b"out"), (b"F", b"")]
    assert cri(pod_log, "stderr") == [(b"F", b"err")]
    stamp = pod_log.read_text().split(maxsplit=1)[0]
    assert before <= datetime.fromisoformat(stamp[:26] + "+00:00") + timedelta(milliseconds=1) <= datetime.now(UTC)


@pytest.mark.parametrize("length", [PART - 1, PART, PART + 1, 3 * PART, 100_000, 1_000_003])
def test_a_line_longer_than_a_part_is_cut_and_comes_together_again(supervised: Supervised, length: int) -> None:
    pod_log = logged(supervised, f"print('x' * {length}, flush=True); print('next')")

    *parts, after = cri(pod_log)
    assert after == (b"F", b"next")
    assert b"".join(content for _, content in parts) == b"x" * length
    assert [flag for flag, _ in parts] == [b"P"] * (len(parts) - 1) + [b"F"]
    assert len(parts) == -(-length // PART)


def test_bytes_that_are_no_text_arrive_as_they_are(supervised: Supervised) -> None:
    pod_log = logged(supervised, r"import sys; sys.stdout.buffer.write(b'\xff\xfe\x00 \r tab\t\n')")

    assert cri(pod_log) == [(b"F", b"\xff\xfe\x00 \r tab\t")]


def test_a_last_line_without_its_end_is_kept(supervised: Supervised) -> None:
    pod_log = logged(supervised, "import sys; sys.stdout.write('whole\\nhalf')")

    assert cri(pod_log) == [(b"F", b"whole"), (b"F", b"half")]


def test_a_line_written_bit_by_bit_is_one_line(supervised: Supervised) -> None:
    pod_log = logged(
        supervised, "import sys, time\nfor bit in 'abc\\n': sys.stdout.write(bit); sys.stdout.flush(); time.sleep(0.01)"
    )

    assert cri(pod_log) == [(b"F", b"abc")]


def test_lines_of_two_streams_are_never_mixed(supervised: Supervised) -> None:
    pod_log = logged(
        supervised,
        """
        import sys, threading
        def write(stream, text):
            for number in range(2000):
                stream.write(f"{text}{number}\\n"); stream.flush()
        threads = [threading.Thread(target=write, args=one) for one in ((sys.stdout, "o"), (sys.stderr, "e"))]
        [one.start() for one in threads]; [one.join() for one in threads]
        """,
    )

    assert [content for _, content in cri(pod_log)] == [b"o%d" % number for number in range(2000)]
    assert [content for _, content in cri(pod_log, "stderr")] == [b"e%d" % number for number in range(2000)]


def test_an_exit_is_reported_at_once_with_its_status_and_its_last_lines(supervised: Supervised) -> None:
    supervised.add_shell("stayer", STAY)
    supervised.add_shell("leaver", "read -r _ < go; echo last words; exit 3", pod_log=str(supervised.run_dir / "0.log"))
    subprocess.run(["mkfifo", str(supervised.run_dir / "go")], check=True)
    supervised.up()
    assert supervised.status("leaver").state == "running"

    (supervised.run_dir / "go").write_text("\n")
    begin = time.monotonic()
    until(lambda: supervised.status("leaver").state == "exited", "the exit is reported")

    assert time.monotonic() - begin < 5
    assert supervised.status("leaver").exit_status == 3
    assert supervised.status("leaver").pid is None
    assert supervised.log("leaver") == "last words\n"
    assert supervised.status("stayer").state == "running"


def test_a_killed_component_tells_the_signal(supervised: Supervised) -> None:
    supervised.add_shell("victim", STAY)
    supervised.up()

    psutil.Process(supervised.status("victim").pid).kill()

    until(lambda: supervised.status("victim").state == "exited", "the exit is reported")
    assert supervised.status("victim").exit_status == -signal.SIGKILL


def test_stop_and_start_are_no_accident(supervised: Supervised) -> None:
    supervised.add_shell("one", STAY)
    supervised.up()
    first = supervised.status("one").pid

    supervised.control.request("stop", component="one", signal=15)
    stopped = supervised.status("one")
    supervised.control.request("stop", component="one", signal=15)
    supervised.control.request("start", component="one")
    supervised.control.request("start", component="one")
    again = supervised.status("one")

    assert (stopped.state, stopped.pid, stopped.exit_status) == ("stopped", None, -signal.SIGTERM)
    assert (again.state, again.restarts, again.exit_status) == ("running", 1, None)
    assert again.pid not in {None, first}


def test_a_component_that_ignores_the_request_is_killed_when_its_time_is_over(supervised: Supervised) -> None:
    supervised.add_shell("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.05; done", stop_seconds=0.2)
    supervised.up()
    until(lambda: "ready" in supervised.log("stubborn"), "the trap is set")

    supervised.control.request("stop", component="stubborn", signal=15)

    assert supervised.status("stubborn").exit_status == -signal.SIGKILL
    until(partial(is_empty, supervised), "what it had started has died with it")


def test_pause_freezes_and_resume_goes_on(supervised: Supervised) -> None:
    # Not a shell: one that is stopped between making a child and the child's start shows another state.
    ticking = "import time\nwhile True: print('tick', flush=True); time.sleep(0.01)"
    supervised.add("ticker", [sys.executable, "-c", ticking])
    supervised.up()
    until(lambda: supervised.log("ticker"), "it ticks")
    pid = supervised.status("ticker").pid

    supervised.control.request("pause", component="ticker")
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "it stands still")
    assert supervised.status("ticker").state == "running"
    ticks = len(supervised.log("ticker"))
    supervised.control.request("resume", component="ticker")

    until(lambda: len(supervised.log("ticker")) > ticks, "it ticks again")
    assert supervised.status("ticker").pid == pid


def test_a_paused_component_does_not_delay_the_end(supervised: Supervised) -> None:
    supervised.add_shell("frozen", STAY, stop_seconds=40.0)
    supervised.up()
    supervised.control.request("pause", component="frozen")

    begin = time.monotonic()
    supervised.end()

    assert time.monotonic() - begin < 20
    assert supervised.left() == []


def test_what_feeds_a_component_is_part_of_it(supervised: Supervised) -> None:
    supervised.add_shell("eater", "while read -r line; do echo got $line; done; exec sleep 60", feeder=["/bin/sh", "-c", "echo food; exec sleep 60"])  # fmt: skip
    supervised.up()
    until(lambda: "got food" in supervised.log("eater"), "it was fed")
    feeder = next(one for one in psutil.Process(supervised.leader.pid).children() if one.pid != supervised.status("eater").pid)  # fmt: skip

    feeder.kill()

    until(lambda: supervised.status("eater").state == "exited", "it counts as exited")
    assert "what feeds it ended with status -9" in supervised.log("eater")
    assert supervised.left() == []


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("part", ["argv", "feeder"])
def test_a_component_that_cannot_be_started_has_exited(base_dir: Path, part: str, *, guarded: bool) -> None:
    supervised = Supervised(base_dir, guarded=guarded)
    more = {"argv": ["/no/such/program"]} if part == "argv" else {"argv": ["/bin/sleep", "60"], "feeder": ["/no/such/program"]}  # fmt: skip
    supervised.add("none", **more)
    supervised.add_shell("other", STAY)
    try:
        supervised.up()
        until(lambda: supervised.status("none").state == "exited", "it counts as exited")

        assert "/no/such/program" in supervised.log("none")
        assert supervised.status("other").state == "running"
        if part == "argv":
            assert supervised.status("none").exit_status == 127
    finally:
        supervised.end()
    assert supervised.left() == []


def test_a_wrong_request_is_refused_and_harms_nobody(supervised: Supervised) -> None:
    supervised.add_shell("one", STAY)
    supervised.up()

    for action, arguments in (
        ("dance", {"component": "one"}),
        ("stop", {"component": "nobody", "signal": 15}),
        ("stop", {"component": "one"}),
        ("stop", {"component": "one", "signal": "loud"}),
    ):
        with pytest.raises(EnvironmentStartError):
            supervised.control.request(action, **arguments)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(LIMIT_SECONDS)
        stranger.connect(str(supervised.run_dir / "control.sock"))
        for rubbish in (b"{\n", b"[]\n", b"\xff\n", b"{}\n", b"null\n"):
            stranger.sendall(rubbish)
            assert "error" in json.loads(stranger.recv(4096))
        stranger.sendall(b"no end")

    assert supervised.control.status()[0].name == "one"


def test_shutdown_ends_everything_and_removes_the_folder(supervised: Supervised) -> None:
    supervised.add_shell("one", STAY)
    supervised.add_shell("two", "setsid sleep 61 & exec sleep 60")
    supervised.up()

    supervised.control.request("shutdown")
    supervised.leader.wait(LIMIT_SECONDS)

    assert supervised.left() == []
    assert not supervised.run_dir.exists()


def test_the_owners_death_ends_everything(supervised: Supervised) -> None:
    """A program that starts a supervisor is killed; even children that left their group go with it."""
    supervised.add_shell("one", STAY)
    supervised.add_shell("two", "setsid sleep 61 & trap '' TERM; while :; do sleep 0.05; done", stop_seconds=0.2)
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            OWNER,
            *supervised.command(),
        ],
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    leader = psutil.Process(int(owner.stdout.readline()))
    until(supervised.answers, "the supervisor answers")
    until(lambda: len(supervised.left()) >= 3, "all of them run")

    owner.kill()
    owner.wait()
    owner.stdout.close()

    until(lambda: not leader.is_running() or leader.status() == psutil.STATUS_ZOMBIE, "the supervisor ends")
    assert supervised.left() == []
    assert not supervised.run_dir.exists()


def test_a_released_supervisor_outlives_its_owner_until_it_is_told_to_end(supervised: Supervised) -> None:
    supervised.add_shell("one", STAY)
    supervised.up()
    assert supervised.leader.stdin is not None

    supervised.control.request("release")
    supervised.control.request("release")
    supervised.leader.stdin.close()
    supervised.control.close()

    with pytest.raises(subprocess.TimeoutExpired):
        supervised.leader.wait(0.1)
    assert supervised.status("one").state == "running"
    supervised.control.request("shutdown")
    supervised.leader.wait(LIMIT_SECONDS)
    assert supervised.left() == []


@needs_guard
def test_the_supervisors_death_ends_its_children_and_the_next_run_removes_the_folder(
    base_dir: Path, supervised: Supervised
) -> None:
    supervised.add_shell("one", STAY)
    supervised.add("two", ["/bin/sleep", "60"], feeder=["/bin/sleep", "60"])
    supervised.up()
    # Until a program has become itself, it may not have asked yet to die with its parent.
    until(lambda: [one.name() for one in supervised.left()] == ["sleep"] * 3, "the programs run")
    assert sweep(base_dir) == []

    supervised.leader.kill()
    supervised.leader.wait()

    until(lambda: not supervised.left(), "the children have died")
    assert sweep(base_dir) == [supervised.run_dir]
    assert not supervised.run_dir.exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything(supervised: Supervised, how: signal.Signals) -> None:
    supervised.add_shell("one", STAY)
    supervised.up()

    supervised.leader.send_signal(how)
    supervised.leader.wait(LIMIT_SECONDS)

    assert supervised.left() == []
    assert not supervised.run_dir.exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_moment_of_the_start_leaves_nothing_for_good(
    base_dir: Path, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it has taken the signals over it dies of them, and its folder is the next run's to remove."""
    for moment in range(8):
        one = Supervised(base_dir)
        for number in range(4):
            one.add_shell(f"c{number}", STAY)
        one.launch()
        time.sleep(moment * 0.02)
        one.leader.send_signal(how)
        one.leader.wait(LIMIT_SECONDS)
        until(partial(is_empty, one), "nothing lives")
        assert one.leader.stdin is not None
        one.leader.stdin.close()
    sweep(base_dir)
    assert list(base_dir.iterdir()) == []


def test_many_ask_at_once(supervised: Supervised, run_threads: Callable[[Callable[[], object], int], None]) -> None:
    supervised.add_shell("one", STAY)
    supervised.up()

    run_threads(lambda: [supervised.control.status() for _ in range(50)], 8)

    assert supervised.status("one").state == "running"


@pytest.fixture
def run_threads() -> Callable[[Callable[[], object], int], None]:
    """A function that calls another in several threads, and raises what one of them raised."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for this fixture alone

    def run(what: Callable[[], object], count: int) -> None:
        with ThreadPoolExecutor(count) as pool:
            for future in [pool.submit(what) for _ in range(count)]:
                future.result(10)

    return run
