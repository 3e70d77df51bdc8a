"""Starts, watches and ends the programs of an environment. A program of its own, on the standard library alone.

`python -I -S supervisor.py PLAN` reads its plan from a JSON file, starts every component at once, answers line-JSON
requests on a socket beside the plan, and ends everything when it is told to, gets a signal, or loses its owner, who
holds the other end of its standard input unless it has released it. It plays the container runtime too: the output of
a component with a pod log is written as containerd writes it, so that the same log pipeline works here as on a node.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

# Containerd cuts lines into parts of this size.
PART = 16 * 1024


class PodLog:
    """The pod's log file: CRI lines from both output streams of one component, in the order they were read."""

    def __init__(self, path: str, raw_path: str) -> None:
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115, PTH123 - kept open for the component's life
        self._raw = open(raw_path, "ab", buffering=0)  # noqa: SIM115, PTH123
        self._lock = threading.Lock()

    def follow(self, stream: Any, name: bytes) -> None:
        """Copy one output stream until its end."""
        rest = b""
        read = stream.fileno()
        while True:
            try:
                chunk = os.read(read, 65536)
            except OSError:
                chunk = b""
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            # A log that cannot be written must not block the program that writes to it.
            with contextlib.suppress(OSError):
                self._raw.write(chunk)
            self._lines(name, lines)
            while len(rest) > PART:
                self._parts(name, [(b"P", rest[:PART])])
                rest = rest[PART:]
        if rest:
            self._parts(name, [(b"F", rest)])
        stream.close()

    def _lines(self, name: bytes, lines: list[bytes]) -> None:
        parts = []
        for line in lines:
            whole = line
            while len(whole) > PART:
                parts.append((b"P", whole[:PART]))
                whole = whole[PART:]
            parts.append((b"F", whole))
        self._parts(name, parts)

    def _parts(self, name: bytes, parts: list[tuple[bytes, bytes]]) -> None:
        if not parts:
            return
        with self._lock, contextlib.suppress(OSError):
            text = b"".join(b"%s %s %s %s\n" % (_stamp(), name, flag, part) for flag, part in parts)
            self._file.write(text)


def _stamp() -> bytes:
    """Return now in RFC 3339 with nanoseconds, as a container runtime writes it."""
    now = time.time_ns()
    seconds, rest = divmod(now, 1_000_000_000)
    moment = dt.datetime.fromtimestamp(seconds, dt.timezone.utc)  # noqa: UP017 - as small as can be
    return b"%s.%09dZ" % (moment.strftime("%Y-%m-%dT%H:%M:%S").encode(), rest)


class Component:
    """One program, and the program that feeds its standard input if it has one."""

    def __init__(self, spec: dict[str, Any], guard: list[str]) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.state = "stopped"
        self.exit_status: int | None = None
        self.restarts = -1
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None
        self._feeder: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []
        self._paused = False

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self._process.pid if self._process is not None and self.state == "running" else None

    def start(self) -> None:
        """Start it; does nothing if it runs."""
        if self.state == "running":
            return
        self._paused = False
        with open(self.spec["log"], "ab") as log:  # noqa: PTH123 - no pathlib, for the start-up's sake
            try:
                self._launch(log)
            except OSError as error:
                log.write(f"cannot be started: {error}\n".encode())
                self._end_feeder()
                self.state, self.exit_status = "exited", 127
                return
        self.state, self.exit_status = "running", None
        self.restarts += 1

    def _launch(self, log: Any) -> None:
        spec = self.spec
        pod_log = spec.get("pod_log")
        feed: Any = subprocess.DEVNULL
        common = {"cwd": spec["cwd"], "env": spec["env"], "start_new_session": True}
        if spec.get("feeder"):
            self._feeder = subprocess.Popen(
                self._guard + spec["feeder"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, **common
            )
            feed = self._feeder.stdout
        out: Any = subprocess.PIPE if pod_log else log
        err: Any = subprocess.PIPE if pod_log else subprocess.STDOUT
        try:
            self._process = subprocess.Popen(self._guard + spec["argv"], stdin=feed, stdout=out, stderr=err, **common)
        finally:
            if self._feeder is not None and self._feeder.stdout is not None:
                self._feeder.stdout.close()
        if pod_log:
            self._follow(PodLog(pod_log, spec["log"]))

    def _follow(self, log: PodLog) -> None:
        assert self._process is not None
        for stream, name in ((self._process.stdout, b"stdout"), (self._process.stderr, b"stderr")):
            thread = threading.Thread(target=log.follow, args=(stream, name), daemon=True)
            thread.start()
            self._threads.append(thread)

    def poll(self) -> None:
        """Note it if it has ended by itself."""
        if self.state != "running" or self._process is None:
            return
        feeder_dead = self._feeder is not None and self._feeder.poll() is not None
        status = self._process.poll()
        if status is None and not feeder_dead:
            return
        self.state = "exited"
        if status is None and self._feeder is not None:
            with open(self.spec["log"], "ab") as log:  # noqa: PTH123
                log.write(b"what feeds it ended with status %d\n" % self._feeder.returncode)
        self.finish()

    def ask_to_end(self, how: int) -> None:
        """Send the signal that asks it to end, and take no exit after it for an accident."""
        if self.state == "running" and self._process is not None:
            self.state = "stopped"
            if self._paused:
                self._signal_group(signal.SIGCONT)
                self._paused = False
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)
            self._end_feeder()

    @property
    def is_gone(self) -> bool:
        """Return whether its process has ended."""
        return self._process is None or self._process.poll() is not None

    def finish(self) -> None:
        """Kill what is left of its process group, and reap it."""
        if self._process is not None:
            self._kill(self._process)
            self.exit_status = self._process.wait()
            # Its number may be another's from here on.
            self._process = None
        self._end_feeder()
        for thread in self._threads:
            thread.join(1.0)
        self._threads.clear()

    def pause(self) -> None:
        """Freeze its whole group."""
        self._signal_group(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let its whole group go on."""
        self._signal_group(signal.SIGCONT)
        self._paused = False

    def _signal_group(self, how: int) -> None:
        for process in (self._process, self._feeder):
            if process is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, how)

    def _end_feeder(self) -> None:
        if self._feeder is not None:
            self._kill(self._feeder)
            self._feeder.wait()
            self._feeder = None

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def status(self) -> dict[str, Any]:
        """Return its state as the owner reads it."""
        return {
            "name": self.name,
            "state": self.state,
            "pid": self.pid,
            "exit_status": self.exit_status,
            "restarts": max(self.restarts, 0),
        }


class Supervisor:
    """All components, the control socket, and the conditions under which everything ends."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._components = {spec["name"]: Component(spec, plan["guard"]) for spec in plan["components"]}
        self._selector = selectors.DefaultSelector()
        self._buffers: dict[socket.socket, bytes] = {}
        self._over = False

    def run(self) -> None:
        """Start everything, serve until the end, end everything."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self._plan["socket"])
        listener.listen()
        self._selector.register(listener, selectors.EVENT_READ, "listen")
        self._selector.register(wake_read, selectors.EVENT_READ, "wake")
        self._selector.register(0, selectors.EVENT_READ, "owner")
        try:
            for component in self._components.values():
                component.start()
            while not self._over:
                self._turn(listener, wake_read)
        finally:
            self._shut_down()

    def _end(self, *_: object) -> None:
        self._over = True

    def _turn(self, listener: socket.socket, wake_read: int) -> None:
        for key, _ in self._selector.select(1.0):
            if key.data == "listen":
                connection, _ = listener.accept()
                self._buffers[connection] = b""
                self._selector.register(connection, selectors.EVENT_READ, "client")
            elif key.data == "wake":
                os.read(wake_read, 4096)
            elif key.data == "owner":
                if not os.read(0, 4096):
                    self._over = True
            else:
                self._serve(key.fileobj)
        for component in self._components.values():
            component.poll()

    def _serve(self, connection: Any) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            self._buffers.pop(connection, None)
            connection.close()
            return
        *lines, self._buffers[connection] = (self._buffers[connection] + data).split(b"\n")
        for line in lines:
            for component in self._components.values():
                component.poll()
            answer = self._answer(line)
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return self._obey(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            return {"error": f"the request cannot be obeyed: {type(error).__name__}: {error}"}

    def _obey(self, request: dict[str, Any]) -> dict[str, Any]:
        action = request["action"]
        if action == "status":
            return {"components": [component.status() for component in self._components.values()]}
        if action == "release":
            with contextlib.suppress(KeyError):
                self._selector.unregister(0)
            return {}
        if action == "shutdown":
            self._over = True
            return {}
        component = self._components.get(request.get("component", ""))
        if component is None:
            return {
                "error": f"there is no component {request.get('component')!r}; there are: "
                + ", ".join(self._components)
            }
        if action == "stop":
            component.ask_to_end(signal.Signals(request["signal"]))
            self._await([component], component.spec["stop_seconds"])
            component.finish()
        elif action == "start":
            component.start()
        elif action == "pause":
            component.pause()
        elif action == "resume":
            component.resume()
        else:
            return {"error": f"there is no action {action!r}"}
        return {}

    @staticmethod
    def _await(components: list[Component], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not all(component.is_gone for component in components):
            time.sleep(0.005)

    def _shut_down(self) -> None:
        """End all components at once: each is asked, waited for, and killed when its time is over."""
        components = list(self._components.values())
        for component in components:
            component.ask_to_end(component.spec["stop_signal"])
        for seconds in sorted({component.spec["stop_seconds"] for component in components}):
            due = [one for one in components if one.spec["stop_seconds"] == seconds]
            self._await(due, seconds)
            for component in due:
                component.finish()
        end = time.monotonic() + 1
        while (left := _marked(self._plan["mark"])) and time.monotonic() < end:
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        if self._plan["remove"]:
            shutil.rmtree(self._plan["run_dir"], ignore_errors=True)


def _marked(mark: str) -> list[int]:
    """Return the other processes that carry a `NAME=value` of the plan: those that left their component's group."""
    found = []
    # Where there is no /proc, whoever owns the run looks for them.
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():  # noqa: PTH112, PTH208
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
                if mark.encode() in file.read().split(b"\0"):
                    found.append(int(name))
    return found


def main(path: str) -> None:
    """Run the plan in a file."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        plan = json.load(file)
    Supervisor(plan).run()


if __name__ == "__main__":
    main(sys.argv[1])
