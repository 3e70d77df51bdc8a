"""The API of the webhook receiver that records what Alertmanager delivers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from sloproof.clients._http import Http
from sloproof.model import Notification

_NEVER_YEAR = 1


class _AlertJson(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    starts_at: datetime
    annotations: dict[str, str] = {}
    ends_at: datetime | None = None


class _NotificationJson(msgspec.Struct):
    received: datetime
    receiver: str
    status: Literal["firing", "resolved"]
    alert: _AlertJson


class ReceiverClient:
    """Asks the receiver what has arrived.

    Args:
        server: Its base URL.
    """

    def __init__(self, server: str | Http) -> None:
        self._http = Http(server) if isinstance(server, str) else server

    def notifications(self) -> tuple[Notification, ...]:
        """Return every alert that has arrived, in order of arrival.

        Raises:
            UnavailableError: No answer, or not the receiver's.
        """
        return tuple(
            Notification(
                received=one.received.astimezone(UTC),
                status=one.status,
                labels=one.alert.labels,
                annotations=one.alert.annotations,
                starts_at=one.alert.starts_at.astimezone(UTC),
                ends_at=None
                if one.alert.ends_at is None or one.alert.ends_at.year == _NEVER_YEAR
                else one.alert.ends_at.astimezone(UTC),
                receiver=one.receiver,
            )
            for one in self._http.get("/notifications", list[_NotificationJson])
        )
