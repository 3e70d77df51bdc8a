"""The one place that speaks HTTP: pooled connections, timeouts, credentials, typed errors."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.client import IncompleteRead, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode, urlsplit

import msgspec
import requests
import urllib3

from sloproof.errors import QueryError, SettingsError, UnavailableError

T = TypeVar("T")
Parameters = Mapping[str, str | list[str]]

_OK, _REDIRECT, _CLIENT_ERROR, _TOO_MANY, _SERVER_ERROR = 200, 300, 400, 429, 500
_REFUSES_CREDENTIALS = frozenset({401, 403})
# How much of an answer an error shows.
_SHOWN = 500
# What a failed exchange is called, by what lies in it; the first that fits.
_KINDS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("refused", (ConnectionRefusedError,)),
    ("timeout", (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError)),
    ("reset", (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, RemoteDisconnected, IncompleteRead)),
    ("connect", (requests.ConnectionError,)),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came: `headers` are looked up without regard to case, `url` holds no credentials."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def is_ok(self) -> bool:
        """Return whether the status says success."""
        return _OK <= self.status < _REDIRECT

    @property
    def text(self) -> str:
        """Return the body as text, read as UTF-8."""
        return self.body.decode(errors="replace")


class Http:
    """A server's base URL and how to speak to it. Safe to share between threads; nothing is retried.

    Args:
        base_url: Such as `http://127.0.0.1:9090`; a path is kept as a prefix. User and password in it become basic
            authentication.
        timeout: For connecting, and again for each wait for bytes.
        bearer_token: Sent as `Authorization: Bearer ...`.
        authorization: The whole Authorization header, for other schemes.
        tenant: Sent as `X-Scope-OrgID`, as Loki, Mimir and Cortex take it.
        headers: Sent besides; their values are kept out of error texts, as all credentials are.
        session: The transport; tests put an adapter in it.

    Raises:
        SettingsError: There can be no such address or header.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: timedelta = timedelta(seconds=10),
        bearer_token: str | None = None,
        authorization: str | None = None,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
        session: requests.Session | None = None,
    ) -> None:
        self.base_url, basic = _without_credentials(base_url)
        self._timeout = timeout.total_seconds()
        self._session = session or _session()
        self._headers = dict(headers or {})
        if basic or bearer_token or authorization:
            self._headers["Authorization"] = authorization or (f"Bearer {bearer_token}" if bearer_token else basic)
        values = set(self._headers.values())
        bare = {value.rpartition(" ")[2] for value in values}
        self._secrets = sorted((values | bare) - {""}, key=len, reverse=True)
        if tenant:
            self._headers["X-Scope-OrgID"] = tenant
        for name, value in self._headers.items():
            # Where requests finds this out, its message repeats the value.
            if not (value.isprintable() and value.isascii() and value == value.strip()):
                raise SettingsError(
                    f"expected header {name} to be one line of plain characters, but it is not", server=self.base_url
                )

    def with_bearer_token(self, token: str) -> Http:
        """Return the same server, over the same connections, asked with a token instead of what credentials it had."""
        other = Http(self.base_url, timeout=timedelta(seconds=self._timeout), bearer_token=token, session=self._session)
        own = {name: value for name, value in self._headers.items() if name.lower() != "authorization"}
        other._headers = {**own, **other._headers}
        other._secrets = sorted({*self._secrets, *other._secrets}, key=len, reverse=True)
        return other

    def within(self, timeout: timedelta) -> Http:
        """Return the same server, over the same connections, with less patience or more."""
        other = Http(self.base_url, timeout=timeout, session=self._session)
        other._headers, other._secrets = self._headers, self._secrets
        return other

    def url(self, path: str, parameters: Parameters | None = None) -> str:
        """Return the whole address of a path, as one can copy it; credentials are never in it."""
        query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        return f"{self.base_url}{path}{query}"

    def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        form: Parameters | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta | None = None,
    ) -> Reply:
        """Return the answer, whatever its status. A redirect is an answer, too: it is never followed.

        Raises:
            UnavailableError: No answer; `kind` is refused, timeout, reset, connect or protocol.
        """
        seconds = self._timeout if timeout is None else timeout.total_seconds()
        try:
            question = requests.Request(
                method,
                self.base_url + path,
                params=parameters,
                data=form if form is not None else body,
                headers={**self._session.headers, **self._headers, **(headers or {})},
            ).prepare()
            # Straight to the transport: cookies, redirects and proxies, which take the session as long again, are not
            # for questions that each stand for themselves.
            response = self._session.get_adapter(self.base_url).send(question, timeout=seconds)
            content = response.content
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            kind, reason = _classify(error)
            headline = f"no answer within {seconds:g} s" if kind == "timeout" else f"cannot be reached: {reason}"
            # The original is not chained: it may show a header.
            raise UnavailableError(self.redact(headline), kind=kind, url=self.base_url + path) from None
        finally:
            if (headers or {}).get("Connection") == "close":
                # A server need not announce that it closes as it was asked to; the pool would use the connection again.
                self._session.close()
        return Reply(response.status_code, response.headers, content, self.redact(self.url(path, parameters)))

    def get(
        self,
        path: str,
        kind: type[T],
        parameters: Parameters | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Return a JSON answer as a typed value.

        Raises:
            UnavailableError: No answer, a server error, or an answer that is not what this API gives.
            QueryError: The server refused the question, with its reason.
        """
        return self._decode(self.request("GET", path, parameters=parameters, headers=headers), kind)

    def post(self, path: str, kind: type[T], form: Parameters) -> T:
        """Return a JSON answer to a form as a typed value; for questions too long for a URL. Raises as `get`."""
        return self._decode(self.request("POST", path, form=form), kind)

    def is_ready(self, path: str) -> bool:
        """Return whether a readiness path answers 200 now."""
        try:
            return self.request("GET", path).status == _OK
        except UnavailableError:
            return False

    def checked(self, reply: Reply) -> Reply:
        """Return an answer that says success.

        Raises:
            UnavailableError: A server error, or too many requests.
            QueryError: Any other refusal, with the server's reason; a redirect.
        """
        if reply.is_ok:
            return reply
        answer = self.redact(_message(reply.text))[:_SHOWN]
        if reply.status >= _SERVER_ERROR or reply.status == _TOO_MANY:
            raise UnavailableError(
                f"the server answered {reply.status}", kind="status", status=reply.status, url=reply.url, answer=answer
            )
        if _REDIRECT <= reply.status < _CLIENT_ERROR:
            raise QueryError(
                f"expected an answer, got a redirect ({reply.status})",
                status=reply.status,
                url=reply.url,
                leads_to=self.redact(reply.headers.get("Location", "")),
                hint="redirects are not followed, lest credentials go astray: give the address that it leads to",
            )
        raise QueryError(
            f"the server refused the question with {reply.status}",
            status=reply.status,
            url=reply.url,
            answer=answer,
            hint="are the credentials right?" if reply.status in _REFUSES_CREDENTIALS else "",
        )

    def redact(self, text: str) -> str:
        """Return a text with every credential of this server struck out."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _decode(self, reply: Reply, kind: type[T]) -> T:
        self.checked(reply)
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnavailableError(
                f"expected this API's JSON, but {error}",
                kind="protocol",
                status=reply.status,
                url=reply.url,
                answer=self.redact(reply.text[:_SHOWN]),
                hint="is this the right server?",
            ) from error


def _session() -> requests.Session:
    session = requests.Session()
    # The environment's proxies and .netrc have no say in whom credentials are sent to.
    session.trust_env = False
    # Each question stands for itself: what one answer sets, the next question does not carry.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _without_credentials(base_url: str) -> tuple[str, str]:
    """Return a base URL without user and password, and the basic authentication they stand for."""
    try:
        parts = urlsplit(base_url)
        host = parts.netloc.rpartition("@")[2]
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    if not is_address or parts.query or parts.fragment:
        shown = base_url.rpartition("@")[2]
        raise SettingsError("expected a base URL such as http://127.0.0.1:9090", seen=shown or "nothing")
    basic = ""
    if parts.username or parts.password:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return f"{parts.scheme}://{host}{parts.path}".rstrip("/"), basic


def _message(text: str) -> str:
    """Return the message in an error answer, as the APIs each word it, or the text as it is."""
    try:
        document: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text.strip()
    if isinstance(document, dict):
        return str(document.get("error") or document.get("message") or text)
    return str(document)


def _classify(error: BaseException) -> tuple[str, str]:
    """Return the kind of a failed exchange and its innermost cause, without the layers of wrapping."""
    layers = list(_layers(error))
    innermost = layers[-1]
    reason = f"{type(innermost).__name__}: {innermost}"
    for kind, types in _KINDS:
        if any(isinstance(layer, types) for layer in layers):
            return kind, reason
    return "protocol", reason


def _layers(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then what it wraps, from the outside in."""
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        wrapped = [part for part in current.args if isinstance(part, BaseException)]
        reason = getattr(current, "reason", None)
        if isinstance(reason, BaseException):
            wrapped.append(reason)
        current = wrapped[0] if wrapped else current.__cause__ or current.__context__
