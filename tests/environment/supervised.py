"""A supervisor started as the local environment starts it, with programs of the test's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from sloproof.environment import supervisor
from sloproof.environment.base import ComponentStatus
from sloproof.environment.control import Control
from sloproof.environment.leftovers import MARK, OWNER_FILE, marked, run_dir_name
from sloproof.errors import UnavailableError

LIMIT_SECONDS = 60.0  # a busy machine may need long; what it waits for comes or does not


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not so within {LIMIT_SECONDS:g} s: {what}"
        time.sleep(0.005)


class Supervised:
    """One supervisor with its run folder."""

    def __init__(self, base_dir: Path, *, guarded: bool = True) -> None:
        self.run_dir = base_dir / run_dir_name()
        self.run_dir.mkdir()
        self._specs: list[dict[str, Any]] = []
        setpriv = shutil.which("setpriv")
        self._guard = [setpriv, "--pdeathsig", "KILL", "--"] if guarded and setpriv else []
        self.process: subprocess.Popen[bytes] | None = None
        self.control = Control(self.run_dir / "control.sock", timeout_seconds=LIMIT_SECONDS)

    def add(self, name: str, argv: list[str], **more: Any) -> None:
        """Plan a program."""
        self._specs.append(
            {
                "name": name,
                "argv": argv,
                "env": {"PATH": "/usr/bin:/bin", MARK: str(self.run_dir)},
                "cwd": str(self.run_dir),
                "log": str(self.run_dir / f"{name}.log"),
                "stop_signal": 15,
                "stop_seconds": 2.0,
                "feeder": None,
                "pod_log": None,
                **more,
            }
        )

    def add_shell(self, name: str, script: str, **more: Any) -> None:
        """Plan a shell script."""
        self.add(name, ["/bin/sh", "-c", script], **more)

    def write_plan(self) -> Path:
        """Write the plan and return its place."""
        plan = {
            "run_dir": str(self.run_dir),
            "socket": str(self.run_dir / "control.sock"),
            "remove": True,
            "mark": f"{MARK}={self.run_dir}",
            "guard": self._guard,
            "components": self._specs,
        }
        path = self.run_dir / "plan.json"
        path.write_text(json.dumps(plan), encoding="utf-8")
        return path

    def command(self) -> list[str]:
        """Return how the supervisor is started."""
        return [sys.executable, "-I", "-S", str(supervisor.__file__), str(self.write_plan())]

    def launch(self) -> None:
        """Start the supervisor without waiting for it."""
        with (self.run_dir / "supervisor.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started = psutil.Process(self.process.pid).create_time()
        (self.run_dir / OWNER_FILE).write_text(f"{self.process.pid} {started}", encoding="ascii")

    def up(self) -> None:
        """Start the supervisor and wait until it answers."""
        self.launch()
        until(self.answers, "the supervisor answers")

    def answers(self) -> bool:
        """Return whether the supervisor answers."""
        try:
            self.control.status()
        except UnavailableError:
            return False
        return True

    def status(self, name: str) -> ComponentStatus:
        """Return how a program is doing."""
        return next(one for one in self.control.status() if one.name == name)

    def log(self, name: str) -> str:
        """Return what a program has written."""
        return (self.run_dir / f"{name}.log").read_text(errors="replace")

    def left(self) -> list[psutil.Process]:
        """Return the programs of the run that live."""
        return list(marked(self.run_dir))

    @property
    def leader(self) -> subprocess.Popen[bytes]:
        """Return the supervisor's process."""
        assert self.process is not None
        return self.process

    def end(self) -> None:
        """End everything."""
        self.control.close()
        if self.process is not None:
            if self.process.stdin is not None:
                self.process.stdin.close()
            else:
                self.process.terminate()
            try:
                self.process.wait(LIMIT_SECONDS)
            finally:
                self.process.kill()
                for process in self.left():
                    process.kill()
        shutil.rmtree(self.run_dir, ignore_errors=True)
