"""A kind of request as the bytes that go over the wire."""

from __future__ import annotations

import re

from sloproof.errors import SettingsError
from sloproof.load.profile import Profile, RequestSpec
from sloproof.load.target import Target

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PATH = re.compile(r"/[^\x00-\x20\x7f]*")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_LENGTH_METHODS = frozenset({"POST", "PUT", "PATCH"})
_OWN = frozenset({"content-length", "transfer-encoding"})


def check_requests(profile: Profile, header: str) -> None:
    """Refuse requests that could not be sent as they are given.

    Args:
        profile: Its mix is checked.
        header: Name of the request id's header, which the driver sets.

    Raises:
        SettingsError: It names the request and what is wrong with it.
    """
    for spec in profile.mix:
        names = {name.lower() for name in spec.headers}
        problems = [
            (not _TOKEN.fullmatch(spec.method), f"method {spec.method!r} is not an HTTP method"),
            (not _PATH.fullmatch(spec.path), f"path {spec.path!r} is not a path: blanks are written %20"),
            (not all(map(_TOKEN.fullmatch, names)), f"a header's name is none: {sorted(names)}"),
            (not all(map(_VALUE.fullmatch, spec.headers.values())), "a header's value has control characters"),
            (header.lower() in names, f"{header} is the driver's: each request gets an id of its own"),
            (bool(_OWN & names), "the length of the body is the driver's to send"),
        ]
        for wrong, message in problems:
            if wrong:
                raise SettingsError(f"a request of the mix cannot be sent: {message}", request=spec)


class RequestTemplate:
    """A kind of request, with a hole for the request id.

    Args:
        spec: The kind of request.
        target: Where it goes.
        header: Name of the request id's header.
    """

    def __init__(self, spec: RequestSpec, target: Target, header: str) -> None:
        self.spec = spec
        self.method = spec.method
        fields = {"Host": target.authority, "User-Agent": "sloproof", "Accept": "*/*"}
        known = {name.lower(): name for name in fields}
        for name, value in spec.headers.items():
            fields[known.get(name.lower(), name)] = value
        body = (spec.body or "").encode()
        if body or spec.method in _LENGTH_METHODS:
            fields["Content-Length"] = str(len(body))
        lines = [f"{spec.method} {target.path}{spec.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self._before = ("\r\n".join(lines) + f"\r\n{header}: ").encode()
        self._after = b"\r\n\r\n" + body

    def with_id(self, request_id: str) -> bytes:
        """Return the request's bytes."""
        return self._before + request_id.encode() + self._after
