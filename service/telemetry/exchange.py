"""One request and its response, from arrival to the end of the body, and the account that is given of it."""

from __future__ import annotations

import itertools
import json
import os
import re
import weakref
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from .counts import CLIENT_ERROR, SERVER_ERROR, UNHANDLED
from .lines import FIRST_CLIENT_ERROR, FIRST_SERVER_ERROR, Failure, RequestFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .counts import RequestMetrics
    from .lines import RequestLog

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
StartResponse = Callable[..., Callable[[bytes], object]]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
NO_REQUEST = "-"
# The request that the current thread works on, for log records of libraries that know nothing of requests.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)
# Where the application finds the exchange it works on, to say why it answers with an error.
ENVIRON_KEY = "telemetry.exchange"
# Where the server may tell when the request began, by the monotonic performance counter.
BEGAN_KEY = "telemetry.began"
# As `RequestFacts(...)`, which costs a call more.
_facts: Callable[[tuple[str, str, int, float, str]], RequestFacts] = partial(tuple.__new__, RequestFacts)
_FAILED = "500 INTERNAL SERVER ERROR"
# At least one letter or digit: a lone dash marks lines that belong to no request.
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}").fullmatch


def is_sane_id(text: str) -> bool:
    """Return whether a request id can stand in a line and in a header without being anything else."""
    return _SANE_ID(text) is not None


class RequestIds:
    """Makes UUIDs at a tenth of what `uuid4` takes: a random beginning for each process, and a number that goes up.

    They are unique, and they are no secret.
    """

    def __init__(self) -> None:
        self._renew()
        # Forked, the parent goes on with these.
        renew = weakref.WeakMethod(self._renew)
        os.register_at_fork(after_in_child=lambda: (alive := renew()) and alive())

    def of(self, given: str | None) -> str:
        """Return the id of a request: the one that its client gave it if it is sane, else a new one."""
        if given is not None and is_sane_id(given):
            return given
        return f"{self._head}{next(self._numbers):012x}"

    def _renew(self) -> None:
        digits = os.urandom(12).hex()
        self._head = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-"
        self._numbers = itertools.count(int.from_bytes(os.urandom(5), "big"))


def problem_body(error_type: str, message: str, request_id: str) -> bytes:
    """Return the JSON body of an error's answer."""
    values = {"error": error_type, "message": message, "request_id": request_id}
    return json.dumps(values, separators=(",", ":")).encode()


class Exchange:
    """A request under way. It is the body of its own response, so that nothing can end without being accounted for.

    The account is given once, in `close`: lines, counts, latency, and last of all the in-flight gauge. A response that
    is thrown away without being closed gives it when it is freed.

    Attributes:
        endpoint: What it is counted under; where it is empty, the rule is asked for when the answer begins.
        method: Its method, bounded.
        request_id: Its id, the client's own or a fresh one.
        status: HTTP status; 0 before there is one.
        failure: Set by the application where it answers with an error.
        release: Set by whoever keeps a place for this request; called at its end.
    """

    __slots__ = (
        "_began", "_body", "_closed", "_environ", "_log", "_metrics", "_respond", "_rule_of", "endpoint", "failure",
        "method", "release", "request_id", "status",
    )  # fmt: skip

    def __init__(
        self, metrics: RequestMetrics, log: RequestLog, endpoint: str, method: str, request_id: str,
        rule_of: Callable[[dict[str, Any]], str] | None = None,
    ) -> None:  # fmt: skip
        self._closed = True
        self._metrics = metrics
        self._log = log
        self._rule_of = rule_of
        self.endpoint = endpoint
        self.method = method
        self.request_id = request_id
        self.status = 0
        self.failure: Failure | None = None
        self.release: Callable[[], None] | None = None
        self._body: Any = ()
        self._environ: Any = None

    def run(self, app: WsgiApp, environ: dict[str, Any], respond: StartResponse) -> Iterable[bytes]:
        """Let the application answer. Whatever it does, the result must be closed by the server, as WSGI wants."""
        self._began = environ.get(BEGAN_KEY) or perf_counter()
        self._environ = environ
        self._respond = respond
        environ[ENVIRON_KEY] = self
        REQUEST_ID.set(self.request_id)
        self._closed = False
        self._begin()
        try:
            self._body = app(environ, self.start)
        except Exception as error:  # noqa: BLE001 - nothing may get past the account
            self._body = (self._fail(error),)
        except BaseException:
            self.close()
            raise
        return self

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """Begin the response; this is the `start_response` that the application gets."""
        self.status = int(status[:3])
        if not self.endpoint and self._rule_of is not None:
            self.endpoint = self._rule_of(self._environ)
        headers = [*headers, ("X-Request-ID", self.request_id)]
        return self._respond(status, headers, exc_info) if exc_info else self._respond(status, headers)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body; an exception before its first part becomes an answer with 500."""
        is_sent = False
        try:
            for part in self._body:
                if part:
                    is_sent = True
                yield part
        except Exception as error:
            if not is_sent:
                yield self._fail(error)
                return
            # The client has a status already; the server cuts the response off, and the truth is told here.
            self._blame(error)
            raise

    def close(self) -> None:
        """Give the account of this request, once."""
        if self._closed:
            return
        self._closed = True
        seconds = perf_counter() - self._began
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                try:
                    close()
                except Exception as error:  # noqa: BLE001 - as in run
                    self._blame(error)
            if self.release is not None:
                self.release()
        finally:
            try:
                self._account(self.status or FIRST_SERVER_ERROR, seconds)
            finally:
                self._end()
                REQUEST_ID.set(NO_REQUEST)
                # They hold on to each other, which only the garbage collector would end.
                self._body = self._environ = None

    def __del__(self) -> None:
        """Give the account that was never asked for; the thread may work on another request by now."""
        if not self._closed:
            current = REQUEST_ID.get()
            self.close()
            REQUEST_ID.set(current)

    def _fail(self, error: Exception) -> bytes:
        """Answer with 500, as nothing of another answer is on its way yet; return the body."""
        self._blame(error)
        body = problem_body(UNHANDLED, "the service failed to handle this request", self.request_id)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        self.start(_FAILED, headers, (type(error), error, cast("TracebackType", error.__traceback__)))
        return body

    def _blame(self, error: Exception) -> None:
        self.status = FIRST_SERVER_ERROR
        self.failure = Failure(UNHANDLED, f"Unhandled exception: {type(error).__name__}", error)

    def _explain(self, status: int) -> Failure:
        """Return why the status is an error, also where the application did not say."""
        if self.failure is not None:
            return self.failure
        return Failure(CLIENT_ERROR if status < FIRST_SERVER_ERROR else SERVER_ERROR, f"answered {status}")

    def _begin(self) -> None:
        self._metrics.request_began()

    def _account(self, status: int, seconds: float) -> None:
        endpoint = self.endpoint
        if not endpoint and self._rule_of is not None:
            endpoint = self.endpoint = self._rule_of(self._environ)
        facts = _facts((self.method, endpoint, status, seconds, self.request_id))
        metrics = self._metrics
        if status >= FIRST_CLIENT_ERROR:
            failure = self._explain(status)
            self._log.failure(facts, failure)
            self._log.request(facts)
            metrics.count_error(failure.error_type, endpoint)
        else:
            self._log.request(facts)
        if metrics.has_exemplars:
            metrics.count_request(endpoint, self.method, status, seconds, self.request_id)
        else:
            metrics.count_request(endpoint, self.method, status, seconds)

    def _end(self) -> None:
        self._metrics.request_ended()
