"""The one place that speaks to a Kubernetes API: plain requests and watches, through the official client's transport.

The client brings what is hard (kubeconfig files, certificates, tokens, plugins that log in). Its models change with
each of its majors and refuse what they do not know, so answers are read here by structs that name what is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import urllib3
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from sloproof.errors import QueryError, SettingsError, SloproofError, UnavailableError

T = TypeVar("T")
_TIMEOUT = (5.0, 30.0)
# How much later than asked a server may end a watch.
_WATCH_LATE = 10.0
_REDIRECT, _NOT_FOUND, _GONE, _TOO_MANY, _SERVER_ERROR = 300, 404, 410, 429, 500
# What a failed exchange is called, by what lies in it; the first that fits.
_KINDS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("refused", (ConnectionRefusedError,)),
    ("timeout", (TimeoutError, urllib3.exceptions.TimeoutError)),
    ("reset", (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, RemoteDisconnected, IncompleteRead)),
)
_APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
FIELD_MANAGER = "sloproof"


class GoneError(SloproofError):
    """A watch's begin is too far back: list again and watch from there."""


class _Status(msgspec.Struct, frozen=True):
    message: str = ""
    reason: str = ""
    code: int = 0


class WatchEvent(msgspec.Struct, frozen=True):
    """One line of a watch: `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`, and the object as JSON."""

    type: str
    object: msgspec.Raw


class KubeApi:
    """A Kubernetes API, asked by path.

    Args:
        kubeconfig: File that describes it; None for the client's usual places.
        context: The context in that file; the file's current one is never used.

    Raises:
        SettingsError: There is no such file or context.
    """

    def __init__(self, kubeconfig: Path | None, context: str) -> None:
        self.context = context
        self.kubeconfig = kubeconfig
        try:
            made = config.new_client_from_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig) if kubeconfig else None, context=context, persist_config=False
            )
        # The client checks a file's form only where it trips over it.
        except (
            config.ConfigException, OSError, yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError
        ) as error:  # fmt: skip
            raise SettingsError(
                f"expected a kubeconfig with the context {context!r}, but {_one_line(str(error))}",
                where=kubeconfig or "$KUBECONFIG, else ~/.kube/config",
                hint="kubectl config get-contexts lists those that there are",
            ) from error
        self._client: client.ApiClient = made

    @property
    def server(self) -> str:
        """Return the API's base URL."""
        return str(self._client.configuration.host)

    def get(self, path: str, kind: type[T], **query: str) -> T:
        """Return an object or a list, read as `kind`.

        Raises:
            QueryError: The API refuses; `status` is 404 where there is no such object.
            UnavailableError: No answer, or one that is not of that kind.
        """
        return self.decode(self.request("GET", path, query=query), kind, path)

    def find(self, path: str, kind: type[T]) -> T | None:
        """Return an object, None where there is none; errors as `get`."""
        try:
            return self.get(path, kind)
        except QueryError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def create(self, path: str, body: Mapping[str, Any]) -> None:
        """Create an object in a collection; one that is there already is a `QueryError` with status 409."""
        self.request("POST", path, body=body)

    def apply(self, path: str, body: Mapping[str, Any]) -> None:
        """Make an object so, by server-side apply: the second time changes nothing."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        self.request("PATCH", path, query=query, body=body, content_type=_APPLY)

    def patch(self, path: str, body: Mapping[str, Any], content_type: str = MERGE) -> None:
        """Change part of an object."""
        self.request("PATCH", path, body=body, content_type=content_type)

    def delete(self, path: str, **query: str) -> bool:
        """Delete an object, and return whether there was one."""
        try:
            self.request("DELETE", path, query=query)
        except QueryError as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = _TIMEOUT,
    ) -> bytes:
        """Return the answer's bytes; `timeout` is for connecting and for each wait for bytes, in seconds.

        Raises:
            QueryError: The API refuses; the message is its own.
            UnavailableError: No answer, or a server error.
        """
        response = self._send(method, path, query or {}, body, content_type, timeout)
        with self._reading(method, path):
            data: bytes = response.read()
        self._check(method, path, response.status, data)
        return data

    def watch(self, path: str, *, version: str, seconds: int, **query: str) -> Iterator[WatchEvent]:
        """Yield what changes in a collection after a version of it; the server ends it politely after some seconds.

        Whoever waits for something must look again when this ends: a polite end is no error, and tells nothing.

        Raises:
            GoneError: The version is too old: list again.
            UnavailableError: The connection was lost, or nothing at all came for longer than it may take.
        """
        asked = {**query, "watch": "true", "resourceVersion": version, "timeoutSeconds": str(seconds)}
        asked["allowWatchBookmarks"] = "true"
        response = self._send("GET", path, asked, None, "application/json", (_TIMEOUT[0], seconds + _WATCH_LATE))
        # The answer's own connection: closed whole, because the rest of a watch cannot be drained.
        try:
            if response.status >= _REDIRECT:
                with self._reading("GET", path):
                    told = response.read()
                self._check("GET", path, response.status, told)
            rest = b""
            while True:
                with self._reading("GET", path):
                    data: bytes = response.read1()
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in filter(None, lines):
                    yield self._event(line, path)
        finally:
            with contextlib.suppress(Exception):
                response.close()

    def close(self) -> None:
        """Close its connections."""
        self._client.rest_client.pool_manager.clear()

    def _event(self, line: bytes, path: str) -> WatchEvent:
        event = self.decode(line, WatchEvent, path)
        if event.type == "ERROR":
            status = self.decode(event.object, _Status, path)
            if status.code == _GONE:
                raise GoneError("expected a watch to go on, but its begin is too far back", path=path)
            raise UnavailableError(
                f"expected a watch to go on, but {_one_line(status.message)}",
                kind="status",
                status=status.code or None,
                path=path,
            )
        return event

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        content_type: str,
        timeout: tuple[float, float],
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        with self._reading(method, path):
            asked = self._client.param_serialize(
                method, path, query_params=list(query.items()), header_params=headers, auth_settings=["BearerToken"]
            )
            verb, url, header_params, *_ = asked
            # The client's own `call_api` reads every answer whole; a watch must not be.
            answer: urllib3.BaseHTTPResponse = self._client.rest_client.pool_manager.request(
                verb,
                url,
                body=None if body is None else msgspec.json.encode(body),
                headers=header_params,
                timeout=urllib3.Timeout(connect=timeout[0], read=timeout[1]),
                preload_content=False,
                retries=False,
                redirect=False,
            )
            return answer

    @contextlib.contextmanager
    def _reading(self, method: str, path: str) -> Iterator[None]:
        try:
            yield
        except (urllib3.exceptions.HTTPError, OSError, ApiException, config.ConfigException) as error:
            raise UnavailableError(
                f"expected the Kubernetes API to answer, but {_one_line(str(error))}",
                kind=_kind_of(error),
                asked=f"{method} {path}",
                context=self.context,
                server=self.server,
            ) from error

    def _check(self, method: str, path: str, status: int, data: bytes) -> None:
        if status < _REDIRECT:
            return
        try:
            told = msgspec.json.decode(data, type=_Status).message
        except msgspec.DecodeError:
            told = ""
        told = _one_line(told or data[:500].decode(errors="replace")) or "with no reason"
        asked = f"{method} {path}"
        if status == _GONE:
            raise GoneError("expected a watch to begin, but its begin is too far back", path=path)
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            raise UnavailableError(
                f"expected the Kubernetes API to answer, got status {status}",
                kind="status",
                status=status,
                asked=asked,
                said=told,
            )
        raise QueryError(f"the Kubernetes API refused: {told}", status=status, asked=asked, context=self.context)

    @staticmethod
    def decode(data: bytes | msgspec.Raw, kind: type[T], path: str) -> T:
        """Return JSON of an API, from a path, read as `kind`.

        Raises:
            UnavailableError: It is not of that kind.
        """
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.DecodeError as error:
            raise UnavailableError(
                f"expected an answer of the Kubernetes API, but {error}",
                kind="protocol",
                asked=path,
                got=bytes(data)[:300].decode(errors="replace"),
            ) from error


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _kind_of(error: BaseException) -> str:
    """Return what a failed exchange is called; the transport wraps what happened several times."""
    chain: list[BaseException] = [error]
    for one in chain:
        inner = (*one.args, one.__cause__, one.__context__)
        chain += [each for each in inner if isinstance(each, BaseException) and each not in chain]
    return next((name for name, types in _KINDS if any(isinstance(one, types) for one in chain)), "connect")
