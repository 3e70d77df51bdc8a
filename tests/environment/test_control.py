from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sloproof.environment.control import Control
from sloproof.errors import EnvironmentStartError, UnavailableError


class Server:
    """Answers each line with what a function makes of it, in as many pieces as it gives; None closes."""

    def __init__(self, path: Path, answer: Callable[[dict[str, object]], list[bytes] | None]) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(0.02)
        self._answer = answer
        self._is_over = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._is_over:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
                for line in lines:
                    pieces = self._answer(json.loads(line))
                    if pieces is None:
                        break
                    for piece in pieces:
                        connection.sendall(piece)

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        self._listener.close()


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Control]]:
    """A function that starts a server and returns a control of it."""
    servers: list[Server] = []
    controls: list[Control] = []

    def start(answer: Callable[[dict[str, object]], list[bytes] | None], timeout_seconds: float = 60.0) -> Control:
        path = tmp_path_factory.mktemp("c") / "control.sock"
        servers.append(Server(path, answer))
        controls.append(Control(path, timeout_seconds=timeout_seconds))
        return controls[-1]

    yield start
    for control in controls:
        control.close()
    for server in servers:
        server.close()


def test_status_is_read_in_the_order_of_the_plan(serve: Callable[..., Control]) -> None:
    row = {"name": "loki", "state": "exited", "pid": None, "exit_status": -9, "restarts": 1}
    control = serve(lambda _: [json.dumps({"components": [row, {**row, "name": "service"}]}).encode(), b"\n"])

    statuses = control.status()

    assert [one.name for one in statuses] == ["loki", "service"]
    assert statuses[0].exit_status == -9


def test_an_answer_may_come_in_pieces(serve: Callable[..., Control]) -> None:
    control = serve(lambda _: [b'{"com', b'ponents"', b": []}", b"\n"])

    assert control.status() == ()
    assert control.status() == ()


def test_a_refusal_is_raised_with_its_reason(serve: Callable[..., Control]) -> None:
    control = serve(lambda _: [b'{"error": "there is no component x"}\n'])

    with pytest.raises(EnvironmentStartError, match="there is no component x"):
        control.request("stop", component="x", signal=15)


def test_nobody_there_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="it is gone") as caught:
        Control(tmp_path / "none.sock").status()

    assert caught.value.details["socket"] == str(tmp_path / "none.sock")


@pytest.mark.parametrize("answer", [None, [b"rubbish\n"]])
def test_a_supervisor_that_breaks_off_is_gone(serve: Callable[..., Control], answer: list[bytes] | None) -> None:
    with pytest.raises(UnavailableError):
        serve(lambda _: answer).status()


def test_a_supervisor_that_says_nothing_is_gone_after_the_timeout(serve: Callable[..., Control]) -> None:
    with pytest.raises(UnavailableError):
        serve(lambda _: [], timeout_seconds=0.05).status()


def test_a_late_answer_is_not_taken_for_the_next_ones(serve: Callable[..., Control]) -> None:
    """After an exchange that was broken off, by a timeout or by Ctrl-C, the connection is not used again."""

    class Interrupted(Control):
        asked = 0

        def _receive(self, connection: socket.socket) -> bytes:
            self.asked += 1
            if self.asked == 1:
                raise KeyboardInterrupt
            return super()._receive(connection)

    control = serve(lambda request: [json.dumps({"action": request["action"]}).encode() + b"\n"])
    broken = Interrupted(control._path)
    with pytest.raises(KeyboardInterrupt):
        broken.request("first")

    assert broken.request("second")["action"] == "second"
    broken.close()


def test_requests_of_several_threads_get_their_own_answers(serve: Callable[..., Control]) -> None:
    control = serve(lambda request: [json.dumps({"echo": request["action"]}).encode() + b"\n"])

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: control.request(str(number))["echo"], range(200)))

    assert answers == [str(number) for number in range(200)]
