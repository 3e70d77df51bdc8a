"""Makes the users of someone's locustfile write the ledger: every request that goes over the wire gets an id and a row.

A user class is taken as it is; what is added sits on each user's own client, below redirects and retries, where one
call is one request. A kept connection that breaks under a request would make geventhttpclient send it again unseen:
that is ended, and the request counted as `reset`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from geventhttpclient.connectionpool import ConnectionPool
from geventhttpclient.response import HTTPConnectionClosed
from locust import FastHttpUser, HttpUser, User

from sloproof.load.account import Account
from sloproof.load.connection import Outcome
from sloproof.load.pacing import Pacer
from sloproof.load.wire import Begin


class Recorder:
    """Writes down what users of a locustfile send to the service; what they send elsewhere is not the ledger's.

    Args:
        job: The load.
        account: Takes the rows.
        pacer: Has the turn of each request, in the open model; None where users go at their own pace.
    """

    def __init__(self, job: Begin, account: Account, pacer: Pacer | None = None) -> None:
        assert job.profile.locustfile is not None
        self._job = job
        self._account = account
        self._pacer = pacer
        self._authority = urlsplit(job.base_url).netloc
        self._base_path = urlsplit(job.base_url).path.rstrip("/")
        self._endpoints = [(re.compile(path), endpoint) for path, endpoint in job.profile.locustfile.endpoints]
        self._sent = 0

    def class_of(self, user_class: type[User]) -> type[User]:
        """Return a user class under the same name, whose users' requests are written down."""

        def begin(user: User, environment: object) -> None:
            user_class.__init__(user, environment)
            self._watch(user)

        body: dict[str, Any] = {"__init__": begin, "__module__": user_class.__module__, "abstract": False}
        if self._pacer is not None:
            body["wait_time"] = lambda _: 0  # the schedule says when
        return type(user_class.__name__, (user_class,), body)

    def _watch(self, user: User) -> None:
        if isinstance(user, HttpUser):
            for adapter in user.client.adapters.values():
                setattr(adapter, "send", self._requests_send(adapter.send))  # noqa: B010 - it is a method
        elif isinstance(user, FastHttpUser):
            self._watch_fast(user)
        else:
            return
        if self._pacer is not None:
            setattr(user.client, "request", self._paced(self._pacer, user.client.request))  # noqa: B010 - it is a method

    def _paced(self, pacer: Pacer, request: Callable[..., Any]) -> Callable[..., Any]:
        """Return a client's method with a wait before it: from there on Locust takes the time."""

        def request_in_turn(method: str, url: str, *args: Any, **settings: Any) -> Any:
            if urlsplit(url).netloc.rpartition("@")[2] not in {"", self._authority}:
                return request(method, url, *args, **settings)
            pacer.grant()
            try:
                return request(method, url, *args, **settings)
            finally:
                pacer.withdraw()

        return request_in_turn

    def _watch_fast(self, user: FastHttpUser) -> None:
        session, agent = user.client, user.client.client
        urlopen: Any = agent._urlopen  # noqa: SLF001 - one call of it is one request; nothing else is
        request = session.request
        is_streamed = False

        def call(*args: Any, **settings: Any) -> Any:
            nonlocal is_streamed
            is_streamed = bool(settings.get("stream"))
            return request(*args, **settings)

        def open_once(one: Any) -> Any:
            with self._request(one.method, str(one.url), one.headers) as done:
                with _sent_once(agent.clientpool.get_client(one.url_split)._connection_pool):  # noqa: SLF001 - see there
                    answer = urlopen(one)
                    length = 0 if is_streamed else len(answer.content or b"")
                done(answer.status_code, length)
            return answer

        setattr(session, "request", call)  # noqa: B010 - it is a method
        setattr(agent, "_urlopen", open_once)  # noqa: B010 - it is a method

    def _requests_send(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def send_once(request: Any, **settings: Any) -> Any:
            with self._request(request.method, request.url, request.headers) as done:
                answer = send(request, **settings)
                # Reading it here is what the session does next anyway; what the user streams is over with its head.
                said = int(answer.headers.get("content-length") or 0)
                done(answer.status_code, said if settings.get("stream") else len(answer.content))
            return answer

        return send_once

    @contextmanager
    def _request(self, method: str, url: str, headers: Any) -> Iterator[Callable[[int, int], None]]:
        """Give the request in the block an id, and write down what became of it."""
        parts = urlsplit(url)
        if parts.netloc.rpartition("@")[2] != self._authority:
            yield lambda _status, _length: None
            return
        turn = None if self._pacer is None else self._pacer.use()
        self._sent += 1
        number = self._sent if turn is None else turn.number
        request_id = f"{self._job.id_prefix}-{number}"
        headers[self._job.header] = request_id
        path = parts.path.removeprefix(self._base_path) or "/"
        outcome = Outcome(0, "timeout", 0)  # cut short from outside, it is as unknown as that

        def done(status: int, length: int) -> None:
            nonlocal outcome
            outcome = Outcome(status, "", length)

        account = self._account
        account.in_flight += 1
        start = time.monotonic_ns()
        try:
            yield done
        except Exception as error:
            outcome = Outcome(0, _failure(error), 0, error)
            raise
        finally:
            end = time.monotonic_ns()
            account.in_flight -= 1
            began = account.unix_ns + start
            whole = f"{path}?{parts.query}" if parts.query else path
            due = (
                began if turn is None or turn.offset_ns is None else account.unix_ns + account.begin_ns + turn.offset_ns
            )
            row = (
                due, began, end - start, method.upper(), whole, self._endpoint(path), outcome.status, outcome.failure,
                request_id, outcome.bytes,
            )  # fmt: skip
            account.take(row, outcome)

    def _endpoint(self, path: str) -> str:
        for pattern, endpoint in self._endpoints:
            if pattern.fullmatch(path):
                return endpoint
        return path


@contextmanager
def _sent_once(pool: ConnectionPool) -> Iterator[None]:
    """Give the request in the block one connection, and no second one to be sent again on."""
    take = pool.get_socket
    taken = 0

    def take_once() -> Any:
        nonlocal taken
        taken += 1
        if taken > 1:
            raise ConnectionResetError("closed before the answer's end")
        return take()

    setattr(pool, "get_socket", take_once)  # noqa: B010 - it is a method
    try:
        yield
    finally:
        setattr(pool, "get_socket", take)  # noqa: B010 - it is a method


def _failure(error: BaseException) -> str:
    """Return what a client's exception means; see `Entry.failure`."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        reason = getattr(current, "reason", None)
        current = current.__cause__ or current.__context__ or (reason if isinstance(reason, BaseException) else None)
    names = {kind.__name__ for one in chain for kind in type(one).__mro__}
    if any(isinstance(one, ConnectionRefusedError) for one in chain):
        return "refused"
    if names & {"ConnectTimeout", "NewConnectionError", "SSLError", "gaierror"}:
        return "connect"
    if any(isinstance(one, HTTPConnectionClosed) for one in chain) or names & {"RemoteDisconnected"}:
        return "reset"
    if names & {"TimeoutError", "Timeout"}:  # the second is that of requests
        return "timeout"
    if any(isinstance(one, HTTPException) for one in chain) or "InvalidHeader" in names:
        return "protocol"
    return "reset"
