"""Recognises answers that look like one that was read before: parsing costs more than everything else of a request.

A server's answers to one kind of request differ in a date, an id and a length. From an answer that the full parser has
found to be right, a pattern is made of exactly its status line, its header names and whatever decides where the body
ends and whether the connection is kept; only values that decide nothing may differ. What does not match the pattern
to the byte goes to the full parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FREE = rb"[^\x00-\x08\x0a-\x1f\x7f]*"
_LENGTH = b"content-length"
# These decide about the body or the connection: what they said when the full parser read them is what they must say.
_FIXED = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"trailer"})
_MANY = 8

Match = Callable[[bytes], "re.Match[bytes] | None"]


class AnswerShapes:
    """The shapes of the answers to one kind of request.

    Attributes:
        latest: Matches the head of an answer of the shape that was seen last; its first group is the body's length.
        status: The status of such an answer.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Match, int]] = {}
        self.latest: Match | None = None
        self.status = 0

    def learn(self, answer: bytes, status: int, body_bytes: int) -> None:
        """Keep the shape of an answer that was read whole, and after which its connection can be used again."""
        made = _pattern(answer, body_bytes)
        if made is None:
            return
        known = self._known.get(made)
        if known is None:
            if len(self._known) >= _MANY:
                self._known.clear()
            known = self._known[made] = (re.compile(made).match, status)
        self.latest, self.status = known

    def find(self, answer: bytes) -> tuple[re.Match[bytes], int] | None:
        """Return how an answer's head matches one of the shapes, and its status; that shape is the latest then."""
        for match, status in self._known.values():
            found = match(answer)
            if found is not None:
                self.latest, self.status = match, status
                return found, status
        return None


def _pattern(answer: bytes, body_bytes: int) -> bytes | None:
    """Return the pattern of an answer's head; None if something other than a length ends its body."""
    head, end, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    if not end or len(body) != body_bytes or not first.startswith(b"HTTP/1.1 ") or b"\n" in first:
        return None
    parts = [re.escape(first)]
    lengths = 0
    for line in lines:
        name, colon, value = line.partition(b":")
        key = name.lower()
        if not colon or not _TOKEN.fullmatch(name) or not re.fullmatch(_FREE, value) or key == b"transfer-encoding":
            return None
        if key == _LENGTH:
            lengths += 1
            parts.append(re.escape(name) + rb": ?([0-9]{1,15})")
        elif key in _FIXED:
            parts.append(re.escape(line))
        else:
            parts.append(re.escape(name) + b":" + _FREE)
    return rb"\r\n".join(parts) + rb"\r\n\r\n" if lengths == 1 else None
