from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sloproof.clients.receiver import ReceiverClient
from sloproof.errors import UnavailableError
from tests.clients.recorded import Answer, always, json_of

ALERT = {
    "labels": {"alertname": "Burn"},
    "annotations": {"summary": "s"},
    "startsAt": "2026-03-01T12:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://x",
    "fingerprint": "f",
}
ENTRY = {"received": "2026-03-01T13:00:01.5+01:00", "receiver": "hook", "status": "firing", "alert": ALERT}


def test_notifications_are_read_in_order_of_arrival() -> None:
    ended = {**ENTRY, "status": "resolved", "alert": {**ALERT, "endsAt": "2026-03-01T12:05:00Z"}}
    firing, resolved = ReceiverClient(always(json_of([ENTRY, ended]))).notifications()
    assert (firing.name, firing.status, firing.receiver, firing.ends_at) == ("Burn", "firing", "hook", None)
    assert firing.received == datetime(2026, 3, 1, 12, 0, 1, 500000, UTC)
    assert firing.received.utcoffset() == timedelta(0)
    assert (resolved.status, resolved.ends_at) == ("resolved", datetime(2026, 3, 1, 12, 5, tzinfo=UTC))


def test_notifications_without_any_are_empty_and_others_are_unavailable() -> None:
    assert ReceiverClient(always(Answer("[]"))).notifications() == ()
    documents: list[object] = [{}, [{**ENTRY, "status": "maybe"}], [{"alert": ALERT}]]
    for document in documents:
        with pytest.raises(UnavailableError):
            ReceiverClient(always(json_of(document))).notifications()
