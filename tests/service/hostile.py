"""Hostile requests, drawn from a seed: paths, methods, headers and bodies that should not be."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATHS = (
    "/",
    "/api/users",
    "/api/echo",
    "/api/error?type=exception",
    "/api/error?type=client",
    "//api/users",
    "/api/users/",
    "/api//users",
    "/api/../api/users",
    "/api%2fusers",
    "/API/USERS",
    "/api/users;x=1",
    "/api/users%00",
    "/%ff%fe",
    "/api/error?type=%0a2026-01-01%20[ERROR]%20forged%20-%20request_id=x",
    "/metrics/",
    "/health/liveness/x",
    "*",
    "http://elsewhere/api/users",
    "/faults",
    "/faults?x=1",
    "/health/liveness",
    "/health/readiness?x",
    "//health/liveness",
    "/metrics",
    "/.env",
    "/[ERROR]",
    "/?" + "q=1&" * 300,
    "/%0d%0aSet-Cookie:x",
    "/\u2028",
)
_METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "BREW",
    "get",
    "PROPFIND",
    "G T",
    "[ERROR]",
    "A" * 300,
    "",
    "GET\t",
    "\x00",
)
_HEADERS = (
    "X-Request-ID: {word}",
    "X-Request-ID: a b",
    "X-Request-ID: \x0b",
    "Host: {word}",
    "Host: a..b",
    "Host: " + "h" * 300,
    "Host: [::1",
    "Content-Type: application/json",
    "Content-Type: \xff",
    "Upgrade: websocket\r\nConnection: Upgrade",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: foo",
    "Transfer-Encoding: chunked, identity",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 3",
    "Expect: 100-continue",
    "Expect: magic",
    "Accept: application/openmetrics-text; q=nonsense",
    "Accept: \xff;;q=a",
    "SCRIPT_NAME: /x",
    "Script-Name: /api",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Protocol: ssl\r\nX-Forwarded-Ssl: off",
    "Authorization: Bearer \xe9",
    "Cookie: " + "c=" * 2000,
    "Range: bytes=0-0",
    "If-None-Match: *",
    " folded: x",
    "No-Colon",
    "{word}: {word}",
    "X: " + "y" * 9000,
    "Connection: keep-alive, {word}",
    "Content-Encoding: gzip",
)
_BODIES = (
    b"",
    b"{}",
    b"NaN",
    b"[" * 5000,
    b"\x00\xff",
    b'{"a":1}',
    b"5\r\nhello\r\n0\r\n\r\n",
    b"zz\r\n",
    b"FFFFFFFFFFFFFFFF\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"0\r\n\r\n",
    b'"' + b"a" * 3000 + b'"',
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request, in parts and as the bytes of it."""

    method: str
    path: str
    headers: tuple[str, ...]
    body: bytes

    @property
    def raw(self) -> bytes:
        """The bytes that go over the wire."""
        head = "".join(f"{line}\r\n" for line in (f"{self.method} {self.path} HTTP/1.1", *self.headers))
        return head.encode("latin-1", "replace") + b"\r\n" + self.body

    @property
    def environ(self) -> dict[str, object]:
        """What a lenient server would hand to WSGI."""
        path, _, query = self.path.partition("?")
        environ: dict[str, object] = {
            "REQUEST_METHOD": self.method, "QUERY_STRING": query.encode("utf-8", "replace").decode("latin-1"),
            "PATH_INFO": path.encode("utf-8", "replace").decode("latin-1"),
        }  # fmt: skip
        for line in self.headers:
            for one in line.split("\r\n"):
                name, _, value = one.partition(":")
                key = name.strip().upper().replace("-", "_")
                environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value.strip()
        return environ


def hostile_requests(count: int, seed: int) -> Iterator[Hostile]:
    """Yield so many requests, the same for the same seed."""
    chance = random.Random(seed)

    def word() -> str:
        return (
            "".join(
                chr(chance.choice((chance.randrange(33, 127), chance.randrange(256))))
                for _ in range(chance.choice((1, 8, 40, 200)))
            )
            .replace("\r", "")
            .replace("\n", "")
        )

    for number in range(count):
        path = chance.choice(_PATHS) if chance.random() < 0.7 else "/" + word()
        method = chance.choice(_METHODS[:9]) if chance.random() < 0.8 else chance.choice((*_METHODS, word()))
        headers = [chance.choice(_HEADERS).format(word=word()) for _ in range(chance.choice((0, 0, 1, 1, 2, 4)))]
        if chance.random() < 0.8:
            headers.append(f"Host: host-{number}")
        body = chance.choice(_BODIES)
        if body and chance.random() < 0.6:
            headers.append(f"Content-Length: {len(body)}")
        yield Hostile(method, path, tuple(headers), body)
