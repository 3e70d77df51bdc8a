"""A system that runs already is judged as it is, and left as it is."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sloproof.environment.attached import AttachedEnvironment, Credentials
from sloproof.errors import CapabilityError, EnvironmentStartError
from sloproof.servers import connect
from tests.fakes import SETTINGS
from tests.load.server import serving


def attached(url: str, **more: str) -> AttachedEnvironment:
    addresses = {"service": url, "prometheus": url, "loki": url, **more}
    return AttachedEnvironment(addresses, run_id="run", readiness="/health/readiness")


def test_attached_start_finds_every_server_there() -> None:
    with serving() as server:
        environment = attached(server.url)
        environment.start()
    assert set(environment.timings) == {"service", "prometheus", "loki"}


def test_attached_start_names_the_server_that_is_not_there() -> None:
    with socket.socket() as holder, serving() as server:
        holder.bind(("127.0.0.1", 0))
        environment = attached(server.url, alertmanager=f"http://127.0.0.1:{holder.getsockname()[1]}")
        with pytest.raises(EnvironmentStartError, match="expected alertmanager to answer"):
            environment.start()


def test_attached_service_is_never_broken_although_the_settings_name_a_switch() -> None:
    with serving() as server:
        clients = connect(attached(server.url), SETTINGS, "token")
        assert not clients.service.has_fault_switch
        with pytest.raises(CapabilityError, match="no fault switch"):
            clients.service.set_faults({"hang": True})
        with pytest.raises(CapabilityError):
            clients.service.clear_faults()


@pytest.mark.parametrize("what", ["stop_component", "start_component", "pause_component", "resume_component"])
def test_attached_components_are_left_alone(what: str) -> None:
    with pytest.raises(EnvironmentStartError, match="left alone"):
        getattr(attached("http://127.0.0.1:1"), what)("prometheus")


def test_attached_instances_are_known_only_if_somebody_names_them() -> None:
    with pytest.raises(CapabilityError, match="--attach-instance"):
        _ = attached("http://127.0.0.1:1").instances
    named = AttachedEnvironment({}, run_id="run", readiness="/", instances=("10.0.0.1:80",))
    assert named.instances == ("10.0.0.1:80",)


def test_attached_has_nothing_to_keep(tmp_path: Path) -> None:
    environment = attached("http://127.0.0.1:1")
    environment.keep_evidence(tmp_path)
    environment.stop()
    environment.detach()
    assert not list(tmp_path.iterdir())
    assert environment.file("service.log") is None
    assert environment.last_lines("service") == ()


def test_attached_monitoring_is_asked_with_credentials_and_the_service_without() -> None:
    environment = AttachedEnvironment(
        dict.fromkeys(("service", "prometheus", "loki", "alertmanager"), "http://127.0.0.1:1"),
        run_id="run",
        readiness="/",
        credentials=Credentials(bearer_token="secret", tenant="shop"),
    )
    clients = connect(environment, SETTINGS)
    assert clients.prometheus._http._headers == {"Authorization": "Bearer secret", "X-Scope-OrgID": "shop"}
    assert clients.loki._http._headers == clients.prometheus._http._headers
    assert clients.service._http._headers == {}
