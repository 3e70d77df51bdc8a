"""Requests that a stranger might send to break what watches a service: seeded, so that a find can be repeated."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

_PATHS = (
    "/api/users/../../etc/passwd", "/api/users%2f", "//api/users", "/API/USERS", "/api/users/", "/%00", "/%ff%fe",
    "/api/error?type=%0a%0dforged", "/metrics/", "/health/../api/users", "/api/echo;x=1", "/{}", "/<rule>",
    "/api/users?x=" + "a" * 3000, "/" + "a" * 1500, "/api/error?type=client&type=exception", "/\u00e9",
)  # fmt: skip
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "BREW", "M" * 40, "X-Y")
_VALUES = ("", "x" * 2000, "a\tb", '"}, up{job="forged', "${jndi:x}", "' OR 1=1 --", "\x7f", "id request_id=forged")
_TYPES = ("application/json", "text/plain", "application/json; charset=latin-1", "", "multipart/form-data")
_GUESSES = ("", "Bearer", "Bearer guess", "Basic Z3Vlc3M6Z3Vlc3M=", "bearer " + "x" * 500)
_NAMES = ("X-Request-ID", "User-Agent", "Accept", "Content-Type", "X-Forwarded-For", "Cookie")


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """One request to send as it is."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def hostile_requests(count: int, seed: int) -> Iterator[HostileRequest]:
    """Yield that many hostile requests, the same ones for the same seed.

    They are valid HTTP, so that a server has to deal with them and cannot refuse them before they are counted.
    """
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    letters = string.ascii_letters + string.digits
    for _ in range(count):
        path = draw.choice(_PATHS)
        if draw.random() < 0.5:  # noqa: PLR2004 - half of the paths are never the same twice
            path = f"/{''.join(draw.choices(letters + '%/.-_~', k=draw.randint(1, 60)))}".replace("%", "%25")
        yield _drawn(draw, path.encode("ascii", "ignore").decode())


def hostile_requests_to(paths: Sequence[str], count: int, seed: int) -> Iterator[HostileRequest]:
    """Yield that many hostile requests to these very paths, such as those of probes, scrape and fault switch.

    Any of their methods may be one that the path answers. None carries a token that is right.
    """
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(count):
        request = _drawn(draw, draw.choice(paths) + draw.choice(("", "?", "?x=%0a", "?type=exception")))
        if draw.random() < 0.5:  # noqa: PLR2004 - half of them guess
            request = replace(request, headers={**request.headers, "Authorization": draw.choice(_GUESSES)})
        yield request


def _drawn(draw: random.Random, path: str) -> HostileRequest:
    headers = {draw.choice(_NAMES): draw.choice(_VALUES) for _ in range(draw.randint(0, 3))}
    headers.setdefault("Content-Type", draw.choice(_TYPES))
    body = draw.randbytes(draw.randint(0, 2000)) if draw.random() < 0.4 else b""  # noqa: PLR2004 - some have none
    return HostileRequest(draw.choice(_METHODS), path, headers, body)
