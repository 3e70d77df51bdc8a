"""Errors that the service answers on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Problem(Exception):  # noqa: N818 - an answer, of which being an error is only the status
    """An answer with an error status.

    Args:
        status: HTTP status.
        error_type: What it is counted under.
        message: What the client is told.
        told: What the log is told; the same if not given.
        headers: Further headers of the answer.
    """

    def __init__(
        self, status: int, error_type: str, message: str, *, told: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.told = told or message
        self.headers = dict(headers or {})
