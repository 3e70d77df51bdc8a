from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sloproof.clients.alertmanager import AlertmanagerClient
from sloproof.errors import UnavailableError
from tests.clients.recorded import Answer, always, json_of


def test_alerts_are_read_with_state_and_begin() -> None:
    document = [
        {
            "labels": {"alertname": "Burn"}, "annotations": {"summary": "s"},
            "startsAt": "2026-03-01T13:00:00.25+01:00",
            "endsAt": "2026-03-01T13:05:00+01:00", "fingerprint": "f", "receivers": [{"name": "hook"}],
            "status": {"state": "suppressed", "silencedBy": ["x"], "inhibitedBy": []},
        }
    ]  # fmt: skip
    (alert,) = AlertmanagerClient(always(json_of(document))).alerts()
    assert (alert.name, alert.state, alert.annotations) == ("Burn", "suppressed", {"summary": "s"})
    assert alert.active_at == datetime(2026, 3, 1, 12, 0, 0, 250000, UTC)


def test_status_gives_configuration_and_version() -> None:
    status = {"config": {"original": "route: {}"}, "versionInfo": {"version": "0.31.1"}, "uptime": "x", "cluster": {}}
    client = AlertmanagerClient(always(json_of(status)))
    assert (client.config_yaml(), client.build_version()) == ("route: {}", "0.31.1")


def test_answers_of_another_shape_are_unavailable() -> None:
    for body in ('{"alerts": []}', '[{"labels": {}}]', "<html>"):
        with pytest.raises(UnavailableError):
            AlertmanagerClient(always(Answer(body))).alerts()
