"""One request and its response, from arrival to the end of the body, and the account that is given of it."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from service.log_format import NO_REQUEST, Event, RequestFacts
from service.logs import REQUEST_ID, format_traceback
from service.metrics import CLIENT_ERROR, SERVER_ERROR, UNHANDLED
from service.problem import problem_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from service.logs import ServiceLog
    from service.metrics import Metrics

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
    StartResponse = Callable[..., Callable[[bytes], object]]
    WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

# Where the application finds the exchange it works on.
ENVIRON_KEY = "service.exchange"
# Where the server may tell when the request began, by the monotonic performance counter.
BEGAN_KEY = "service.began"
# What the paths of all probes begin with.
PROBES = "/health/"
FIRST_CLIENT_ERROR, FIRST_SERVER_ERROR = 400, 500
_FAILED = "500 INTERNAL SERVER ERROR"
_MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request is answered with an error.

    Attributes:
        error_type: What it is counted under.
        message: What its line in the log says.
        cause: The exception behind it, where its traceback helps.
    """

    error_type: str
    message: str
    cause: BaseException | None = None


class Exchange:
    """A request under way. It is the body of its own response, so that nothing can end without being accounted for.

    The account is given once, in `close`: lines, counts, latency, and last of all the in-flight gauge.

    Attributes:
        request_id: Its id, the client's own or a fresh one.
        endpoint: What it is counted under.
        failure: Set by the application where it answers with an error.
        release: Set by whoever keeps a place for this request; called at its end.
    """

    __slots__ = (
        "_began", "_body", "_closed", "_log", "_metrics", "_next", "_respond", "_sent", "endpoint", "failure",
        "method", "release", "request_id", "status",
    )  # fmt: skip

    def __init__(self, metrics: Metrics, log: ServiceLog, *, endpoint: str, method: str, request_id: str) -> None:
        self._began = perf_counter()
        self._metrics = metrics
        self._log = log
        self.endpoint = endpoint
        self.method = method
        self.request_id = request_id
        self.status = 0
        self.failure: Failure | None = None
        self.release: Callable[[], None] | None = None
        self._respond: StartResponse = _respond_to_nobody
        self._body: Any = None
        self._next: Callable[[], bytes] = iter(()).__next__
        self._sent = False
        self._closed = False

    def run(self, app: WsgiApp, environ: dict[str, Any], respond: StartResponse) -> Iterator[bytes]:
        """Let the application answer. Whatever it does, the result must be closed by the server, as WSGI wants."""
        self._respond = respond
        environ[ENVIRON_KEY] = self
        self._began = environ.get(BEGAN_KEY, self._began)
        REQUEST_ID.set(self.request_id)
        self._begin()
        try:
            body = app(environ, self.start)
            self._body, self._next = body, iter(body).__next__
        except Exception as error:  # noqa: BLE001 - nothing may get past the account
            self._next = iter((self._fail(error),)).__next__
        except BaseException:
            self.close()
            raise
        return self

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """Begin the response; this is the `start_response` that the application gets."""
        self.status = int(status[:3])
        headers = [*headers, ("X-Request-ID", self.request_id)]
        return self._respond(status, headers, exc_info) if exc_info else self._respond(status, headers)

    def __iter__(self) -> Iterator[bytes]:
        """Return the body, which this is itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next part of the body; an exception before the first becomes an answer with 500."""
        try:
            chunk = self._next()
        except StopIteration:
            raise
        except Exception as error:
            if self._sent:
                # The client has a status already; the server cuts the response off, and the truth is told here.
                self.status = 500
                self.failure = _unhandled(error)
                raise
            self._next = iter(()).__next__
            return self._fail(error)
        self._sent = self._sent or bool(chunk)
        return chunk

    def close(self) -> None:
        """Give the account of this request, once."""
        if self._closed:
            return
        self._closed = True
        seconds = perf_counter() - self._began
        try:
            self._close_body()
            if self.release is not None:
                self.release()
        finally:
            try:
                self._account(self.status or FIRST_SERVER_ERROR, seconds)
            finally:
                self._end()
                REQUEST_ID.set(NO_REQUEST)

    def account_for_refusal(self, status: int, failure: Failure, seconds: float) -> None:
        """Give the account of a request that never reached the application; it took that long."""
        self._closed = True
        self.failure = failure
        self._account(status, seconds)

    def _close_body(self) -> None:
        close = getattr(self._body, "close", None)
        if close is None:
            return
        try:
            close()
        except Exception as error:  # noqa: BLE001 - as in run
            self.status = 500
            self.failure = _unhandled(error)

    def _fail(self, error: Exception) -> bytes:
        """Answer with 500, as nothing of another answer is on its way yet; return the body."""
        self.failure = _unhandled(error)
        body = problem_body(UNHANDLED, "the service failed to handle this request", self.request_id)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        exc_info = (type(error), error, cast("TracebackType", error.__traceback__))
        self.start(_FAILED, headers, exc_info)
        return body

    def _explain(self, status: int) -> Failure:
        """Return why the status is an error, also where the application did not say."""
        if self.failure is not None:
            return self.failure
        kind = CLIENT_ERROR if status < FIRST_SERVER_ERROR else SERVER_ERROR
        return Failure(kind, f"answered {status}")

    def _tell(self, status: int, failure: Failure) -> None:
        """Write the line of an error."""
        is_client = status < FIRST_SERVER_ERROR
        self._log.event(
            Event(
                level="WARNING" if is_client else "ERROR",
                message=failure.message[:_MAX_MESSAGE],
                request_id=self.request_id,
                error_type=failure.error_type,
                endpoint=self.endpoint,
                traceback=format_traceback(failure.cause) if failure.cause is not None else "",
            )
        )

    def _begin(self) -> None:
        self._metrics.request_began()

    def _account(self, status: int, seconds: float) -> None:
        failure = self._explain(status) if status >= FIRST_CLIENT_ERROR else None
        if failure is not None:
            self._tell(status, failure)
        self._log.request(RequestFacts(self.method, self.endpoint, status, seconds, self.request_id))
        if failure is not None:
            self._metrics.count_error(failure.error_type, self.endpoint)
        self._metrics.count_request(self.endpoint, self.method, status, seconds)

    def _end(self) -> None:
        self._metrics.request_ended()


class ProbeExchange(Exchange):
    """A probe, a scrape or a turn of the fault switch: answered like a request, and not counted as traffic."""

    __slots__ = ()

    def _begin(self) -> None:
        pass

    def _account(self, status: int, seconds: float) -> None:
        name = self.endpoint.rpartition("/")[2]
        if self.endpoint.startswith(PROBES):
            self._metrics.count_probe(name, status)
        if self._log.tells_probes:
            self._log.event(Event("DEBUG", f"Probe {name}: {status} after {seconds:.6f}s", self.request_id))
        if FIRST_CLIENT_ERROR <= status < FIRST_SERVER_ERROR:
            self._refuse(status)
        # A probe that says no does its work; anything that failed without saying why does not.
        elif status >= FIRST_SERVER_ERROR and self.failure is not None:
            self._tell(status, self.failure)

    def _refuse(self, status: int) -> None:
        """Tell of a client that asked for what observers do not get: whoever guesses at the token must be seen."""
        why = self._explain(status)
        who = f"Observer request refused: {self.method} {self.endpoint} {status}"
        self._tell(status, Failure(why.error_type, f"{who} ({why.message})"))
        self._metrics.count_refusal(self.endpoint)

    def _end(self) -> None:
        pass


def _unhandled(error: BaseException) -> Failure:
    return Failure(UNHANDLED, f"Unhandled exception: {type(error).__name__}", error)


def _respond_to_nobody(*_: object) -> Callable[[bytes], object]:
    raise RuntimeError("a response was begun before its request was taken on")
