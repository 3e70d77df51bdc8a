"""Clients for the servers of an environment that is up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import msgspec

from sloproof.clients import Http
from sloproof.clients.alertmanager import AlertmanagerClient
from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient
from sloproof.clients.receiver import ReceiverClient
from sloproof.clients.service import ServiceClient
from sloproof.environment.attached import AttachedEnvironment, Credentials
from sloproof.environment.base import Environment
from sloproof.settings import Settings


@dataclass(frozen=True, slots=True)
class Clients:
    """One client a server of the environment; None where there is none."""

    service: ServiceClient
    prometheus: PrometheusClient
    loki: LokiClient
    alertmanager: AlertmanagerClient | None
    receiver: ReceiverClient | None


def connect(environment: Environment, settings: Settings, faults_token: str = "") -> Clients:
    """Return clients for the servers of an environment that is up."""
    addresses = environment.addresses
    # A server of the environment that takes longer than this is in trouble; waits are not made of one long silence.
    timeout = timedelta(seconds=4)
    alertmanager, receiver = addresses.get("alertmanager"), addresses.get("receiver")
    service = settings.service
    if "faults" not in environment.capabilities:
        # What runs for others is never broken, not even where its settings name a switch.
        service = msgspec.structs.replace(service, faults=None)
    credentials = environment.credentials if isinstance(environment, AttachedEnvironment) else Credentials()

    def server(name: str) -> Http:
        return Http(
            addresses[name],
            timeout=timeout,
            bearer_token=credentials.bearer_token or None,
            tenant=credentials.tenant or None,
            headers=credentials.headers,
        )

    return Clients(
        service=ServiceClient(addresses["service"], service, faults_token=faults_token),
        prometheus=PrometheusClient(server("prometheus")),
        loki=LokiClient(server("loki")),
        alertmanager=AlertmanagerClient(server("alertmanager")) if alertmanager else None,
        receiver=ReceiverClient(receiver) if receiver else None,
    )
