"""Serves the service: gunicorn, embedded and told what to do by the service's own settings."""

from __future__ import annotations

import contextlib
import logging
import queue
import resource
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from service.application import build
from service.listening import listen, refuse_newcomers
from service.shared_counters import SharedCounters
from service.worker import Worker

if TYPE_CHECKING:
    import socket

    from service.application import Service
    from service.settings import Settings
    from service.state_dir import StateDir

# Threads beyond those that work and those that wait: for probes, scrapes and the fault switch.
_RESERVED_THREADS = 8
_MAX_CONNECTIONS = 2000
_MAX_OPEN_FILES = 8192
_HEARTBEAT_SECONDS = 30
_REAP_SECONDS = 0.005


class ServerLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own log, which goes the way of all records of this process and keeps no handler of its own."""

    def setup(self, cfg: Any) -> None:
        """Leave level, format and stream to the service's log."""
        self.cfg = cfg
        self._access_log_enabled = False
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Write nothing: the service tells of its requests itself."""

    def exception(self, msg: str, *args: object, **kwargs: Any) -> None:
        """Tell of an exception; of a client that stalled in the middle of an answer only that it did."""
        if isinstance(sys.exc_info()[1], BlockingIOError):
            self.warning("Gave up a client that stalled")
        else:
            super().exception(msg, *args, **kwargs)


class Master(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's master, which says goodbye before it goes.

    On SIGTERM or SIGINT readiness turns red in every worker at once while everything is still served; then no
    connection comes up any more, those that did are served, and the workers end.
    """

    def __init__(self, app: Server) -> None:
        super().__init__(app)
        self._stop_at: float | None = None

    def handle_term(self) -> None:
        """Begin to drain. Told again, go on with it."""
        if self._stop_at is None:
            seconds = self.app.settings.drain_seconds
            self.log.info("Draining for %g s, then stopping", seconds)
            self.app.service.lifecycle.drain()
            self._stop_at = time.monotonic() + seconds

    def handle_int(self) -> None:
        """Do as for SIGTERM, which is what a user at a terminal means."""
        self.handle_term()

    def handle_usr2(self) -> None:
        """Refuse: the counters of a second master beside this one would not be the same service's."""
        self.log.warning("USR2 is not supported")

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Wait for signals, but not beyond the end of the drain."""
        left = timeout if self._stop_at is None else self._stop_at - time.monotonic()
        if left <= 0:
            raise StopIteration
        signals: list[int] = super().wait_for_signals(min(timeout, left))
        return signals

    def spawn_workers(self) -> None:
        """Start the workers that are missing, all at once: nothing here needs them to come one by one."""
        while len(self.WORKERS) < self.num_workers:
            self.spawn_worker()

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002 - as gunicorn calls it
        """Close the door and end the workers."""
        if graceful:
            for listener in self.LISTENERS:
                refuse_newcomers(listener)
        self.app.service.lifecycle.stop()
        if graceful:
            graceful = self._end_workers(time.monotonic() + self.cfg.graceful_timeout)
        super().stop(graceful)

    def _end_workers(self, deadline: float) -> bool:
        """Ask the workers to end and wait for them; return whether they may go on if they have not ended.

        Gunicorn does the same, but looks only ten times a second.
        """
        self.kill_workers(signal.SIGTERM)
        while self.WORKERS and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                if self.SIG_QUEUE.get_nowait() in {signal.SIGINT, signal.SIGQUIT}:
                    return False
            self.reap_workers()
            time.sleep(_REAP_SECONDS)
        return True


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The service under gunicorn.

    Args:
        settings: Of the service.
        state_dir: Where workers count together.
        listener: The socket to serve on.
    """

    def __init__(self, settings: Settings, state_dir: StateDir, listener: socket.socket) -> None:
        self.settings = settings
        self.state_dir = state_dir
        self.service: Service = build(settings, SharedCounters(state_dir.path))
        self.service.log.take_over()
        self._listener = listener
        super().__init__()

    def load_config(self) -> None:
        """Set what gunicorn needs to know; it reads no file, no argument and no variable of its own."""
        settings = self.settings
        values: dict[str, object] = {
            "bind": f"fd://{self._listener.detach()}",
            "workers": settings.workers,
            "worker_class": Worker,
            "threads": settings.threads + settings.queue_size + _RESERVED_THREADS,
            "worker_connections": _MAX_CONNECTIONS + settings.threads + settings.queue_size,
            "worker_tmp_dir": str(self.state_dir.path),
            "preload_app": True,
            "keepalive": settings.keepalive_seconds,
            "max_requests": settings.max_requests,
            "max_requests_jitter": settings.max_requests // 10,
            "graceful_timeout": settings.grace_seconds,
            "timeout": _HEARTBEAT_SECONDS,
            "logger_class": ServerLog,
            "control_socket_disable": True,
            # Headers that a proxy may set would let clients on this machine move the application's root.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "post_fork": self._enter_worker,
            "post_worker_init": self._begin,
            "pre_request": self._say_goodbye,
            "child_exit": self._leave_worker,
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Service:
        """Return the application; made before any worker is forked."""
        return self.service

    def run(self) -> None:
        """Serve until told to stop. Ends by SystemExit."""
        Master(self).run()

    def _enter_worker(self, _master: Master, worker: Worker) -> None:
        self.service.metrics.enter_process()
        self.service.database.draw_from_stream(worker.age)

    def _begin(self, _worker: Worker) -> None:
        # A terminal sends it to every process of the group; the master alone decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.service.lifecycle.begin()

    def _say_goodbye(self, _worker: Worker, request: Any) -> None:
        if self.service.lifecycle.draining:
            request.force_close()

    def _leave_worker(self, _master: Master, worker: Worker) -> None:
        self.service.metrics.retire(worker.pid)


def serve(settings: Settings, state_dir: StateDir) -> None:
    """Serve until told to stop. Ends by SystemExit, with 0 after an orderly stop.

    Raises:
        ListenError: The address cannot be listened on.
    """
    _allow_open_files()
    listener = listen(settings.host, settings.port)
    server = Server(settings, state_dir, listener)
    logging.getLogger("gunicorn.error").setLevel(logging.NOTSET)
    server.run()


def _allow_open_files() -> None:
    """Raise the soft limit of open files as far as the connections need: the usual one is no server's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(_MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
