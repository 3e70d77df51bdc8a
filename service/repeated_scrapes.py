"""Scrapes that come again in the very same bytes, as a scraper's do: answered without being parsed."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from gunicorn import SERVER  # type: ignore[import-untyped]

from service.observers import METRICS

if TYPE_CHECKING:
    from service.application import Service

# As many as several scrapers send, but not as many as clients can think of.
_MOST_HEADS = 16
_END = b"\r\n\r\n"
# What would make an answer more than a head and a body, or the last one of its connection.
_SPECIAL = frozenset(
    {"CONTENT_LENGTH", "HTTP_CONNECTION", "HTTP_EXPECT", "HTTP_TRANSFER_ENCODING", "HTTP_UPGRADE", "QUERY_STRING"}
)


class RepeatedScrapes:
    """Knows the heads of scrapes that the application answered, and answers those that come again.

    The same bytes mean the same request; only its numbers, its date and its id are new.

    Args:
        service: Whose numbers are exposed.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        # What each head says in Accept.
        self._known: dict[bytes, str] = {}

    def note(self, head: bytes, environ: dict[str, Any]) -> None:
        """Keep the head of a request that the server parsed, if it is a plain scrape and all that had come.

        Args:
            head: All bytes that had come of the connection when the request was taken.
            environ: What the server read in them.
        """
        if environ.get("PATH_INFO") != METRICS or head in self._known:
            return
        is_plain = (
            environ.get("REQUEST_METHOD") == "GET"
            and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
            and not any(environ.get(name) for name in _SPECIAL)
        )
        if is_plain and head.find(_END) == len(head) - len(_END):
            if len(self._known) >= _MOST_HEADS:
                self._known.clear()
            self._known[head] = environ.get("HTTP_ACCEPT", "")

    def answer_to(self, head: bytes) -> bytes | None:
        """Return the whole answer to a scrape whose head is known, else None.

        None as well where the usual way has more to do than to answer: to tell of it, or that the connection ends.
        """
        accept = self._known.get(head)
        service = self._service
        if accept is None or service.lifecycle.draining or service.log.tells_probes:
            return None
        body, content_type = service.metrics.expose(accept)
        lines = (
            f"HTTP/1.1 200 OK\r\nServer: {SERVER}\r\nDate: {formatdate(usegmt=True)}\r\nConnection: keep-alive\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
            f"X-Request-ID: {service.instrumentation.request_id_of(head)}\r\n\r\n"
        )
        return lines.encode() + body
