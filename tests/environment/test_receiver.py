from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sloproof.environment import receiver
from sloproof.environment.receiver import Record, make_server


class Asker:
    """Speaks to a receiver."""

    def __init__(self, port: int, file: Path) -> None:
        self.port = port
        self.file = file

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Return status and JSON of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def notify(self, *names: str, status: str = "firing") -> int:
        """Send a webhook message and return the answer's status."""
        alerts = [{"status": status, "labels": {"alertname": name}} for name in names]
        return self.ask("POST", "/", json.dumps({"receiver": "pager", "alerts": alerts}).encode())[0]

    def notified(self) -> list[str]:
        """Return the names of the alerts that have arrived."""
        return [one["alert"]["labels"]["alertname"] for one in self.ask("GET", "/notifications")[1]]


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    file = tmp_path / "notifications.jsonl"
    record = Record(file)
    server = make_server(0, record)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Asker(int(server.server_address[1]), file)
    server.shutdown()
    thread.join()
    server.server_close()
    record.close()


def test_each_alert_of_a_message_is_noted_with_its_arrival(asker: Asker) -> None:
    before = datetime.now(UTC)

    assert asker.notify("One", "Two") == 200
    assert asker.notify("One", status="resolved") == 200

    entries = asker.ask("GET", "/notifications")[1]
    assert [(one["alert"]["labels"]["alertname"], one["status"], one["receiver"]) for one in entries] == [
        ("One", "firing", "pager"),
        ("Two", "firing", "pager"),
        ("One", "resolved", "pager"),
    ]
    arrivals = [datetime.fromisoformat(one["received"]) for one in entries]
    assert before <= arrivals[0] <= arrivals[2] <= datetime.now(UTC)


def test_the_file_holds_what_the_answer_holds(asker: Asker) -> None:
    asker.notify("One", "Two")

    lines = [json.loads(line) for line in asker.file.read_text().splitlines()]

    assert lines == asker.ask("GET", "/notifications")[1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"rubbish",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"7",
        b"{}",
        b'{"receiver": "pager"}',
        b'{"receiver": "pager", "alerts": null}',
        b'{"receiver": "pager", "alerts": ["text"]}',
        b'{"receiver": "pager", "alerts": [{}]}',
        b'{"alerts": [{"status": "firing"}]}',
        b'{"receiver": "pager", "alerts": [{"status": "firing"}, {}]}',
        b"[" * 100_000,
    ],
)
def test_rubbish_is_refused_and_leaves_no_trace(asker: Asker, body: bytes) -> None:
    """A message is noted whole or not at all."""
    status, answer = asker.ask("POST", "/", body)

    assert status == 400
    assert "webhook message" in answer["error"]
    assert asker.notified() == []
    assert asker.file.read_text() == ""
    assert asker.notify("Good") == 200


@pytest.mark.parametrize("length", ["many", "-1", ""])
def test_a_wrong_length_is_refused(asker: Asker, length: str) -> None:
    with socket.create_connection(("127.0.0.1", asker.port), timeout=60) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n" % length.encode())
        assert raw.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert asker.notified() == []


def test_ready_and_unknown_paths(asker: Asker) -> None:
    assert asker.ask("GET", "/ready")[0] == 200
    assert asker.ask("GET", "/other")[0] == 404


def test_many_messages_at_once_are_all_noted(asker: Asker) -> None:
    names = [f"Alert{number}" for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(asker.notify, names)) == {200}

    assert sorted(asker.notified()) == sorted(names)
    assert len(asker.file.read_text().splitlines()) == 100


def test_a_taken_port_ends_the_program_and_says_so(tmp_path: Path) -> None:
    """The environment looks for these words to try again on other ports."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-I", str(receiver.__file__), str(port), str(tmp_path / "n.jsonl")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode != 0
    assert "address already in use" in done.stderr.lower()


def test_receiver_listens_where_it_is_told_to(tmp_path: Path) -> None:
    """On loopback, unless it stands in a pod."""
    hosts = []
    for host in ((), ("0.0.0.0",)):
        record = Record(tmp_path / "notifications.jsonl")
        with make_server(0, record, *host) as server:
            hosts.append(server.server_address[0])
        record.close()

    assert hosts == ["127.0.0.1", "0.0.0.0"]
