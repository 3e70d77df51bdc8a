"""The HTTP API of Alertmanager."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from sloproof.clients._http import Http
from sloproof.model import Alert


class _AlertState(msgspec.Struct):
    state: Literal["active", "suppressed", "unprocessed"]


class _AlertJson(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    annotations: dict[str, str]
    status: _AlertState
    starts_at: datetime


class _Config(msgspec.Struct):
    original: str


class _Build(msgspec.Struct):
    version: str


class _Status(msgspec.Struct, rename="camel"):
    config: _Config
    version_info: _Build


class AlertmanagerClient:
    """Asks one Alertmanager.

    Every method raises `UnavailableError` where no answer comes and `QueryError` where the server refuses the question.

    Args:
        server: Its base URL, or an `Http` with credentials.
    """

    def __init__(self, server: str | Http) -> None:
        self._http = Http(server) if isinstance(server, str) else server

    def alerts(self) -> tuple[Alert, ...]:
        """Return the alerts it holds now; `state` is active, suppressed or unprocessed."""
        return tuple(
            Alert(
                labels=one.labels,
                annotations=one.annotations,
                state=one.status.state,
                active_at=one.starts_at.astimezone(UTC),
            )
            for one in self._http.get("/api/v2/alerts", list[_AlertJson])
        )

    def config_yaml(self) -> str:
        """Return the configuration that the server runs, as YAML."""
        return self._status().config.original

    def build_version(self) -> str:
        """Return the server's version."""
        return self._status().version_info.version

    def is_ready(self) -> bool:
        """Return whether the server says that it is ready."""
        return self._http.is_ready("/-/ready")

    def _status(self) -> _Status:
        return self._http.get("/api/v2/status", _Status)
