"""The ways by which an environment's service is reached from outside of its cluster, and whether they lead there."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from sloproof.environment.kube.cluster import MADE_BY, Cluster
from sloproof.environment.kube.parts import Part

# Leads to the service's pods whether they are ready or not, as a process of one's own machine would be reached.
OBSERVER = "sloproof-observer"
# Leads to those that are ready, as every client in the cluster is led.
GATE = "sloproof-gate"
# What no pod carries.
NOWHERE: Mapping[str, str] = {"sloproof/stopped": "true"}
_UNHOOK_SECONDS = 5.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ServiceRoutes:
    """NodePorts that lead to the service.

    Attributes:
        cluster: The cluster.
        namespace: Of the environment.
        host: Host by which NodePorts are reached.
    """

    cluster: Cluster
    namespace: str
    host: str

    def hook_up(self, service: Part) -> Mapping[str, str]:
        """Let both routes lead to the service's pods, and return their base URLs by `service` and `gate`."""
        return {
            "service": self._route(OBSERVER, service.labels, service.port),
            "gate": self._route(GATE, service.labels, service.port),
        }

    def unhook(self, service: Part) -> None:
        """Let both routes lead nowhere, and return once they refuse.

        A pod that is gone would swallow what is still sent to it; connections that nothing answered are remembered by
        the node for minutes, and later ones that happen to use the same port would be lost with them.
        """
        urls = [self._route(name, NOWHERE, service.port) for name in (OBSERVER, GATE)]
        end = time.monotonic() + _UNHOOK_SECONDS
        while time.monotonic() < end and any(isinstance(answer(url + service.ready), int) for url in urls):
            time.sleep(_POLL_SECONDS)

    def _route(self, name: str, labels: Mapping[str, str], port: int) -> str:
        manifest = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": dict(MADE_BY)},
            "spec": {
                "type": "NodePort",
                "publishNotReadyAddresses": name == OBSERVER,
                "selector": dict(labels),
                "ports": [{"name": "http", "port": port, "targetPort": port, "protocol": "TCP"}],
            },
        }
        made = self.cluster.apply_service(self.namespace, manifest, name)
        return f"http://{self.host}:{made.spec.ports[0].node_port}"


def answer(url: str) -> int | str:
    """Return the status that a URL answers with, or why there is no answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=2)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
