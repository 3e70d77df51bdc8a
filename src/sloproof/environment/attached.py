"""A system that runs already, judged as it is: nothing is started, changed or ended."""

from __future__ import annotations

import http.client
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from sloproof.environment.base import ComponentStatus
from sloproof.errors import CapabilityError, EnvironmentStartError

_PATHS = {"prometheus": "/-/ready", "loki": "/ready", "alertmanager": "/-/ready"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """How the monitoring servers are asked.

    Attributes:
        bearer_token: Sent as `Authorization: Bearer`; empty for none.
        tenant: Sent as `X-Scope-OrgID`; empty for none.
        headers: Sent besides.
    """

    bearer_token: str = ""
    tenant: str = ""
    headers: Mapping[str, str] | None = None


class AttachedEnvironment:
    """Servers that somebody else runs; implements `Environment`.

    Scenarios that only send requests and judge what the monitoring says of them run on it; whatever plants a fault
    or stops something does not.

    Args:
        addresses: Base URLs: `service`, `prometheus` and `loki`, and `alertmanager` where there is one.
        run_id: Names the run.
        readiness: Path that says whether the service is ready.
        instances: The `instance` label of each instance of the service; empty where nobody says.
        credentials: For the monitoring servers; the service gets none of them.
    """

    name = "attached"
    capabilities: frozenset[str] = frozenset()
    faults_token = ""

    def __init__(
        self,
        addresses: Mapping[str, str],
        *,
        run_id: str,
        readiness: str,
        instances: tuple[str, ...] = (),
        credentials: Credentials | None = None,
    ) -> None:
        self.addresses = addresses
        self.run_id = run_id
        self.credentials = credentials or Credentials()
        self.timings: dict[str, timedelta] = {}
        self._readiness = readiness
        self._instances = instances

    @property
    def instances(self) -> tuple[str, ...]:
        """Return the instances that somebody who knows has named.

        Raises:
            CapabilityError: Nobody has.
        """
        if not self._instances:
            raise CapabilityError("needs to know which instances the service has: --attach-instance names each")
        return self._instances

    def start(self) -> None:
        """Return if every server is there.

        Raises:
            EnvironmentStartError: One does not answer at all; one that asks for credentials is there.
        """
        begin = time.monotonic()
        for name, address in self.addresses.items():
            path = self._readiness if name == "service" else _PATHS.get(name, "/")
            problem = _ask(address, path)
            if problem:
                raise EnvironmentStartError(
                    f"expected {name} to answer, but {problem}", asked=address + path, hint="is the address right?"
                )
            self.timings[name] = timedelta(seconds=time.monotonic() - begin)

    def stop(self) -> None:
        """Do nothing: nothing was started."""

    def detach(self) -> None:
        """Do nothing: it runs on anyway."""

    def check_alive(self) -> None:
        """Do nothing: each question finds out for itself."""

    def status(self) -> Sequence[ComponentStatus]:
        """Return every server as running: more is not known of it."""
        return [ComponentStatus(name, "running", None, None, 0) for name in self.addresses]

    def last_lines(self, component: str, count: int = 20) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's
        """Return nothing: the servers' own logs are their owners'."""
        return ()

    def stop_component(self, component: str, how: signal.Signals = signal.SIGTERM) -> None:  # noqa: ARG002
        """Refuse."""
        raise self._refusal("stopped", component)

    def start_component(self, component: str) -> None:
        """Refuse."""
        raise self._refusal("started", component)

    def pause_component(self, component: str) -> None:
        """Refuse."""
        raise self._refusal("frozen", component)

    def resume_component(self, component: str) -> None:
        """Refuse."""
        raise self._refusal("resumed", component)

    def load_command(self, process: int) -> tuple[str, ...] | None:  # noqa: ARG002 - the protocol's
        """Return None: the load is driven from here."""
        return None

    def keep_evidence(self, folder: Path) -> None:
        """Do nothing: nothing goes with the end of the run."""

    def file(self, name: str) -> Path | None:  # noqa: ARG002 - the protocol's
        """Return None."""
        return None

    @staticmethod
    def _refusal(how: str, component: str) -> EnvironmentStartError:
        return EnvironmentStartError(
            f"expected an attached environment to be left alone, but {component} is to be {how}",
            hint="tag the scenario @needs_stopping",
        )


def _ask(address: str, path: str) -> str:
    """Return why a server does not answer; empty if it does, whatever it says."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", parts.path.rstrip("/") + path)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    else:
        return ""
    finally:
        connection.close()
