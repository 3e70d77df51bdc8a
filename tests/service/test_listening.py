"""The door: taken at once or not at all, and closed without cutting off anyone who got through."""

from __future__ import annotations

import socket

import pytest

from service.listening import ListenError, listen, refuse_newcomers


def test_a_taken_or_unknown_address_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"SERVICE_HOST, SERVICE_PORT: .*127\.0\.0\.1:{port}"):
            listen("127.0.0.1", port)
    with pytest.raises(ListenError, match="no-such-host"):
        listen("no-such-host.invalid", 0)


def test_no_part_of_an_answer_waits_for_the_client_to_acknowledge_another() -> None:
    """On a kept connection that wait is 40 ms, and no clock of the service sees it."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        served, _ = listener.accept()
        with served:
            assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_newcomers_are_refused_while_those_who_got_through_are_served() -> None:
    with listen("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as early, socket.socket() as late:
            early.sendall(b"early")
            refuse_newcomers(listener)
            late.settimeout(0.05)
            with pytest.raises(TimeoutError):
                late.connect(address)
            listener.settimeout(60)
            served, _ = listener.accept()
            with served:
                assert served.recv(5) == b"early"
                early.sendall(b"still")
                assert served.recv(5) == b"still"
            listener.settimeout(0.05)
            with pytest.raises(TimeoutError):
                listener.accept()
