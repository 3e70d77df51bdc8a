"""Runs of pytest that somebody or something breaks off, and what they leave behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from sloproof.environment.leftovers import MARK

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ("loki", "service", "prometheus", "alertmanager", "promtail", "receiver")
_FEATURE = """Feature: A run to be broken off

  Scenario: A short load is counted
    When 5 requests are sent to GET "/"
    Then requests sent, counted and logged agree

  Scenario: A longer load is counted
    When load of 50 requests a second to "/" runs for "{seconds} s"
    Then requests sent, counted and logged agree
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        status: Its exit status.
        output: Everything it printed.
        seconds: From the blow to the end.
        left: What it left behind, in words; nothing is as it should be.
    """

    status: int
    output: str
    seconds: float
    left: list[str]


@dataclass
class BrokenRun:
    """One run of pytest over a small feature, in a session and with a temporary folder of its own."""

    home: Path
    load_seconds: int = 20
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    ports: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make its project."""
        # The socket's path has a limit, so the folder of the runs is not put below a test's.
        self.temporary = Path(tempfile.mkdtemp(prefix="sp-"))
        self.reports = self.home / "reports"
        features = self.home / "features"
        features.mkdir(parents=True)
        (features / "short.feature").write_text(_FEATURE.format(seconds=self.load_seconds))
        settings = (ROOT / "pyproject.toml").read_text()
        table = settings[settings.index("[tool.sloproof]") :].replace('"platform"', json.dumps(str(ROOT / "platform")))
        (self.home / "pyproject.toml").write_text(f"[tool.pytest]\nstrict = true\n\n{table}")

    def start(self) -> None:
        """Start it."""
        # Coverage and pytest's own variables are of the run that runs this one.
        env = {name: text for name, text in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
        with (self.home / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pytest", "features", "--report-dir", "reports", "--tools-offline", "-v"),
                    *self.options,
                ],
                cwd=self.home,
                env={**env, "TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pytest(self) -> subprocess.Popen[bytes]:
        """Return pytest's process."""
        assert self.process is not None
        return self.process

    def output(self) -> str:
        """Return what it has printed so far."""
        return (self.home / "output").read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Return every process of the run but pytest itself, by its mark or by its ancestor."""
        found = []
        for process in psutil.process_iter():
            try:
                env = process.environ()
            except psutil.Error:
                continue
            mine = env.get(MARK, "").startswith(str(self.temporary)) or env.get("TMPDIR") == str(self.temporary)
            if mine and process.pid != self.pytest.pid:
                found.append(process)
        return found

    def await_load(self) -> None:
        """Wait until the longer load runs, by the ledger that it writes."""
        self.until(lambda: any(path.stat().st_size for path in self.reports.rglob("load-00002-*")))
        self.note_ports()

    def until(self, condition: Callable[[], object], limit: float = 60.0) -> None:
        """Wait until something is so while it runs."""
        end = time.monotonic() + limit
        while not condition():
            assert self.pytest.poll() is None, self.output()
            assert time.monotonic() < end, self.output()
            time.sleep(0.01)

    def note_ports(self) -> None:
        """Keep in mind what its programs listen on."""
        for process in self.processes():
            try:
                connections = process.net_connections(kind="tcp")
            except psutil.Error:
                continue
            self.ports |= {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN and one.laddr}

    def component(self, name: str) -> psutil.Process:
        """Return one program of the run."""
        plan = next(self.temporary.glob("sloproof-*/plan.json"))
        if name == "supervisor":
            return psutil.Process(int((plan.parent / "supervisor.pid").read_text().split()[0]))
        if name == "load":
            return next(one for one in self.processes() if "sloproof.load.child" in one.cmdline())
        argv = next(one["argv"] for one in json.loads(plan.read_text())["components"] if one["name"] == name)
        # A program may start others of the same command line; the first is the one that was started.
        mine = [one for one in self.processes() if one.cmdline()[-len(argv) :] == argv]
        return min(mine, key=lambda one: (one.create_time(), one.pid))

    def end(self, *, limit: float = 30.0, grace: float = 0.0) -> Ended:
        """Wait for its end and return how it ended.

        Args:
            limit: In seconds, for pytest.
            grace: In seconds, for what ends by itself after pytest.
        """
        begin = time.monotonic()
        try:
            status = self.pytest.wait(limit)
        except subprocess.TimeoutExpired:
            status = -999
        seconds = time.monotonic() - begin
        end = time.monotonic() + grace
        while (left := self._left()) and time.monotonic() < end:
            time.sleep(0.02)
        if status == -999:
            left.append(f"pytest, {limit:g} s later")
        return Ended(status, self.output(), seconds, left)

    def _left(self) -> list[str]:
        left = [f"process {one.pid}: {_command(one)}" for one in self.processes()]
        left += [f"folder {path}" for path in self.temporary.glob("sloproof-*")]
        everyones = psutil.net_connections("tcp")
        listening = {one.laddr.port for one in everyones if one.status == psutil.CONN_LISTEN and one.laddr}
        left += [f"port {port}" for port in sorted(self.ports & listening)]
        folders = [path for path in self.reports.glob("*") if path.is_dir()] if self.reports.exists() else []
        for folder in folders:
            if folder.is_symlink():
                whole = (folder / "report.json").exists()
            else:
                names = {"index.html", "report.md", "report.json", "junit.xml"}
                whole = names <= {path.name for path in folder.iterdir()} and bool(
                    json.loads((folder / "report.json").read_bytes())
                )
            if not whole:
                left.append(f"half a report: {folder}: {sorted(path.name for path in folder.iterdir())}")
        left += [f"half a file: {path}" for path in self.reports.rglob(".*")]
        # SQLite's journal is there while a transaction is, and what a killed one leaves is rolled back with it.
        left += [f"half a transaction: {path}" for path in self.reports.glob("*-journal")]
        return left

    def close(self) -> None:
        """End what may be left of it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for process in self.processes():
                with_suppressed(process.kill)
        shutil.rmtree(self.temporary, ignore_errors=True)


def interrupt(home: Path, delay: float, how: signal.Signals = signal.SIGINT, again: float | None = None) -> Ended:
    """Run, send a signal to the whole process group after a delay, as a terminal does, and return what came of it.

    Args:
        home: An empty folder.
        delay: In seconds, from the start of pytest.
        how: The signal.
        again: In seconds after the first; a second signal.
    """
    run = BrokenRun(home, load_seconds=2)
    try:
        run.start()
        end = time.monotonic() + delay
        while run.pytest.poll() is None and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
            if left > 0.2:
                run.note_ports()
        with_suppressed(lambda: os.killpg(run.pytest.pid, how))
        if again is not None:
            try:
                run.pytest.wait(again)
            except subprocess.TimeoutExpired:
                with_suppressed(lambda: os.killpg(run.pytest.pid, how))
        # After a second Ctrl-C pytest leaves at once; what it has started then ends by itself.
        return run.end(limit=20, grace=0.0 if again is None else 12.0)
    finally:
        run.close()


def with_suppressed(action: Callable[[], object]) -> None:
    """Do something to a process that may be gone."""
    try:
        action()
    except (ProcessLookupError, psutil.Error):
        return


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:120]
    except psutil.Error:
        return "?"


def last_moment(output: str) -> str:
    """Return how far a run came, by its output."""
    if re.search(r"^report: ", output, re.MULTILINE):
        return "after the report"
    done = output.count(" PASSED")
    if done:
        return f"after {done} scenarios"
    return "collected" if "collected" in output else "before collection"
