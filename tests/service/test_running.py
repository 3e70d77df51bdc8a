"""The service as it is run: several workers, real sockets, signals."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import signal
import socket
import time
from itertools import count

import pytest

from tests.service.observed import REQUEST
from tests.service.running import LIMIT_SECONDS, Running, files_of, is_alive, wait_for

pytestmark = pytest.mark.slow  # real processes and real time

COUNT = "app_request_count_total"
ACTIVE = "app_active_requests"


def burst(service: Running, number: int, path: str = "/", threads: int = 8) -> list[int]:
    """Send so many requests, each on its own connection; return the statuses of those that were answered."""

    def one(_: int) -> int:
        try:
            return service.get(path)[0]
        except OSError:
            return 0

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(number)))


def test_counts_stay_whole_when_workers_die_and_recycle(start: Running) -> None:
    """Counts of workers that were killed or replaced are kept, in-flight ones forgotten, and files do not pile up."""
    service = start(SERVICE_WORKERS="2", SERVICE_MAX_REQUESTS="40")
    answered = burst(service, 100).count(200)
    doomed = service.workers[0]
    service.faults(hang=True)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        cut = [pool.submit(burst, service, 1, "/api/users", 1) for _ in range(6)]
        wait_for(lambda: service.total(ACTIVE) == 6, "six requests in flight")
        for worker in service.workers:
            worker.kill()
        assert [one.result() for one in cut] == [[0]] * 6
    wait_for(lambda: not is_alive(doomed.pid), "the worker's end")
    service.faults()
    answered += burst(service, 100).count(200)
    wait_for(lambda: service.total(ACTIVE) == 0, "nothing in flight")
    samples = service.samples
    assert answered == 200
    assert sum(value for (name, _), value in samples.items() if name == COUNT) == answered
    assert sum(v for (name, _), v in samples.items() if name == "app_request_latency_seconds_count") == answered
    lines = [line for line in service.lines if " [INFO] GET / 200 " in line]
    assert len(lines) == answered
    assert service.unparsable_lines == []
    files = list((start.log_path.parent / "state").glob("counter_*.db"))
    assert len(files) <= 2 + 2, files  # the master's, the archive, one a worker


def test_probes_answer_while_every_place_is_taken_by_hanging_requests(start: Running) -> None:
    """More clients than threads hang, and more connect and say nothing: probes, scrape and switch still answer."""
    service = start(SERVICE_WORKERS="2", SERVICE_THREADS="2", SERVICE_QUEUE_SIZE="4", SERVICE_QUEUE_SECONDS="20")
    service.faults(hang=True)
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(40) as pool:
        for index in range(60):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            sock.sendall(b"GET /api/users HTTP/1.1\r\nHost:" if index % 2 else b"")
        hanging = [pool.submit(service.get, "/api/users") for _ in range(40)]
        wait_for(lambda: service.total(ACTIVE) >= 8, "full queues")
        slowest = 0.0
        for path in ("/health/liveness", "/health/readiness", "/metrics") * 8:
            began = time.perf_counter()
            assert service.get(path)[0] == 200
            slowest = max(slowest, time.perf_counter() - began)
        service.faults()
        statuses = [one.result()[0] for one in hanging]
    assert slowest < 5
    assert set(statuses) == {200, 503}
    # In each worker two work and four wait, of however many connections came to it; the rest is turned away at once.
    assert 6 <= statuses.count(200) <= 12
    wait_for(lambda: service.total(ACTIVE) == 0, "nothing in flight")
    assert service.total("app_error_count_total", error_type="overload") == statuses.count(503)
    assert service.total(COUNT) == 40


@pytest.mark.parametrize(
    ("head", "number"),
    [
        (b"GET /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", 150),
        (b"POST /nope HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 150),
        (b"POST /health/liveness HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", 150),
        (
            b"POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
            200,
        ),
    ],
    ids=["unmatched", "chunked", "probe", "echo"],
)
def test_probes_answer_while_clients_stall_their_bodies(start: Running, head: bytes, number: int) -> None:
    """More clients than the worker has threads send a head, and never the body that it announces."""
    service = start(SERVICE_WORKERS="1")
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            sock.sendall(head)
        slowest = 0.0
        for path in ("/health/liveness", "/health/readiness", "/metrics") * 6:
            began = time.perf_counter()
            assert service.get(path)[0] == 200
            slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 5


def test_a_connection_is_kept_for_whole_bodies_and_closed_for_others(start: Running) -> None:
    """A body that nobody read is skipped if it is there; else its answer says that the connection ends."""
    service = start(SERVICE_WORKERS="1")
    following = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head = b"POST /nope HTTP/1.1\r\nHost: x\r\n"
    for whole in (b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"):
        answers = service.raw(head + whole + following)
        assert answers.count(b"HTTP/1.1 404 ") == answers.count(b"HTTP/1.1 200 ") == 1
        assert answers.count(b"Connection: close") == 1
    with socket.create_connection(("127.0.0.1", service.port), 5) as sock:
        sock.sendall(head + b"Content-Length: 3\r\n\r\na")
        answer = b""
        while part := sock.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"Connection: close" in answer
    assert service.total(COUNT, endpoint="unmatched") == 3


def test_term_turns_readiness_red_and_loses_no_request(start: Running) -> None:
    """From SIGTERM to the end no connection that came up is reset, and what was answered was counted and logged."""
    service = start(
        SERVICE_WORKERS="2", SERVICE_DRAIN_SECONDS="1.5", SERVICE_USERS_LATENCY_MEDIAN_SECONDS="0.05",
        SERVICE_USERS_LATENCY_SIGMA="0",
    )  # fmt: skip
    outcomes: list[str] = []
    readiness: list[tuple[bytes, str | None]] = []

    def client(_: int) -> None:
        for _turn in count():
            try:
                outcomes.append(str(service.get("/api/users")[0]))
            except ConnectionRefusedError:
                return
            except OSError as error:
                outcomes.append(repr(error))
                return

    def prober() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException), service.connection() as kept:
            while True:
                kept.request("GET", "/health/readiness")
                answer = kept.getresponse()
                readiness.append((answer.read(), answer.getheader("Connection")))

    with concurrent.futures.ThreadPoolExecutor(13) as pool:
        clients = [pool.submit(client, number) for number in range(12)]
        clients.append(pool.submit(prober))
        wait_for(lambda: len(outcomes) > 40, "traffic")
        assert service.end() == 0
        for one in clients:
            one.result()
    assert set(outcomes) == {"200"}
    red = [header for body, header in readiness if b"draining" in body]
    assert red, "readiness was red before the service was gone"
    # The first may have begun before the drain did.
    assert set(red[1:]) == {"close"}, "a service that goes asks its clients to go elsewhere"
    assert {header for body, header in readiness if b"draining" not in body} == {"keep-alive"}
    assert sum(" GET /api/users 200 " in line for line in service.lines) == len(outcomes)
    assert service.errors == ""


def test_idle_connections_do_not_hold_up_the_end(start: Running) -> None:
    service = start(SERVICE_WORKERS="1")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
        kept = stack.enter_context(service.connection())
        kept.request("GET", "/")
        kept.getresponse().read()
        began = time.monotonic()
        assert service.end(signal.SIGINT) == 0
    assert time.monotonic() - began < 4, "well before a silent client is given up, or the grace is over"


def test_a_hang_ends_with_the_service(start: Running) -> None:
    """Requests that hang are answered when the service is told to end, as requests in flight are."""
    service = start(SERVICE_WORKERS="1")
    service.faults(hang=True)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(service.get, "/api/users")
        wait_for(lambda: service.total(ACTIVE) == 1, "a request that hangs")
        assert service.end() == 0
        assert hanging.result()[0] == 200


def test_killed_master_leaves_neither_workers_nor_files(start: Running) -> None:
    service = start(SERVICE_WORKERS="2", SERVICE_STATE_DIR="", SERVICE_GRACE_SECONDS="1")
    assert service.process is not None
    master = service.process.pid
    assert len(files_of(master)) == 1
    service.faults(hang=True)
    pids = [worker.pid for worker in service.workers]
    assert len(pids) == 2
    with socket.create_connection(("127.0.0.1", service.port)) as held:
        held.sendall(b"POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        service.process.kill()
        service.process.wait()
        wait_for(lambda: not any(is_alive(pid) for pid in pids), "the workers' end")
    assert files_of(master) == set()


def test_faults_reach_every_worker_at_once_and_survive_a_new_one(start: Running) -> None:
    service = start(SERVICE_WORKERS="3")
    for ratio, expected in ((1.0, 500), (0.0, 200)) * 3:
        service.faults(error_ratio=ratio)
        assert set(burst(service, 24, "/api/users")) == {expected}
    service.faults(dependency_down=True)
    for worker in service.workers:
        worker.kill()
    assert set(burst(service, 12, "/health/readiness")) <= {503, 0}


def test_requests_that_the_server_refuses_are_accounted_for(start: Running) -> None:
    """What gunicorn itself rejects gets an id, a line and a count like anything else."""
    service = start(SERVICE_WORKERS="1")
    refused = {
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\nTransfer-Encoding: foo\r\n\r\n": 501,
        b"B\x01D / HTTP/1.1\r\n\r\n": 400,
        b"G" * 4096 + b" / HTTP/1.1\r\n\r\n": 414,
        b"get / HTTP/1.1\r\n\r\n": 400,
        b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: foo\r\n\r\n": 501,
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n": 414,
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n": 431,
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n": 400,
    }
    for data, status in refused.items():
        answer = service.raw(data)
        assert answer.startswith(b"HTTP/1.1 %d " % status), (data[:80], answer)
        assert b"X-Request-ID: " in answer
    wait_for(lambda: service.total(COUNT) == len(refused), "all counts")
    assert service.total("app_error_count_total") == len(refused)
    assert service.total(COUNT, http_status="501", endpoint="/", method="GET") == 1
    assert service.total(COUNT, http_status="501", endpoint="unmatched", method="GET") == 1
    wanted = " [INFO] GET / 501 "
    assert [line.endswith("request_id=mine") for line in service.lines if wanted in line] == [True]
    assert service.unparsable_lines == []


def test_an_id_that_cannot_be_read_for_sure_is_not_returned(start: Running) -> None:
    """A refused request keeps the id of its header; one that is folded, given twice or in the body is none."""
    service = start(SERVICE_WORKERS="1")
    refused = b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: foo\r\n"
    for header, is_kept in {
        b"X-Request-ID: a\r\n": True,
        b"x-request-id:a \r\nX: y\r\n": True,
        b"X-Request-ID: a\r\n b\r\n": False,
        b"X-Request-ID: a\r\n\tb\r\n": False,
        b"X-Request-ID:\r\n a\r\n": False,
        b"X-Request-ID: a\r\nX-Request-ID: b\r\n": False,
        b"X-Request-ID: a\xff\r\n": False,
        b"\r\nX-Request-ID: a\r\n": False,
    }.items():
        answer = service.raw(refused + header + b"\r\n")
        returned = answer.partition(b"X-Request-ID: ")[2].partition(b"\r\n")[0]
        assert (returned == b"a") is is_kept, header
        assert is_kept or len(returned) == 36, header


def test_connections_that_came_up_before_the_end_are_served_and_no_more_come_up(start: Running) -> None:
    """A worker that is frozen while the service is told to end still serves those who got through, once it goes on."""
    service = start(SERVICE_WORKERS="1", SERVICE_DRAIN_SECONDS="0")
    worker = service.workers[0]
    worker.suspend()
    request = b"GET /api/users HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as stack:
        early = [stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 5)) for _ in range(5)]
        for sock in early:
            sock.sendall(request)
        assert service.process is not None
        service.process.terminate()

        def comes_up() -> bool:
            with contextlib.suppress(TimeoutError), socket.create_connection(("127.0.0.1", service.port), 0.05):
                return True
            return False

        wait_for(lambda: not comes_up(), "no further connection to come up")
        worker.resume()
        assert [sock.recv(15) for sock in early] == [b"HTTP/1.1 200 OK"] * 5
    assert service.process.wait(LIMIT_SECONDS) == 0


def test_clients_that_hang_up_are_counted_and_leave_nothing_in_flight(start: Running) -> None:
    service = start(SERVICE_WORKERS="2")
    service.faults(added_latency_seconds=0.2)
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", service.port)) as sock:
            sock.sendall(b"GET /api/users HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: service.total(COUNT, endpoint="/api/users") == 10, "ten counts")
    wait_for(lambda: service.total(ACTIVE) == 0, "nothing in flight")
    assert sum(bool(REQUEST.search(line)) for line in service.lines) == 10


def test_service_is_ready_quickly(start: Running) -> None:
    began = time.perf_counter()
    start()
    assert time.perf_counter() - began < 10, "an order of magnitude, not the goal: other jobs run beside this"


def test_wrong_settings_and_a_taken_port_stop_the_start(start: Running) -> None:
    assert start.launch(SERVICE_PORT="http").wait(LIMIT_SECONDS) == 2
    assert "SERVICE_PORT: expected a whole number from 0 to 65535, saw 'http'" in start.errors
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert start.launch(SERVICE_PORT=port).wait(LIMIT_SECONDS) == 1
    assert f"127.0.0.1:{port}" in start.errors
