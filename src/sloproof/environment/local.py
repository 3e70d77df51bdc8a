"""The local environment: real programs as processes on free loopback ports, started at once, ended together."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import psutil

from sloproof.environment import supervisor
from sloproof.environment.base import ComponentStatus
from sloproof.environment.components import NAMES, ComponentSpec, ExtraRules, Layout, free_ports, pod_log, specs
from sloproof.environment.control import Control
from sloproof.environment.leftovers import MARK, OWNER_FILE, dying_with_parent, end_marked, run_dir_name, sweep
from sloproof.errors import (
    ComponentExitedError,
    EnvironmentStartError,
    SloproofError,
    UnavailableError,
)
from sloproof.settings import Settings

STATE_FILE = "environment.json"
_TRIES = 3
_POLL_SECONDS = 0.01
_OK = 200
_IN_USE = "address already in use"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What another process needs to use a running environment."""

    run_id: str
    run_dir: str
    root: str
    addresses: dict[str, str]
    faults_token: str
    ready_paths: dict[str, str]
    timings: dict[str, float]
    pod_log: str


class LocalEnvironment:
    """The service and its monitoring as processes of this machine; implements `Environment`.

    Everything ends with the process that has started it, however that ends, until `detach`.

    Args:
        settings: The project's settings.
        root: The project's root, in which the service is started.
        tools: Programs by name.
        run_id: Names the run.
        environ: Environment variables that the programs inherit.
        faults_token: Bearer token of the service's fault switch, for this run only.
        base_dir: Where the run's temporary folder goes.
        rules: Rules besides those of the platform folder.
    """

    name = "local"
    capabilities = frozenset({"faults", "processes", "stopping"})

    def __init__(
        self,
        settings: Settings,
        root: Path,
        tools: Mapping[str, Path],
        *,
        run_id: str,
        environ: Mapping[str, str],
        faults_token: str = "",
        base_dir: Path | None = None,
        rules: ExtraRules | None = None,
    ) -> None:
        self.run_id = run_id
        self.faults_token = faults_token
        self.addresses: Mapping[str, str] = {}
        self.timings: dict[str, timedelta] = {}
        self._settings = settings
        self._root = root.resolve()
        self._tools = tools
        self._environ = environ
        self._rules = rules or ExtraRules()
        # The socket's path has a hard limit of about a hundred characters, so the folder is made near the root.
        self._base_dir = base_dir or Path(tempfile.gettempdir())
        self._run_dir: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control: Control | None = None
        self._ready: dict[str, str] = {}
        self._pod_log: Path | None = None
        self._is_guest = False

    @classmethod
    def attach(cls, state_file: Path, settings: Settings, *, as_guest: bool = False) -> LocalEnvironment:
        """Return a running environment that another process has started; `stop` then ends it too.

        A guest's `stop` and `detach` leave it to whoever has started it.

        Raises:
            EnvironmentStartError: There is none, or it is gone.
        """
        try:
            state = msgspec.json.decode(state_file.read_bytes(), type=State)
        except (OSError, msgspec.DecodeError) as error:
            raise EnvironmentStartError(
                "expected a running environment, found none", looked_at=state_file, hint="start one: sloproof up"
            ) from error
        environment = cls(settings, Path(state.root), {}, run_id=state.run_id, environ={})
        environment._is_guest = as_guest
        environment.faults_token = state.faults_token
        environment.addresses = state.addresses
        environment.timings = {name: timedelta(seconds=spent) for name, spent in state.timings.items()}
        environment._run_dir = Path(state.run_dir)
        environment._ready = state.ready_paths
        environment._pod_log = Path(state.pod_log)
        environment._control = Control(environment._run_dir / "control.sock")
        try:
            environment._control.status()
        except UnavailableError as error:
            raise EnvironmentStartError(
                "expected a running environment, but it is gone", looked_at=state_file, hint="start one: sloproof up"
            ) from error
        return environment

    def state(self) -> State:
        """Return what another process needs to attach."""
        assert self._run_dir is not None
        assert self._pod_log is not None
        return State(
            run_id=self.run_id,
            run_dir=str(self._run_dir),
            root=str(self._root),
            addresses=dict(self.addresses),
            faults_token=self.faults_token,
            ready_paths=self._ready,
            timings={name: spent.total_seconds() for name, spent in self.timings.items()},
            pod_log=str(self._pod_log),
        )

    def start(self) -> None:
        """Bring everything up; see `Environment.start`. One that is attached is up already."""
        if self._control is not None:
            return
        sweep(self._base_dir)
        for attempt in range(1, _TRIES + 1):
            try:
                self._start_once()
            except ComponentExitedError as error:
                taken = any(_IN_USE in line.lower() for line in error.last_lines)
                self.stop()
                if not taken or attempt == _TRIES:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def _start_once(self) -> None:
        begin = time.monotonic()
        # Known before it exists, so that an interrupt between the two leaves nothing behind.
        run_dir = self._run_dir = self._base_dir / run_dir_name()
        run_dir.mkdir(mode=0o700)
        layout = Layout(run_dir, self._root, free_ports(), self.faults_token, self._environ, self._rules)
        components = specs(self._settings, layout, self._tools)
        self._pod_log = pod_log(self._settings, layout)
        self._ready = {spec.name: spec.ready for spec in components}
        self.addresses = {name: layout.url(name) for name in NAMES}
        self._launch(run_dir, components)
        self.timings["supervisor"] = timedelta(seconds=time.monotonic() - begin)
        self._await_ready(list(NAMES), begin)

    def _launch(self, run_dir: Path, components: Sequence[ComponentSpec]) -> None:
        plan = {
            "run_dir": str(run_dir),
            "socket": str(run_dir / "control.sock"),
            "remove": True,
            "mark": f"{MARK}={run_dir}",
            "guard": dying_with_parent(),
            "components": [msgspec.to_builtins(spec) for spec in components],
        }
        plan_file = run_dir / "plan.json"
        plan_file.write_text(json.dumps(plan), encoding="utf-8")
        plan_file.chmod(0o600)
        with (run_dir / "supervisor.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(supervisor.__file__), str(plan_file)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=run_dir,
                env={**self._environ, MARK: str(run_dir)},
                start_new_session=True,
            )
        started = psutil.Process(self._process.pid).create_time()
        (run_dir / OWNER_FILE).write_text(f"{self._process.pid} {started}", encoding="ascii")
        self._control = Control(run_dir / "control.sock")
        self._await_supervisor(run_dir)

    def _await_supervisor(self, run_dir: Path) -> None:
        end = time.monotonic() + 10
        while True:
            try:
                self._require_control().status()
            except UnavailableError as error:
                process = self._process
                if time.monotonic() > end or (process is not None and process.poll() is not None):
                    raise EnvironmentStartError(
                        "expected the environment's supervisor to start, but it did not",
                        log=(run_dir / "supervisor.log").read_text(errors="replace")[-2000:],
                    ) from error
                time.sleep(0.003)
            else:
                return

    def _await_ready(self, names: list[str], begin: float) -> None:
        """Wait until each component answers its readiness path; one that has ended ends the wait."""
        waiting = dict.fromkeys(names, "not asked yet")
        limit = self._settings.service.start_seconds
        while waiting:
            self.check_alive()
            for name in list(waiting):
                answer = _ask(self.addresses[name], self._ready[name])
                if answer == _OK:
                    del waiting[name]
                    self.timings[name] = timedelta(seconds=time.monotonic() - begin)
                else:
                    waiting[name] = str(answer)
            if waiting and time.monotonic() - begin > limit:
                name, last = next(iter(waiting.items()))
                raise EnvironmentStartError(
                    f"expected {', '.join(waiting)} to be ready within {limit:g} s",
                    last_answer=f"{name}: {last}",
                    asked=f"{self.addresses[name]}{self._ready[name]}",
                    last_lines="\n".join(self.last_lines(name)),
                    hint="tool.sloproof.service.start_seconds is the limit",
                )
            if waiting:
                time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End everything; see `Environment.stop`."""
        # What there is to end is forgotten only once it has ended, so that an interrupted stop can be taken up again.
        limit = self._settings.service.stop_seconds + 5
        if self._is_guest:
            self.detach()
        if self._control is not None:
            with contextlib.suppress(SloproofError):
                self._control.request("shutdown")
        if self._process is not None:
            self._end_process(self._process, limit)
        elif self._control is not None and self._run_dir is not None:
            _await_gone(self._run_dir, limit)
        if self._control is not None:
            self._control.close()
        if self._run_dir is not None:
            end_marked(self._run_dir)
            shutil.rmtree(self._run_dir, ignore_errors=True)
        self._control = self._process = self._run_dir = None

    def _end_process(self, process: subprocess.Popen[bytes], limit: float) -> None:
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        if self._control is None:
            process.terminate()
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def detach(self) -> None:
        """Let go of it and leave it running; see `Environment.detach`."""
        if self._control is not None:
            with contextlib.suppress(UnavailableError):  # gone by itself: there is nothing to let go of
                if not self._is_guest:
                    self._control.request("release")
            self._control.close()
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            # It is nobody's child any more; without a status Python would complain that it was forgotten.
            self._process.returncode = 0
        self._control = self._process = self._run_dir = None

    def check_alive(self) -> None:
        """Return if every component that should run does; see `Environment.check_alive`."""
        for status in self.status():
            if status.state == "exited":
                raise ComponentExitedError(
                    status.name, status.exit_status, self.last_lines(status.name), environment=self.name
                )

    def status(self) -> Sequence[ComponentStatus]:
        """Return the state of every component."""
        try:
            return self._require_control().status()
        except UnavailableError as error:
            status = None if self._process is None else self._process.poll()
            raise ComponentExitedError("supervisor", status, self._supervisor_lines(), environment=self.name) from error

    def _supervisor_lines(self) -> tuple[str, ...]:
        if self._run_dir is None:
            return ()
        return _last_lines(self._run_dir / "supervisor.log", 20)

    def last_lines(self, component: str, count: int = 20) -> tuple[str, ...]:
        """Return the end of a component's own log."""
        if self._run_dir is None:
            return ()
        return _last_lines(self._run_dir / "logs" / f"{component}.log", count)

    def stop_component(self, component: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End one component on purpose and wait for it."""
        self._require_control().request("stop", component=component, signal=int(how))

    def start_component(self, component: str) -> None:
        """Start a component again on its old address and wait until it is ready."""
        self._require_control().request("start", component=component)
        self._await_ready([component], time.monotonic())

    def pause_component(self, component: str) -> None:
        """Freeze one component."""
        self._require_control().request("pause", component=component)

    def resume_component(self, component: str) -> None:
        """Let a frozen component go on."""
        self._require_control().request("resume", component=component)

    @property
    def instances(self) -> tuple[str, ...]:
        """Return the `instance` label of the one instance of the service."""
        return (self.addresses["service"].removeprefix("http://"),)

    def load_command(self, process: int) -> tuple[str, ...] | None:  # noqa: ARG002 - the protocol's
        """Return None: the load is driven from here."""
        return None

    def keep_evidence(self, folder: Path) -> None:
        """Do nothing: each component's log says it all."""

    def file(self, name: str) -> Path | None:
        """Return `service.log`, the pod log that is shipped; there is no other file."""
        return self._pod_log if name == "service.log" else None

    def _require_control(self) -> Control:
        if self._control is None:
            raise UnavailableError("expected a running environment, but it was not started or is stopped")
        return self._control


def _ask(address: str, path: str) -> int | str:
    """Return the status that a readiness path answers with, or why there is no answer."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def _last_lines(path: Path, count: int) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - 65536, 0))
            return tuple(file.read().decode(errors="replace").splitlines()[-count:])
    except OSError:
        return ()


def _await_gone(run_dir: Path, seconds: float) -> None:
    """Wait until a supervisor that is nobody's child here has removed its run folder."""
    end = time.monotonic() + seconds
    while run_dir.exists() and time.monotonic() < end:
        time.sleep(0.01)
