"""A threaded worker that no client can keep from answering its probes, and whose refusals are accounted for too."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
import struct
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.http.body import LengthReader  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from service.observers import FAILURE_KEY
from service.repeated_scrapes import RepeatedScrapes
from service.telemetry import BEGAN_KEY, CLIENT_ERROR, SERVER_ERROR, problem_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.application import Service
    from service.telemetry import StartResponse, WsgiApp

# Enough for every head that people send; a longer one is left to the server's own limits.
_HEAD_BYTES = 16 * 1024
_GLANCE_SECONDS = 0.02
# Threads of a worker that answer probes and nothing else.
_PROBE_THREADS = 4
# What is read at once, and at most, of a body that nobody wanted.
_UNWANTED_CHUNK, _UNWANTED_CHUNKS = 64 * 1024, 16
_LINGER_SECONDS = 2.0
# A kept connection that was idle through a whole drain gets this long before it is closed.
_LAST_CALL_SECONDS = 0.1
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
_FIRST_SERVER_ERROR = 500
# By class, first match: what the server answers to what it cannot read. Everything else that it cannot read is a 400.
_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (errors.LimitRequestLine, 414),
    (errors.LimitRequestHeaders, 431),
    (errors.ExpectationFailed, 417),
    (errors.ForbiddenProxyRequest, 403),
    (errors.UnsupportedTransferCoding, 501),
    (errors.ConfigurationProblem, 500),
    (errors.ParseException, 400),
)
_log = logging.getLogger("service.worker")


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A client's connection, which can be looked at without taking anything off it."""

    # Set by the worker that takes the connection.
    linger: Callable[[Connection], None]
    began = 0.0
    head = b""
    # Why the loop could not answer it.
    failure: Exception | None = None

    def look(self) -> tuple[bool, bool]:
        """Return whether a thread can read a whole head now without waiting for the client, and whether any came."""
        buffered = self.parser.unreader.buf.getvalue() if self.parser is not None else b""
        try:
            peeked = self.sock.recv(_HEAD_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            peeked = None
        except OSError:
            peeked = b""
        self.head = buffered + (peeked or b"")
        # No bytes and no wait: the client is gone, which the server finds out best by reading.
        is_whole = peeked == b"" or b"\r\n\r\n" in self.head or len(self.head) >= _HEAD_BYTES
        return is_whole, bool(self.head)

    def is_at_end(self) -> bool:
        """Return whether the current request was read to its end; what came of its body is read, and not waited for."""
        body = self.parser.mesg.body
        if body.failed:
            return False
        if isinstance(body.reader, LengthReader) and not body.reader.length and not body.buf.tell():
            return True
        self.sock.settimeout(0)
        try:
            return any(not body.read(_UNWANTED_CHUNK) for _ in range(_UNWANTED_CHUNKS))
        except Exception:  # noqa: BLE001 - not there yet, gone, or garbled: no next request can be told from it
            return False
        finally:
            with contextlib.suppress(OSError):
                self.sock.settimeout(None)

    def close(self, graceful: bool = False) -> None:  # noqa: FBT001, FBT002 - as gunicorn calls it
        """Close it; gracefully means that the client gets to read the answer first."""
        if graceful:
            self.linger(self)
        else:
            super().close()


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's threaded worker, with these differences.

    - A request gets a thread once its head is there whole. Clients that connect and say nothing, or say it slowly,
      cost no thread.
    - Probes have threads of their own, which nothing else can take.
    - A scrape that comes again as it came before is answered by the loop itself: changing threads costs more than it.
    - A body that nobody wanted is not waited for: its connection is closed.
    - A client that stalls in the middle of a body or an answer is given up after a while.
    - Waiting for a client to take its last answer does not hold up the loop that serves all others.
    - Requests that the server cannot read are answered, counted and logged like those that the service refuses.
    - Told to stop for good, it accepts whoever is in the queue already, then closes the door.
    - A worker whose master was killed ends, and takes what it leaves with it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.service: Service = self.app.service
        timeout = self.app.settings.client_seconds
        self._client_seconds = timeout
        self._client_timeout = struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6))
        self._slow: dict[Connection, float] = {}
        self._lingering: dict[Connection, float] = {}
        self._at_work = threading.local()
        self._probe_pool: ThreadPoolExecutor | None = None
        self._scrapes = RepeatedScrapes(self.service)
        self._answered: Future[bool] = Future()
        self._answered.set_result(True)

    def accept(self, listener: Any) -> bool:
        """Take one connection; return whether there was one."""
        try:
            sock, client = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in _OUT_OF_FILES:
                raise
            # Connections that end free some; until then the queue of the socket holds the newcomers.
            time.sleep(_GLANCE_SECONDS)
            return False
        # The kernel's own timeouts: they bound each wait for the client, and cost nothing a request.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, self._client_timeout)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, self._client_timeout)
        connection = Connection(self.cfg, sock, client, listener.getsockname())
        connection.linger = self._linger
        self.nr_conns += 1
        self.enqueue_req(connection)
        return True

    def enqueue_req(self, conn: Connection) -> None:
        """Give a connection's next request to a thread once its head is there, and wait for it until then."""
        is_whole, any_came = conn.look()
        if is_whole:
            conn.began = time.perf_counter()
            # Spares the thread the look of its own.
            conn.data_ready = True
            self._dispatch(conn)
        elif any_came:
            # The poller would report it over and over, as what came stays unread.
            self._slow[conn] = time.monotonic() + self._client_seconds
        else:
            conn.sock.settimeout(0)
            conn.timeout = time.monotonic() + self._client_seconds
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _dispatch(self, conn: Connection) -> None:
        if self._answer_at_once(conn):
            return
        if not self.service.instrumentation.asks_for_probe(conn.head):
            super().enqueue_req(conn)
            return
        if self._probe_pool is None:
            # Not before the fork, which takes no threads along.
            self._probe_pool = ThreadPoolExecutor(_PROBE_THREADS, "probe")
        self._submit(self._probe_pool, self.handle, conn)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[Connection], Any], conn: Connection) -> None:
        future = pool.submit(work, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _answer_at_once(self, conn: Connection) -> bool:
        """Answer a scrape that is known, on a connection that can be kept after it; return whether it was one."""
        is_kept = (
            conn.initialized
            and not conn.parser.unreader.buf.getvalue()
            and self.alive
            and self.nr + 1 < self.max_requests
            and len(self.keepalived_conns) < self.max_keepalived
        )
        try:
            answer = self._scrapes.answer_to(conn.head) if is_kept else None
        except Exception as error:  # noqa: BLE001 - the usual way tells of it, and answers
            conn.failure = error
            return False
        if answer is None:
            return False
        self.nr += 1
        try:
            conn.sock.recv(len(conn.head))
            sent = conn.sock.send(answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.nr_conns -= 1
            conn.close()
            return True
        if sent < len(answer):
            self._submit(self.tpool, partial(_send_rest, answer[sent:]), conn)
        else:
            self.finish_request(conn, self._answered)
        return True

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, and look after connections that no event is to be expected of."""
        super().wait_for_and_dispatch_events(_GLANCE_SECONDS if self._slow or not self.alive else timeout)
        now = time.monotonic()
        for conn, deadline in list(self._slow.items()):
            is_whole, _ = conn.look()
            if not is_whole and now < deadline:
                continue
            del self._slow[conn]
            if is_whole:
                self.enqueue_req(conn)
            else:
                self.nr_conns -= 1
                conn.close()
        for conn, deadline in list(self._lingering.items()):
            if now >= deadline:
                self._let_go(conn)

    def handle(self, conn: Connection) -> Any:
        """Handle one request, in a thread."""
        self._at_work.connection = conn
        self._at_work.has_reached_app = False
        return super().handle(conn)

    def load_wsgi(self) -> None:
        """Take the application, and note of each request that it got there and when it began."""
        super().load_wsgi()
        app: WsgiApp = self.app.wsgi()
        at_work = self._at_work

        def note(environ: dict[str, Any], respond: StartResponse) -> Any:
            at_work.has_reached_app = True
            conn: Connection = at_work.connection
            environ[BEGAN_KEY] = conn.began
            environ[FAILURE_KEY], conn.failure = conn.failure, None
            self._scrapes.note(conn.head, environ)

            def begin(*head: Any) -> Any:
                if not conn.is_at_end():
                    # Said in the answer, so that the client does not send its next request into a closing connection.
                    conn.parser.mesg.force_close()
                return respond(*head)

            return app(environ, begin)

        self.wsgi = note

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:  # noqa: FBT001 - as gunicorn calls it
        """Return whether another request can follow; a body that is not there whole would hold the thread."""
        return keepalive and conn.is_at_end()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that could not be read, and account for it."""
        conn: Connection = self._at_work.connection
        if self._at_work.has_reached_app:
            # The application had it, and has given its own account.
            super().handle_error(req, client, addr, exc)
            return
        status = next((status for kind, status in _STATUSES if isinstance(exc, kind)), _FIRST_SERVER_ERROR)
        if status == _FIRST_SERVER_ERROR:
            _log.error("The server failed to read a request", exc_info=exc)
        phrase = HTTPStatus(status).phrase
        is_client = status < _FIRST_SERVER_ERROR
        # The exception's own text repeats what the client wrote, which has no place in the log.
        message = f"{'Client' if is_client else 'Server'} error occurred: {phrase} ({type(exc).__name__})"
        # Answered first and accounted for then, as any request is: its time includes the answer.
        request_id = self.service.instrumentation.request_id_of(conn.head)
        body = problem_body(CLIENT_ERROR if is_client else SERVER_ERROR, phrase.lower(), request_id)
        head = (
            f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            client.sendall(head.encode() + body)
        self.service.instrumentation.refuse(conn.head, status, message, request_id, conn.began)

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - as gunicorn calls it
        """Begin or cease to accept connections; for good if the service stops."""
        super().set_accept_enabled(enabled)
        if enabled or not self.service.lifecycle.stopping:
            return
        for listener in self.sockets:
            if listener.sock is None:
                continue
            while self.accept(listener):
                pass
            listener.close()

    def is_parent_alive(self) -> bool:
        """Return whether to go on: not without a master, and not if a word to stop was missed while starting."""
        if self.ppid != os.getppid():
            _log.error("The master is gone, so this worker ends")
            # For the siblings too, which are as alone, and for requests that hang.
            self.service.lifecycle.stop()
        if self.service.lifecycle.stopping:
            self.alive = False
        return bool(self.alive)

    def run(self) -> None:
        """Serve until told to stop; then finish what is in flight, as far as the time of grace goes."""
        super().run()
        is_orphan = self.ppid != os.getppid()
        if is_orphan:
            self.app.state_dir.remove()
        if self.nr_conns > 0:
            _log.error("Ended with %d connections unfinished: the time of grace is over", self.nr_conns)
        # The interpreter would wait for the threads of those, for as long as their clients please; and take itself
        # apart piece by piece, which nobody needs who is about to be gone.
        logging.shutdown()
        os._exit(0)

    def _cap_keepalive(self, deadline: float) -> None:
        """Close connections soon that say nothing: during the drain every answer asked its client to close."""
        last_call = min(deadline, time.monotonic() + _LAST_CALL_SECONDS)
        super()._cap_keepalive(last_call)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, last_call)
        self._slow = {conn: min(until, last_call) for conn, until in self._slow.items()}

    def _linger(self, conn: Connection) -> None:
        """Close our half, and wait in the loop for the client to close its own, so that it can read the answer."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.settimeout(0)
            self._lingering[conn] = time.monotonic() + _LINGER_SECONDS
            self._discard(conn)
            if conn in self._lingering:
                self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._discard, conn))
        except (OSError, ValueError):
            self._lingering.pop(conn, None)
            TConn.close(conn)

    def _discard(self, conn: Connection, _readable: Any = None) -> None:
        """Read what a client still sends, and close for good once it has closed."""
        try:
            while conn.sock.recv(65536):
                pass
        except BlockingIOError:
            return
        except OSError:
            pass
        self._let_go(conn)

    def _let_go(self, conn: Connection) -> None:
        if self._lingering.pop(conn, None) is not None:
            with contextlib.suppress(KeyError, ValueError, OSError):
                self.poller.unregister(conn.sock)
            TConn.close(conn)


def _send_rest(rest: bytes, conn: Connection) -> bool:
    """Wait for a client to take the rest of its answer, in a thread; return that the connection can be kept."""
    conn.sock.settimeout(None)
    conn.sock.sendall(rest)
    return True
